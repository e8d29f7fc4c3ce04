"""A client of one MCP server on this machine: JSON-RPC by lines on its standard input and output (`mcp_http`: elsewhere).

https://modelcontextprotocol.io/specification/2025-06-18/basic. No wait is without a deadline, no answer without a size. What the
server says is data of a program that an operator chose; it never starts from what a repository says.
"""

import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self

from pydantic import Field, SecretStr, model_validator

from coder import __version__
from coder.errors import CoderError
from coder.types import JsonObject, Value

PROTOCOL = "2025-06-18"
START_TIMEOUT_S = 30.0
MAX_MESSAGE_BYTES = 8 << 20
MAX_PAGES = 20
_UNKNOWN_METHOD = -32601
_CHUNK = 1 << 16


class McpSettings(Value):
    """Section `[mcp.NAME]`: a program on this machine, or an address, that offers tools to every run of this installation."""

    command: str = ""
    """The program; found by `PATH`."""
    url: str = ""
    """The server's address instead, where it speaks streamable HTTP."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """What the server at `url` is sent besides, such as `Authorization`."""
    args: tuple[str, ...] = ()
    env: dict[str, SecretStr] = Field(default_factory=dict)
    """Its environment; of ours it gets `PATH` and `HOME` alone."""
    tools: tuple[str, ...]
    """The server's tools that a model may call; `*` is all."""
    timeout_s: float = Field(default=60, gt=0)
    """Most seconds of one call."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError("give either `command` or `url`")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("`url` begins with http:// or https://")
        if (self.headers and not self.url) or ((self.args or self.env) and self.url):
            raise ValueError("`args` and `env` belong to a `command`, `headers` to a `url`")
        return self


class McpError(CoderError):
    """An MCP server would not start, died, is late, or breaks its protocol."""


class McpServer:
    """One server's process, started with `start` and ended with `close`. Calls of several threads wait for each other."""

    def __init__(self, name: str, settings: McpSettings, *, inherited: Mapping[str, str]) -> None:
        """`inherited` is what it gets of our own environment."""
        self.name, self.settings = name, settings
        secrets = {key: value.get_secret_value() for key, value in settings.env.items()}
        self._environment = {**inherited, **secrets}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = bytearray()
        self._count = 0
        self._broken = "it is not started"

    def start(self) -> None:
        """Start the process and shake hands; nothing when it runs already.

        Raises:
            McpError: It will not.
        """
        with self._lock:
            if not self._broken:
                return
            self._end()
            self._open()
            self._broken = ""
            hello = {
                "protocolVersion": PROTOCOL,
                "capabilities": {},
                "clientInfo": {"name": "coder", "version": __version__},
            }
            self._guarded(lambda: self._greet(hello))

    def request(self, method: str, params: JsonObject, *, timeout_s: float) -> JsonObject:
        """The result of a call.

        Raises:
            McpError: The server refuses, is late or gone.
        """
        with self._lock:
            if self._broken:
                raise McpError(f"MCP server {self.name}: {self._broken}")
            return self._guarded(lambda: self._ask(method, params, time.monotonic() + timeout_s))

    def listed(self) -> list[JsonObject]:
        """The tools that it offers, as it describes them."""
        found: list[JsonObject] = []
        cursor: JsonObject = {}
        for _ in range(MAX_PAGES):
            page = self.request("tools/list", cursor, timeout_s=START_TIMEOUT_S)
            found += [tool for tool in page.get("tools") or [] if isinstance(tool, dict)]
            if not page.get("nextCursor"):
                break
            cursor = {"cursor": page["nextCursor"]}
        return found

    def close(self) -> None:
        """End the process; safe to call twice."""
        with self._lock:
            self._broken = "it is closed"
            self._end()

    def _open(self) -> None:
        self._buffer.clear()
        try:
            self._process = subprocess.Popen(
                [self.settings.command, *self.settings.args],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=self._environment,
                cwd="/",
                start_new_session=True,  # a Ctrl-C is ours to handle
            )
        except OSError as exc:
            raise McpError(f"MCP server {self.name} does not start: {exc}") from exc
        for stream in self._streams():
            os.set_blocking(stream.fileno(), False)

    def _greet(self, hello: JsonObject) -> JsonObject:
        deadline = time.monotonic() + START_TIMEOUT_S
        result = self._ask("initialize", hello, deadline)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"}, deadline)
        return result

    def _ask(self, method: str, params: JsonObject, deadline: float) -> JsonObject:
        self._count += 1
        self._send({"jsonrpc": "2.0", "id": self._count, "method": method, "params": params}, deadline)
        while True:
            message = self._receive(deadline)
            if "method" in message:
                self._decline(message, deadline)
            elif message.get("id") == self._count:
                return self._result(message)

    def _result(self, message: JsonObject) -> JsonObject:
        if "error" in message:
            raise McpRefusalError(f"MCP server {self.name} refuses: {str(message['error'])[:500]}")
        result = message.get("result")
        return result if isinstance(result, dict) else {}

    def _decline(self, message: JsonObject, deadline: float) -> None:
        """A server may ask things of its client; but for a ping, this one offers nothing. Notifications get no answer."""
        if "id" not in message:
            return
        answer: JsonObject = {"jsonrpc": "2.0", "id": message["id"]}
        refusal = {"code": _UNKNOWN_METHOD, "message": "not offered"}
        self._send(answer | ({"result": {}} if message["method"] == "ping" else {"error": refusal}), deadline)

    def _guarded(self, action: Callable[[], JsonObject]) -> JsonObject:
        """Do it; whatever goes wrong on the wire ends the process, which is started anew for the next run."""
        try:
            return action()
        except McpRefusalError:
            raise
        except (OSError, ValueError, RecursionError) as exc:
            self._broken = str(exc) or type(exc).__name__
            self._end()
            raise McpError(f"MCP server {self.name}: {self._broken}") from exc

    def _send(self, message: JsonObject, deadline: float) -> None:
        data = json.dumps(message).encode() + b"\n"
        stdin, _ = self._streams()
        while data:
            self._wait(stdin.fileno(), select.POLLOUT, deadline)
            data = data[os.write(stdin.fileno(), data[:_CHUNK]) :]

    def _receive(self, deadline: float) -> JsonObject:
        _, stdout = self._streams()
        while b"\n" not in self._buffer:
            self._wait(stdout.fileno(), select.POLLIN, deadline)
            chunk = os.read(stdout.fileno(), _CHUNK)
            if not chunk:
                raise ValueError("it ended")
            if len(self._buffer) > MAX_MESSAGE_BYTES:
                raise ValueError(f"it sends more than {MAX_MESSAGE_BYTES} bytes at once")
            self._buffer += chunk
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer[:] = rest
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError("it sends what is no message")  # noqa: TRY004 - it is a wrong value of a wire, not of a caller
        return message

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        left = deadline - time.monotonic()
        poll = select.poll()
        poll.register(descriptor, event)
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError("no answer in time")

    def _streams(self) -> tuple[Any, Any]:
        if self._process is None:
            raise ValueError("it is not started")
        return self._process.stdin, self._process.stdout

    def _end(self) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, 9)
        for stream in self._streams():
            with suppress(OSError):
                stream.close()
        self._process.wait()
        self._process = None


class McpRefusalError(McpError):
    """The server answers a call with an error; it goes on."""
