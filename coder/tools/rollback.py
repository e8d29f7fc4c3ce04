"""Going back: the work tree as it stood after an earlier step."""

from dataclasses import dataclass

from pydantic import Field

from coder.sandbox.protocol import Sandbox
from coder.tools.base import Arguments
from coder.trace.attempts import of_attempt
from coder.trace.events import Event, ToolFinished
from coder.trace.journal import Journal
from coder.types import Checkpoint, TestCounts, ToolOutput

_MAX_LISTED = 40


class RollbackArguments(Arguments):
    """Arguments of `rollback`."""

    step: int | None = Field(
        default=None, ge=0, description="Step to go back to; 0 is the untouched start. Left out: list the steps."
    )


@dataclass(slots=True)
class _Stand:
    """One state of the work tree, and what is known of it."""

    checkpoint: Checkpoint
    made_by: list[str]
    tests: TestCounts | None = None

    def line(self) -> str:
        tests = self.tests
        if tests is None:
            return f"step {self.checkpoint.step}: {', '.join(self.made_by)}"
        which = f" in {' '.join(tests.selection)[:120]}" if tests.selection else ""
        counts = f"{tests.passed} passed, {tests.failed + tests.errored} failed{which}"
        return f"step {self.checkpoint.step}: {', '.join(self.made_by)}; then tests: {counts}"


class Rollback:
    """List the states of the work tree, and go back to one."""

    name = "rollback"
    arguments = RollbackArguments
    mutates = True

    def __init__(self, sandbox: Sandbox, journal: Journal) -> None:
        self._sandbox, self._journal = sandbox, journal

    def run(self, arguments: RollbackArguments) -> ToolOutput:
        """The steps that changed something, or the tree as it was after one."""
        stands = _stands(of_attempt(self._journal.events))
        if arguments.step is None:
            lines = [stand.line() for stand in stands]
            return ToolOutput(content="\n".join(["step 0: the start", *lines[-_MAX_LISTED:]]))
        if arguments.step == 0:
            self._sandbox.restore("")
            return ToolOutput(content="The work tree is as it was at the start; all changes are undone.")
        if not stands or arguments.step > stands[-1].checkpoint.step:
            return ToolOutput(content=f"Nothing was changed at or after step {arguments.step}.", is_error=True)
        found = [stand.checkpoint for stand in stands if stand.checkpoint.step <= arguments.step]
        diff = self._journal.blob(found[-1].diff_blob).decode("utf-8", "surrogateescape") if found else ""
        self._sandbox.restore(diff)
        return ToolOutput(content=f"The work tree is as it was after step {arguments.step}; later changes are undone.")


def _stands(events: tuple[Event, ...]) -> list[_Stand]:
    """The states in order, one per step, with the last test run before the next change."""
    stands: list[_Stand] = []
    for event in events:
        if not isinstance(event, ToolFinished):
            continue
        if event.checkpoint is not None and stands and stands[-1].checkpoint.step == event.step:
            stands[-1] = _Stand(event.checkpoint, [*stands[-1].made_by, event.name])
        elif event.checkpoint is not None:
            stands.append(_Stand(event.checkpoint, [event.name]))
        if event.output.tests is not None and stands:
            stands[-1].tests = event.output.tests
    return stands
