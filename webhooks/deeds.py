"""What the service does at GitHub by itself: reactions, answers, words passed on, runs ended."""

import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from coder.forge.protocol import Forge
from coder.types import Followup, Outcome, RunResult, Spent, Task, Verdict
from webhooks.deferred import Deferred
from webhooks.engine.port import JobEngine
from webhooks.errors import EngineError
from webhooks.intake import offer
from webhooks.jobs import Jobs
from webhooks.ledger import Ledger
from webhooks.outbox import Inbox, Switches
from webhooks.request import Source, from_json
from webhooks.store import Store
from webhooks.waits import BEGIN_S, WAIT_S, Waits
from webhooks.work import Chore, Work, thread_of

logger = logging.getLogger(__name__)

DENIED_FOR: Final = timedelta(minutes=5)
"""How long somebody without permission is not asked about again: a flood of comments must not use up our requests."""

_STAYS: Final = "The pull request stays a draft: start them by hand, or mark it ready for review."
Describe = Callable[[Task, str], str]
"""A comment about a run: `status`, `explain`, or else how it was broken off."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What the desk needs of the rest of the program."""

    forge: Forge
    describe: Describe
    stop_run: Callable[[str], None]
    """Take a run's containers away, if they are on this machine."""


class Deeds:
    """How each kind of chore is done. One thread at a time."""

    def __init__(self, outside: Outside, store: Store, engine: JobEngine, *, clock: Callable[[], datetime]) -> None:
        self._outside, self._store, self._engine, self._clock = outside, store, engine, clock
        self._ledger, self._jobs = Ledger(store, engine), Jobs(store, engine)
        self._inbox, self._switches = Inbox(store.database), Switches(store.database)
        self._waits = Waits(store.database)
        self._denied: dict[tuple[str, str], datetime] = {}

    def may(self, chore: Chore) -> bool:
        """Whether who asked may write, asked now; a refusal counts for some minutes."""
        task, followup = chore.work.task, chore.work.followup
        # A failed check is told by a program, which waits for nothing: who asked for the run does.
        asker = task.requested_by if followup is not None and followup.kind == "check_failure" else chore.work.sender
        key = (task.repo.full_name, asker)
        now = self._clock()
        denied_at = self._denied.get(key)
        begins = chore.kind == "react" and followup is None  # the run itself asks anew, and must hear the same
        if denied_at is not None and now - denied_at < DENIED_FOR and not begins:
            return False
        if self._outside.forge.may_write(task.model_copy(update={"requested_by": asker})):
            return True
        logger.info("asked without write permission", extra={"chore": chore.id, "login": asker})
        known = self._denied.items()
        self._denied = {one: at for one, at in known if now - at < DENIED_FOR} | {key: now}
        return False

    def do(self, chore: Chore) -> None:
        """Do it; doing it twice is doing it once."""
        deeds: dict[str, Callable[[Chore], None]] = {
            "react": self._react,
            "answer": lambda one: self._say(one, one.text),
            "describe": lambda one: self._say(one, self._outside.describe(one.work.task, one.text)),
            "switch": self._switch,
            "steer": self._steer,
            "stop": self._stop_run,
            "finalise": self._finalise,
            "hand_over": lambda one: self._outside.forge.mark(one.work.task, "needs-human"),
            "ready": self._ready,
            "look": self._look,
        }
        deeds[chore.kind](chore)

    def _react(self, chore: Chore) -> None:
        task, followup = chore.work.task, chore.work.followup
        if followup is not None:
            if followup.comment_id is None:
                return  # a review has no place for it
            task = task.model_copy(update={"comment_id": followup.comment_id})
        self._outside.forge.acknowledge(task)
        if followup is None:
            self._mark(task)

    def _mark(self, task: Task) -> None:
        """Show that a run waits for its turn; one that has begun shows so by itself."""
        if not self._is_queued(task):
            return
        self._outside.forge.mark(task, "queued")
        if not self._is_queued(task):  # it began while we wrote
            self._outside.forge.mark(task, "running")

    def _is_queued(self, task: Task) -> bool:
        job = self._engine.status(task.run_id)
        return job is not None and job.state == "queued"

    def _say(self, chore: Chore, text: str) -> None:
        task = chore.work.task
        number = chore.number or task.number
        self._outside.forge.status(task.model_copy(update={"run_id": chore.marker, "number": number}), text)

    def _switch(self, chore: Chore) -> None:
        thread = f"{thread_of(chore.work.task.run_id).partition('-')[0]}-{chore.number or 0}"
        on = chore.text == "on"
        self._switches.turn(thread, on=on, by=chore.work.sender)
        self._say(chore, f"Failed checks are {'fixed' if on else 'left alone'} here from now on.")

    def _steer(self, chore: Chore) -> None:
        """To the run while it works, and as a job behind it: whichever comes first is heard, the other is nothing."""
        self._pass_on(chore, self._heard(chore))
        self._react(chore)

    def _stop_run(self, chore: Chore) -> None:
        run_id = chore.work.task.run_id
        live = self._ledger.live_jobs(run_id)
        followup = self._heard(chore)
        self._inbox.put(run_id, followup, created_at=self._now())
        for job_id in live:
            self._jobs.withdraw(job_id)
            self._engine.cancel(job_id)
        self._outside.stop_run(run_id)
        self._pass_on(chore, followup)
        self._react(chore)

    def _heard(self, chore: Chore) -> Followup:
        """What was said, as the model may be shown it."""
        followup = chore.work.followup
        if followup is None:
            raise EngineError(f"the chore {chore.id} has nothing to pass on")
        return self._outside.forge.heard(chore.work.task, followup)

    def _pass_on(self, chore: Chore, followup: Followup) -> None:
        work = Work(task=chore.work.task, followup=followup)
        self._inbox.put(work.task.run_id, followup, created_at=self._now())
        self._store.add_work(work, created_at=self._now())
        with suppress(EngineError):  # it stays kept, and is offered again
            offer(work, self._engine, self._store)

    def _finalise(self, chore: Chore) -> None:
        said = chore.work.followup
        if said is not None and said.kind != "check_failure":
            # In a comment of its own: the status comment is the next one's who says something.
            text = f"The {said.kind} by `{said.note.author}` has no answer: its job failed. `/coder continue` goes on, or say it again."
            at = chore.work.task.model_copy(update={"run_id": f"lost-{chore.work.job_id}"})
            self._outside.forge.status(at, text)
        if self._ledger.is_overtaken(chore.work.job_id):
            return  # it goes on, and tells so itself
        task = chore.work.task
        verdict = Verdict(kind="unverified", reasons=("the run was broken off",))
        outcome = Outcome(kind="failed", reason=chore.text)
        # The label first: it can be put on where nothing may be said.
        self._outside.forge.finish(task, RunResult(run_id=task.run_id, verdict=verdict, outcome=outcome, spent=Spent()))
        self._outside.forge.status(task, self._outside.describe(task, chore.text))

    def _ready(self, chore: Chore) -> None:
        """Ask for reviews once the checks of a draft's commit are green; tell, once, where they never began or end."""
        forge, task, number = self._outside.forge, chore.work.task, chore.number or 0
        wait = self._waits.of(f"{thread_of(task.run_id).rpartition('-')[0]}-{number}")
        if wait is None or wait.sha != chore.text:
            return  # it has another commit by now, or waits no more
        state = forge.checks.state(task, wait.sha)
        waited_s = self._clock().timestamp() - wait.since_s if wait.since_s else 0.0
        marker = f"checks-{wait.thread}-{wait.sha[:16]}"
        where = task.model_copy(update={"run_id": marker, "number": number})
        if state == "green":
            forge.checks.release(task, number, wait.sha)
            self._waits.end(wait.thread)
        elif waited_s > WAIT_S:
            if state == "pending":
                forge.status(where, f"The checks of {wait.sha} did not end within a day. {_STAYS}")
            self._waits.end(wait.thread)
        elif state == "none" and waited_s > BEGIN_S:
            forge.status(where, f"No check began on {wait.sha}, though this repository has some. {_STAYS}")

    def _look(self, chore: Chore) -> None:
        request = from_json(chore.text)
        head = self._outside.forge.base(chore.work.task)
        if request.head is not None and head.sha == request.head.sha:
            digest = hashlib.sha256(chore.id.encode()).hexdigest()
            source = Source("checks", guid="", digest=digest, repo=request.repository.full_name)
            Deferred(self._store.database).keep(source, request)

    def _now(self) -> str:
        return self._clock().isoformat(timespec="milliseconds")
