"""The host's end of a runner: requests and answers. No wait is without a deadline."""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from coder.errors import SandboxError, SandboxRepositoryError
from coder.sandbox.inside.frames import FrameError, encoded, received
from coder.types import JsonObject

START_TIMEOUT_S = 60.0
MAX_ANSWER_BYTES = 256 << 20
CHUNK_BYTES = 1 << 20
MAX_MESSAGE_CHARS = 1000

ERRORS: Mapping[str, type[Exception]] = {
    "FileNotFoundError": FileNotFoundError,
    "IsADirectoryError": IsADirectoryError,
    "NotADirectoryError": NotADirectoryError,
    "PermissionError": PermissionError,
    "ValueError": ValueError,
    "OSError": OSError,
    "RepositoryError": SandboxRepositoryError,
}


class Stream(Protocol):
    """A byte stream to a runner. `deadline` is a `time.monotonic` value; both raise `OSError` when it passes."""

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """Send all of `data`."""
        ...

    def receive(self, size: int, deadline: float) -> bytes:
        """At most `size` bytes, at least one; none at the end of the stream."""
        ...

    def hang_up(self) -> None:
        """End the conversation for both sides, also while another thread waits in `receive`; safe to call twice."""
        ...

    def close(self) -> None:
        """Give everything back, when nobody uses it any more; safe to call twice."""
        ...


class SocketStream:
    """A stream over a connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """Send all of `data`."""
        self._limit(deadline)
        self._socket.sendall(data)

    def receive(self, size: int, deadline: float) -> bytes:
        """At most `size` bytes; none at the end."""
        self._limit(deadline)
        return self._socket.recv(size)

    def hang_up(self) -> None:
        """End it for both sides."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _limit(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        self._socket.settimeout(left)


class RunnerSession:
    """One conversation with a runner. After a failure it is over: every later request raises `SandboxError`."""

    def __init__(self, stream: Stream, name: str) -> None:
        self._stream = stream
        self._name = name
        self._lock = threading.Lock()
        self._broken: str | None = None
        self._count = 0

    def start(self, program: bytes) -> None:
        """Send the runner's program and wait until it says that it is there."""
        with self._lock:
            self._guarded(lambda: self._greeting(program, time.monotonic() + START_TIMEOUT_S))

    def request(self, op: str, fields: JsonObject, body: bytes = b"", *, timeout_s: float) -> tuple[JsonObject, bytes]:
        """Ask for `op`; the answer's fields and body.

        Raises:
            SandboxError: The runner is gone, late, or breaks the protocol. SandboxRepositoryError: Its git failed.
            OSError, ValueError: The file operation's own failure, as `ERRORS` lists them.
        """
        with self._lock:
            if self._broken is not None:
                raise SandboxError(self._broken)
            self._count += 1
            number = self._count
            deadline = time.monotonic() + timeout_s
            header, content = self._guarded(lambda: self._exchange(number, op, fields, body, deadline))
        self._raise_failure(op, header)
        return header, content

    def close(self) -> None:
        """Hang up, also during a request of another thread; the runner ends everything it started and leaves."""
        self._broken = self._broken or f"sandbox {self._name} is closed"
        self._stream.hang_up()
        with self._lock:
            self._stream.close()

    def _greeting(self, program: bytes, deadline: float) -> tuple[JsonObject, bytes]:
        self._stream.send(program, deadline)
        return self._answer(0, deadline)

    def _exchange(
        self, number: int, op: str, fields: JsonObject, body: bytes, deadline: float
    ) -> tuple[JsonObject, bytes]:
        self._stream.send(encoded({**fields, "op": op, "id": number}, len(body)), deadline)
        view = memoryview(body)
        for start in range(0, len(body), CHUNK_BYTES):
            self._stream.send(view[start : start + CHUNK_BYTES], deadline)
        return self._answer(number, deadline)

    def _answer(self, number: int, deadline: float) -> tuple[JsonObject, bytes]:
        header, length = received(lambda size: self._exactly(size, deadline))
        if header.get("id") != number or length > MAX_ANSWER_BYTES:
            raise FrameError(f"answer {header.get('id')!r} of {length} bytes to request {number}")
        return header, self._exactly(length, deadline)

    def _exactly(self, size: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self._stream.receive(min(size - len(data), CHUNK_BYTES), deadline)
            if not chunk:
                raise FrameError("it ended")
            data += chunk
        return bytes(data)

    def _guarded(self, action: Callable[[], tuple[JsonObject, bytes]]) -> tuple[JsonObject, bytes]:
        """Do `action`; whatever goes wrong on the wire ends the session."""
        try:
            return action()
        except (FrameError, OSError, RecursionError) as exc:
            reason = f"sandbox {self._name} does not answer any more: {str(exc) or type(exc).__name__}"
            self._broken = self._broken or reason
            self._stream.close()
            raise SandboxError(self._broken) from exc

    def _raise_failure(self, op: str, header: JsonObject) -> None:
        kind = header.get("error")
        if kind is None:
            return
        message = str(header.get("message", ""))
        if len(message) > MAX_MESSAGE_CHARS:  # paths may be as long as a program likes
            message = f"{message[: MAX_MESSAGE_CHARS // 2]} … {message[-MAX_MESSAGE_CHARS // 2 :]}"
        error = ERRORS.get(str(kind), SandboxError)
        raise error(f"sandbox {self._name} cannot {op}: {message}" if issubclass(error, SandboxError) else message)
