"""Repetition: several runs of the same code tell a flake from a failure, and a proof from luck."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from coder.types import Cell, FlakyTest, TestReport
from coder.verify.basis import Cells, Finding
from coder.verify.cells import CellName
from coder.verify.outcomes import function_of
from coder.verify.runs import Runs
from coder.verify.verdict import newly_failing, proving_tests

MAX_DOUBTED: Final = 20
"""Flakes come in ones and twos; what breaks more tests than this is run once more, and no further."""
_OFTEN = 2
"""Failures on head, none on base, from which on a flake is put down to the patch."""

Weight = Literal["regression", "order", "unsteady", "flaky", "known"]


@dataclass(frozen=True, slots=True)
class Record:
    """How a test that newly failed ended in all runs: in the whole suite, in its file alone, and in that on base."""

    whole: tuple[bool, ...]
    alone: tuple[bool, ...] = ()
    base: tuple[bool, ...] = ()

    @property
    def runs(self) -> int:
        """Runs with the patch."""
        return len(self.whole) + len(self.alone)

    @property
    def passed(self) -> int:
        """Of these, how many it passed."""
        return sum(self.whole) + sum(self.alone)

    @property
    def weight(self) -> Weight:
        """What to make of it.

        regression: it never passed. order: it passes alone and never in the suite, which is a regression as well. known: it
        is flaky without the patch too. unsteady: steady on base and now and then red since. flaky: red once, which may be
        anybody's doing.
        """
        if not all(self.base):
            return "known"
        if not self.passed:
            return "regression"
        if len(self.whole) > 1 and self.alone and not any(self.whole) and all(self.alone):
            return "order"
        return "unsteady" if self.runs - self.passed >= _OFTEN else "flaky"


@dataclass(frozen=True, slots=True)
class Look:
    """The cells after a second look, and what it showed."""

    cells: Cells
    findings: tuple[Finding, ...] = ()
    flaky: tuple[FlakyTest, ...] = ()


def second_look(cells: Cells, runs: Runs) -> Look:
    """Run again what newly fails on head, with the new tests or the old; what is flaky is named, and not held against it."""
    cells, wandering = _settled(cells, runs)
    base, head = cells.base.report, cells.head.report
    failing = newly_failing(base, head) if base.by_id and head.by_id else ()
    look = _head(cells, failing, runs) if failing else Look(cells)
    look = replace(look, flaky=(*wandering, *look.flaky))
    old = cells.head_old
    if old is None or not old.report.by_id:
        return look
    fell = [name for name in newly_failing(base, old.report) if name in look.cells.head.report.passed]
    if not fell:
        return look
    _, records = _records(cells.base, old, fell, runs)
    forgiven = [name for name, record in records.items() if record.weight in {"flaky", "known"}]
    return Look(
        replace(look.cells, head_old=steadied(old, forgiven)),
        look.findings,
        (*look.flaky, *_flaky(old.name, {name: records[name] for name in forgiven})),
    )


def _settled(cells: Cells, runs: Runs) -> tuple[Cells, tuple[FlakyTest, ...]]:
    """The cells without tests that base itself does not name twice, and these tests.

    Parameters such as the time, an address in memory or a random word make ids that no two runs share. That such a test is
    gone on head says nothing, nor that one which was red on base is red there under another name. Only base is asked, which
    the patch cannot touch.
    """
    base = cells.base.report
    others = [cell.report for cell in (cells.head, cells.head_old) if cell is not None and cell.report.by_id]
    gone = [name for name in (*base.passed, *base.red) if any(name not in _listed(report) for report in others)]
    if not base.by_id or not gone:
        return cells, ()
    seconds = runs.rules.repeat_s
    again = runs.again(cells.base.name, cells.base.tree_sha, runs.only(gone), times=1, seconds=seconds)
    second = again[0].report if again else TestReport(by_id=False)
    wandering = frozenset(gone) - _listed(second)
    if not second.by_id or {*newly_failing(base, second)} - _red_before(base, second, wandering):
        return cells, ()
    flaky = (FlakyTest(name=name, cell="base", passed=int(name in base.passed), runs=2) for name in gone)
    return (
        replace(
            cells,
            base=_without(cells.base, wandering & {*base.passed}),
            head=_without(cells.head, _red_before(base, cells.head.report, wandering)),
            head_old=cells.head_old and _without(cells.head_old, _red_before(base, cells.head_old.report, wandering)),
        ),
        tuple(test for test in flaky if test.name in wandering),
    )


def _red_before(base: TestReport, after: TestReport, wandering: Collection[str]) -> frozenset[str]:
    """Of what newly fails, rows of tests that were red on base under names which wander: no more of them than there."""
    unsteady = {function_of(name) for name in base.red if name in wandering}
    were, are = (Counter(map(function_of, report.red)) for report in (base, after))
    newly = ((name, function_of(name)) for name in newly_failing(base, after))
    return frozenset(name for name, of in newly if of in unsteady and are[of] <= were[of])


def _without(cell: Cell, names: Collection[str]) -> Cell:
    """The cell as if it told nothing of these tests."""
    report = cell.report
    kept = {
        end: tuple(name for name in getattr(report, end) if name not in names)
        for end in ("passed", "failed", "errored")
    }
    return cell.model_copy(update={"report": report.model_copy(update=kept)}) if names else cell


def _listed(report: TestReport) -> frozenset[str]:
    """The tests that a run tells of, however they ended."""
    return frozenset((*report.passed, *report.not_passed))


def _head(cells: Cells, failing: Sequence[str], runs: Runs) -> Look:
    """The second look at what newly fails on head."""
    again, records = _records(cells.base, cells.head, failing, runs)
    by_weight: dict[Weight, list[str]] = {}
    for name, record in records.items():
        by_weight.setdefault(record.weight, []).append(name)
    unsteady, flaky = by_weight.get("unsteady", []), by_weight.get("flaky", [])
    named = [*flaky, *unsteady, *by_weight.get("known", [])]
    # With a report of its own the second run stands for the first; else only what it showed is taken over.
    whole = again.report.by_id and not newly_failing(cells.base.report, again.report)
    found = _flaky(cells.head.name, {name: records[name] for name in named})
    return Look(
        replace(
            cells,
            head=again if whole else steadied(cells.head, named),
            unsteady=tuple(test for test in found if test.name in unsteady),
            by_order=tuple(by_weight.get("order", [])),
        ),
        tuple(
            Finding(test.name, 0, f"passed in {test.passed} of {test.runs} runs of the same code: flaky", remedy="none")
            for test in found
            if test.name in flaky
        ),
        found,
    )


def _records(base: Cell, red: Cell, names: Sequence[str], runs: Runs) -> tuple[Cell, dict[str, Record]]:
    """The whole suite once more, then the files of the doubted tests alone, with the patch and on base."""
    again = runs.cell(red.name, red.tree_sha)
    alone: tuple[Cell, ...] = ()
    before: tuple[Cell, ...] = ()
    if len(names) <= MAX_DOUBTED:
        seconds = runs.rules.repeat_s / 2
        alone = runs.again(red.name, red.tree_sha, runs.only(names), times=runs.rules.repeat - 2, seconds=seconds)
        known = [name for name in names if name in base.report.passed]
        if known:
            narrow = runs.only(known)
            before = runs.again(base.name, base.tree_sha, narrow, times=runs.rules.repeat - 1, seconds=seconds)
    whole = (red, again)
    records = _recorded(names, whole, alone, before)
    if any(record.weight == "order" for record in records.values()):
        # Two red runs in the suite and two green ones alone are luck too often.
        records = _recorded(names, (*whole, runs.cell(red.name, red.tree_sha)), alone, before)
    return again, records


def _recorded(
    names: Iterable[str], whole: Sequence[Cell], alone: Sequence[Cell], base: Sequence[Cell]
) -> dict[str, Record]:
    return {name: Record(_outcomes(name, whole), _outcomes(name, alone), _outcomes(name, base)) for name in names}


def _outcomes(name: str, cells: Iterable[Cell]) -> tuple[bool, ...]:
    """Whether the test passed, for each run that tells of it."""
    ends = [(name in cell.report.passed, name in cell.report.red) for cell in cells]
    return tuple(green for green, red in ends if green or red)


def _flaky(cell: CellName, records: dict[str, Record]) -> tuple[FlakyTest, ...]:
    return tuple(
        FlakyTest(name=name, cell="base", passed=sum(record.base) + 1, runs=len(record.base) + 1)
        if record.weight == "known"
        else FlakyTest(name=name, cell=cell, passed=record.passed, runs=record.runs)
        for name, record in records.items()
    )


def proof_again(cells: Cells, runs: Runs) -> Look:
    """Run the red side of the proof again: a test that passes there even once was red by chance, and proves nothing."""
    proving = proving_tests(cells)
    if not proving:
        return Look(cells)
    red = cells.base_new or cells.base
    again = runs.again(
        red.name, red.tree_sha, runs.only(proving), times=runs.rules.repeat - 1, seconds=runs.rules.repeat_s / 2
    )
    ends = {name: _outcomes(name, again) for name in proving}
    lucky = {name: outcomes for name, outcomes in ends.items() if any(outcomes)}
    steady = steadied(red, lucky)
    flaky = tuple(
        FlakyTest(name=name, cell=red.name, passed=sum(outcomes), runs=len(outcomes) + 1)
        for name, outcomes in lucky.items()
    )
    return Look(replace(cells, base=steady) if cells.base_new is None else replace(cells, base_new=steady), (), flaky)


def steadied(cell: Cell, names: Collection[str]) -> Cell:
    """The cell with `names`, which failed in it and passed in another run of the same code, counted as passed."""
    if not names:
        return cell
    report = cell.report
    kept = {
        "failed": tuple(name for name in report.failed if name not in names),
        "errored": tuple(name for name in report.errored if name not in names),
        "passed": tuple(sorted({*report.passed, *names})),
    }
    return cell.model_copy(update={"report": report.model_copy(update=kept)})
