"""The thread of the web process that talks to GitHub: 👀, answers, steering, stop. A delivery never waits for it."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from coder.errors import CoderError
from coder.forge.protocol import Forge
from coder.types import Followup, Outcome, RunResult, Spent, Task, Verdict
from webhooks.engine.port import JobEngine
from webhooks.errors import EngineError
from webhooks.intake import offer
from webhooks.ledger import Ledger
from webhooks.outbox import Inbox, Outbox, Switches
from webhooks.store import Store
from webhooks.work import Chore, Work, thread_of

logger = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 10
"""With pauses that double from 2 s to 10 minutes: about an hour of GitHub being away."""
DENIED_FOR: Final = timedelta(minutes=5)
"""How long somebody without permission is not asked about again: a flood of comments must not use up our requests."""
_FIRST_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 600.0
_IDLE_S: Final = 5.0
"""How often a thread that nobody woke looks for chores of another process, or whose pause is over."""

Describe = Callable[[Task, str], str]
"""A comment about a run: `status`, `explain`, or else how it was broken off."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What the desk needs of the rest of the program."""

    forge: Forge
    describe: Describe
    stop_run: Callable[[str], None]
    """Take a run's containers away, if they are on this machine."""


@dataclass(slots=True)
class _State:
    thread: threading.Thread | None = None
    stopped: bool = False
    denied: dict[tuple[str, str], datetime] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)


class Desk:
    """Does the chores, one after the other, the most urgent first; the forge keeps GitHub's pace.

    Each is done only if whoever asked may write, asked at that moment. What fails is tried again, also by the next
    process; what is done twice after a crash is the same thing at GitHub.
    """

    def __init__(
        self,
        outside: Outside,
        store: Store,
        engine: JobEngine,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._outside, self._store, self._engine, self._clock = outside, store, engine, clock
        self._ledger = Ledger(store, engine)
        self._outbox, self._inbox = Outbox(store.database), Inbox(store.database)
        self._switches = Switches(store.database)
        self._state = _State()

    def start(self) -> None:
        """Begin to work, in a thread."""
        self._state.thread = threading.Thread(target=self._keep, name="desk", daemon=True)
        self._state.thread.start()

    def stop(self) -> None:
        """End the thread after the chore that it is at; safe to call twice."""
        with self._state.changed:
            self._state.stopped = True
            self._state.changed.notify_all()
        if self._state.thread is not None:
            self._state.thread.join(timeout=10)

    def wake(self) -> None:
        """There is something to do."""
        with self._state.changed:
            self._state.changed.notify_all()

    def watch(self) -> int:
        """Write down which jobs ended, and see to it that runs that died are told of; how many died."""
        died = 0
        for job in self._ledger.close_ended():
            work = self._store.work(job.id)
            result = job.result or {}
            # A run that failed on an error of ours has said so by itself; one whose worker died could not.
            if work is None or not (job.state == "cancelled" or (job.state == "failed" and "code" not in result)):
                continue
            if any(said.kind == "stop" for said in self._inbox.of(work.task.run_id)):
                continue
            died += 1
            reason = str(result.get("error") or "its worker is gone")
            self._outbox.add(
                Chore(id=f"finalise:{job.id}", kind="finalise", work=work, text=reason), created_at=self._now()
            )
        return died

    def waiting(self) -> int:
        """How many chores are not done."""
        return self._outbox.waiting()

    def work_once(self) -> bool:
        """Do the next chore; False when there is none."""
        found = self._outbox.next(now_s=self._clock().timestamp())
        if found is None:
            return False
        chore, attempts = found
        try:
            if self._may(chore):
                self._do(chore)
        except CoderError as exc:
            self._failed(chore, attempts, exc)
        else:
            self._outbox.done(chore.id)
        return True

    def _keep(self) -> None:
        while not self._state.stopped:
            busy = False
            try:
                busy = self.work_once()
            except Exception:
                # The boundary of a thread that must not end: most likely the disk is full.
                logger.exception("the desk failed")
            with self._state.changed:
                if not busy and not self._state.stopped:
                    self._state.changed.wait(timeout=_IDLE_S)

    def _failed(self, chore: Chore, attempts: int, exc: CoderError) -> None:
        extra = {"chore": chore.id, "attempt": attempts + 1, "why": str(exc)}
        if attempts + 1 >= MAX_ATTEMPTS:
            logger.error("a chore at GitHub is given up", extra=extra)
            self._outbox.done(chore.id)
            return
        logger.warning("a chore at GitHub failed", extra=extra)
        pause_s = min(_FIRST_PAUSE_S * 2**attempts, _LONGEST_PAUSE_S)
        self._outbox.later(chore.id, due_s=self._clock().timestamp() + pause_s)

    def _may(self, chore: Chore) -> bool:
        if chore.work.followup is not None and chore.work.followup.kind == "check_failure":
            return False  # a program: nobody waits for an answer
        key = (chore.work.task.repo.full_name, chore.work.sender)
        now = self._clock()
        denied_at = self._state.denied.get(key)
        if denied_at is not None and now - denied_at < DENIED_FOR:
            return False
        if self._outside.forge.may_write(chore.work.task.model_copy(update={"requested_by": chore.work.sender})):
            return True
        logger.info("asked without write permission", extra={"chore": chore.id, "login": chore.work.sender})
        known = self._state.denied.items()
        self._state.denied = {one: at for one, at in known if now - at < DENIED_FOR} | {key: now}
        return False

    def _do(self, chore: Chore) -> None:
        match chore.kind:
            case "react":
                self._react(chore)
            case "answer":
                self._say(chore, chore.text)
            case "describe":
                self._say(chore, self._outside.describe(chore.work.task, chore.text))
            case "switch":
                self._switch(chore)
            case "steer":
                self._steer(chore)
            case "stop":
                self._stop_run(chore)
            case "finalise":
                self._finalise(chore)

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
        self._switches.turn(thread, on=on)
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
            self._ledger.withdraw(job_id)
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
        task = chore.work.task
        verdict = Verdict(kind="unverified", reasons=("the run was broken off",))
        outcome = Outcome(kind="failed", reason=chore.text)
        self._outside.forge.status(task, self._outside.describe(task, chore.text))
        self._outside.forge.finish(task, RunResult(run_id=task.run_id, verdict=verdict, outcome=outcome, spent=Spent()))

    def _now(self) -> str:
        return self._clock().isoformat(timespec="milliseconds")
