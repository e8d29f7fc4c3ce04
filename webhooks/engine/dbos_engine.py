"""Durable jobs on DBOS Transact: SQLite by default, Postgres by URL.

DBOS keeps one instance per process, so at most one engine of a process may be a worker. The workflow is one coarse step:
what happened inside a run is in the run's own journal, and a repeated call goes on from there.
"""

import json
import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus
from dbos import error as dbos_error
from typing_extensions import override

from coder.errors import CoderError
from coder.types import JsonObject
from webhooks.engine.database import sqlite_engine, sqlite_url
from webhooks.engine.leases import Leases
from webhooks.engine.lock import ExecutorLock
from webhooks.engine.port import NORMAL_PRIORITY, Drained, Job, JobEngine, JobState, Runner
from webhooks.engine.recovery import Pace, Recovery
from webhooks.errors import EngineError

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

NAME = "coder"
QUEUE = "runs"
WORKFLOW = "run"
SHAPE = "wf1"
"""DBOS's application version: changes only with the workflow's shape. Jobs of another value are stranded."""
MAX_RESULT_BYTES = 8192

_STATES: dict[str, JobState] = {
    "DELAYED": "queued",
    "ENQUEUED": "queued",
    "PENDING": "running",
    "SUCCESS": "done",
    "ERROR": "failed",
    "CANCELLED": "cancelled",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed",
}
_OVER = tuple(name for name, state in _STATES.items() if state not in {"queued", "running"})
_FORGET_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Where an engine keeps its jobs and how it works on them."""

    state_dir: Path
    """Exists; holds `jobs.db` and the executor's lock."""
    database_url: str | None = None
    """Postgres, instead of the file."""
    executor_id: str = "local"
    """Unique among the processes that work on one database."""
    concurrency: int = 2
    """Jobs at the same time in this process."""
    poll_s: float = 0.5
    pace: Pace = field(default_factory=Pace)
    max_deaths: int = 1000
    """How many workers may die over a job before it is given up, whatever it did meanwhile."""


class DbosEngine(JobEngine):
    """The jobs of one database. `runner` may be None in a process that only submits.

    `stop_job` ends, by its id, a job that runs here and has been cancelled or given to another worker; it is called from
    another thread, every few seconds until the job is over.
    """

    def __init__(
        self, options: EngineOptions, runner: Runner | None, *, stop_job: Callable[[str], None] | None = None
    ) -> None:
        self._options = options
        self._runner = runner
        self._stop_job = stop_job or _let_it_run
        self._recovery: Recovery | None = None
        self._lock: ExecutorLock | None = None
        self._worker = False
        self._running: set[str] = set()
        self._guard = threading.Lock()
        quiet_logging()
        self._database, self._leases_database, url = _databases(options)
        try:
            self._client = _reach(lambda: self._connect(url))
        except EngineError:
            self._leases_database.dispose()
            raise

    def _connect(self, url: str) -> DBOSClient:
        if self._database is not None:
            # Opened once by us before anybody else, so that the file is in WAL mode from its first page.
            with self._database.connect() as connection:
                connection.execute(sa.text("SELECT 1"))
        # The client never migrates, and a web process may start before any worker.
        DBOS.migrate(url)
        return DBOSClient(
            system_database_url=None if self._database is not None else url,
            system_database_engine=self._database,
            serializer=DBOSPortableJSONSerializer(),
            application_name=NAME,
            # A delivery that waits for the database until it is back is a delivery that GitHub gives up on.
            retry_connection_errors=False,
        )

    @override
    def submit(
        self, job_id: str, payload: JsonObject, *, repo: str, priority: int = NORMAL_PRIORITY, delay_s: float = 0.0
    ) -> Job:
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": job_id,
            "app_version": SHAPE,
            "priority": priority,
            # Without one, DBOS accepts the job and never runs it.
            "queue_partition_key": repo.lower(),
        }
        if delay_s > 0:
            options["delay_seconds"] = delay_s
        _reach(lambda: self._client.enqueue(options, payload))
        job = self.status(job_id)
        if job is None:
            raise EngineError(f"job {job_id} is gone right after it was queued")
        return job

    @override
    def cancel(self, job_id: str) -> bool:
        job = self.status(job_id)
        if job is None or job.state not in {"queued", "running"}:
            return False
        _reach(lambda: self._client.cancel_workflow(job_id))
        return True

    @override
    def status(self, job_id: str) -> Job | None:
        found = _reach(lambda: self._client.list_workflows(workflow_ids=[job_id], load_input=False))
        return _job(found[0]) if found else None

    @override
    def list(self, *, limit: int = 50) -> tuple[Job, ...]:
        found = _reach(
            lambda: self._client.list_workflows(name=WORKFLOW, limit=limit, sort_desc=True, load_input=False)
        )
        return tuple(_job(status) for status in found)

    @override
    def forget(self, *, before: datetime) -> int:
        removed = 0
        while True:
            old = _reach(
                lambda: self._client.list_workflows(
                    name=WORKFLOW,
                    status=list(_OVER),
                    end_time=before.isoformat(),
                    limit=_FORGET_AT_ONCE,
                    load_input=False,
                    load_output=False,
                )
            )
            if not old:
                return removed
            ids = [one.workflow_id for one in old]
            _reach(partial(self._client.delete_workflows, ids))
            removed += len(ids)

    @override
    def run_worker(self) -> None:
        if self._runner is None:
            raise EngineError("this process has no runner: it can only submit jobs")
        self._lock = ExecutorLock(self._options.state_dir, self._options.executor_id)
        try:
            _reach(self._launch)
        except CoderError:
            self.close()
            raise

    def _launch(self) -> None:
        config: DBOSConfig = {
            "name": NAME,
            "application_version": SHAPE,
            "executor_id": self._options.executor_id,
            # The default is pickle: code execution for whoever can write the database.
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
            "enable_otlp": False,
        }
        if self._database is not None:
            config["system_database_engine"] = self._database
        else:
            config["system_database_url"] = self._options.database_url
        self._recovery = Recovery(
            self._client,
            Leases(self._leases_database, self._options.state_dir),
            executor_id=self._options.executor_id,
            queue=QUEUE,
            running=self._running_now,
            stop_job=self._stop_job,
            pace=self._options.pace,
            max_deaths=self._options.max_deaths,
        )
        # Alive before the first job is taken, or a reaper could take it away again.
        self._recovery.start()
        DBOS(config=config)
        self._worker = True
        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=self._options.max_deaths)(self._workflow())
        DBOS.listen_queues([QUEUE])
        DBOS.launch()
        DBOS.register_queue(
            QUEUE,
            worker_concurrency=self._options.concurrency,
            partition_concurrency=1,
            polling_interval_sec=self._options.poll_s,
            on_conflict="always_update",
        )
        self._recovery.report_stranded(SHAPE)

    def _workflow(self) -> Callable[[JsonObject], JsonObject]:
        def run(payload: JsonObject) -> JsonObject:
            return DBOS.run_step({"name": "run"}, self._run, str(DBOS.workflow_id), payload)

        return run

    def _run(self, job_id: str, payload: JsonObject) -> JsonObject:
        runner = cast("Runner", self._runner)
        with self._guard:
            self._running.add(job_id)
        try:
            return bounded(guarded(runner, payload))
        finally:
            with self._guard:
                self._running.discard(job_id)

    def _running_now(self) -> frozenset[str]:
        with self._guard:
            return frozenset(self._running)

    @override
    def drain(self, *, timeout_s: float) -> Drained:
        if not self._worker:
            return Drained()
        busy = bool(self._running_now())
        # DBOS looks once a second; with nothing to wait for it should not look at all.
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=math.ceil(timeout_s) if busy else 0)
        self._worker = False
        left = tuple(sorted(self._running_now()))
        if self._recovery is not None:
            _reach(self._recovery.hand_back)
            # Last, as it gives up our executor id.
            self._recovery.stop()
        self._release_lock()
        return Drained(left=left)

    @override
    def close(self) -> None:
        if self._worker:
            DBOS.destroy(destroy_registry=True)
            self._worker = False
        if self._recovery is not None:
            self._recovery.stop()
        self._client.destroy()
        self._leases_database.dispose()
        self._release_lock()

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def guarded(runner: Runner, payload: JsonObject) -> JsonObject:
    """What `runner` gives; a failure as data, since a raised one would look different live and replayed."""
    try:
        return runner(payload)
    except CoderError as exc:
        return {"ok": False, "error": str(exc), "kind": type(exc).__name__}
    except Exception as exc:
        # The boundary of the worker: one job must not take the others down.
        logger.exception("job failed on a bug")
        return {"ok": False, "error": f"internal error: {type(exc).__name__}", "kind": "bug"}


def bounded(result: JsonObject) -> JsonObject:
    """`result` if it is JSON of at most `MAX_RESULT_BYTES`, else what can be said of it: large things live in the journal."""
    try:
        text = json.dumps(result)
    except (TypeError, ValueError) as exc:
        return {"ok": False, "error": f"the result is not JSON: {exc}", "kind": "bug"}
    if len(text) <= MAX_RESULT_BYTES:
        return cast("JsonObject", json.loads(text))
    return {"ok": result.get("ok", True), "truncated": True, "head": text[: MAX_RESULT_BYTES // 2]}


def quiet_logging() -> None:
    """Leave DBOS's log lines to our own handlers: it adds one of its own where it finds none."""
    dbos_logger = logging.getLogger("dbos")
    if not dbos_logger.handlers:
        dbos_logger.addHandler(logging.NullHandler())


class _Databases(NamedTuple):
    """`for_dbos` is None where DBOS is to open `url` by itself."""

    for_dbos: sa.Engine | None
    for_leases: sa.Engine
    url: str


def _databases(options: EngineOptions) -> _Databases:
    if options.database_url is not None:
        ours = _reach(lambda: sa.make_url(str(options.database_url)).set(drivername="postgresql+psycopg"))
        return _Databases(None, sa.create_engine(ours, pool_pre_ping=True, pool_size=2), options.database_url)
    path = options.state_dir / "jobs.db"
    engine = sqlite_engine(path)
    return _Databases(engine, engine, sqlite_url(path))


def _let_it_run(job_id: str) -> None:
    logger.warning("nothing here can stop a running job", extra={"job": job_id})


def _job(status: WorkflowStatus) -> Job:
    output: Any = status.output
    state = _STATES[status.status]
    result: JsonObject | None = output if isinstance(output, dict) else None
    if state == "done" and result is not None and result.get("ok") is False:
        state = "failed"
    if status.status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
        result = {"ok": False, "error": "given up: it took its worker down too often", "kind": "poison"}
    elif status.error is not None:
        result = {"ok": False, "error": str(status.error)[:500], "kind": "engine"}
    return Job(
        id=status.workflow_id,
        repo=status.queue_partition_key or "",
        state=state,
        created_ms=status.created_at or 0,
        updated_ms=status.updated_at or 0,
        result=result,
    )


def _reach(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except (dbos_error.DBOSException, sa.exc.SQLAlchemyError) as exc:
        raise EngineError(f"the job database failed: {exc}") from exc
