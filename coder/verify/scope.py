"""How much of a suite is run: all of it where that fits into the time of a verdict, else first what the change is near to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from coder.errors import WorkspaceError
from coder.types import Cell
from coder.verify.basis import Cells
from coder.verify.related import Touching, related_tests
from coder.verify.repeat import Look, second_look
from coder.verify.runs import Runs

_RUNS: Final = 5
"""How often a verdict runs the suite: four cells, and one more where a test is in doubt."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The test files that are run; none stand for the whole suite."""

    files: tuple[str, ...] = ()
    whole_base: Cell | None = None
    """The whole suite on base, when it ended in time."""
    took: str = ""

    def line(self, *, whole_head: bool) -> str:
        """What people must know of it; empty when nothing was left out."""
        if not self.files:
            return ""
        near = f"the {len(self.files)} files of tests near the change (by imports, names and the code map)"
        if whole_head:
            return (
                f"the whole suite {self.took}: it ran once on base and on the change, the rest of the proof took {near}"
            )
        return f"the whole suite {self.took} and was not run on the change: only {near} were"


def scope_of(base: Cell, paths: Sequence[str], head_tree: str, runs: Runs, touching: Touching) -> Scope:
    """What to run for a change of `paths`, by how long the whole suite took on base."""
    killed = base.exit_code is None and base.duration_s > 0
    died = base.exit_code is None and not killed
    if died or (not killed and base.duration_s * _RUNS <= runs.rules.suite_s):
        return Scope()
    files = runs.trees.files(head_tree)

    def read(path: str) -> bytes | None:
        try:
            return runs.trees.read(head_tree, path)
        except WorkspaceError:  # too large to be a text, or a submodule
            return None

    related = related_tests(paths, tuple(files), read, touching)
    if runs.tests.selecting(related) == runs.tests or not any(
        path in runs.trees.files(base.tree_sha) for path in related
    ):
        return Scope()
    if killed:
        return Scope(related, None, f"did not end within {runs.timeout_s:g} s")
    return Scope(related, base, f"takes {base.duration_s:.0f} s")


def whole_look(scope: Scope, cells: Cells, runs: Runs) -> Look | None:
    """The whole suite on head held against base, where there is time for it; None where there is not."""
    base = scope.whole_base
    if base is None or runs.spent_s + base.duration_s > runs.rules.suite_s:
        return None
    runs.files = ()
    return second_look(Cells(base, runs.cell("head", cells.head.tree_sha)), runs)
