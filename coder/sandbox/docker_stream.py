"""The attached stream of a container: stdin as it is, stdout and stderr multiplexed by the engine."""

import struct
from typing import Any

import docker
from typing_extensions import override

from coder.sandbox.docker_engine import engine_errors
from coder.sandbox.inside.frames import FrameError
from coder.sandbox.session import SocketStream, Stream

PREFIX = struct.Struct("!BxxxI")
"""Stream type and length before each piece: https://docs.docker.com/reference/api/engine/#stream-format"""
STDERR = 2
MAX_STDERR_BYTES = 8192
CHUNK_BYTES = 1 << 20


class AttachedStream(Stream):
    """stdin and stdout of a container; the last of its stderr is kept for an error message."""

    def __init__(self, api: docker.APIClient, container: str) -> None:
        with engine_errors("attach to the container"):
            self._attached: Any = api.attach_socket(
                container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            )
        # For the local socket and plain TCP the SDK gives a file object around the socket.
        self._raw = getattr(self._attached, "_sock", self._attached)
        self._stream = SocketStream(self._raw)
        self._left = 0
        self._kind = 0
        self.stderr = bytearray()

    @override
    def send(self, data: bytes | memoryview, deadline: float) -> None:
        self._stream.send(data, deadline)

    @override
    def receive(self, size: int, deadline: float) -> bytes:
        while True:
            if self._left == 0:
                prefix = self._exactly(PREFIX.size, deadline)
                if not prefix:
                    return b""
                self._kind, self._left = PREFIX.unpack(prefix)
                continue
            if self._kind != STDERR:
                chunk = self._stream.receive(min(size, self._left), deadline)
                self._left -= len(chunk)
                return chunk
            chunk = self._stream.receive(min(self._left, CHUNK_BYTES), deadline)
            if not chunk:
                return b""
            self._left -= len(chunk)
            self.stderr += chunk
            del self.stderr[:-MAX_STDERR_BYTES]

    def _exactly(self, size: int, deadline: float) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self._stream.receive(size - len(data), deadline)
            if not chunk:
                if data:
                    raise FrameError("it ended within the engine's stream header")
                return b""
            data += chunk
        return data

    @override
    def hang_up(self) -> None:
        self._stream.hang_up()

    @override
    def close(self) -> None:
        response = getattr(self._attached, "_response", None)
        if response is not None:
            # The SDK keeps the HTTP response alive beside the socket taken out of it.
            response.close()
        self._attached.close()
        self._stream.close()
