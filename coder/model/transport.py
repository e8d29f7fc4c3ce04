"""The wire under litellm: one request per attempt, read by ourselves, byte by byte.

litellm builds the request (route, addresses, headers, the provider's dialect). What comes back is taken here: its streaming
layer reports an early end as `stop`, invents usage, and merges or drops parallel calls. So the answer is kept in the
`Exchange`, and `Settled` takes the way back through litellm: what it would do with an answer or an error (prices, logs,
callbacks, exceptions of its own) costs more than the request, and none of it is wanted.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import httpx
from typing_extensions import override

from coder.model.answer import AnthropicAssembly, RawAnswer, StreamAssembly, read_anthropic_body, read_openai_body
from coder.model.failures import Failure, classify, classify_event
from coder.model.frames import Frame
from coder.model.responses import read_response
from coder.model.sse import EventSplitter
from coder.types import JsonObject

_OK = 200
_CONNECT_TIMEOUT_S = 15.0
_WRITE_TIMEOUT_S = 60.0
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024


Dialect = Literal["openai", "anthropic", "responses"]


class Settled(BaseException):
    """The exchange is over and its result stands there. Not an `Exception`: litellm and its SDKs catch those and go on."""


@dataclass(slots=True)
class Exchange:
    """One attempt: what it may do, and what came of it."""

    dialect: Dialect
    stream: bool
    read_timeout_s: float
    """Longest silence between two pieces of the answer."""
    messages: bytes | None = None
    """The conversation as JSON, to stand for `PLACEHOLDER` in the body; None when litellm was given it as it is."""
    frame: Frame | None = None
    """The request around them, once litellm has made it."""
    max_body_bytes: int | None = None
    began: bool = False
    """The provider accepted the request and began to answer, so that it will be billed."""
    request_bytes: int = 0
    answer_bytes: int = 0
    answer: RawAnswer | None = None
    failure: Failure | None = None


@dataclass(slots=True)
class TapTransport(httpx.AsyncBaseTransport):
    """Carries out one exchange over `inner`, which is shared and stays open."""

    inner: httpx.AsyncBaseTransport
    exchange: Exchange = field(repr=False)

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send what litellm made, and read to the end; never returns, so that an attempt is one request.

        Raises:
            Settled: Always; what came of it is in the exchange.
        """
        exchange, body = self.exchange, await request.aread()
        if exchange.messages is not None:
            frame = exchange.frame = Frame.of(request, body)
            body = frame.body(exchange.messages)
        else:
            frame = Frame(request.method, request.url, request.headers, b"")
            body = b'{"stream": true, ' + body[1:] if exchange.stream else body
        await self.send(frame, body)
        raise Settled

    async def send(self, frame: Frame, body: bytes) -> None:
        """Send `body` in a frame and read to the end; what came of it is in the exchange."""
        exchange = self.exchange
        request = self._request(frame, body)
        limit = exchange.max_body_bytes
        if limit is not None and exchange.request_bytes > limit:
            detail = f"the request has {exchange.request_bytes} bytes, the provider takes {limit}"
            exchange.failure = Failure("context", detail)
            return
        try:
            response = await self.inner.handle_async_request(request)
            try:
                await self._read(response)
            finally:
                await response.aclose()
        except httpx.HTTPError as exc:
            exchange.failure = Failure("network", f"{type(exc).__name__}: {exc}".rstrip(": "))

    def _request(self, frame: Frame, body: bytes) -> httpx.Request:
        exchange = self.exchange
        exchange.request_bytes = len(body)
        headers = frame.headers.copy()
        headers["content-length"] = str(len(body))
        timeout = httpx.Timeout(exchange.read_timeout_s, connect=_CONNECT_TIMEOUT_S, write=_WRITE_TIMEOUT_S)
        extensions = {"timeout": timeout.as_dict()}
        return httpx.Request(frame.method, frame.url, headers=headers, content=body, extensions=extensions)

    async def _read(self, response: httpx.Response) -> None:
        exchange = self.exchange
        if response.status_code != _OK:
            body = (await _read_bytes(response, _MAX_ERROR_BYTES, exchange)).decode("utf-8", "replace")
            exchange.failure = classify(response.status_code, response.headers, body)
            return
        exchange.began = True
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            await self._read_stream(response)
        else:
            await self._read_body(response)

    async def _read_body(self, response: httpx.Response) -> None:
        exchange = self.exchange
        raw = await _read_bytes(response, _MAX_ANSWER_BYTES, exchange)
        body = _parsed(raw)
        if body is None:
            words = " ".join(raw[:200].decode("utf-8", "replace").split())
            exchange.failure = Failure("server", f"the answer is not a JSON object: {words!r}", _OK)
        elif body.get("error"):
            exchange.failure = classify_event(body)
        else:
            exchange.answer = _READERS[exchange.dialect](body)

    async def _read_stream(self, response: httpx.Response) -> None:
        exchange = self.exchange
        assembly = StreamAssembly() if exchange.dialect == "openai" else AnthropicAssembly()
        done = False
        async for data in _events(response, exchange):
            if data == b"[DONE]":
                done = True
                break
            event = _parsed(data)
            if event is None:
                continue
            if event.get("error"):
                exchange.failure = classify_event(event)
                return
            assembly.feed(event)
        answer = assembly.finish()
        answer.done = answer.done or done
        exchange.answer = answer


_READERS: Mapping[Dialect, Callable[[JsonObject], RawAnswer]] = {
    "openai": read_openai_body,
    "anthropic": read_anthropic_body,
    "responses": read_response,
}


async def _read_bytes(response: httpx.Response, limit: int, exchange: Exchange) -> bytes:
    parts: list[bytes] = []
    async for part in response.aiter_bytes():
        exchange.answer_bytes += len(part)
        parts.append(part)
        if exchange.answer_bytes > limit:
            break
    return b"".join(parts)[:limit]


async def _events(response: httpx.Response, exchange: Exchange) -> AsyncIterator[bytes]:
    splitter = EventSplitter()
    async for part in response.aiter_bytes():
        exchange.answer_bytes += len(part)
        if exchange.answer_bytes > _MAX_ANSWER_BYTES:
            raise httpx.DecodingError(f"the answer has more than {_MAX_ANSWER_BYTES} bytes")
        for event in splitter.feed(part):
            yield event
    for event in splitter.end():
        yield event


def _parsed(text: bytes) -> JsonObject | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
