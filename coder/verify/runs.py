"""Runs of the tests of one verdict: each in a sandbox of its own, or taken from before."""

import hashlib
import logging
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from coder.errors import SandboxError
from coder.sandbox.protocol import Image, Sandbox, SandboxProvider, TreePack
from coder.types import Cell
from coder.verify.canary import MAX_FILES
from coder.verify.cells import CellName, is_unclear, run_cell
from coder.verify.rules import ProofRules
from coder.verify.runners import TestCommand
from coder.verify.shelf import Shelf, key_of

logger = logging.getLogger(__name__)


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


class Bench:
    """A sandbox that several runs share: opened when it is first taken, and as it was loaded each time it is."""

    def __init__(self, opened: Callable[[], Sandbox]) -> None:
        self._opened = opened
        self.sandbox: Sandbox | None = None

    def taken(self) -> Sandbox:
        """The sandbox; `SandboxError` where it cannot be had, or has died."""
        if self.sandbox is None:
            self.sandbox = self._opened()
        else:
            self.sandbox.restore("")
        return self.sandbox


@dataclass(frozen=True, slots=True)
class Alteration:
    """A file of a tree as it is put for one run; None: it is taken away."""

    path: str
    data: bytes | None

    @property
    def digest(self) -> str:
        """What it is known by."""
        return hashlib.sha256(
            b"\0".join([self.path.encode(), b"" if self.data is None else b"1" + self.data])
        ).hexdigest()

    def carry_out(self, sandbox: Sandbox) -> None:
        """Change the file."""
        if self.data is None:
            sandbox.exec(f"rm -f -- {shlex.quote(self.path)}", timeout_s=30)
        else:
            sandbox.write(self.path, self.data)


_PATIENCE_S = 120.0
_SLOWER = 10
"""Times that base with the new tests may take of what base and head took, once that is more than `_PATIENCE_S`."""
_WHOLE: Final[tuple[CellName, ...]] = ("base", "head")


@dataclass(slots=True)
class Runs:
    """Makes the runs of one verdict. A sandbox is closed before the next opens."""

    trees: Trees
    sandboxes: SandboxProvider
    image: Image
    tests: TestCommand
    """How the tests of this verdict are run."""
    rules: ProofRules
    timeout_s: float
    """Cap of each run."""
    labels: Mapping[str, str]
    progress: Callable[[str], None]
    number: int
    """The round, for those who watch."""
    shelf: Shelf = field(default_factory=Shelf)
    """Runs that are there already; shared by the rounds."""
    files: tuple[str, ...] = ()
    """The test files that a run takes, as far as a tree has them; all where none are named."""
    besides: tuple[str, ...] = ()
    """Test files of the patch: run also where the command names a folder that they are not in."""
    left_out: tuple[str, ...] = ()
    """Plug-ins of pytest that keep it from starting on base."""
    spent_s: float = 0.0
    """Seconds of test runs so far, with those that were taken from before: what follows is decided alike."""
    _asked: Counter[str] = field(default_factory=Counter)
    """How often a run was asked for, by its key."""
    _base: dict[str, Cell] = field(default_factory=dict)
    _ended: dict[CellName, float] = field(default_factory=dict)
    """Seconds of the longest runs of base and of head that came to an end."""

    def cell(self, name: CellName, tree_sha: str, tests: TestCommand | None = None) -> Cell:
        """One run, or the one that was made before. Of base one stands for all; else a second call is a second run."""
        tests = tests or self.suite(tree_sha)
        key = key_of(name, tree_sha, tests, self.image)
        if name == "base" and key in self._base:
            return self._base[key]
        cell = self._kept(key, lambda: self._made(name, tree_sha, tests))
        if name == "base":
            self._base[key] = cell
        return cell

    def mixed(
        self, name: CellName, tree_sha: str, source_tree: str, *, tests: Sequence[str], named: Sequence[str]
    ) -> Cell | None:
        """A run of one tree with the tests of another: where that builds, with what it says its tests are (`named`), too."""
        for paths in filter(None, ([*tests, *named] if named else [], [*tests])):
            cell = self.cell(name, self.trees.overlay(tree_sha, source_tree=source_tree, paths=paths))
            if cell.report.by_id or paths == [*tests]:
                return cell
        return None

    def _made(self, name: CellName, tree_sha: str, tests: TestCommand) -> Cell:
        """A new run. Of one that is no clear answer (a crash, a lost report or sandbox) a second one stands, if it is."""
        self.progress(f"round {self.number}: testing {name}")
        try:
            first = self._fresh(name, tree_sha, tests)
        except SandboxError as exc:
            # Lost before the tests began: the engine's doing. An hour of work does not end for one container.
            logger.warning("sandbox lost, taking another", extra={"cell": name, "why": str(exc)})
            return self._fresh(name, tree_sha, tests)
        if not is_unclear(first):
            return first
        try:
            second = self._fresh(name, tree_sha, tests)
        except SandboxError:
            return first
        clear = not is_unclear(second)
        return second.model_copy(update={"at_first": first.report.problem or ""}) if clear else first

    def _taken(self, key: str) -> Cell | None:
        """The run that was made when this one was asked for before, as often as it is asked for now."""
        cell = self.shelf.taken(key, self._asked[key])
        self._asked[key] += 1
        return None if cell is None else self._counted(cell)

    def _cap_s(self, name: CellName) -> float:
        """How long a run may take. With the new tests base may hang: it gets no more than many times what base and head took.

        Not so head itself, as base may end at once because nothing of it can be imported.
        """
        if name != "base+new tests" or len(self._ended) < len(_WHOLE):
            return self.timeout_s
        return min(self.timeout_s, max(_PATIENCE_S, _SLOWER * max(self._ended.values())))

    def _counted(self, cell: Cell) -> Cell:
        if cell.name in _WHOLE and cell.exit_code is not None:
            self._ended[cell.name] = max(cell.duration_s, self._ended.get(cell.name, 0.0))
        # A killed run has no report of its own, but took its time.
        self.spent_s += self._cap_s(cell.name) if cell.exit_code is None else cell.duration_s
        return cell

    def _fresh(self, name: CellName, tree_sha: str, tests: TestCommand) -> Cell:
        with self.open(tree_sha) as sandbox:
            return self._counted(run_cell(sandbox, name, tree_sha, tests, self._cap_s(name)))

    def again(
        self,
        name: CellName,
        tree_sha: str,
        tests: TestCommand,
        *,
        times: int,
        seconds: float,
        bench: Bench | None = None,
    ) -> tuple[Cell, ...]:
        """Up to `times` runs in one fresh sandbox (`bench`, if given), its files put back in between; none begins after `seconds`.

        A sandbox that dies ends it: what ran before counts.
        """
        key, begun, cells = key_of(name, tree_sha, tests, self.image, again=True), self.spent_s, list[Cell]()
        with self.bench(tree_sha) as own:
            place = bench or own
            while len(cells) < times and self.spent_s - begun < seconds:
                try:
                    cells.append(self._kept(key, lambda: self._shared(place.taken(), name, tree_sha, tests)))
                except SandboxError:
                    if place.sandbox is None:
                        raise
                    break
        return tuple(cells)

    def altered(self, bench: Bench, tree_sha: str, tests: TestCommand, alteration: Alteration) -> Cell:
        """A run of `tree_sha` with one file of it changed."""
        key = key_of("head", tree_sha, tests, self.image, altered=alteration.digest)
        return self._kept(key, lambda: self._shared(bench.taken(), "head", tree_sha, tests, alteration))

    def _shared(
        self, sandbox: Sandbox, name: CellName, tree_sha: str, tests: TestCommand, alteration: Alteration | None = None
    ) -> Cell:
        """A run in a sandbox that others share."""
        if alteration is not None:
            alteration.carry_out(sandbox)
        return self._counted(run_cell(sandbox, name, tree_sha, tests, self._cap_s(name)))

    def _kept(self, key: str, made: Callable[[], Cell]) -> Cell:
        """The run of this key that is kept, or the one that is made now, and kept."""
        cell = self._taken(key)
        if cell is None:
            cell = made()
            self.shelf.put(key, cell)
        return cell

    @contextmanager
    def bench(self, tree_sha: str) -> Iterator[Bench]:
        """A sandbox with exactly this tree for several runs, closed in the end: where every run is kept, none is opened."""
        with ExitStack() as stack:
            yield Bench(lambda: stack.enter_context(self.open(tree_sha)))

    def suite(self, tree_sha: str) -> TestCommand:
        """The command for what is to be run of a tree."""
        files = self.trees.files(tree_sha)
        if not self.files:
            return self.tests.widened([path for path in self.besides if path in files])
        return self.tests.selecting([path for path in self.files if path in files])

    def only(self, names: Sequence[str]) -> TestCommand:
        """The command for the files (packages, classes) of these tests; for all where they are too many."""
        places = list(dict.fromkeys(name.split("::", 1)[0] for name in names))
        return self.tests.selecting(places) if len(places) <= MAX_FILES else self.tests

    def open(self, tree_sha: str) -> Sandbox:
        """A fresh sandbox with exactly this tree, and no history."""
        commit = self.trees.commit_tree(
            tree_sha,
            parents=(),
            message="tree under test",
            author_name="coder",
            author_email="coder@localhost",
            timestamp=0,
        )
        return self.sandboxes.open(self.image, self.trees.pack(commit, depth=1), labels=self.labels)
