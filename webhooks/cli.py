"""`coder serve` and `coder worker`, found by the command line through the entry-point group `coder.commands`."""

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from coder.app import service_parts
from webhooks.config import ServiceConfig
from webhooks.deeds import Outside
from webhooks.engine.port import Drained
from webhooks.service import build, open_engine, open_store, serve_until_stopped, work_until_stopped

ConfigPath = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
WithWorker = Annotated[bool, typer.Option("--worker/--no-worker", help="Work on jobs in this process too.")]


def serve(config: ConfigPath = None, with_worker: WithWorker = True) -> None:  # noqa: FBT002 - typer's way
    """Take webhooks, and work on them."""
    parts = service_parts(config)
    outside = Outside(forge=parts.forge, describe=parts.describe, stop_run=parts.stop)
    service = build(
        ServiceConfig.read(parts.values),
        parts.run,
        stop_run=parts.stop,
        length=parts.length,
        outside=outside,
        lookup=parts.lookup,
    )
    try:
        drained = serve_until_stopped(service, with_worker=with_worker)
    finally:
        service.close()
    _leave(drained)


def worker(config: ConfigPath = None) -> None:
    """Work on jobs that another process takes in."""
    parts = service_parts(config)
    settings = ServiceConfig.read(parts.values)
    store = open_store(settings)
    try:
        engine = open_engine(settings, store, parts.run, stop_run=parts.stop, length=parts.length)
        try:
            drained = work_until_stopped(engine, drain_s=settings.drain_s)
        finally:
            engine.close()
    finally:
        store.close()
    _leave(drained)


def _leave(drained: Drained) -> None:
    if drained.left:
        # Their threads cannot be stopped, and would hold up the exit; their jobs are back in the queue.
        logging.getLogger(__name__).warning("leaving jobs to the next worker", extra={"ids": list(drained.left)})
        logging.shutdown()
        os._exit(0)
