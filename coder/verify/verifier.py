"""Proves or disproves a patch: runs the tests of base and head in fresh sandboxes and compares them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from coder.errors import WorkspaceError
from coder.sandbox.protocol import Image, Sandbox, SandboxProvider, TreePack
from coder.types import Cell, Evidence, Patch, Verdict
from coder.verify.canary import can_sing, sing
from coder.verify.cells import CellName, run_cell
from coder.verify.integrity import findings
from coder.verify.runners import TestCommand
from coder.verify.tests_of import TestPaths, tests_of
from coder.verify.verdict import Cells, Finding, newly_failing, no_change, proving_tests, verdict

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


class TreeEntry(Protocol):
    """One file of a tree."""

    @property
    def blob_sha(self) -> str:
        """The id of its content."""
        ...


class Trees(Protocol):
    """The git trees that cells are made of; `coder.workspace.repository.Repository` is one. All raise `WorkspaceError`."""

    def files(self, tree_ish: str) -> Mapping[str, TreeEntry]:
        """Every file of a commit or tree by path."""
        ...

    def read(self, tree_ish: str, path: str) -> bytes:
        """The bytes of one file."""
        ...

    def tree_sha(self, commit_sha: str) -> str:
        """The id of a commit's tree."""
        ...

    def overlay(self, tree_sha: str, *, source_tree: str, paths: Sequence[str]) -> str:
        """A tree like `tree_sha` with `paths` as in `source_tree`, absent where it has none."""
        ...

    def commit_tree(
        self,
        tree_sha: str,
        *,
        parents: Sequence[str],
        message: str,
        author_name: str,
        author_email: str,
        timestamp: int,
    ) -> str:
        """Store a commit; equal arguments give equal ids."""
        ...

    def pack(self, commit_sha: str, *, depth: int) -> TreePack:
        """What a sandbox is filled with."""
        ...


@dataclass(frozen=True, slots=True)
class Verification:
    """A verdict and what it rests on."""

    verdict: Verdict
    evidence: Evidence


class CellVerifier:
    """Runs cells, each in a sandbox of its own that is closed before the next opens. The base is run once per image.

    `tests` None: no way to run tests is known. `timeout_s` is the cap of each cell in seconds.
    """

    def __init__(
        self,
        trees: Trees,
        sandboxes: SandboxProvider,
        *,
        tests: TestCommand | None,
        timeout_s: float,
        labels: Mapping[str, str],
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._trees = trees
        self._sandboxes = sandboxes
        self._tests = tests
        self._timeout_s = timeout_s
        self._labels = dict(labels)
        self._progress = progress
        self._known: dict[tuple[str, str, str], Cell] = {}

    def verify(self, patch: Patch, *, image: Image, round: int) -> Verification:  # noqa: A002 — a run's own word
        """What the tests say of `patch`.

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
        tests = self._telling(self._tests, patch, image, round)
        cells = self._cells(patch, touched, image, tests, round)
        cells, unsteady = self._second_look(cells, patch, image, tests, round)
        found = (*findings(paths, self._reader(patch.base_sha), self._reader(patch.tree_sha)), *unsteady)
        judged = verdict(cells, findings=found)
        if judged.kind in {"proven", "passing"} and not cells.exit_codes_only:
            cells = self._proof_again(cells, image, tests)
            judged = verdict(cells, findings=(*found, *self._canary(cells, patch, image, tests)))
        ran = tuple(cell for cell in (cells.base, cells.base_new, cells.head, cells.head_old) if cell is not None)
        evidence = self._evidence(
            patch,
            image,
            touched,
            cells=ran,
            proving=proving_tests(cells) if judged.kind == "proven" else (),
            not_verified=_not_verified(cells, image, paths, tests),
        )
        return Verification(judged, evidence)

    def _telling(self, tests: TestCommand, patch: Patch, image: Image, number: int) -> TestCommand:
        """`tests`, or where base gives no report of them, the same by exit code: an older runner, or a plug-in in the way.

        Only base decides, which the patch cannot touch. pytest comes with our image, and always reports.
        """
        if tests.kind in {"pytest", "exit_code"}:
            return tests
        base_tree = self._trees.tree_sha(patch.base_sha)
        base = self._cell("base", base_tree, image, tests, number)
        if base.report.by_id or base.exit_code is None:
            return tests
        plain = tests.by_exit_code()
        again = self._cell("base", base_tree, image, plain, number)
        return plain if again.exit_code == 0 else tests

    def _cells(self, patch: Patch, touched: TestPaths, image: Image, tests: TestCommand, number: int) -> Cells:
        """The runs that this patch asks for; without a change of tests there are two."""
        base_tree = self._trees.tree_sha(patch.base_sha)
        base = self._cell("base", base_tree, image, tests, number)
        head = self._cell("head", patch.tree_sha, image, tests, number)
        base_new = head_old = None
        if touched.swapped:
            new = self._trees.overlay(base_tree, source_tree=patch.tree_sha, paths=touched.swapped)
            base_new = self._cell("base+new tests", new, image, tests, number)
        if touched.restored:
            old = self._trees.overlay(patch.tree_sha, source_tree=base_tree, paths=touched.restored)
            head_old = self._cell("head+old tests", old, image, tests, number)
        changed = frozenset(touched.swapped)
        return Cells(base, head, base_new, head_old, exit_codes_only=tests.kind == "exit_code", changed=changed)

    def _cell(self, name: CellName, tree_sha: str, image: Image, tests: TestCommand, number: int) -> Cell:
        """One run. The base's outcome is kept; no other is, even for an equal tree: runs are what is to be compared."""
        key = (tree_sha, image.digest, tests.command)
        if name == "base" and key in self._known:
            return self._known[key]
        self._progress(f"round {number}: testing {name}")
        with self._open(tree_sha, image) as sandbox:
            cell = run_cell(sandbox, name, tree_sha, tests, self._timeout_s)
        if name == "base":
            self._known[key] = cell
        return cell

    def _second_look(
        self, cells: Cells, patch: Patch, image: Image, tests: TestCommand, number: int
    ) -> tuple[Cells, tuple[Finding, ...]]:
        """Run again what newly fails on head, with the new tests or the old: what passes then is flaky, and is named."""
        base, head, old = cells.base.report, cells.head.report, cells.head_old
        unsteady: tuple[str, ...] = ()
        failing = newly_failing(base, head) if base.by_id and head.by_id else ()
        if failing:
            again = self._cell("head", patch.tree_sha, image, tests, number)
            unsteady = tuple(name for name in failing if name in again.report.passed)
            # With a report of its own the second run stands for the first; else only what it showed is taken over.
            whole = again.report.by_id and not newly_failing(base, again.report)
            cells = replace(cells, head=again if whole else steadied(cells.head, unsteady))
        if old is not None and old.report.by_id:
            fell = [name for name in newly_failing(base, old.report) if name in cells.head.report.passed]
            if fell:
                again = self._cell("head+old tests", old.tree_sha, image, tests, number)
                cells = replace(cells, head_old=steadied(old, [name for name in fell if name in again.report.passed]))
        return cells, _flaky(unsteady)

    def _proof_again(self, cells: Cells, image: Image, tests: TestCommand) -> Cells:
        """Run the red side of the proof once more: a test that passes there now was red by chance, and proves nothing."""
        proving = proving_tests(cells)
        if not proving:
            return cells
        before = cells.base_new or cells.base
        self._progress(f"testing {before.name} once more")
        with self._open(before.tree_sha, image) as sandbox:
            again = run_cell(sandbox, before.name, before.tree_sha, tests, self._timeout_s)
        steady = steadied(before, [name for name in proving if name in again.report.passed])
        return replace(cells, base=steady) if cells.base_new is None else replace(cells, base_new=steady)

    def _canary(self, cells: Cells, patch: Patch, image: Image, tests: TestCommand) -> tuple[Finding, ...]:
        """Whether a test that must fail does fail beside the green ones, and the proving pass again; findings if not."""
        self._progress("testing that a failure is seen")
        proving = proving_tests(cells)
        with self._open(patch.tree_sha, image) as sandbox:
            song = sing(sandbox, patch.tree_sha, tests, proving or cells.head.report.passed, self._timeout_s)
        if song.canary in {"failed", "untried"}:
            what = "passed on head and did not when it was run again: it proves nothing"
            return tuple(Finding(name, 0, what) for name in song.unsteady[:_MAX_FLAKY] if name in proving)
        place = patch.files[0].path
        if song.canary == "green":
            what = "with this patch a test made to fail is not reported as failing: something bends the test runner"
            return (Finding(place, 0, what, fatal=True),)
        # Where the repository's own settings leave such a test out, it is missing on base too.
        with self._open(cells.base.tree_sha, image) as sandbox:
            beside = () if tests.kind == "pytest" else cells.base.report.passed
            by_settings = sing(sandbox, cells.base.tree_sha, tests, beside, self._timeout_s).canary == "missed"
        what = "with this patch a test made to fail is missing from the report"
        return (Finding(place, 0, what, fatal=not by_settings),)

    def _open(self, tree_sha: str, image: Image) -> Sandbox:
        """A fresh sandbox with exactly this tree, and no history."""
        commit = self._trees.commit_tree(
            tree_sha,
            parents=(),
            message="tree under test",
            author_name="coder",
            author_email="coder@localhost",
            timestamp=0,
        )
        return self._sandboxes.open(image, self._trees.pack(commit, depth=1), labels=self._labels)

    def _reader(self, tree_ish: str) -> Callable[[str], bytes | None]:
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


def _flaky(names: Sequence[str]) -> tuple[Finding, ...]:
    what = "failed in one of two runs of the same code: flaky"
    return tuple(Finding(name, 0, what, of_the_runs=True) for name in names[:_MAX_FLAKY])


def steadied(cell: Cell, names: Collection[str]) -> Cell:
    """The cell with `names`, which failed in it and passed in a second run of the same code, counted as passed."""
    if not names:
        return cell
    report = cell.report
    kept = {
        "failed": tuple(name for name in report.failed if name not in names),
        "errored": tuple(name for name in report.errored if name not in names),
        "passed": tuple(sorted({*report.passed, *names})),
    }
    return cell.model_copy(update={"report": report.model_copy(update=kept)})


def _not_verified(cells: Cells, image: Image, paths: Sequence[str], tests: TestCommand) -> tuple[str, ...]:
    """What these runs leave open, a line each."""
    lines = ["each cell was run once: a test that fails only now and then may have been missed"]
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
    ran = [cell for cell in (cells.base, cells.base_new, cells.head, cells.head_old) if cell is not None]
    return (*lines, *(f"{cell.name}: {cell.report.problem}" for cell in ran if cell.report.problem))
