"""Proves or disproves a patch: runs the tests of base and head in fresh sandboxes and compares them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from coder.errors import WorkspaceError
from coder.sandbox.protocol import Image, SandboxProvider
from coder.types import Cell, Evidence, FlakyTest, Patch, Verdict
from coder.verify.basis import Cells, Finding
from coder.verify.builds import tests_named_in
from coder.verify.canary import can_sing, sing
from coder.verify.expectations import changed_lines
from coder.verify.integrity import inspected
from coder.verify.launchers import Read, ends_with_success, launched
from coder.verify.necessity import Necessity, ablate, hunks
from coder.verify.plugins import settled_without_plugins
from coder.verify.related import is_test_file
from coder.verify.repeat import proof_again, second_look
from coder.verify.rules import ProofRules
from coder.verify.runners import TestCommand
from coder.verify.runs import Runs, Trees
from coder.verify.scope import scope_of, whole_look
from coder.verify.shelf import Shelf, taken_line
from coder.verify.tests_of import TestPaths, is_test, tests_of
from coder.verify.verdict import no_change, proving_tests, verdict

_DEPENDENCIES = frozenset(
    {"requirements.txt", "pyproject.toml", "setup.py", "setup.cfg", "Pipfile.lock", "poetry.lock", "uv.lock"}
    | {
        "package.json",
        "package-lock.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "go.mod",
        "go.sum",
        "Cargo.toml",
        "Cargo.lock",
    }
    | {"pom.xml", "build.gradle", "build.gradle.kts", "Gemfile.lock", "composer.lock"}
)

_MAX_FLAKY = 20


@dataclass(frozen=True, slots=True)
class Verification:
    """A verdict and what it rests on."""

    verdict: Verdict
    evidence: Evidence


class CellVerifier:
    """Runs cells, each in a sandbox of its own that is closed before the next opens; those on the `shelf` are taken from it.

    `tests` None: no way to run tests is known. `timeout_s` is the cap of each cell in seconds. `touching` gives the test
    files of a commit that speak of one of its files, by the code map.
    """

    def __init__(
        self,
        trees: Trees,
        sandboxes: SandboxProvider,
        *,
        tests: TestCommand | None,
        timeout_s: float,
        labels: Mapping[str, str],
        rules: ProofRules | None = None,
        progress: Callable[[str], None] = lambda _: None,
        shelf: Shelf | None = None,
        touching: Callable[[str, str], Sequence[str]] = lambda _commit, _path: (),
    ) -> None:
        self._trees = trees
        self._sandboxes = sandboxes
        self._tests = tests
        self._timeout_s = timeout_s
        self._labels = dict(labels)
        self._rules = rules or ProofRules()
        self._progress = progress
        self._shelf = shelf or Shelf()
        self._touching = touching

    def verify(
        self,
        patch: Patch,
        *,
        image: Image,
        round: int,  # noqa: A002 — a run's own word
        offer: bool = True,
        asked: str = "",
    ) -> Verification:
        """What the tests say of `patch`; with `offer`, parts of a proven one that no test needs are held out to the model.

        `asked` is the issue's text: it decides nothing, and is only held against lines of tests that are replaced.

        Raises:
            SandboxError: No sandbox can be had. (One that dies while tests run is a result.)
            WorkspaceError: The trees cannot be read or made.
        """
        if not patch.files:
            return Verification(no_change(), self._evidence(patch, image, tests_of(())))
        paths = sorted({change.path for change in patch.files} | {c.old_path for c in patch.files if c.old_path})
        touched = tests_of(paths)
        if self._tests is None:
            reason = "no way to run this repository's tests was found; give one as `test_command`"
            return Verification(
                Verdict(kind="unverified", reasons=(reason,)),
                self._evidence(patch, image, touched, not_verified=("no test was run",)),
            )
        runs = Runs(
            self._trees,
            self._sandboxes,
            image=image,
            tests=self._tests,
            rules=self._rules,
            timeout_s=self._timeout_s,
            labels=self._labels,
            progress=self._progress,
            number=round,
            shelf=self._shelf,
            besides=tuple(path for path in touched.tests if is_test_file(path)),
        )
        found = self._proof(patch, paths, touched, runs, asked)
        cells, judged = found.cells, found.verdict
        if judged.kind == "proven" and offer and found.necessity.offer:
            judged = judged.model_copy(update={"objections": (*judged.objections, found.necessity.offer)})
        evidence = self._evidence(
            patch,
            image,
            touched,
            cells=cells.ran,
            proving=proving_tests(cells) if judged.kind == "proven" else (),
            not_verified=(*_not_verified(cells, image, paths, runs), *found.lines),
        )
        more = {
            "flaky": found.flaky,
            "hunks_tried": found.necessity.tried,
            "unexercised": tuple(str(hunk) for hunk in found.necessity.unneeded),
        }
        return Verification(judged, evidence.model_copy(update=more))

    def _proof(self, patch: Patch, paths: Sequence[str], touched: TestPaths, runs: Runs, asked: str) -> "_Proof":
        """All runs that a verdict takes, in order; each step only where those before leave something to learn."""
        self._settle_command(patch, runs)
        base_tree = self._trees.tree_sha(patch.base_sha)
        touching = partial(self._touching, patch.base_sha)
        scope = scope_of(runs.cell("base", base_tree), paths, patch.tree_sha, runs, touching)
        runs.files = scope.files
        before, after = self._reader(patch.base_sha), self._reader(patch.tree_sha)
        seen = inspected(paths, before, after)
        rewritten = changed_lines(filter(is_test_file, touched.tests), before, after, asked=asked)
        made = self._cells(patch, base_tree, touched, runs)
        cells = replace(made, accounted=seen.accounted, rewritten=rewritten)
        look = second_look(cells, runs)
        found = _Proof(
            look.cells,
            (
                *seen.findings,
                *self._launchers(runs.tests, paths, before, after),
                *look.findings,
                *_recovered(look.cells),
            ),
            look.flaky,
        )
        if found.verdict.kind == "proven" and not look.cells.exit_codes_only:
            look = proof_again(look.cells, runs)
            found = replace(found, cells=look.cells, flaky=(*found.flaky, *look.flaky))
        if found.verdict.kind in {"proven", "passing"} and not look.cells.exit_codes_only:
            found = self._canary(found, patch, runs)
        if found.verdict.kind == "proven" and not found.cells.exit_codes_only:
            parts = hunks(paths, before, after)
            found = replace(found, necessity=ablate(parts, proving_tests(found.cells), found.cells.head, runs))
        if not scope.files:
            return found
        rest = whole_look(scope, found.cells, runs) if found.verdict.kind in {"proven", "passing"} else None
        if rest is not None:
            found = replace(found, whole=rest.cells, flaky=(*found.flaky, *rest.flaky))
        return replace(found, notes=(*found.notes, scope.line(whole_head=rest is not None)))

    def _launchers(self, tests: TestCommand, paths: Sequence[str], before: Read, after: Read) -> Iterator[Finding]:
        """What the patch does to that which starts the tests; by an exit code alone everything can end them well."""
        yield from launched(tests.shown, paths, before)
        for path in paths if tests.kind == "exit_code" else ():
            if not is_test(path):
                yield from ends_with_success(path, before(path), after(path))

    def _settle_command(self, patch: Patch, runs: Runs) -> None:
        """Where base gives no report of its tests, do with fewer options, or judge by exit code: what they need is not there.

        Only base decides, which the patch cannot touch. pytest comes with our image, and reports unless it is told what it
        does not know, or a plug-in stops it.
        """
        if runs.tests.kind == "exit_code":
            return
        base_tree = self._trees.tree_sha(patch.base_sha)
        base = runs.cell("base", base_tree)
        if base.report.by_id or base.exit_code is None:
            return
        if runs.tests.spare:
            runs.tests = runs.tests.spared()
            base = runs.cell("base", base_tree)
            if base.report.by_id or base.exit_code is None:
                return
        if runs.tests.kind == "pytest":
            settled_without_plugins(base_tree, runs)
            return
        plain = runs.tests.by_exit_code()
        if runs.cell("base", base_tree, plain).exit_code == 0:
            runs.tests = plain

    def _cells(self, patch: Patch, base_tree: str, touched: TestPaths, runs: Runs) -> Cells:
        """The runs that this patch asks for; without a change of tests there are two."""
        base = runs.cell("base", base_tree)
        head = runs.cell("head", patch.tree_sha)
        base_new = head_old = None
        named = tests_named_in(runs.tests.kind, patch.files)
        if touched.swapped:
            base_new = runs.mixed("base+new tests", base_tree, patch.tree_sha, tests=touched.swapped, named=named)
        if touched.restored or named:
            head_old = runs.mixed("head+old tests", patch.tree_sha, base_tree, tests=touched.restored, named=named)
        changed = frozenset(touched.swapped)
        return Cells(base, head, base_new, head_old, exit_codes_only=runs.tests.kind == "exit_code", changed=changed)

    def _canary(self, found: "_Proof", patch: Patch, runs: Runs) -> "_Proof":
        """Whether the proving tests pass again and again on head, and a test that must fail does fail beside them."""
        self._progress("testing that a failure is seen")
        cells, tests = found.cells, runs.tests
        proving, rules = proving_tests(cells), runs.rules
        with runs.bench(patch.tree_sha) as bench:
            narrow, seconds = runs.only(proving), rules.repeat_s / 2
            # A proof that something stands against already need not be steady.
            times = rules.repeat - 2 if found.verdict.kind == "proven" else 0
            again = runs.again("head", patch.tree_sha, narrow, times=times, seconds=seconds, bench=bench)
            # Its name is new each time, so it is never one that was kept.
            song = sing(bench.taken(), patch.tree_sha, tests, proving or cells.head.report.passed, self._timeout_s)
        place = patch.files[0].path
        if song.canary == "untried" and can_sing(tests.kind):
            found = replace(
                found,
                notes=(*found.notes, "whether a failure is always reported: no file of tests was found to add one to"),
            )
        if song.canary == "green":
            what = "with this patch a test made to fail is not reported as failing: something bends the test runner"
            return found.with_findings(Finding(place, 0, what, fatal=True))
        if song.canary == "missed":
            # Where the repository's own settings leave such a test out, it is missing on base too.
            with runs.open(cells.base.tree_sha) as sandbox:
                beside = () if tests.kind == "pytest" else cells.base.report.passed
                by_settings = sing(sandbox, cells.base.tree_sha, tests, beside, self._timeout_s).canary == "missed"
            what = "with this patch a test made to fail is missing from the report"
            return found.with_findings(Finding(place, 0, what, fatal=not by_settings))
        return found.with_green_side(proving, again, song.unsteady)

    def _reader(self, tree_ish: str) -> Read:
        """Reads files of one side of the patch; None where there is none."""
        files = self._trees.files(tree_ish)

        def read(path: str) -> bytes | None:
            if path not in files:
                return None
            try:
                return self._trees.read(tree_ish, path)
            except WorkspaceError:  # too large to be a text, or a submodule
                return None

        return read

    def _evidence(
        self,
        patch: Patch,
        image: Image,
        touched: TestPaths,
        *,
        cells: tuple[Cell, ...] = (),
        proving: tuple[str, ...] = (),
        not_verified: tuple[str, ...] = (),
    ) -> Evidence:
        return Evidence(
            cells=cells,
            base_sha=patch.base_sha,
            head_tree=patch.tree_sha,
            image=image.reference,
            image_digest=image.digest,
            test_files=touched.tests,
            proving_tests=proving,
            not_verified=not_verified,
        )


@dataclass(frozen=True, slots=True)
class _Proof:
    """What has been learnt so far."""

    cells: Cells
    findings: tuple[Finding, ...]
    flaky: tuple[FlakyTest, ...] = ()
    necessity: Necessity = field(default_factory=Necessity)
    whole: Cells | None = None
    """The whole suite on base and head, where the cells hold a part of it."""
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict as things stand; what the whole suite shows can only lower it."""
        judged = verdict(self.cells, findings=self.findings)
        if self.whole is None:
            return judged
        rest = verdict(self.whole)
        return rest if rest.kind in {"regressed", "unverified"} else judged

    @property
    def lines(self) -> tuple[str, ...]:
        """What people must know beside the verdict."""
        flaky = tuple(
            f"flaky, not counted: {test.name} passed in {test.passed} of {test.runs} runs of {test.cell}"
            for test in self.flaky[:_MAX_FLAKY]
        )
        return (*self.notes, *flaky, *self.necessity.lines)

    def with_findings(self, *more: Finding) -> "_Proof":
        return replace(self, findings=(*self.findings, *more))

    def with_green_side(self, proving: Sequence[str], again: Sequence[Cell], unsteady: Sequence[str]) -> "_Proof":
        """With the further runs of the proving tests on head, the last of which was beside the failing test."""
        failed = {name: sum(name not in cell.report.passed for cell in again) + (name in unsteady) for name in proving}
        runs = len(again) + 2
        tests = tuple(
            FlakyTest(name=name, cell="head", passed=runs - times, runs=runs) for name, times in failed.items() if times
        )
        found = [
            Finding(test.name, 0, f"passed in {test.passed} of {test.runs} runs on head: it proves nothing")
            for test in tests[:_MAX_FLAKY]
        ]
        others = tuple(
            FlakyTest(name=name, cell="head", passed=1, runs=2) for name in unsteady[:_MAX_FLAKY] if name not in failed
        )
        return replace(self, findings=(*self.findings, *found), flaky=(*self.flaky, *tests, *others))


def _recovered(cells: Cells) -> Iterator[Finding]:
    """A finding for a run with the patch that was clear the second time only, where base never needed one: a flake of it."""
    if not cells.base.at_first:
        for cell in filter(None, (cells.head, cells.head_old)):
            if cell.at_first:
                what = f"the first of two runs of the same code was no clear answer: {cell.at_first}"
                yield Finding(cell.name, 0, what, remedy="none")


def _not_verified(cells: Cells, image: Image, paths: Sequence[str], runs: Runs) -> tuple[str, ...]:
    """What these runs leave open, a line each."""
    tests = runs.tests
    often = f", and {runs.rules.repeat} times where a test is in doubt or proves the change"
    lines = [f"each cell was run once{often}: a test that fails only now and then may have been missed"]
    lines += filter(None, [taken_line(cells.ran)])
    lines += [f"without pytest's plug-in {name}, which keeps its tests from starting" for name in runs.left_out]
    lines += [
        f"{cell.name}: run twice, the first was not counted: {cell.at_first}" for cell in cells.ran if cell.at_first
    ]
    if not image.setup_ok:
        lines.append("the setup of the environment failed; the tests ran without it")
    changed = [path for path in paths if path.rsplit("/", 1)[-1] in _DEPENDENCIES]
    if changed:
        lines.append(f"dependencies are those of base, though the patch touches {', '.join(changed[:5])}")
    if cells.exit_codes_only:
        lines.append("which tests passed is not known: the command tells an exit code only")
        return tuple(lines)
    if not can_sing(tests.kind):
        lines.append(f"whether a failure is always reported: no failing test is tried with {tests.kind}")
    if unseen := _unseen(cells.head, paths, runs):
        lines.append(f"tests of the patch that the command did not run: {', '.join(unseen[:5])}")
    problems: dict[str, list[str]] = {}
    for cell in cells.ran:
        if cell.report.problem:
            problems.setdefault(cell.report.problem, []).append(cell.name)
    return (*lines, *(f"{', '.join(names)}: {problem}" for problem, names in problems.items()))


_BY_FILE = frozenset({"pytest", "node", "jest", "vitest", "mocha", "rspec", "phpunit"})
"""Runners whose ids begin with the file of the test."""


def _unseen(head: Cell, paths: Sequence[str], runs: Runs) -> list[str]:
    """Files of tests on head that the patch touches, of which the report says nothing."""
    report = head.report
    if runs.tests.kind not in _BY_FILE or not report.by_id:
        return []
    told = {name.split("::", 1)[0] for name in (*report.passed, *report.not_passed)}
    there = runs.trees.files(head.tree_sha)
    return [path for path in paths if path in there and is_test_file(path) and path not in told]
