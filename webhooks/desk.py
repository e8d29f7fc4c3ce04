"""The thread of the web process that talks to GitHub: 👀, answers, steering, stop. A delivery never waits for it."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from coder.errors import CoderError
from webhooks.deeds import Deeds, Outside
from webhooks.engine.port import Job, JobEngine
from webhooks.jobs import Jobs
from webhooks.ledger import Ledger
from webhooks.outbox import Inbox, Outbox
from webhooks.store import Store
from webhooks.waits import Waits
from webhooks.work import Chore, Work, is_stopped

logger = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 14
"""With pauses that double from 2 s to 10 minutes: about an hour of GitHub being away."""
_FIRST_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 600.0
_IDLE_S: Final = 5.0
"""How often a thread that nobody woke looks for chores of another process, or whose pause is over."""


@dataclass(slots=True)
class _State:
    thread: threading.Thread | None = None
    stopped: bool = False
    woken: bool = False
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
        self._store, self._clock = store, clock
        self._deeds = Deeds(outside, store, engine, clock=clock)
        self._ledger, self._jobs = Ledger(store, engine), Jobs(store, engine)
        self._waits = Waits(store.database)
        self._outbox, self._inbox = Outbox(store.database), Inbox(store.database)
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
            self._state.woken = True
            self._state.changed.notify_all()

    def watch(self) -> int:
        """Write down which jobs ended, and see to it that people are told of those that failed; how many failed.

        A run tells of its failure itself, unless it died or GitHub was what failed: here it is told until it is heard.
        """
        failed = 0
        for job in self._ledger.ended():
            chore = self._telling(job)
            if chore is not None:
                failed += 1
                # First, so that whoever dies in between tells of it the next time.
                self._outbox.add(chore, created_at=self._now())
            self._ledger.close(job)
        self._look_at_checks()
        return failed

    def _telling(self, job: Job) -> Chore | None:
        """What is to be told of a job that is over, if it failed and nobody stopped it."""
        work = self._store.work(job.id)
        if work is None or job.state not in {"cancelled", "failed"}:
            return None
        if is_stopped(work, self._inbox.of(work.task.run_id)):
            return None
        reason = str((job.result or {}).get("error") or "its worker is gone")
        return Chore(id=f"finalise:{job.id}", kind="finalise", work=work, text=reason)

    def _look_at_checks(self) -> None:
        """Drafts whose checks it is time to look at: what GitHub tells of them may be lost."""
        for wait in self._waits.take_due(now_s=self._clock().timestamp()):
            task = self._store.task(wait.run_id)
            if task is None:  # not kept any more
                self._waits.end(wait.thread)
                continue
            chore = Chore(
                id=f"ready:{wait.thread}:{wait.sha}:{wait.looks}",
                kind="ready",
                work=Work(task=task),
                number=wait.number,
                text=wait.sha,
            )
            self._outbox.add(chore, created_at=self._now())

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
            if self._deeds.may(chore):
                self._deeds.do(chore)
            elif chore.kind == "react":
                self._jobs.refuse(chore.work.job_id)
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
                if not busy:
                    # Who woke us between the last look and here is not missed.
                    self._state.changed.wait_for(lambda: self._state.woken or self._state.stopped, timeout=_IDLE_S)
                self._state.woken = False

    def _failed(self, chore: Chore, attempts: int, exc: CoderError) -> None:
        extra = {"chore": chore.id, "attempt": attempts + 1, "why": str(exc)}
        if not exc.passes or attempts + 1 >= MAX_ATTEMPTS:
            logger.error("a chore at GitHub is given up", extra=extra)
            self._outbox.done(chore.id)
            return
        logger.warning("a chore at GitHub failed", extra=extra)
        pause_s = min(_FIRST_PAUSE_S * 2**attempts, _LONGEST_PAUSE_S)
        self._outbox.later(chore.id, due_s=self._clock().timestamp() + pause_s)

    def _now(self) -> str:
        return self._clock().isoformat(timespec="milliseconds")
