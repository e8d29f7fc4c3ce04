"""The best state of the workspace that tests have seen, and whether what stands now is worse."""

from dataclasses import dataclass

from coder.trace.events import Event, Reopened, Told, ToolFinished
from coder.types import Checkpoint, TestCounts


@dataclass(frozen=True, slots=True)
class Stand:
    """A state of the workspace (None: as it was at the start), and the tests as they went in it."""

    checkpoint: Checkpoint | None
    tests: TestCounts

    @property
    def step(self) -> int:
        """The step that made it."""
        return self.checkpoint.step if self.checkpoint else 0

    @property
    def is_green(self) -> bool:
        """Nothing failed."""
        return not self.tests.failed + self.tests.errored


class Best:
    """Follows a run's events. Measured by the tests that pass: a new test that fails makes nothing worse.

    Only runs of the same selection are held against each other; the whole suite counts where it was run.
    """

    def __init__(self) -> None:
        self._begin(None)

    def _begin(self, checkpoint: Checkpoint | None) -> None:
        self._now = checkpoint
        self._best: dict[tuple[str, ...], Stand] = {}
        self._seen: dict[tuple[str, ...], TestCounts] = {}
        """How the tests went in what stands now."""
        self._last: tuple[str, ...] = ()
        self._told = False

    def take(self, event: Event) -> None:
        """Move on by one event."""
        match event:
            case ToolFinished() | Told():
                if event.checkpoint is not None:
                    self._moved(event.checkpoint)
                if isinstance(event, ToolFinished) and event.output.tests is not None:
                    self._measured(event.output.tests)
                self._told = self._told or (isinstance(event, Told) and event.reason == "worse")
            case Reopened():
                self._begin(event.checkpoint)
            case _:
                pass

    def worse(self) -> Stand | None:
        """The best state, when the last tests went worse than they did there and the model does not know yet."""
        best = self._best.get(self._last)
        seen = self._seen.get(self._last)
        if self._told or best is None or seen is None or seen.passed >= best.tests.passed:
            return None
        return best

    def better(self) -> Stand | None:
        """The state to go back to: what stands now did worse in the tests, or has not been tested; None when there is none."""
        selection = () if () in self._best else self._last
        best = self._best.get(selection)
        if best is None or _tree(best.checkpoint) == _tree(self._now):
            return None
        seen = self._seen.get(selection)
        return best if seen is None or seen.passed < best.tests.passed else None

    def safer(self) -> Stand | None:
        """The same for the end of a run, where edits that nobody has tested are given up only for a green state."""
        better = self.better()
        tested = better is not None and better.tests.selection in self._seen
        return better if better is not None and (tested or better.is_green) else None

    def _moved(self, checkpoint: Checkpoint) -> None:
        if _tree(checkpoint) != _tree(self._now):
            self._now, self._seen = checkpoint, {}

    def _measured(self, tests: TestCounts) -> None:
        self._last = tests.selection
        self._seen[tests.selection] = tests
        best = self._best.get(tests.selection)
        if best is None or tests.passed >= best.tests.passed:
            self._best[tests.selection] = Stand(self._now, tests)
            self._told = False


def _tree(checkpoint: Checkpoint | None) -> str:
    return checkpoint.tree_sha if checkpoint else ""
