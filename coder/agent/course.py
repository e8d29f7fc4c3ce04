"""Keeping a run on its course: reminders, the way back to the best state, and an honest end."""

from coder.agent.best import Best, Stand
from coder.agent.checkpoints import Checkpoints
from coder.agent.context import Context
from coder.agent.stuck import Watch
from coder.trace.attempts import elsewhere
from coder.trace.events import ToolFinished
from coder.trace.journal import Journal
from coder.types import Look, Outcome, Submission

_ADVICE = "Repeating it will not help: say what you expected, why it is not so, and do something else."
_NEW_PLAN = (
    "Leave this way: look at the task afresh, write a new plan with `plan` that says what was tried and why it failed, "
    "and only then go on."
)


class Course:
    """Follows what a run does, and corrects it."""

    def __init__(self, journal: Journal, context: Context, checkpoints: Checkpoints) -> None:
        self._journal, self._context, self._checkpoints = journal, context, checkpoints
        self._watch, self._best = Watch(), Best()
        self._look: Look | None = None
        self._seen = 0
        self._others = elsewhere(journal.events)

    def stop(self) -> Outcome | None:
        """The end of a run that goes in circles whatever it is told; None while it may go on."""
        self._follow()
        circle = self._watch.circle()
        return Outcome(kind="stuck", reason=circle.words) if circle and circle.rung == "stop" else None

    def correct(self, step: int) -> None:
        """Say that tests got worse or that it goes in circles; at the second rung set the work back to its best."""
        self._follow()
        self._context.warn(step)
        if circle := self._watch.circle():
            if circle.rung == "remind":
                self._context.tell(step, "stuck", f"You go in circles: {circle.words}. {_ADVICE}")
                return
            back = self._best.better()
            said = f"You go in circles: {circle.words}. {_set_back(back) if back else ''}{_NEW_PLAN}"
            self._context.tell(step, "stuck", said, self._checkpoints.back_to(back.checkpoint) if back else None)
        elif best := self._best.worse():
            self._context.tell(
                step,
                "worse",
                f"The tests are worse than they were after step {best.step}, where {best.tests.passed} passed. Find the "
                "change that did it and mend it or take it back.",
            )

    def end(self, step: int, outcome: Outcome) -> Outcome:
        """The outcome of a run that could not hand in: its best state stays, and the model's last words are kept."""
        self._follow()
        back = self._best.safer() if outcome.kind == "limit" else self._best.better()
        if back is not None:
            self._context.tell(step, "worse", _set_back(back).strip(), self._checkpoints.back_to(back.checkpoint))
        return outcome.model_copy(update={"submission": self._words(outcome.reason)})

    def _words(self, reason: str) -> Submission | None:
        """What people are told of it by the model: what it meant to hand in, or else its last words."""
        if self._look is not None and self._look.tree_sha == self._checkpoints.tree_sha:
            return self._look.submission
        words = self._context.last_words(reason)
        return Submission(title="", summary=words) if words else None

    def _follow(self) -> None:
        for entry in self._journal.since(self._seen):
            self._seen += 1
            if entry.seq in self._others:
                continue
            self._watch.take(entry.event)
            self._best.take(entry.event)
            if isinstance(entry.event, ToolFinished):
                self._look = entry.event.output.look or self._look


def _set_back(best: Stand) -> str:
    where = f"after step {best.step}" if best.step else "at the start"
    return (
        f"The work tree was set back to how it was {where}, the best that tests have seen ({best.tests.passed} passed, "
        f"{best.tests.failed + best.tests.errored} failed); what came after is gone from it. "
    )
