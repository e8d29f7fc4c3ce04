"""`coder serve` and `coder worker`, found by the command line through the entry-point group `coder.commands`."""

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from coder.app import service_parts
from webhooks.config import ServiceConfig
from webhooks.engine.port import Drained
from webhooks.service import TaskRunner, build, open_engine, serve_until_stopped, work_until_stopped

ConfigPath = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
WithWorker = Annotated[bool, typer.Option("--worker/--no-worker", help="Work on jobs in this process too.")]


def serve(config: ConfigPath = None, with_worker: WithWorker = True) -> None:  # noqa: FBT002 - typer's way
    """Take webhooks, and work on them."""
    settings, runner = _parts(config)
    service = build(settings, runner)
    try:
        drained = serve_until_stopped(service, with_worker=with_worker)
    finally:
        service.close()
    _leave(drained)


def worker(config: ConfigPath = None) -> None:
    """Work on jobs that another process takes in."""
    settings, runner = _parts(config)
    engine = open_engine(settings, runner)
    try:
        drained = work_until_stopped(engine, drain_s=settings.drain_s)
    finally:
        engine.close()
    _leave(drained)


def _parts(config: Path | None) -> tuple[ServiceConfig, TaskRunner]:
    # The one place where the service meets the agent: settings and the function that does a task.
    values, runner = service_parts(config)
    return ServiceConfig.read(values), runner


def _leave(drained: Drained) -> None:
    if drained.left:
        # Their threads cannot be stopped, and would hold up the exit; their jobs are back in the queue.
        logging.getLogger(__name__).warning("leaving jobs to the next worker", extra={"ids": list(drained.left)})
        logging.shutdown()
        os._exit(0)
