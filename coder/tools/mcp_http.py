"""A client of one MCP server at an address: JSON-RPC by streamable HTTP.

https://modelcontextprotocol.io/specification/2025-06-18/basic/transports#streamable-http. Each message of ours is a POST; its
answer is a JSON object, or events of which one is the answer. We listen to nothing else and follow no redirection: the
address is the operator's, and so is the key in the headers.
"""

import json
import time
from collections.abc import Iterator, Mapping

import httpx
from typing_extensions import override

from coder.model.sse import EventSplitter
from coder.tools.mcp_client import MAX_MESSAGE_BYTES, PROTOCOL, McpServer, McpSettings
from coder.types import JsonObject

_OK, _ACCEPTED = 200, 202
_CONNECT_TIMEOUT_S = 10.0


class McpHttpServer(McpServer):
    """One server's session, begun with `start` and ended with `close`."""

    def __init__(self, name: str, settings: McpSettings, *, inherited: Mapping[str, str]) -> None:
        super().__init__(name, settings, inherited=inherited)
        self._client: httpx.Client | None = None
        self._session: dict[str, str] = {}
        self._answers: list[JsonObject] = []

    @override
    def _open(self) -> None:
        given = {key: value.get_secret_value() for key, value in self.settings.headers.items()}
        accepted = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
        self._client = httpx.Client(headers={**given, **accepted}, trust_env=False, follow_redirects=False)

    @override
    def _end(self) -> None:
        client, self._client = self._client, None
        self._session, self._answers = {}, []
        if client is not None:
            client.close()

    @override
    def _send(self, message: JsonObject, deadline: float) -> None:
        """Post `message`; what comes back waits for `_receive`."""
        if self._client is None:
            raise ValueError("it is not started")
        body = json.dumps(message).encode()
        try:
            with self._client.stream(
                "POST", self.settings.url, content=body, headers=self._session, timeout=_timeout(deadline)
            ) as response:
                if response.status_code not in {_OK, _ACCEPTED}:
                    raise ValueError(f"it answers with status {response.status_code}")
                if identity := response.headers.get("mcp-session-id"):
                    self._session["mcp-session-id"] = identity
                self._session["mcp-protocol-version"] = PROTOCOL
                if response.status_code == _OK:
                    self._answers += self._messages(response, message.get("id"), deadline)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise ConnectionError(f"{type(exc).__name__}: {exc}".rstrip(": ")) from exc

    @override
    def _receive(self, deadline: float) -> JsonObject:
        if not self._answers:
            raise ValueError("it gives no answer")
        return self._answers.pop(0)

    def _messages(self, response: httpx.Response, asked: object, deadline: float) -> Iterator[JsonObject]:
        """The messages up to the answer to `asked`: a server may leave its stream open behind it."""
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            data = b"".join(_bounded(response, deadline))
            yield _object(data)
            return
        splitter = EventSplitter()
        for part in _bounded(response, deadline):
            for event in splitter.feed(part):
                message = _object(event)
                yield message
                if "method" not in message and message.get("id") == asked:
                    return


def _bounded(response: httpx.Response, deadline: float) -> Iterator[bytes]:
    size = 0
    for part in response.iter_bytes():
        size += len(part)
        if size > MAX_MESSAGE_BYTES:
            raise ValueError(f"it sends more than {MAX_MESSAGE_BYTES} bytes at once")
        if time.monotonic() > deadline:
            raise TimeoutError("no answer in time")
        yield part


def _object(data: bytes) -> JsonObject:
    message = json.loads(data)
    if not isinstance(message, dict):
        raise ValueError("it sends what is no message")  # noqa: TRY004 - it is a wrong value of a wire, not of a caller
    return message


def _timeout(deadline: float) -> httpx.Timeout:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return httpx.Timeout(left, connect=min(left, _CONNECT_TIMEOUT_S))
