"""One task, from what somebody asked for to a published, proven change. Read this file first.

Each station begins by looking at the journal: what is written there was done, and is not done again. So a run that
died at any instant is continued by calling `resolve` again with the same task. What people add later (a `Followup`)
opens the same journal again: one conversation, one branch (docs/decisions/0008).
"""

import logging

from coder import __version__
from coder.blame import BLAME_WORDS, blamed, in_question, tell_blame
from coder.delivery import Delivery, Moved, hand_over, on_behalf, politely
from coder.errors import CoderError, ForgeError, InputError, PermissionDeniedError, WorkspaceError
from coder.preparation import Preparation
from coder.publish.status import status_body
from coder.rounds import Rounds
from coder.segment import Segment, enough_reviews
from coder.services import Ground, Services
from coder.trace.events import (
    Answered,
    Contacted,
    Continued,
    Entry,
    Finished,
    Resumed,
    RunStarted,
    ToolFinished,
    Verified,
)
from coder.trace.state import RunState, limits_now, spent, state_of
from coder.types import Followup, Outcome, PullRequest, RunResult, Task, Verdict

logger = logging.getLogger(__name__)

STEPS_BETWEEN_REPORTS = 15
"""Model calls from one edit of the status comment to the next; GitHub asks for a second between writes."""
MAX_MEETINGS = 3
"""How often a change is put on what others pushed meanwhile."""


def resolve(task: Task, services: Services, followup: Followup | None = None) -> RunResult:
    """Carry the task out, or go on with it; a finished one gives its result again.

    A `followup` that the run has not taken yet opens it again: the same conversation goes on, and the same branch gets
    another commit. It is taken once, whatever dies on the way.

    Raises:
        PermissionDeniedError: Who said it may not write to the repository; nothing was done.
        CoderError: Our own machinery failed. The journal is kept, and calling again goes on from it.
    """
    run = _Run(task, services)
    heard = None if followup is None else run.heard(followup)
    try:
        return run.resolve(heard)
    except CoderError as exc:
        run.report_failure(exc)
        raise


class _Run:
    """One run in one process: the stations of the line, in order."""

    def __init__(self, task: Task, services: Services) -> None:
        self._task, self._services = task, services
        listeners = (*services.listeners, self._report)
        self._journal = services.journals.open(task.run_id, redact=services.redact, listeners=listeners)
        self._before = services.journals.before(task.run_id)

    @property
    def _state(self) -> RunState:
        return state_of(self._journal.events)

    def heard(self, followup: Followup) -> Followup | None:
        """The follow-up as it may be taken; None when the run has taken it already, or a person has to take over.

        Raises:
            PermissionDeniedError: A person without write permission said it.
        """
        if followup.id in self._state.heard:
            return None
        forge, task = self._services.forge, self._task
        published = self._state.pull_request
        heard = forge.heard(task, followup, published.number if published else None)
        allowed = forge.may_write(task) if heard.kind == "check_failure" else heard.note.trusted
        if not allowed:
            raise PermissionDeniedError(
                f"{heard.note.author} has no write permission to {task.repo.full_name}: the run is not continued"
            )
        if heard.kind == "review" and (why := enough_reviews(self._state.segments, heard)) is not None:
            hand_over(task, self._services, self._state, heard, why)
            return None
        return heard

    def resolve(self, followup: Followup | None) -> RunResult:
        if followup is None and (done := self._state.finished) is not None:
            return done.result
        if self._journal.events:
            self._journal.append(Resumed(version=__version__))
            self._services.sandboxes.sweep(run_id=self._task.run_id)
        else:
            self._journal.append(RunStarted(task=self._task, version=__version__))
        if followup is not None:
            self._journal.append(Continued(followup=followup))
        before = Preparation(self._task, self._services, self._journal, show=self._show)
        refusal = before.read()
        if refusal is not None:
            return self._finish(refusal, Outcome(kind="failed", reason=refusal.reasons[0]), None)
        with politely(self._task):
            self._services.forge.acknowledge(self._asked)
        if (why := self._in_the_way()) is not None:
            verdict = Verdict(kind="no_change", reasons=(f"nothing was begun: {why}; `/coder fix --force` does",))
            return self._finish(verdict, Outcome(kind="failed", reason=why), None)
        if (forbidden := before.forbidden()) is not None:
            verdict = Verdict(kind="no_change", reasons=(f"nothing was done: {forbidden}",))
            return self._finish(verdict, Outcome(kind="failed", reason=forbidden), self._state.pull_request)
        with politely(self._task):
            self._services.forge.mark(self._task, "running")
        if (ended := self._ended()) is not None:
            return self._pause(ended)
        before.move_base()
        ground = before.prepare()
        # What the repository says of itself narrows what this run may do.
        self._task, self._services = before.task, before.services
        return self._work(ground)

    def _work(self, ground: Ground) -> RunResult:
        """Rounds of work and proof, and the way out; once more when others pushed to the branch meanwhile."""
        task, services, journal = self._task, self._services, self._journal
        policy = services.policy
        segment = Segment(task, services, journal, ground, policy=policy)
        segment.begin()
        if segment.is_idle:
            verdict = Verdict(kind="no_change", reasons=("the branch has all of its base already",))
            return self._finish(verdict, Outcome(kind="submitted"), self._state.pull_request)
        if (blame := self._blame(ground)) is not None:
            return blame
        for _ in range(MAX_MEETINGS):
            segment.settle()
            Rounds(task, services, journal, ground, show=self._show).prove()
            if (ended := self._ended()) is not None:
                return self._pause(ended)
            best = self._state.best
            delivery = Delivery(task, services, journal, ground, policy=policy, show=self._show)
            published = delivery.publish(best)
            if not isinstance(published, Moved):
                verdict = best.verified.verdict
                if published is not None:
                    more = delivery.announce(best, published)
                    verdict = verdict.model_copy(update={"reasons": (*verdict.reasons, *more)})
                kept = delivery.keep(best) if published is None else ""
                return self._finish(verdict, best.outcome, published or self._state.pull_request, kept=kept)
            self._show("others pushed to the branch: putting the change on theirs")
            segment.meet(published.commit_sha, published.theirs_sha)
        raise WorkspaceError("others keep pushing to the branch while the change is tested; ask again when it is quiet")

    def _in_the_way(self) -> str | None:
        """Why it would be impolite to begin, asked before the first work is done."""
        state = self._state
        if self._task.force or state.prepared is not None or state.followup is not None:
            return None
        try:
            return self._services.forge.unfit(self._task)
        except ForgeError as exc:
            logger.warning("cannot look who else works on it", extra={"run": self._task.run_id, "why": str(exc)})
            return None

    def _blame(self, ground: Ground) -> RunResult | None:
        """Of a red check, whose fault it is: only what our change caused is mended, the rest is told with what was seen."""
        state = self._state
        if not in_question(self._task, state) or (state.followup is not None and state.reopened is None):
            return None
        head_sha = state.reopened.head_sha if state.reopened is not None else self._task.check_sha
        if state.attributed is None and head_sha is not None:
            self._show("running what failed on base and head")
            shelf = self._services.shelf(self._journal)
            self._journal.append(blamed(self._task, self._services, ground, state, shelf))
        found = self._state.attributed
        if found is None or found.kind == "caused":
            return None
        with politely(self._task):
            tell_blame(self._task, self._services, state, found)
        verdict = Verdict(kind="no_change", reasons=(BLAME_WORDS[found.kind], *found.lines[:5]))
        return self._finish(verdict, Outcome(kind="failed", reason=BLAME_WORDS[found.kind]), state.pull_request)

    def _ended(self) -> Outcome | None:
        """How the segment ended before there was anything to prove: it waits for a person, or was stopped by one."""
        state = self._state
        if state.followup is not None and state.followup.kind == "stop":
            return Outcome(kind="stopped", reason=f"stopped by {state.followup.note.author}")
        if state.solved is not None and state.solved.outcome.kind in {"asked", "stopped"}:
            return state.solved.outcome
        return None

    def _pause(self, outcome: Outcome) -> RunResult:
        """End the segment without a verdict on the work; it is kept, and a follow-up goes on from it."""
        words = {"asked": "it waits for a person's word", "stopped": "it was stopped; the work so far is kept"}
        verdict = Verdict(kind="no_change", reasons=(words[outcome.kind],))
        return self._finish(verdict, outcome, self._state.pull_request)

    @property
    def _asked(self) -> Task:
        """The task as it was asked for last."""
        return on_behalf(self._task, self._state.followup)

    def report_failure(self, exc: CoderError) -> None:
        """Tell the people who wait that our own machinery failed; the journal stays for a continuation."""
        try:
            current = self._services.journals.open(self._task.run_id).digest
            if self._state.problem is None or current != self._journal.digest:
                return  # nobody waits for a stranger's run, and another process may be going on with ours
            mistake = isinstance(exc, InputError)
            self._show(f"stopped: {exc}" if mistake else f"stopped by an error of ours or of a service: {exc}")
        except CoderError:
            logger.warning("cannot report a failed run", extra={"run": self._task.run_id}, exc_info=True)

    # --- finish -----------------------------------------------------------------------------------------------------

    def _finish(
        self, verdict: Verdict, outcome: Outcome, pull_request: PullRequest | None, *, kept: str = ""
    ) -> RunResult:
        """Tell everybody how it ended, then close the journal."""
        result = RunResult(
            run_id=self._task.run_id,
            verdict=verdict,
            outcome=outcome,
            spent=spent(self._journal.entries),
            pull_request=pull_request,
            kept=kept,
            journal_digest=self._journal.digest,
        )
        if self._state.problem is not None:  # a stranger's request is answered by nothing
            self._show("done", result)
            with politely(self._task):
                self._services.forge.finish(self._asked, result)
        self._journal.append(Finished(result=result))
        return result

    def _show(self, station: str, result: RunResult | None = None) -> None:
        """Say where the run stands, on the status comment and to whoever watches."""
        self._services.progress(station)
        limits = limits_now(self._task, self._journal.entries)
        body = status_body(
            task=self._asked.model_copy(update={"limits": limits}),
            station=station,
            spent=spent(self._journal.entries),
            result=result,
            redact=self._services.redact_fully,
            events=self._journal.events,
            before=self._before,
            trace_url=self._services.policy.trace_of(self._task.run_id),
        )
        with politely(self._task):
            self._services.forge.status(self._task, body)

    def _report(self, entry: Entry) -> None:
        """Now and then, while the model works; and whom its commands, or the tests, tried to reach meanwhile."""
        if isinstance(entry.event, ToolFinished | Verified):
            contacts = self._services.sandboxes.contacts(self._task.run_id)
            if contacts:
                self._journal.append(Contacted(contacts=contacts))
        if isinstance(entry.event, Answered) and entry.event.step % STEPS_BETWEEN_REPORTS == 0:
            self._show("working")
