"""What a command leaves: its output, head and tail, and its exit code."""

from __future__ import annotations

import os


class Ring:
    """The first and the last bytes of a stream, and how many there were."""

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self.total += len(data)
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail += data
            if len(self._tail) > 4 * self._half + (1 << 20):
                del self._tail[: -self._half]

    @property
    def parts(self) -> tuple[bytes, bytes]:
        """Head and tail; together the whole stream when it was no longer than the limit."""
        return bytes(self._head), bytes(self._tail[-self._half :])


def exit_code(raw: int) -> int:
    """The shell's exit code for a status of `waitpid`: 128 and the signal's number when it was killed."""
    return 128 + os.WTERMSIG(raw) if os.WIFSIGNALED(raw) else os.WEXITSTATUS(raw)
