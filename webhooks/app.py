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
from webhooks.api import KEY_HEADER, Describe, post_run
from webhooks.clockwork import Clockwork
from webhooks.desk import Desk
from webhooks.engine.port import Job, JobEngine
from webhooks.intake import Answer, Intake
from webhooks.store import Delivery, Store
from webhooks.work import JOB_ID, run_of

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 25 * 1024 * 1024
"""GitHub's own cap. https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap"""
MAX_REQUEST_BYTES = 256 * 1024
"""Of `/api/v1`."""
_MAX_REQUESTS_BYTES = 16 * 1024 * 1024
BODY_TIMEOUT_S = 30.0
MAX_BUFFERED_BYTES = 256 * 1024 * 1024
"""Bodies in memory at the same time, all connections together; anybody may send one before its signature is checked."""
RETRY_EVERY_S = 5.0
"""How often requests that had to wait are decided, and tasks that the engine did not take are offered again."""
TICK_EVERY_S = 20.0
FORGET_EVERY_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class WebParts:
    """What the web process works with."""

    intake: Intake
    store: Store
    engine: JobEngine
    desk: Desk | None = None
    describe_repository: Describe | None = None
    """A repository as GitHub writes it; without it nobody can ask over `/api/v1`."""
    clockwork: Clockwork | None = None
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
            asyncio.create_task(_keep_time(parts.clockwork)),
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
    _add_asking(app, parts, _Buffered(_MAX_REQUESTS_BYTES))

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
        return await _shown(parts, run_id, request)


async def _shown(parts: WebParts, run_id: str, request: Request) -> JSONResponse:
    """A run's first job, or one that was added to it, as the engine knows it."""
    if not _may_read(request, parts.api_token):
        return _forbidden()
    job = await run_in_threadpool(parts.engine.status, run_id) if JOB_ID.fullmatch(run_id) else None
    if job is None:
        return JSONResponse({"error": "no such run"}, status_code=404)
    task = await run_in_threadpool(parts.store.task, run_of(run_id))
    return JSONResponse({**_job(job), "task": None if task is None else task.model_dump(mode="json")})


def _add_asking(app: FastAPI, parts: WebParts, buffered: _Buffered) -> None:
    @app.post("/api/v1/runs")
    async def ask(request: Request) -> JSONResponse:
        describe = parts.describe_repository
        # Without a token nobody may spend money, not even from this machine: any web page may post to it.
        if parts.api_token is None or describe is None or not _may_read(request, parts.api_token):
            return _forbidden("asking for runs needs the API token")
        body = await _body_of(request, buffered, MAX_REQUEST_BYTES)
        if isinstance(body, Answer):
            return JSONResponse(body.body, status_code=body.status)
        try:
            key = _headers(request).get(KEY_HEADER)
            answer = await run_in_threadpool(post_run, body, key, parts.intake, describe)
        finally:
            buffered.give(len(body))
        return JSONResponse(answer.body, status_code=answer.status)

    @app.get("/api/v1/runs/{run_id}")
    async def shown(run_id: str, request: Request) -> JSONResponse:
        return await _shown(parts, run_id, request)


async def _keep_enqueuing(intake: Intake, desk: Desk | None) -> None:
    while True:
        try:
            await run_in_threadpool(intake.enqueue_pending)
            if desk is not None:
                await run_in_threadpool(desk.watch)
        except CoderError as exc:
            logger.error("cannot offer waiting jobs, or see which ended", extra={"error": str(exc)})  # noqa: TRY400 - the message says it
        await asyncio.sleep(RETRY_EVERY_S)


async def _keep_time(clockwork: Clockwork | None) -> None:
    while clockwork is not None:
        try:
            await run_in_threadpool(clockwork.tick)
        except CoderError as exc:
            logger.error("what the clock asks for failed", extra={"error": str(exc)})  # noqa: TRY400 - the message says it
        await asyncio.sleep(TICK_EVERY_S)


async def _keep_forgetting(intake: Intake, days: int) -> None:
    while True:
        try:
            removed = await run_in_threadpool(intake.forget, days=days)
            logger.info("old deliveries and jobs removed", extra={"count": removed})
        except CoderError as exc:
            logger.error("cannot remove what is old", extra={"error": str(exc)})  # noqa: TRY400 - the message says it
        await asyncio.sleep(FORGET_EVERY_S)


async def _receive(request: Request, intake: Intake, buffered: _Buffered) -> Answer:
    answer = await _body_of(request, buffered, MAX_BODY_BYTES)
    if not isinstance(answer, bytes):
        return answer
    try:
        return await run_in_threadpool(intake.receive, _headers(request), answer)
    finally:
        buffered.give(len(answer))


async def _body_of(request: Request, buffered: _Buffered, limit: int) -> bytes | Answer:
    """The whole body, which counts as buffered until it is given back; or why there is none."""
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdecimal() and int(declared[:20]) > limit:
        return _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            await _read(request, body, buffered, limit)
    except BaseException as exc:
        buffered.give(len(body))
        if (answer := _unread(exc, limit)) is None:
            raise
        return answer
    return bytes(body)


def _unread(exc: BaseException, limit: int) -> Answer | None:
    match exc:
        case _TooLargeError():
            return _too_large(limit)
        case _BusyError():
            return Answer(503, {"error": "too many large deliveries at once; send it again"})
        case TimeoutError():
            return Answer(408, {"error": f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s"})
        case ClientDisconnect():
            return Answer(400, {"error": "the connection ended inside the body"})
    return None


async def _read(request: Request, body: bytearray, buffered: _Buffered, limit: int) -> None:
    """Fill `body`; what is in it counts as buffered."""
    async for chunk in request.stream():
        if len(body) + len(chunk) > limit:
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


def _too_large(limit: int) -> Answer:
    return Answer(413, {"error": f"the body is larger than {limit} bytes"})


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


def _forbidden(why: str = "reading runs needs the API token") -> JSONResponse:
    return JSONResponse({"error": why}, status_code=403)


def _job(job: Job) -> dict[str, object]:
    return job.model_dump(mode="json")


def _delivery(delivery: Delivery) -> dict[str, object]:
    return delivery.model_dump(mode="json", exclude={"guid"})
