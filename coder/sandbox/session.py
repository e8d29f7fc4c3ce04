"""The host's end of a runner: requests, answers, and a sandbox made of them. No wait is without a deadline."""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol, Self

from typing_extensions import override

from coder.errors import SandboxError
from coder.sandbox.inside.frames import MAX_BODY_BYTES, FrameError, encoded, received
from coder.sandbox.protocol import Image, Sandbox, TreePack
from coder.types import ExecResult, JsonObject

START_TIMEOUT_S = 60.0
GRACE_S = 60.0
"""How much longer than its own time-out a request may take on a busy machine before the sandbox counts as dead."""
GIT_REQUEST_TIMEOUT_S = 600.0
FILE_REQUEST_TIMEOUT_S = 120.0
MAX_ANSWER_BYTES = 256 << 20
CHUNK_BYTES = 1 << 20

ERRORS: Mapping[str, type[Exception]] = {
    "FileNotFoundError": FileNotFoundError,
    "IsADirectoryError": IsADirectoryError,
    "NotADirectoryError": NotADirectoryError,
    "PermissionError": PermissionError,
    "ValueError": ValueError,
    "OSError": OSError,
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
            SandboxError: The runner is gone, late, breaks the protocol, or its git refused.
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
        message = str(header.get("message", ""))[:4000]
        error = ERRORS.get(str(kind))
        if error is None:
            raise SandboxError(f"sandbox {self._name} cannot {op}: {message}")
        raise error(message)


class RunnerSandbox(Sandbox):
    """A sandbox behind a runner; what it is made of ends with `end`."""

    def __init__(
        self, session: RunnerSession, image: Image, *, output_bytes: int, max_diff_bytes: int, end: Callable[[], None]
    ) -> None:
        self._session = session
        self._image = image
        self._output_bytes = output_bytes
        self._max_diff_bytes = max_diff_bytes
        self._end = end
        self._closed = False
        self.tree_sha = ""
        """Tree of the loaded commit, as git inside says."""

    @property
    @override
    def image(self) -> Image:
        return self._image

    def load(self, pack: TreePack) -> None:
        """Check `pack` out into the empty work tree."""
        if len(pack.pack) > MAX_BODY_BYTES:
            raise SandboxError(
                f"the history of {pack.commit_sha} has {len(pack.pack)} bytes, more than {MAX_BODY_BYTES}"
            )
        fields = {"commit": pack.commit_sha, "shallow": list(pack.shallow)}
        header, _ = self.request("load", fields, pack.pack, timeout_s=GIT_REQUEST_TIMEOUT_S)
        self.tree_sha = _text(header, "tree")

    @override
    def exec(
        self, command: str, *, timeout_s: float, cwd: str = ".", env: Mapping[str, str] | None = None
    ) -> ExecResult:
        fields = {
            "command": command,
            "cwd": cwd,
            "env": dict(env or {}),
            "timeout_s": timeout_s,
            "limit": self._output_bytes,
        }
        header, body = self.request("exec", fields, timeout_s=timeout_s + GRACE_S)
        return _exec_result(header, body)

    @override
    def read(self, path: str, *, max_bytes: int = 4_000_000) -> bytes:
        _, body = self._session.request(
            "read", {"path": path, "max_bytes": max_bytes}, timeout_s=FILE_REQUEST_TIMEOUT_S
        )
        return body

    @override
    def write(self, path: str, data: bytes) -> None:
        self._session.request("write", {"path": path}, data, timeout_s=FILE_REQUEST_TIMEOUT_S)

    @override
    def list_files(self) -> tuple[str, ...]:
        _, body = self.request("list", {}, timeout_s=GIT_REQUEST_TIMEOUT_S)
        return tuple(name.decode("utf-8", "surrogateescape") for name in sorted(set(body.split(b"\0")[:-1])))

    @override
    def checkpoint(self) -> str:
        header, _ = self.request("checkpoint", {}, timeout_s=GIT_REQUEST_TIMEOUT_S)
        return _text(header, "tree")

    @override
    def diff(self) -> str:
        try:
            _, body = self.request("diff", {"max_bytes": self._max_diff_bytes}, timeout_s=GIT_REQUEST_TIMEOUT_S)
            return body.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise SandboxError("the sandbox gave a diff that is not UTF-8") from exc

    @override
    def restore(self, diff: str) -> None:
        self.request("restore", {}, diff.encode("utf-8"), timeout_s=GIT_REQUEST_TIMEOUT_S)

    @override
    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._session.close()
            self._end()

    @override
    def __enter__(self) -> Self:
        return self

    @override
    def __exit__(self, *exc: object) -> None:
        self.close()

    def request(self, op: str, fields: JsonObject, body: bytes = b"", *, timeout_s: float) -> tuple[JsonObject, bytes]:
        """A request whose every failure is the sandbox's."""
        try:
            return self._session.request(op, fields, body, timeout_s=timeout_s)
        except (OSError, ValueError) as exc:
            raise SandboxError(f"the sandbox cannot {op}: {exc}") from exc


def _text(header: JsonObject, key: str) -> str:
    value = header.get(key)
    if not isinstance(value, str):
        raise SandboxError(f"the sandbox's answer has no {key!r}")
    return value


def _exec_result(header: JsonObject, body: bytes) -> ExecResult:
    status: Any = header.get("status")
    total: Any = header.get("total")
    split: Any = header.get("head")
    duration_s: Any = header.get("duration_s")
    known = isinstance(total, int) and isinstance(split, int) and isinstance(duration_s, float | int)
    if not known or not (status is None or isinstance(status, int)):
        raise SandboxError("the sandbox's answer to a command makes no sense")
    cut = total - len(body)
    text = body.decode("utf-8", "replace")
    if cut > 0:
        head = body[:split].decode("utf-8", "replace")
        tail = body[split:].decode("utf-8", "replace")
        text = f"{head}\n[… {cut} bytes of output left out …]\n{tail}"
    return ExecResult(exit_code=status, output=text, duration_s=duration_s, truncated=cut > 0, output_bytes=total)
