"""The web process: thin handlers that hand raw bytes to the intake. Nothing slow happens here."""

import asyncio
import contextlib
import hmac
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_address

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from coder.errors import CoderError
from webhooks.desk import Desk
from webhooks.engine.port import Job, JobEngine
from webhooks.intake import Answer, Intake
from webhooks.store import Delivery, Store
from webhooks.work import JOB_ID

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 25 * 1024 * 1024
"""GitHub's own cap. https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap"""
BODY_TIMEOUT_S = 30.0
MAX_BUFFERED_BYTES = 256 * 1024 * 1024
"""Bodies in memory at the same time, all connections together; anybody may send one before its signature is checked."""
RETRY_EVERY_S = 15.0
"""How often tasks that the engine did not take are offered again."""
FORGET_EVERY_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class WebParts:
    """What the web process works with."""

    intake: Intake
    store: Store
    engine: JobEngine
    desk: Desk | None = None
    api_token: str | None = None
    max_buffered_bytes: int = MAX_BUFFERED_BYTES
    retention_days: int = 30


class _Buffered:
    """How much of the memory for bodies is in use. Only the event loop's thread touches it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0

    def take(self, size: int) -> None:
        if self._used + size > self._limit:
            raise _BusyError
        self._used += size

    def give(self, size: int) -> None:
        self._used -= size


class _BusyError(Exception):
    """Too much is in memory already; never leaves this module."""


class _TooLargeError(Exception):
    """One body is larger than allowed; never leaves this module."""


def create_app(parts: WebParts) -> FastAPI:
    """The HTTP application. It owns nothing of `parts`."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        chores = [
            asyncio.create_task(_keep_enqueuing(parts.intake, parts.desk)),
            asyncio.create_task(_keep_forgetting(parts.intake, parts.retention_days)),
        ]
        if parts.desk is not None:
            parts.desk.start()
        try:
            yield
        finally:
            if parts.desk is not None:
                await run_in_threadpool(parts.desk.stop)
            for chore in chores:
                chore.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await chore

    app = FastAPI(title="coder", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    _add_webhook(app, parts)
    _add_reading(app, parts)

    @app.exception_handler(CoderError)
    async def unavailable(_request: Request, exc: CoderError) -> JSONResponse:
        logger.error("request failed", extra={"error": str(exc)})
        # 503 and not 202: GitHub lists the delivery as failed, and it can be sent again.
        return JSONResponse({"error": "the service cannot keep this now"}, status_code=503)

    return app


def _add_webhook(app: FastAPI, parts: WebParts) -> None:
    buffered = _Buffered(parts.max_buffered_bytes)

    @app.post("/webhooks/github")
    async def github(request: Request) -> JSONResponse:
        answer = await _receive(request, parts.intake, buffered)
        return JSONResponse(answer.body, status_code=answer.status)


def _add_reading(app: FastAPI, parts: WebParts) -> None:
    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        await run_in_threadpool(parts.engine.list, limit=1)
        await run_in_threadpool(parts.store.deliveries, limit=1)
        return JSONResponse({"ok": True})

    @app.get("/runs")
    async def runs(request: Request) -> JSONResponse:
        if not _may_read(request, parts.api_token):
            return _forbidden()
        jobs = await run_in_threadpool(parts.engine.list, limit=50)
        deliveries = await run_in_threadpool(parts.store.deliveries, limit=50)
        return JSONResponse({"runs": [_job(job) for job in jobs], "deliveries": [_delivery(one) for one in deliveries]})

    @app.get("/runs/{run_id}")
    async def run(run_id: str, request: Request) -> JSONResponse:
        if not _may_read(request, parts.api_token):
            return _forbidden()
        job = await run_in_threadpool(parts.engine.status, run_id) if JOB_ID.fullmatch(run_id) else None
        task = None if job is None else await run_in_threadpool(parts.store.task, run_id)
        if job is None:
            return JSONResponse({"error": "no such run"}, status_code=404)
        return JSONResponse({**_job(job), "task": None if task is None else task.model_dump(mode="json")})


async def _keep_enqueuing(intake: Intake, desk: Desk | None) -> None:
    while True:
        try:
            await run_in_threadpool(intake.enqueue_pending)
            if desk is not None:
                await run_in_threadpool(desk.watch)
        except CoderError as exc:
            logger.error("cannot offer waiting jobs, or see which ended", extra={"error": str(exc)})  # noqa: TRY400 - the message says it
        await asyncio.sleep(RETRY_EVERY_S)


async def _keep_forgetting(intake: Intake, days: int) -> None:
    while True:
        try:
            removed = await run_in_threadpool(intake.forget, days=days)
            logger.info("old deliveries and jobs removed", extra={"count": removed})
        except CoderError as exc:
            logger.error("cannot remove what is old", extra={"error": str(exc)})  # noqa: TRY400 - the message says it
        await asyncio.sleep(FORGET_EVERY_S)


async def _receive(request: Request, intake: Intake, buffered: _Buffered) -> Answer:
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES:
        return _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            await _read(request, body, buffered)
        return await run_in_threadpool(intake.receive, _headers(request), bytes(body))
    except _TooLargeError:
        return _too_large()
    except _BusyError:
        return Answer(503, {"error": "too many large deliveries at once; send it again"})
    except TimeoutError:
        return Answer(408, {"error": f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s"})
    except ClientDisconnect:
        return Answer(400, {"error": "the connection ended inside the body"})
    finally:
        buffered.give(len(body))


async def _read(request: Request, body: bytearray, buffered: _Buffered) -> None:
    """Fill `body`; what is in it counts as buffered."""
    async for chunk in request.stream():
        if len(body) + len(chunk) > MAX_BODY_BYTES:
            raise _TooLargeError
        buffered.take(len(chunk))
        body += chunk


def _headers(request: Request) -> dict[str, str]:
    """Headers by lower-case name. One given twice with two values is ambiguous, and counts as missing."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for name, value in request.headers.items():
        if found.setdefault(name, value) != value:
            twice.add(name)
    return {name: value for name, value in found.items() if name not in twice}


def _too_large() -> Answer:
    return Answer(413, {"error": f"the body is larger than {MAX_BODY_BYTES} bytes"})


def _may_read(request: Request, token: str | None) -> bool:
    if token is not None:
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(f"Bearer {token}".encode(), given.encode("utf-8", "surrogatepass"))
    # Behind a proxy everybody comes from this machine.
    proxied = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via"))
    return not proxied and _is_loopback(request.client.host if request.client else "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _forbidden() -> JSONResponse:
    return JSONResponse({"error": "reading runs needs the API token"}, status_code=403)


def _job(job: Job) -> dict[str, object]:
    return job.model_dump(mode="json")


def _delivery(delivery: Delivery) -> dict[str, object]:
    return delivery.model_dump(mode="json", exclude={"guid"})
