"""The service as one object: store, engine and web application, and how it runs until it is told to stop."""

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType

import uvicorn
from fastapi import FastAPI

from coder.errors import ConfigError
from webhooks.app import WebParts, create_app
from webhooks.clockwork import Clockwork, Lookup
from webhooks.config import ServiceConfig
from webhooks.connections import ImpatientProtocol
from webhooks.deeds import Outside
from webhooks.desk import Desk
from webhooks.engine.dbos_engine import DbosEngine, EngineOptions
from webhooks.engine.port import Drained, JobEngine
from webhooks.intake import Intake
from webhooks.store import Store
from webhooks.work import run_of
from webhooks.worker import Length, TaskRunner, Underway, on_payload

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 1000
"""More than GitHub opens for a storm of events: what is turned away here, it does not send again by itself."""
_KEEP_ALIVE_S = 5
_LAST_REQUESTS_S = 10


@dataclass(frozen=True, slots=True)
class Service:
    """A built service; `close` it."""

    config: ServiceConfig
    app: FastAPI
    engine: JobEngine
    store: Store
    desk: Desk | None = None

    def close(self) -> None:
        """Let go of databases and locks."""
        if self.desk is not None:
            self.desk.stop()
        self.engine.close()
        self.store.close()


def build(
    config: ServiceConfig,
    runner: TaskRunner | None,
    *,
    stop_run: Callable[[str], None] | None = None,
    length: Length = lambda _: 0,
    outside: Outside | None = None,
    lookup: Lookup | None = None,
) -> Service:
    """The service that `config` describes. Nothing runs yet.

    Without a `runner` it can only take deliveries. `stop_run` ends the run of an id that goes on here though it was
    cancelled or given to another worker: it removes the run's containers. Without `outside` nothing is said at GitHub
    but by runs, and without `lookup` only deliveries ask for anything.
    """
    store = open_store(config)
    try:
        engine = open_engine(config, store, runner, stop_run=stop_run, length=length)
    except BaseException:
        store.close()
        raise
    desk = None if outside is None else Desk(outside, store, engine)
    intake = Intake(
        config.webhook_secret.get_secret_value().encode(),
        config.rules(),
        store,
        engine,
        caps=config.caps(),
        wake=desk.wake if desk is not None else lambda: None,
    )
    token = config.api_token.get_secret_value() if config.api_token is not None else None
    parts = WebParts(
        intake=intake,
        store=store,
        engine=engine,
        desk=desk,
        describe_repository=None if lookup is None else lookup.repository,
        clockwork=None if lookup is None else _clockwork(config, intake, store, lookup),
        api_token=token,
        retention_days=config.retention_days,
    )
    return Service(config=config, app=create_app(parts), engine=engine, store=store, desk=desk)


def _clockwork(config: ServiceConfig, intake: Intake, store: Store, lookup: Lookup) -> Clockwork:
    every = timedelta(minutes=config.sweep_minutes) if config.sweep_minutes else None
    return Clockwork(intake, store, lookup, schedule=config.schedule, sweep_every=every)


def open_store(config: ServiceConfig) -> Store:
    """The file of deliveries, its state folder made when it is missing.

    Raises:
        ConfigError: The folder cannot be made.
        StoreError: The file cannot be opened.
    """
    try:
        config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise ConfigError(f"cannot make the state folder {config.state_dir}: {exc}") from exc
    return Store(config.state_dir / "deliveries.db")


def open_engine(
    config: ServiceConfig,
    store: Store,
    runner: TaskRunner | None,
    *,
    stop_run: Callable[[str], None] | None = None,
    length: Length = lambda _: 0,
) -> JobEngine:
    """The job engine of `config`; what is said to runs while they work is read from `store`.

    A job that takes its worker down again and again, while its journal keeps its `length`, is given up.

    Raises:
        EngineError: Its database cannot be opened.
    """
    options = EngineOptions(
        state_dir=config.state_dir,
        database_url=config.database_url,
        executor_id=config.executor_id,
        concurrency=config.concurrency,
    )

    underway = Underway()

    def stop_job(job_id: str) -> None:
        if underway.lose(job_id) and stop_run is not None:
            stop_run(run_of(job_id))

    worker = None if runner is None else on_payload(runner, store, underway, length=length)
    return DbosEngine(options, worker, stop_job=stop_job)


def serve_until_stopped(service: Service, *, with_worker: bool) -> Drained:
    """Answer HTTP, and work on jobs too, until SIGTERM or SIGINT; then drain.

    What is `left` still runs in threads of this process: leave by `os._exit`.
    """
    with stop_signals(), _listening(service.config.host, service.config.port) as listening:
        if with_worker:
            service.engine.run_worker()
        host, port = listening.getsockname()[:2]
        logger.info("serving", extra={"host": host, "port": port, "worker": with_worker})
        try:
            _server(service).run(sockets=[listening])
        finally:
            drained = service.engine.drain(timeout_s=service.config.drain_s)
    return drained


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as exc:
        raise ConfigError(f"cannot listen on {host}:{port}: {exc}; change service.host or service.port") from exc


def _server(service: Service) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            service.app,
            http=ImpatientProtocol,
            log_config=None,
            access_log=False,
            server_header=False,
            # A forwarded address is a claim; who may read is decided by the real peer.
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_LAST_REQUESTS_S,
        )
    )


def work_until_stopped(engine: JobEngine, *, drain_s: float) -> Drained:
    """Work on jobs until SIGTERM or SIGINT; then drain."""
    with stop_signals() as stopped:
        engine.run_worker()
        stopped.wait()
        return engine.drain(timeout_s=drain_s)


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, as long as the `with` lasts.

    uvicorn has handlers of its own while it runs, and raises the signal again when it is done: without ours, the
    process would die there, before it has drained.
    """
    stopped = threading.Event()

    def stop(number: int, _frame: FrameType | None) -> None:
        logger.info("stopping", extra={"signal": number})
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
