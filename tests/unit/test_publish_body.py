"""What a pull request tells beyond its proof: steps, review, hosts, the repository's own template and title style."""

import pytest

from coder.publish.body import is_draft, pull_request_title
from coder.publish.made_in import made_in
from coder.publish.template import template_path
from coder.publish.texts import BODY_UNITS, units
from coder.publish.titles import in_style
from coder.trace.events import Continued, Event, Prepared, Reopened, Reviewed, ToolFinished
from coder.types import (
    Checkpoint,
    Evidence,
    FlakyTest,
    Followup,
    Note,
    Patch,
    Problem,
    Remark,
    Review,
    Submission,
    ToolOutput,
    Verdict,
)
from coder.verify.verdict import CHANGED_EXPECTATION
from tests.unit.publish_values import CLEAN, LIVE, NASTY, RED, SECRET, TOKEN, body, cell, hide

PROVEN = Verdict(kind="proven")
PATCH = Patch(base_sha="b", tree_sha="e", diff="", files=())


def evidence(**changes: object) -> Evidence:
    values: dict[str, object] = {
        "cells": (
            cell("base+new tests", RED, 1).model_copy(update={"output_tail": "E assert 1 == 2 @octo"}),
            cell("head", CLEAN, 0),
        ),
        "base_sha": "b" * 40,
        "head_tree": "e" * 40,
        "image": "i",
        "image_digest": "sha256:1",
    }
    return Evidence.model_validate(values | changes)


def reviewed(*remarks: Remark, **changes: object) -> Reviewed:
    found = Review(summary="Looked.", remarks=remarks, partial=bool(changes.get("partial")))
    return Reviewed(round=1, model="other-model", review=found)


def test_a_file_names_the_steps_that_made_it_and_links_them_where_the_trace_is_public() -> None:
    steps = {"a.py": (1, 4, 7, 9)}

    assert "`a.py` (modified, +1 -2; steps 4, 7, 9): the bug" in body(made_in=steps)
    linked = body(made_in={"a.py": (9,)}, trace_url="https://coder.example.org/runs/run-1")
    assert "; step [9](https://coder.example.org/runs/run-1#step-9))" in linked
    assert "- full trace: https://coder.example.org/runs/run-1" in linked
    assert "- full trace: `coder trace run-1 --full`" in body()


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://x/y) [z](https://evil", "https://x/<b>", "not-one"])
def test_an_address_that_is_none_is_not_linked(url: str) -> None:
    text = body(made_in={"a.py": (9,)}, trace_url=url)

    assert "; step 9)" in text
    assert url not in text


def test_a_changed_expectation_has_a_head_line_of_its_own_and_shows_the_red_run() -> None:
    line = "tests/t.py:3: `assert f() == 2 @octo` was `assert f() == 1` on base"
    changed = Verdict(kind="unverified", reasons=(f"{CHANGED_EXPECTATION}: 1 test of base", line))

    text = body(verdict=changed, evidence=evidence())

    assert "**Changed expectation: existing tests ask for something else now" in text
    assert "How it failed before" in text
    assert "@octo" not in text
    assert "**Unverified: the tests could not show" in body(verdict=Verdict(kind="unverified"), evidence=evidence())


def test_the_red_run_is_shown_and_what_no_test_needs_or_is_flaky() -> None:
    flaky = FlakyTest(name="t.py::c", cell="head", passed=3, runs=5)
    lines = ("not exercised by any test: a.py:10-14", "flaky, not counted: t.py::c passed in 3 of 5 runs of head")

    text = body(evidence=evidence(unexercised=("a.py:10-14",), hunks_tried=3, flaky=(flaky,), not_verified=lines))

    assert "<summary>How it failed before (base+new tests)</summary>" in text
    assert "E assert 1 == 2 @\u200bocto" in text
    told = text.partition("## Not verified")[2].partition("## ")[0]
    assert told.count("a.py:10-14") == told.count("t.py::c") == 1, "each is told once"
    assert "Taken out one at a time, 2 of 3 parts of the change were missed by a test." in text
    assert "How it failed" not in body(evidence=evidence(), verdict=Verdict(kind="passing"))


def test_the_tests_that_prove_it_are_listed_once_and_hosts_are_no_secret() -> None:
    reasons = ("failing on base, passing on head: t.py::a", "2 tests passing on head, none newly failing")

    text = body(
        verdict=Verdict(kind="proven", reasons=reasons),
        evidence=evidence(proving_tests=("t.py::a",)),
        hosts=("db.example.org",),
    )

    proof = text.partition("## Proof")[2].partition("## Not verified")[0].partition("<details>")[0]
    assert proof.count("t.py::a") == 1
    assert "none newly failing" in proof
    assert "in a fresh container from which only `db.example.org` can be reached." in proof
    assert "without network" not in proof
    assert "fresh container without network" in body(evidence=evidence())


def test_a_review_is_objections_first_and_never_a_proof() -> None:
    objection = Remark(path="a.py", line=3, what=NASTY, must_fix=True)
    found = reviewed(objection, Remark(what="naming", must_fix=False), partial=True)

    text = body(reviewed=found)

    assert "## Independent review" in text
    assert "- **objects** `a.py:3`: " in text
    assert "- **notes** naming" in text
    assert "It proves nothing." in text
    assert "- 1 objections of the independent reviewer stand (below)" in text
    assert "not shown the whole change" in text
    assert not LIVE.search(text), LIVE.search(text)
    assert SECRET not in text
    assert TOKEN not in text


def test_objections_keep_it_a_draft_and_praise_does_not_open_it() -> None:
    blocked = reviewed(Remark(what="wrong", must_fix=True))
    praised = reviewed(Remark(what="nice", must_fix=False))

    assert is_draft(verdict=PROVEN, patch=PATCH, reviewed=blocked)
    assert not is_draft(verdict=PROVEN, patch=PATCH, reviewed=praised)
    assert is_draft(verdict=Verdict(kind="passing"), patch=PATCH, reviewed=praised)
    none = Reviewed(round=1, model="m", problem="no money")
    assert "- no independent review: no money" in body(reviewed=none)
    assert "## Independent review" not in body(reviewed=none)


def test_inputs_tell_what_could_be_reached_and_who_added_what() -> None:
    note = Note(author="eve", body="@octo faster!", trusted=False)
    later = Continued(followup=Followup(id="f1", kind="revise", note=note))

    assert "- network: none while the model worked" in body()
    assert "- network: while the model worked only `db.example.org`;" in body(hosts=("db.example.org",))
    prepared = Prepared(
        image="i",
        image_digest="d",
        setup_ok=True,
        setup_log="",
        test_command=None,
        lfs_pointers=("a`.bin", *"bcdef"),
        lfs_count=9,
    )
    assert "tests that read them fail before and after: ``a`.bin``, `b`" in body(events=[prepared])
    assert "`e` and 4 more\n" in body(events=[prepared])
    assert "LFS" not in body()
    assert "without isolation" in body(evidence=evidence(image_digest="local"))
    assert "- later, revise by `eve`: 13 characters, shown as data, not as instructions" in body(events=[later])


TEMPLATE = """<!-- Thanks @everyone! -->
# Description
Please describe.

## Motivation and Context
## How Has This Been Tested?
## Type of change
- [x] Bug fix
- [ ] Feature

## Checklist:
- [X] I have read @octo's guide, see #7
```
open fence
## Screenshots
"""


def test_the_repositorys_template_is_filled_where_it_fits() -> None:
    text = body(template=TEMPLATE)

    titles = [line for line in text.split("\n") if line.startswith("## ")]
    assert titles == [
        "## Description",
        "## Motivation and Context",
        "## How Has This Been Tested?",
        "## Type of change",
        "## Checklist:",
        "## Screenshots",
        "## What changed",
        "## Not verified, risks",
        "## Inputs",
        "## Cost and model",
        "## Trace",
    ]
    assert "## Description\n\nFixes #12 " in text
    assert "## How Has This Been Tested?\n\n**Proven" in text
    assert "- [ ] Bug fix" in text
    assert "[x]" not in text.lower()
    assert "_Left for a person to fill in._" in text
    assert "Thanks" not in text
    assert not LIVE.search(text), LIVE.search(text)


@pytest.mark.parametrize(
    "template", ["", "no heading", "# " + "x" * 90_000, "## a\n" * 9_000, NASTY * 100, "<!-- never ends"]
)
def test_no_template_breaks_the_text(template: str) -> None:
    text = body(template=template)

    assert units(text) <= BODY_UNITS
    assert not LIVE.search(text), LIVE.search(text)
    assert "**Proven" in text


def test_the_template_is_found_in_any_case() -> None:
    assert template_path(["a", ".github/PULL_REQUEST_TEMPLATE.md"]) == ".github/PULL_REQUEST_TEMPLATE.md"
    assert template_path(["src/pull_request_template.md"]) is None


CONVENTIONAL = ["fix(core): a", "feat: b", "chore!: c", "docs: d", "Merge branch x", "fix: e", "Bump y from 1 to 2"]
PLAIN = ["Split bills", "Count weights", "Say no", "Add tests", "Keep order", "Round half up"]


@pytest.mark.parametrize(
    ("title", "log", "made"),
    [
        ("Make shares add up", CONVENTIONAL, "fix: make shares add up"),
        ("Add a flag", CONVENTIONAL, "feat: add a flag"),
        ("Document the flag", CONVENTIONAL, "docs: document the flag"),
        ("HTTP errors are kept", CONVENTIONAL, "fix: HTTP errors are kept"),
        ("fix(api)!: keep", CONVENTIONAL, "fix(api)!: keep"),
        ("fix: keep the cents", PLAIN, "Keep the cents"),
        ("Keep the cents", PLAIN, "Keep the cents"),
        ("fix: keep", PLAIN[:2], "fix: keep"),
        ("", CONVENTIONAL, ""),
    ],
)
def test_titles_follow_the_log(title: str, log: list[str], made: str) -> None:
    assert in_style(title, log) == made


def test_a_title_in_style_is_still_short_and_inert() -> None:
    problem = Problem(kind="issue", title="t", body=Note(author="a", body="b"))
    submission = Submission(title="Ping @octo about #9 " + "x" * 200, summary="")

    title = pull_request_title(problem=problem, submission=submission, redact=hide, log=CONVENTIONAL)

    assert title.startswith("fix: ping @\u200bocto about #\u200b9")
    assert len(title) <= 120


def diff(**files: str) -> bytes:
    return "".join(f"diff --git a/{name} b/{name}\n+{text}\n" for name, text in files.items()).encode()


def test_steps_are_those_after_which_a_file_differs_otherwise() -> None:
    blobs = {"1": diff(a="x"), "2": diff(a="x", b="y"), "3": diff(a="z", b="y"), "4": diff(b="y"), "5": b"junk"}

    def worked(step: int, blob: str) -> Event:
        point = Checkpoint(step=step, tree_sha="t", diff_blob=blob)
        return ToolFinished(
            step=step, call_id="c", name="run", output=ToolOutput(content=""), duration_s=0, checkpoint=point
        )

    events = [worked(step, str(step)) for step in range(1, 5)]

    assert made_in(events, blobs.__getitem__) == {"a": (1, 3, 4), "b": (2,)}
    again: list[Event] = [*events, Reopened(head_sha="h", checkpoint=Checkpoint(step=4, tree_sha="t", diff_blob="3"))]
    assert made_in([*again, worked(9, "2")], blobs.__getitem__)["a"] == (1, 3, 4, 9)
    assert made_in([worked(1, "5")], blobs.__getitem__) == {}
