"""The judgement: what four runs of the tests, compared by test id, say about a patch. Pure."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from coder.types import Cell, TestReport, Verdict, VerdictKind
from coder.verify.basis import Cells, Finding, Remedy
from coder.verify.excerpt import excerpt
from coder.verify.outcomes import function_of
from coder.verify.wording import bulleted, count, listed

_MAX_FINDINGS = 40


@dataclass(frozen=True, slots=True)
class _Judgement:
    kind: VerdictKind
    reasons: tuple[str, ...]
    objections: tuple[str, ...] = ()


def no_change() -> Verdict:
    """The verdict on a patch without files."""
    return Verdict(
        kind="no_change",
        reasons=("the patch changes nothing",),
        objections=("The working tree equals the base commit: no change was made.",),
    )


def verdict(cells: Cells, *, findings: Collection[Finding] = ()) -> Verdict:
    """What the runs and the look at the tests come to.

    proven: a test fails on base (with the patch's tests) and passes on head, and every test that passed on base passes on
    head and, in its old form, on head too. Tests that fail on both count neither for nor against. `findings` lower a
    proven to a passing, fatal ones anything green to unverified.
    """
    if cells.exit_codes_only:
        judged = _by_exit_code(cells)
    elif not cells.head.report.by_id:
        judged = _head_unreadable(cells)
    elif not cells.base.report.by_id:
        judged = _base_unreadable(cells)
    else:
        judged = _by_id(cells)
    return _lowered(judged, findings)


def proving_tests(cells: Cells) -> tuple[str, ...]:
    """Tests that fail on base and pass on head; empty where only exit codes are known.

    New or changed ones fail on base with the patch's tests. One that failed on base as it stood there must also pass on
    head as it stood there.
    """
    base, head = cells.base.report, cells.head.report
    if not base.by_id or not head.by_id:
        return ()
    red_already = {*base.red}
    if cells.base_new is None:
        return tuple(name for name in head.passed if name in red_already)
    before = cells.base_new.report
    if not before.by_id:
        return ()
    red = {*before.red}
    cured = red & red_already & ({*cells.head_old.report.passed} if cells.head_old else {*head.passed})
    known = {*red_already, *base.passed}
    # Of a file that cannot even be collected on base no test is listed there, only the file: it uses what is new.
    uncollected = {name for name in before.errored if "::" not in name}
    # A file that loads now is no test: it may have ended its process before the first one.
    return tuple(
        name
        for name in head.passed
        if not (name in before.errored and _FILE.fullmatch(name))
        and (
            name in cured
            or (
                name in red
                and name not in red_already
                and not (name in base.passed and _is_elsewhere(name, cells.changed))
            )
            or (name not in known and name not in before.passed and name.split("::", 1)[0] in uncollected)
        )
    )


_FILE: Final = re.compile(r"(?:[^:]|:(?!:))+\.(?:[cm]?[jt]sx?|py|rb|php)")
"""The id of a whole file, which stands for tests that could not be collected."""


def _is_elsewhere(name: str, changed: Collection[str]) -> bool:
    """Whether the test stands in a file that the patch leaves alone: red there only with the new tests, it is flaky."""
    path = name.split("::", 1)[0]
    return bool(changed) and "::" in name and "." in path.rpartition("/")[2] and path not in changed


def _by_id(cells: Cells) -> _Judgement:
    base, head = cells.base.report, cells.head.report
    newly = newly_failing(base, head)
    if newly:
        return _regressed(cells, newly)
    doubt = _doubt(cells)
    if doubt is not None:
        return doubt
    return _green(cells)


def _regressed(cells: Cells, newly: tuple[str, ...]) -> _Judgement:
    reasons = [f"{count(newly, 'test')} newly failing: {listed(newly)}"]
    told = _broken(cells.head, newly)
    if by_order := [name for name in newly if name in cells.by_order]:
        reasons.append(f"passing when run alone, failing in the whole suite each time: {listed(by_order)}")
        told = f"{reasons[-1]}. Something that another test leaves behind, or takes away, matters here.\n{told}"
    return _Judgement("regressed", tuple(reasons), (told,))


def newly_failing(before: TestReport, after: TestReport) -> tuple[str, ...]:
    """Tests that fail after and did not fail before; new tests are among them."""
    return tuple(sorted({*after.red} - {*before.red}))


def _doubt(cells: Cells) -> _Judgement | None:
    """Why a head without new failures is not green all the same."""
    base, head = cells.base.report, cells.head.report
    if head.problem is not None and base.problem is None:
        return _Judgement("unverified", (f"head: {head.problem}",), (_told(cells.head, head.problem),))
    if cells.unsteady:
        named = [f"{test.name} (passed in {test.passed} of {test.runs} runs)" for test in cells.unsteady]
        what = f"{count(named, 'test')} steady on base or new, and failing now and then with the patch: {listed(named)}"
        return _Judgement("unverified", (what,), (_told(cells.head, f"{what}. Find what makes the outcome vary."),))
    lost = sorted({*base.passed} - {*head.passed} - _moved(cells))
    if lost:
        skipped = sum(name in set(head.skipped) for name in lost)
        what = (
            f"{count(lost, 'test')} passed on base and did not run to success on head ({skipped} skipped, "
            f"{len(lost) - skipped} gone): {listed(lost)}"
        )
        return _Judgement("unverified", (what,), (f"{what}. Keep every existing test, under its name, running.",))
    if cells.head_old is None:
        return None
    return _old_tests_doubt(cells, cells.head_old)


def _moved(cells: Cells) -> frozenset[str]:
    """Tests that are gone under their name, pass on head as they were, and whose checks others make now.

    Another parameter gives all rows of a table new ids: the rows are what is counted then.
    """
    if cells.head_old is None:
        return frozenset()
    base, head = cells.base.report, cells.head.report
    spoilt = Counter(map(function_of, head.not_passed)) - Counter(map(function_of, base.not_passed))
    fewer = Counter(map(function_of, base.passed)) - Counter(map(function_of, head.passed))
    return frozenset(
        name
        for name in {*cells.head_old.report.passed} - {*head.not_passed}
        if _is_accounted(name, cells.accounted) or not (spoilt + fewer)[function_of(name)]
    )


def _is_accounted(name: str, accounted: Collection[tuple[str, str]]) -> bool:
    """Whether a runner's id is that of a test in a file; ids of some runners do not tell the file."""
    place, *inner = name.split("::")
    if not inner:
        return False
    last = re.sub(r"\[.*", "", inner[-1])
    is_file = re.search(r"\.[a-z]{1,4}$", place.rpartition("/")[2]) is not None
    return any(last == test.rpartition(".")[2] and (place == path or not is_file) for path, test in accounted)


def _old_tests_doubt(cells: Cells, head_old: Cell) -> _Judgement | None:
    """Whether the tests as they were on base fail on the patch."""
    if not head_old.report.by_id:
        what = f"head with the old tests: {head_old.report.problem}"
        return _Judgement("unverified", (what,), (_told(head_old, what),))
    lost = sorted({*cells.base.report.passed} - {*head_old.report.passed})
    if not lost:
        return None
    if {*lost} <= _changed_expectations(cells):
        return _contradicted(cells, head_old, lost)
    what = f"{count(lost, 'test')} of base, as written there, no longer passing on head: {listed(lost)}"
    objection = (
        f"{what}. The patch changes these tests or what they use. If that was not meant, make the code pass them as they "
        "were. If the old expectation is what the issue calls wrong, say so in the summary and submit again unchanged: the "
        f"pull request is then a draft that tells people what to look at.\n{excerpt(head_old.output_tail, lost)}"
    )
    return _Judgement("unverified", (what,), (objection,))


CHANGED_EXPECTATION: Final = "changed expectation"
"""How the first reason begins where nothing stands against a patch but that existing tests expect something else now."""


def _changed_expectations(cells: Cells) -> frozenset[str]:
    """Tests that passed on base, fail there as the patch has them, and pass on head: they expect something else."""
    if cells.base_new is None or not cells.base_new.report.by_id or cells.head.report.problem is not None:
        return frozenset()
    return frozenset(
        name
        for name in {*cells.base_new.report.red} & {*cells.head.report.passed}
        if not _is_elsewhere(name, cells.changed)
    )


def _contradicted(cells: Cells, head_old: Cell, lost: Collection[str]) -> _Judgement:
    """All that stands against the patch is that it contradicts tests of base, and makes them expect what it does.

    A fix of what a test held to be right looks like this, and so does a fault that was written into the test: no run can
    tell the two apart, so it is not called proven. docs/decisions/0025-a-changed-expectation.md
    """
    kept = len({*cells.base.report.passed} - {*lost})
    reasons = (
        f"{CHANGED_EXPECTATION}: {count(lost, 'test')} of base now asking for something else: {listed(lost)}",
        *(str(finding) for finding in cells.rewritten),
        "as the patch has them they fail on base and pass on head; as base has them they fail on head",
        f"all else holds: {kept} of the {len(cells.base.report.passed)} tests that passed on base pass as they were written there",
    )
    objection = (
        f"{reasons[0]}. Only the issue can say who is right. If it does not ask for this, make the code pass these tests as "
        "they were. If it does, say in the summary which of its sentences asks for it and submit again unchanged: people "
        f"are then shown these lines.\n{excerpt(head_old.output_tail, lost)}"
    )
    return _Judgement("unverified", reasons, (objection,))


def _green(cells: Cells) -> _Judgement:
    """Nothing new fails and nothing is lost: was anything red before?"""
    counts = f"{count(cells.head.report.passed, 'test')} passing on head, none newly failing"
    proving = proving_tests(cells)
    known = _known_failures(cells.base.report, proving)
    if not cells.head.report.passed:
        return _no_test_passed(cells, known)
    before = cells.base_new or cells.base
    contradiction = cells.head.report.problem or before.report.problem
    if proving and contradiction is None:
        unseen = [name for name in proving if name not in before.report.red]
        how = (
            (f"of these, not even collected on base, so the failure is a missing name: {listed(unseen)}",)
            if unseen
            else ()
        )
        reason = f"{PROVING}: {listed(proving)}"
        return _Judgement("proven", (reason, *how, counts, *known))
    if cells.base_new is None:
        reason = "the patch changes no test, and none that was red before passes now"
        return _Judgement("passing", (counts, reason, *known), (_WANTED,))
    if contradiction is not None:
        unclear = cells.head if cells.head.report.problem else cells.base_new
        reason = f"{'head' if unclear is cells.head else 'base with the new tests'}: {contradiction}"
        told = f"{reason}. {_GIVE_UP}" if unclear.exit_code is None else _told(unclear, reason)
        return _Judgement("passing", (counts, reason, *known), (told,))
    reason = "no new or changed test fails on base: they pass without the fix too"
    return _Judgement("passing", (counts, reason, *known), (f"{reason}. {_WANTED}",))


def _no_test_passed(cells: Cells, known: tuple[str, ...]) -> _Judgement:
    """Head ran no test to success. Where base did not either, the environment is to blame, and no other patch would help."""
    base = cells.base.report
    if base.passed or not base.red:
        return _Judgement("unverified", ("no test passed on head", *known), ("Add a test that shows the fix.",))
    told = [
        line.strip() for line in cells.base.output_tail.splitlines() if line.startswith(("E ", "ERROR", "ImportError"))
    ]
    why = (f"the environment cannot run the tests: {told[-1][:300]}",) if told else ()
    return _Judgement("unverified", ("no test passes on base or on head", *why, *known))


PROVING: Final = "failing on base, passing on head"
"""How the first reason of a proof begins; the tests follow."""

_GIVE_UP: Final = (
    "If the problem is that something hangs, let the new test itself give up after a few seconds (in a subprocess or a "
    "thread, or by an alarm), so that it fails there."
)
_WANTED: Final = "Add a test that fails without the change, for the reason the issue gives, and passes with it."


def _known_failures(base: TestReport, proving: Collection[str]) -> tuple[str, ...]:
    red = sorted({*base.red} - {*proving})
    return (f"{count(red, 'test')} failing on base already, not counted: {listed(red)}",) if red else ()


def _head_unreadable(cells: Cells) -> _Judgement:
    """Head did not report test by test."""
    head = cells.head
    what = f"head: {head.report.problem}"
    # Exit code 0 without a report is a lie or an accident; a crash, a usage error or a hang where base had none of it
    # was caused by the patch.
    kind: VerdictKind = "unverified" if head.exit_code == 0 or not cells.base.report.by_id else "regressed"
    reasons = (what,) if cells.base.report.by_id else (what, _problem(cells.base))
    return _Judgement(kind, reasons, () if _end_alike(cells) else (_told(head, what),))


def _base_unreadable(cells: Cells) -> _Judgement:
    """Head reported test by test, base did not: its tests do not even start, and there is nothing to compare with."""
    head, why = cells.head, _problem(cells.base)
    red = head.report.red
    if red:
        reason = f"{count(red, 'test')} failing on head, and whether they failed on base cannot be told: {listed(red)}"
        return _Judgement("unverified", (reason, why), (_broken(head, red),))
    if head.report.problem is not None or not head.report.passed:
        what = f"head: {head.report.problem or 'no test passed'}"
        return _Judgement("unverified", (what, why), (_told(head, what),))
    return _Judgement("passing", (f"{count(head.report.passed, 'test')} passing on head", why))


def _by_exit_code(cells: Cells) -> _Judgement:
    """Only exit codes are known of base: weaker, and said so."""
    base, head = cells.base, cells.head
    weak = "judged by exit codes only, which is weaker evidence than test ids"
    codes = f"exit code {_code(base)} on base, {_code(head)} on head"
    if base.exit_code != 0:
        if head.exit_code == 0:
            reasons = (f"the tests fail on base and succeed on head ({codes})", weak)
            return _Judgement("passing", (*reasons, "whether by the patch's own tests cannot be told"))
        reason = f"the tests do not succeed on base already, so the patch cannot be judged: {codes}"
        ends = _end(base)
        said = (f"base's output ends: {ends}",) if ends else ()
        objections = () if _end_alike(cells) else (_told(head, reason),)
        return _Judgement("unverified", (reason, *said, _problem(base)), objections)
    if head.exit_code != 0:
        reason = f"the tests succeed on base and fail on head: {codes}"
        return _Judgement("regressed", (reason, weak), (_told(head, reason),))
    return _exit_code_pair(cells, (codes, weak))


def _end_alike(cells: Cells) -> bool:
    """Whether base gets no further than head does: nothing that the model could mend."""
    base, head = cells.base, cells.head
    ends = [re.sub(r"\d+", "", _end(cell)) for cell in (base, head)]  # times and counts differ
    return base.exit_code != 0 and not base.report.by_id and bool(ends[0]) and ends[0] == ends[1]


def _end(cell: Cell) -> str:
    """The last line that it printed."""
    return "".join(cell.output_tail.strip().splitlines()[-1:])[-200:]


def _exit_code_pair(cells: Cells, reasons: tuple[str, ...]) -> _Judgement:
    """Base and head are green; were the new tests red on base, and do the old ones hold on head?"""
    old, new = cells.head_old, cells.base_new
    if old is not None and old.exit_code != 0:
        what = f"the tests of base, as written there, fail on head: exit code {_code(old)}"
        return _Judgement("unverified", (what, *reasons), (_told(old, what),))
    if new is None:
        return _Judgement("passing", (*reasons, "the patch changes no test, so none was red before"), (_WANTED,))
    if new.exit_code is None:
        return _Judgement("passing", (*reasons, "base with the new tests did not finish"))
    if new.exit_code == 0:
        what = "the new tests succeed on base too"
        return _Judgement("passing", (*reasons, what), (f"{what}. {_WANTED}",))
    return _Judgement("proven", (f"with the new tests base fails (exit code {_code(new)}), head succeeds", *reasons))


_REMEDIES: Final[Mapping[Remedy, str]] = {
    "undo": "Undo these, or leave existing tests as they were:",
    "generalise": "The change answers the very inputs of its tests with what they expect. Make it right for every input that "
    "the issue speaks of, and add a test with others. If just these values are what the issue asks for, say so in the summary "
    "and submit again unchanged: people are then shown these lines.",
}


def _lowered(judged: _Judgement, findings: Collection[Finding]) -> Verdict:
    """The judgement with what the look at the tests found."""
    serious_first = sorted(findings, key=lambda finding: not finding.fatal)
    told = tuple(str(finding) for finding in serious_first[:_MAX_FINDINGS])
    if len(serious_first) > _MAX_FINDINGS:
        told = (*told, f"and {len(serious_first) - _MAX_FINDINGS} more changes like these")
    kind = judged.kind
    if kind in {"proven", "passing"} and any(finding.fatal for finding in findings):
        kind = "unverified"
        told = ("the runs prove nothing, because the patch may bend how tests run", *told)
    elif kind == "proven" and findings:
        kind = "passing"
        told = ("red before and green after, but not called proven because of the changes below", *told)
    objections = judged.objections
    for remedy, words in _REMEDIES.items():
        mend = [str(finding) for finding in serious_first[:_MAX_FINDINGS] if finding.remedy == remedy]
        if mend and kind != judged.kind:
            objections = (*objections, "\n".join((words, *mend)))
    reasons = (*judged.reasons, *told) if kind == judged.kind else (*told, *judged.reasons)
    return Verdict(kind=kind, reasons=reasons, objections=objections)


def _broken(cell: Cell, names: Collection[str]) -> str:
    return f"These tests fail with your change and did not fail before:\n{bulleted(names)}\n{excerpt(cell.output_tail, names)}"


def _told(cell: Cell, what: str) -> str:
    return f"{what}\n{excerpt(cell.output_tail)}".strip()


def _problem(cell: Cell) -> str:
    return f"{cell.name}: {cell.report.problem or 'no test ids'}"


def _code(cell: Cell) -> str:
    return "none (killed)" if cell.exit_code is None else str(cell.exit_code)
