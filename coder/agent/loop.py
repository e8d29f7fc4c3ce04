"""The loop: ask the model, carry out its calls, write everything down, until it hands in or a limit ends it.

Everything else enters as a tool, a policy of the context, a correction of the course, or a listener of the journal.
"""

import time
from collections.abc import Callable

from coder.agent import budget
from coder.agent.checkpoints import Checkpoints
from coder.agent.context import Context
from coder.agent.course import Course
from coder.agent.followup import followup_message
from coder.agent.inbox import Inbox
from coder.model.protocol import ModelClient
from coder.sandbox.protocol import Sandbox
from coder.tools.base import Carried, Toolbox
from coder.trace.events import Solved, Told, ToolFinished
from coder.trace.journal import Journal
from coder.trace.state import Turn, last_turn
from coder.types import Followup, Limits, Outcome, ToolOutput


class Agent:
    """One agent in one sandbox. All that it knows is in the journal: a new process goes on where the old one died."""

    def __init__(
        self,
        *,
        model: ModelClient,
        toolbox: Toolbox,
        sandbox: Sandbox,
        journal: Journal,
        limits: Limits,
        inbox: Callable[[], tuple[Followup, ...]] = tuple,
    ) -> None:
        self._profile, self._toolbox, self._journal, self._limits = model.profile, toolbox, journal, limits
        self._context = Context(model, journal, limits)
        self._checkpoints = Checkpoints(sandbox, journal)
        self._course = Course(journal, self._context, self._checkpoints)
        self._inbox = Inbox(journal, inbox)

    def solve(self) -> Outcome:
        """Work until the model hands in or asks, a person stops it, a limit is reached, or it is stuck; journalled too.

        Raises:
            ModelError: The model cannot be asked.
            SandboxError: The sandbox is gone.
        """
        turn = last_turn(self._journal.events)
        outcome = self._carry_out(turn)
        step = turn.step
        while outcome is None:
            step += 1
            outcome = self._heard(step) or self._limit() or self._step(step)
        if outcome.kind in {"limit", "stuck"}:
            outcome = self._course.end(step, outcome)
        self._journal.append(Solved(outcome=outcome))
        return outcome

    def _heard(self, step: int) -> Outcome | None:
        """Pass on what people said meanwhile."""
        for followup in self._inbox.new():
            if self._inbox.opened is not None:
                message = followup_message(followup, self._inbox.opened, None, may_edit=True)
                self._context.record(Told(step=step, reason="followup", followup=followup.id, message=message))
        if stop := self._inbox.stop():
            return Outcome(kind="stopped", reason=f"{stop.note.author} stopped it")
        return None

    def _limit(self) -> Outcome | None:
        if reason := budget.exhausted(self._limits, self._context.spent):
            return Outcome(kind="limit", reason=reason)
        return self._course.stop()

    def _step(self, step: int) -> Outcome | None:
        self._course.correct(step)
        room = self._context.room()
        if not room:
            reason = budget.worst_call(self._profile, self._limits, self._context.spent)
            return Outcome(kind="limit", reason=reason)
        completion = self._context.ask(step, room)
        return self._carry_out(Turn(step, completion, completion.message.tool_calls))

    def _carry_out(self, turn: Turn) -> Outcome | None:
        if turn.answer is None:
            return None
        cut = turn.answer.finish_reason in {"length", "cut"}
        if not turn.answer.message.tool_calls:
            self._context.tell(turn.step, "cut_short" if cut else "no_tool_call")
        submission, question = turn.submission, turn.question
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
                checkpoint=self._checkpoints.take(turn.step) if self._toolbox.mutates(call.name) else None,
            )
            self._context.record(finished)
            # What changes after it was handed in was not looked at.
            submission = carried.output.submission or (None if finished.checkpoint else submission)
            question = carried.output.question or question
        if submission:
            return Outcome(kind="submitted", submission=submission)
        return Outcome(kind="asked", reason=question) if question else None


_CUT = Carried(
    ToolOutput(
        content="Your answer was cut off in this call, so it was not run. Make it again, in parts.", is_error=True
    )
)
