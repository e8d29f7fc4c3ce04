"""docs/events.md says what the code does: its events, verbs and options, and what each word leads to in each situation."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from coder.forge.github_access import EVENTS
from tests.unit.webhooks_payloads import check, review_commented, reviewed
from tests.unit.webhooks_situations import (
    LIVE,
    NOTHING,
    NOW,
    OVER,
    OWN,
    OWN_LIVE,
    PLANNED,
    TASK,
    WAITING,
    outcome,
    said,
    summary,
)
from webhooks.answers import VERBS_TOLD
from webhooks.commands import VERBS, Verb
from webhooks.decisions import Decision, Situation
from webhooks.options import NAMES
from webhooks.reading import HEARD
from webhooks.rules import Labels

TEXT = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")
ON_PULL = {"pull_request": {"url": "x"}, "number": 30}
OWN_WAITING = Situation(now=NOW, state="waiting", task=TASK, own_pull=True, has_pull=True)
COLUMNS = ("nothing", "at work", "waiting", "over", "over, on its pull request")
SEEN = {
    "run": {"run react"},
    "told": {"answer", "describe", "switch"},
    "reaches it": {"steer"},
    "ends it": {"stop"},
    "\u2013": {"nothing"},
    "merged": {"rebase react"},
    "goes on": {f"{kind} react" for kind in ("continue", "answer", "approve", "revise", "review", "check_failure")},
    "waits behind it": {"review react"},
}
"""What a cell says in words, and what the code decides then."""


def table(heading: str) -> list[list[str]]:
    """The rows of the table in a section, without its head."""
    section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def bodies(said_so: str) -> list[str]:
    """Comments that a row of the second table is about."""
    if "our name and text, at the beginning" in said_so:
        return ["@coder use bcrypt"]
    if "our name and text, elsewhere" in said_so:
        return ["No, @coder, the other"]
    return [f"/coder {verb.replace('TEXT', 'x').replace(' [+$N]', '')}" for verb in re.findall(r"`([^`]+)`", said_so)]


def cases() -> Iterator[tuple[str, str, str]]:
    for row in table("What is said to a run that exists"):
        for column, cell in zip(COLUMNS, row[1:], strict=True):
            yield row[0], column, re.sub(r" \(.*", "", cell)


def decisions(said_so: str, column: str) -> list[Decision]:
    """What the code decides of a row in a situation."""
    own = column == COLUMNS[-1]
    if "review" in said_so or "comment on a line" in said_so or "failed check" in said_so:
        situation = {"at work": OWN_LIVE, "waiting": OWN_WAITING, COLUMNS[-1]: OWN}.get(column, NOTHING)
        if "comment on a line" in said_so:
            return [outcome("pull_request_review_comment", review_commented("Hm, @coder"), situation)]
        if "failed check" in said_so:
            return [outcome("check_suite", check(), OWN if column == "over" else situation)]
        return [outcome("pull_request_review", reviewed(), situation)]
    waiting = PLANNED if "approve" in said_so else WAITING
    situation = dict(zip(COLUMNS, (NOTHING, LIVE, waiting, OVER, OWN), strict=True))[column]
    return [said(body, situation, **(ON_PULL if own else {})) for body in bodies(said_so)]


@pytest.mark.parametrize(("said_so", "column", "cell"), list(cases()))
def test_what_the_table_says_is_what_is_decided(said_so: str, column: str, cell: str) -> None:
    found = [summary(decision) for decision in decisions(said_so, column)]

    assert found
    assert [one for one in found if one not in SEEN[cell]] == []


def test_every_event_that_is_heard_is_in_the_tables_and_every_other_is_not_asked_for() -> None:
    named = " ".join(row[0] for heading in ("What starts a run", "What makes a draft ready") for row in table(heading))

    assert {name for name, _ in HEARD} == {*EVENTS, "repository_dispatch"}
    for name, action in HEARD:
        assert f"`{name}.{action}`" in named or f"`{name}`" in named, (name, action)


def test_every_verb_option_and_label_is_explained() -> None:
    words = " ".join(
        cell
        for heading in ("What starts a run", "What is said to a run that exists")
        for cell in (part for row in table(heading) for part in row)
    )
    told = {re.match(r"[a-z]+", verb)[0] for verb, _ in VERBS_TOLD}  # type: ignore[index]  # each begins with one

    assert set(get_args(Verb)) == set(VERBS) == told
    assert [verb for verb in VERBS if not re.search(rf"`{verb}\b", words)] == []
    assert [name for name in NAMES if f"`{name}=" not in TEXT] == []
    assert [label for label in Labels().all if f"`{label}`" not in TEXT] == []
