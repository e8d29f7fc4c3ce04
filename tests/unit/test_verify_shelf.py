"""Runs of the tests that are kept: what a process that goes on takes from the one before, and what it does not."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from coder.errors import JournalError
from coder.publish.evidence import statement
from coder.publish.texts import Texts
from coder.sandbox.protocol import Image
from coder.trace.events import CellRun
from coder.trace.journal import Journal, JournalStore
from coder.types import Cell, FileChange, Patch, TestReport
from coder.verify.commands import given
from coder.verify.outcomes import Outcomes
from coder.verify.shelf import JournalShelf, Shelf, key_of
from coder.verify.verifier import CellVerifier, Verification
from tests.unit.verify_fakes import IMAGE, FakeSandboxes, FakeTrees, Run

BEFORE = {"a.py": b"x = 1\n", "t.py": b"def test_old():\n    assert 1\n"}
AFTER = {"a.py": b"x = 2\n", "t.py": b"def test_old():\n    assert 1\n\n\ndef test_new():\n    assert 2\n"}
GREEN, BOTH = Run({"test_old": "pass"}), Run({"test_old": "pass", "test_new": "pass"})
RED = Run({"test_old": "pass", "test_new": "failure"})
CELL = Cell(
    name="base",
    tree_sha="t",
    command="c",
    exit_code=0,
    duration_s=1.0,
    report=TestReport(by_id=True, passed=("t.py::a",)),
    output_tail="",
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    store = JournalStore(tmp_path / "journal.sqlite")
    yield store.open("r")
    store.close()


def judged(
    shelf: Shelf, *runs: Run | Sequence[Run], trees: FakeTrees | None = None, names: Sequence[str] = ("a.py",)
) -> tuple[Verification, FakeSandboxes]:
    sandboxes = FakeSandboxes(runs)
    files = tuple(FileChange(path=path, status="modified") for path in (*names, "tests/t.py"))
    verifier = CellVerifier(
        trees or FakeTrees({"base": BEFORE, "head": AFTER}),
        sandboxes,
        tests=given("pytest"),
        timeout_s=9,
        labels={"coder.run": "r"},
        shelf=shelf,
    )
    patch = Patch(base_sha="base", tree_sha="head", diff="", files=files)
    return verifier.verify(patch, image=IMAGE, round=1), sandboxes


def test_a_process_that_goes_on_takes_the_runs_of_the_one_before(journal: Journal) -> None:
    first, _ = judged(JournalShelf(journal), GREEN, BOTH, RED, GREEN, RED, BOTH)

    again, sandboxes = judged(JournalShelf(journal), BOTH)

    assert again.verdict == first.verdict
    assert again.verdict.kind == "proven"
    assert sandboxes.left == []  # only the failing test beside the others was run again
    assert not any(cell.kept_as for cell in first.evidence.cells)
    assert all(cell.kept_as for cell in again.evidence.cells)
    assert [
        line
        for line in again.evidence.not_verified
        if line.startswith("taken from earlier runs of the same tree, image and command: base (record ")
    ]
    document = statement(Texts(str), again.verdict, again.evidence, journal_digest="")
    base = document["predicate"]["coder"]["cells"][0]
    assert base["taken_from"] == again.evidence.cells[0].kept_as


def test_a_process_killed_between_two_runs_makes_only_those_that_are_missing(journal: Journal) -> None:
    shelf = JournalShelf(journal)
    with pytest.raises(IndexError):  # no more sandboxes: as if the process had died
        judged(shelf, GREEN, BOTH)

    again, sandboxes = judged(JournalShelf(journal), RED, GREEN, RED, BOTH)

    assert again.verdict.kind == "proven"
    assert sandboxes.left == []
    assert [bool(cell.kept_as) for cell in again.evidence.cells] == [True, False, True, False]


def test_a_process_killed_among_the_parts_goes_on_with_the_next_part(journal: Journal) -> None:
    names = ("a.py", "b.py", "c.py")
    trees = FakeTrees(
        {"base": {**BEFORE, **dict.fromkeys(names, b"x = 1\n")}, "head": {**AFTER, **dict.fromkeys(names, b"x = 2\n")}}
    )
    cells = (GREEN, BOTH, RED, GREEN, RED, BOTH)

    first, _ = judged(JournalShelf(journal), *cells, [RED, RED, Run(lost=True)], trees=trees, names=names)
    again, sandboxes = judged(JournalShelf(journal), BOTH, RED, trees=trees, names=names)

    assert first.evidence.hunks_tried == 0
    assert "the sandbox died" in first.evidence.not_verified[-1]
    assert (again.verdict.kind, again.evidence.hunks_tried, again.evidence.unexercised) == ("proven", 3, ())
    assert [command for command in sandboxes.commands if command.startswith("write ")][1:] == [
        "write b.py",
        "write c.py",
    ]


def test_the_next_round_takes_base_and_says_so() -> None:
    shelf = Shelf()
    judged(shelf, GREEN, GREEN, GREEN, GREEN, GREEN)

    base = judged(shelf, GREEN)[0].evidence.cells[0]

    assert base.name == "base"
    assert base.kept_as


def test_a_second_run_of_the_same_code_is_a_second_run() -> None:
    shelf = Shelf()
    key = key_of("head", "t", given("pytest"), IMAGE)
    shelf.put(key, CELL)
    shelf.put(key, CELL.model_copy(update={"exit_code": 1}))

    taken = [shelf.taken(key, number) for number in range(3)]

    assert [cell and cell.exit_code for cell in taken] == [0, 1, None]


@pytest.mark.parametrize(
    "other",
    [
        key_of("head", "t", given("pytest"), IMAGE),
        key_of("base", "u", given("pytest"), IMAGE),
        key_of("base", "t", given("pytest -x"), IMAGE),
        key_of("base", "t", given("pytest"), Image(reference="i", digest="sha256:2")),
        key_of("base", "t", given("pytest"), Image(reference="i", digest="sha256:1", services=("redis",))),
        key_of("base", "t", given("pytest"), IMAGE, again=True),
    ],
)
def test_what_ran_otherwise_is_not_taken(other: str) -> None:
    shelf = Shelf()
    shelf.put(key_of("base", "t", given("pytest"), IMAGE), CELL)

    assert shelf.taken(other) is None


@pytest.mark.parametrize(("duration_s", "kept"), [(0.0, False), (9.0, True)])
def test_a_killed_run_is_kept_by_the_process_only(journal: Journal, duration_s: float, kept: bool) -> None:  # noqa: FBT001
    shelf = JournalShelf(journal)

    shelf.put("k", CELL.model_copy(update={"exit_code": None, "duration_s": duration_s}))

    assert (shelf.taken("k") is not None) == kept  # one whose sandbox died is no run at all
    assert JournalShelf(journal).taken("k") is None


def test_a_record_that_is_none_is_refused(journal: Journal) -> None:
    journal.append(CellRun(key="k", cell="base", cell_blob=journal.put_blob(b"{}")))

    with pytest.raises(JournalError, match="cannot be read"):
        JournalShelf(journal)


def test_half_a_character_in_a_report_ends_no_run(journal: Journal) -> None:
    outcomes = Outcomes()
    outcomes.add("a.js::\ud800", "passed")
    outcomes.tell("\udfff")
    reading = outcomes.reading()

    JournalShelf(journal).put("k", CELL.model_copy(update={"report": reading.report, "output_tail": reading.output}))

    assert reading.report.passed == ("a.js::?",)
    assert JournalShelf(journal).taken("k") is not None
