"""What runs find out about a repository: kept with its lines, shown while they stand, never by strangers alone."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from coder.errors import InputError, JournalError
from coder.memory.command import manage
from coder.memory.facts import Fact, cited, standing
from coder.memory.known import known
from coder.memory.store import MAX_FACTS, MemoryStore
from coder.tools.base import Toolbox
from coder.tools.remember import Origin, Remember
from coder.trace.events import Opened
from coder.types import ToolCall, ToolOutput, ToolSpec
from tests.unit.publish_values import LIVE, NASTY, body, step
from tests.values import ReadOnlySandbox

NOW = "2026-01-10T00:00:00.000Z"
LATER = "2026-02-10T00:00:00.000Z"
MUCH_LATER = "2026-06-10T00:00:00.000Z"
MAKEFILE = b"test:\n\tpython -m pytest -q\n\nlint:\n\truff check\n}\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    one = MemoryStore(tmp_path / "memory.sqlite")
    yield one
    one.close()


def fact(text: str = "Tests are run by make test.", *, approved: bool = True, repo: str = "o/r", at: str = NOW) -> Fact:
    return Fact(
        repo=repo,
        text=text,
        citations=(cited("Makefile", 2, MAKEFILE),),
        commit_sha="a" * 40,
        run_id="run",
        author="ann",
        created_at=at,
        seen_at=at,
        approved=approved,
    )


def shown(store: MemoryStore, files: Mapping[str, bytes], now: str = NOW, repo: str = "o/r") -> tuple[str, ...]:
    return known(store, repo, files.get, now)


def test_a_fact_is_shown_while_its_lines_stand(store: MemoryStore) -> None:
    store.add(fact())
    moved = b"# new\n" + MAKEFILE.replace(b"\tpython", b"    python")

    assert shown(store, {"Makefile": MAKEFILE}) == ("Tests are run by make test. (Makefile)",)
    assert shown(store, {"Makefile": moved}) == ("Tests are run by make test. (Makefile)",)
    assert shown(store, {"Makefile": b"test:\n\ttox\n"}) == ()
    assert shown(store, {}) == ()
    assert shown(store, {"Makefile": MAKEFILE}, repo="o/other") == ()


def test_what_holds_is_kept_and_what_does_not_is_forgotten_in_time(store: MemoryStore) -> None:
    store.add(fact())
    shown(store, {"Makefile": MAKEFILE}, LATER)
    renewed = store.facts("o/r")[0].seen_at

    assert renewed == LATER
    assert shown(store, {"Makefile": MAKEFILE}, MUCH_LATER) == ()
    assert store.facts() == ()


def test_a_fact_from_strangers_words_waits_for_a_person(store: MemoryStore) -> None:
    store.add(fact(approved=False))
    store.add(fact(approved=False))
    before = shown(store, {"Makefile": MAKEFILE})
    (waiting,) = store.facts("o/r")

    assert before == ()
    assert store.approve([waiting.id, 99]) == 1
    assert len(shown(store, {"Makefile": MAKEFILE})) == 1


def test_a_strangers_run_does_not_take_an_approval_away(store: MemoryStore) -> None:
    store.add(fact())
    store.add(fact(approved=False))

    assert [one.approved for one in store.facts()] == [True]


def test_the_memory_of_a_repository_is_bounded(store: MemoryStore) -> None:
    store.add(fact("The first and approved fact."))
    for number in range(MAX_FACTS + 5):
        store.add(fact(f"Fact number {number}.", approved=False))

    assert len(store.facts("o/r")) == MAX_FACTS
    assert "The first and approved fact." in {one.text for one in store.facts()}


@pytest.mark.parametrize(
    ("line", "says"), [(0, "lines, not 0"), (7, "lines, not 7"), (3, "too little"), (6, "too little")]
)
def test_a_line_that_bears_nothing_out_is_refused(line: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        cited("Makefile", line, MAKEFILE)


def test_every_citation_must_stand() -> None:
    both = fact().model_copy(update={"citations": (cited("Makefile", 2, MAKEFILE), cited("Makefile", 5, MAKEFILE))})

    assert standing([both], {"Makefile": MAKEFILE}.get) == [both]
    assert standing([both], {"Makefile": MAKEFILE.replace(b"ruff", b"flake8")}.get) == []


def remember(store: MemoryStore, *, trusted: bool, **arguments: object) -> ToolOutput:
    sandbox = ReadOnlySandbox({"Makefile": MAKEFILE})
    origin = Origin("o/r", "b" * 40, "run", "ann")
    tool = Remember(
        sandbox,
        store,
        origin,
        trusted=lambda: trusted,
        redact=lambda text: text.replace("hunter2", "***"),
        now=lambda: NOW,
    )
    given = {"fact": "Tests run by\nmake test, hunter2.", "citations": [{"path": "Makefile", "line": 2}]} | arguments
    return Toolbox([tool]).call(ToolCall(id="1", name="remember", arguments=json.dumps(given))).output


def test_a_model_keeps_facts_redacted_and_by_whom(store: MemoryStore) -> None:
    output = remember(store, trusted=True)
    (kept,) = store.facts()

    assert output.content == "Kept."
    assert (kept.text, kept.author, kept.approved) == ("Tests run by make test, ***.", "ann", True)
    assert "approve it" in remember(store, trusted=False, fact="Another fact of a stranger.").content


@pytest.mark.parametrize(
    ("citations", "says"),
    [
        ([{"path": "nope", "line": 1}], "there is no such file"),
        ([{"path": "Makefile", "line": 99}], "lines, not 99"),
        ([], "at least 1 item"),
    ],
)
def test_a_fact_without_a_line_is_not_kept(store: MemoryStore, citations: list[object], says: str) -> None:
    output = remember(store, trusted=True, citations=citations)

    assert output.is_error
    assert says in output.content
    assert store.facts() == ()


def test_people_see_approve_and_forget(store: MemoryStore, tmp_path: Path) -> None:
    store.add(fact("Bell \x07 and newest.", approved=False))
    lines: list[str] = []

    def run(action: str, *numbers: int) -> None:
        manage(tmp_path / "memory.sqlite", action, numbers, repo="", now=NOW, echo=lines.append)

    run("list")
    run("approve", 1)
    run("list")
    run("forget", 1, 2)
    run("list")

    assert lines[0].startswith("1  o/r  Bell � and newest.  (Makefile:2 at aaaaaaaaaaaa, run run, asked for by ann)")
    assert "WAITS" in lines[0]
    assert lines[1] == "approve: 1 of 1"
    assert "WAITS" not in lines[2]
    assert lines[3:] == ["forget: 1 of 2"]


@pytest.mark.parametrize("action", ["burn", "forget", "approve"])
def test_a_command_that_makes_no_sense_is_refused(tmp_path: Path, action: str) -> None:
    with pytest.raises(InputError):
        manage(tmp_path / "memory.sqlite", action, [], repo="", now=NOW, echo=print)


def test_a_broken_memory_costs_the_facts_and_not_the_run(tmp_path: Path) -> None:
    (tmp_path / "bad.sqlite").write_bytes(b"no database" * 200)
    with pytest.raises(JournalError, match="cannot open the memory"):
        MemoryStore(tmp_path / "bad.sqlite")
    closed = MemoryStore(tmp_path / "memory.sqlite")
    closed.close()

    assert shown(closed, {"Makefile": MAKEFILE}) == ()
    assert remember(closed, trusted=True).is_error


def test_what_a_run_was_told_of_earlier_ones_stands_in_its_pull_request_and_says_nothing_live() -> None:
    opened = Opened(messages=(), tools=(), remembered=("Tests are run by make test. (Makefile)", NASTY))

    text = body(events=[opened])

    assert "- remembered from earlier runs: Tests are run by make test. (Makefile)" in text
    assert not LIVE.search(text.partition("## Inputs")[2].partition("\n## ")[0])


def test_tools_outside_of_the_sandbox_are_told_of() -> None:
    tools = tuple(ToolSpec(name=name, description="", parameters={}) for name in ("docs_find", "plan", "run_tests"))

    used = body(events=[Opened(messages=(), tools=tools), *step(1, "docs_find", "x"), *step(2, "run_tests", "x")])
    unused = body(events=[Opened(messages=(), tools=tools), *step(1, "made_up", "x")])

    assert "- tools outside of the sandbox: `docs_find` 1 times\n" in used
    assert "outside of the sandbox" not in unused
