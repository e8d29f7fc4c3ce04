"""The loop: ask the model, carry out its calls, write everything down, until it hands in or a limit ends it.

Everything else enters as a tool, a policy of the context, or a listener of the journal.
"""

import time

from coder.agent import budget, stuck
from coder.agent.context import Context
from coder.model.protocol import ModelClient
from coder.sandbox.protocol import Sandbox
from coder.tools.base import Carried, Toolbox
from coder.trace.events import Solved, ToolFinished
from coder.trace.journal import Journal
from coder.trace.state import Turn, last_turn, spent, state_of
from coder.types import Checkpoint, Limits, Outcome, ToolOutput


class Agent:
    """One agent in one sandbox. All that it knows is in the journal: a new process goes on where the old one died."""

    def __init__(
        self, *, model: ModelClient, toolbox: Toolbox, sandbox: Sandbox, journal: Journal, limits: Limits
    ) -> None:
        self._profile, self._toolbox, self._sandbox = model.profile, toolbox, sandbox
        self._journal, self._limits = journal, limits
        self._context = Context(model, journal, limits)
        last = state_of(journal.events).checkpoint
        self._tree = last.tree_sha if last else sandbox.checkpoint()

    def solve(self) -> Outcome:
        """Work until the model hands in, a limit is reached, or it is stuck; the outcome is journalled too.

        Raises:
            ModelError: The model cannot be asked.
            SandboxError: The sandbox is gone.
        """
        turn = last_turn(self._journal.events)
        outcome = self._carry_out(turn)
        step = turn.step
        while outcome is None:
            step += 1
            outcome = self._limit() or self._step(step)
        self._journal.append(Solved(outcome=outcome))
        return outcome

    def _limit(self) -> Outcome | None:
        if reason := budget.exhausted(self._limits, spent(self._journal.entries)):
            return Outcome(kind="limit", reason=reason)
        if reason := stuck.stop(self._journal.events):
            return Outcome(kind="stuck", reason=reason)
        return None

    def _step(self, step: int) -> Outcome | None:
        self._context.advise(step)
        room = self._context.room()
        if not room:
            used = spent(self._journal.entries)
            return Outcome(kind="limit", reason=budget.worst_call(self._profile, self._limits, used))
        completion = self._context.ask(step, room)
        return self._carry_out(Turn(step, completion, completion.message.tool_calls))

    def _carry_out(self, turn: Turn) -> Outcome | None:
        if turn.answer is None:
            return None
        cut = turn.answer.finish_reason in {"length", "cut"}
        if not turn.answer.message.tool_calls:
            self._context.tell(turn.step, "cut_short" if cut else "no_tool_call")
        submission = turn.submission
        for call in turn.open_calls:
            started = time.monotonic()
            # A call that the output limit or a broken stream may have cut is never run.
            carried = _CUT if cut and call is turn.open_calls[-1] else self._toolbox.call(call)
            blob = self._journal.put_blob(carried.full.encode("utf-8", "replace")) if carried.full else None
            finished = ToolFinished(
                step=turn.step,
                call_id=call.id,
                name=call.name,
                output=carried.output,
                duration_s=round(time.monotonic() - started, 3),
                full_blob=blob,
                checkpoint=self._checkpoint(turn.step) if self._toolbox.mutates(call.name) else None,
            )
            self._context.record(finished)
            submission = carried.output.submission or submission
        return Outcome(kind="submitted", submission=submission) if submission else None

    def _checkpoint(self, step: int) -> Checkpoint | None:
        """The workspace as it stands, if it changed since the last time."""
        tree = self._sandbox.checkpoint()
        if tree == self._tree:
            return None
        self._tree = tree
        blob = self._journal.put_blob(self._sandbox.diff().encode("utf-8", "surrogateescape"))
        return Checkpoint(step=step, tree_sha=tree, diff_blob=blob)


_CUT = Carried(
    ToolOutput(
        content="Your answer was cut off in this call, so it was not run. Make it again, in parts.", is_error=True
    )
)
