"""What keeps jobs moving when a worker dies, hangs or loses one: beats, a reaper, an audit of our own jobs, a watch.

DBOS recovers a dead worker's jobs only when a worker with the same executor id starts again. Until then they would stay
`PENDING` and block their repositories.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from dbos import DBOSClient

from coder.errors import ConfigError
from webhooks.engine.leases import Leases

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """A job that the database says is running, and where."""

    job_id: str
    executor_id: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a worker beats, and how long it may be silent before its jobs are taken from it, in seconds."""

    beat_s: float = 3.0
    lease_s: float = 60.0
    audit_s: float = 20.0
    """How long a job of ours may be nowhere in this process before it is queued again."""


@dataclass(slots=True)
class _State:
    good_beats_s: float = 0.0
    suspects: dict[str, float] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


def orphans(held: Sequence[Held], live: Collection[str], me: str) -> tuple[str, ...]:
    """Jobs whose worker is dead."""
    return tuple(one.job_id for one in held if one.executor_id != me and one.executor_id not in live)


def lost(held: Sequence[Held], me: str, running: Collection[str]) -> frozenset[str]:
    """Jobs that are ours in the database and nowhere in this process; just dequeued ones look so for a moment."""
    return frozenset(one.job_id for one in held if one.executor_id == me and one.job_id not in running)


def taken(held: Sequence[Held], me: str, running: Collection[str]) -> frozenset[str]:
    """Jobs that run here and are no longer ours: cancelled, or given to another worker."""
    return frozenset(running) - {one.job_id for one in held if one.executor_id == me}


class Recovery:
    """The watch of one worker. `running` gives the ids that run in this process, `stop_job` ends what is not ours.

    `queue` matters: resumed without it, a job would land in a queue without limits.
    """

    def __init__(
        self,
        client: DBOSClient,
        leases: Leases,
        *,
        executor_id: str,
        queue: str,
        running: Callable[[], frozenset[str]],
        stop_job: Callable[[str], None],
        pace: Pace,
        max_deaths: int,
    ) -> None:
        self._client = client
        self._leases = leases
        self._me = executor_id
        self._queue = queue
        self._running = running
        self._stop_job = stop_job
        self._pace = pace
        self._max_deaths = max_deaths
        self._state = _State()

    def start(self) -> None:
        """Beat once now, then keep watch in a thread.

        Raises:
            ConfigError: Another process works under our executor id.
        """
        if not self._leases.claim(self._me):
            raise ConfigError(
                f"a worker with the executor id {self._me!r} runs already on another machine; give this one another id"
            )
        self._leases.beat(self._me)
        self._state.thread = threading.Thread(target=self._keep, name="engine-watch", daemon=True)
        self._state.thread.start()

    def stop(self) -> None:
        """End the watch; safe to call twice."""
        self._state.stopped.set()
        if self._state.thread is not None:
            self._state.thread.join(timeout=10)
        self._leases.release()

    def _keep(self) -> None:
        while not self._state.stopped.wait(self._pace.beat_s):
            try:
                self.tick()
            except Exception:
                # The boundary of a thread that must not end: without its beats, others would take our jobs. Most likely
                # the database was away, for the others too: nobody is dead until we have seen a full lease again.
                self._state.good_beats_s = 0.0
                logger.exception("the watch over jobs failed")

    def tick(self) -> None:
        """One round."""
        self._leases.beat(self._me)
        # Asked before the database is: a job that ends in between is then no suspect.
        running = self._running()
        held = self._held()
        for job_id in taken(held, self._me, running & self._running()):
            logger.warning("a running job is not ours any more", extra={"job": job_id})
            self._stop_job(job_id)
        self._audit(held)
        if self._state.good_beats_s >= self._pace.lease_s:
            self._reap()
        self._state.good_beats_s += self._pace.beat_s

    def _held(self) -> tuple[Held, ...]:
        found = self._client.list_workflows(
            status="PENDING", queue_name=self._queue, load_input=False, load_output=False
        )
        return tuple(Held(one.workflow_id, one.executor_id or "") for one in found)

    def _audit(self, held: Sequence[Held]) -> None:
        known = self._state.suspects
        suspects = {one: known.get(one, 0.0) + self._pace.beat_s for one in lost(held, self._me, self._running())}
        again = {one for one, seen_s in suspects.items() if seen_s > self._pace.audit_s}
        self._state.suspects = {one: seen_s for one, seen_s in suspects.items() if one not in again}
        if again:
            logger.error("jobs of ours ran nowhere", extra={"jobs": sorted(again)})
            self._client.resume_workflows(sorted(again), queue_name=self._queue)

    def _reap(self) -> None:
        with self._leases.reaping() as alone:
            if not alone:
                return
            live = self._leases.live(lease_s=self._pace.lease_s)
            for job_id in orphans(self._held(), live, self._me):
                times = self._leases.count_reap(job_id)
                logger.warning("a worker died over a job", extra={"job": job_id, "times": times})
                if times > self._max_deaths:
                    self._client.cancel_workflow(job_id)
                else:
                    self._client.resume_workflows([job_id], queue_name=self._queue)

    def report_stranded(self, shape: str) -> None:
        """Log jobs of another workflow shape: no worker of ours will ever take them."""
        live = self._client.list_workflows(
            status=["PENDING", "ENQUEUED", "DELAYED"], load_input=False, load_output=False
        )
        foreign = [one.workflow_id for one in live if one.app_version not in {None, shape}]
        if foreign:
            extra = {"count": len(foreign), "jobs": foreign[:20]}
            logger.error("jobs of another workflow shape will never run", extra=extra)

    def hand_back(self) -> None:
        """Put what the database says runs here back into the queue, and end the lease."""
        mine = [one.job_id for one in self._held() if one.executor_id == self._me]
        if mine:
            self._client.resume_workflows(mine, queue_name=self._queue)
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            self._leases.leave(self._me)
