"""Syntax errors of a text, told by a process that may die of it: hostile source costs its own answer and nothing else."""

import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from coder.codemap.languages import TEXT, language_of
from coder.codemap.parse_worker import READY

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 1 << 20
"""Larger files are not looked at."""
TIMEOUT_S: Final = 3.0
"""Wall clock of one file; the process's own CPU limit comes later, and only matters when this one is stopped."""

START_TIMEOUT_S: Final = 30.0
_MAX_ANSWER: Final = 1 << 18
_FALSE_STARTS: Final = 2
_BOOT: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from coder.codemap import syntax_worker; syntax_worker.main()"
_DATA: Final = {".json": "json", ".toml": "toml"}
_WITH_MACROS: Final = frozenset({"c", "cpp"})
"""A macro can stand for anything (`TEST_CASE("x") {`): where the parser stumbles over sound text, it says nothing of new text."""


class SyntaxFault(NamedTuple):
    """One place that does not parse."""

    line: int
    """From 1."""
    text: str
    """The line, without white space around it, cut when long."""
    what: str


def checker_command() -> list[str]:
    """How the process is started: isolated from the environment, with this process's import path."""
    return [sys.executable, "-I", "-S", "-c", _BOOT, json.dumps([entry for entry in sys.path if entry])]


class SyntaxChecker:
    """One process that parses, started with the first question and kept; a new one takes the place of one that died."""

    def __init__(
        self,
        *,
        command: Callable[[], list[str]] = checker_command,
        timeout_s: float = TIMEOUT_S,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        self._command, self._timeout_s, self._start_timeout_s = command, timeout_s, start_timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._false_starts = 0

    def close(self) -> None:
        """End the process; safe to call twice."""
        with self._lock:
            self._end()

    def new_faults(self, path: str, before: bytes, after: bytes) -> tuple[SyntaxFault, ...]:
        """The syntax errors of `after` that `before` did not have: a file may stay as broken as it was.

        Empty when there are none, and when nothing is known: no grammar for `path`, a file that is too large, a parser that died.
        """
        now = self.faults(path, after)
        if not now:
            return ()
        known = Counter((fault.text, fault.what) for fault in self.faults(path, before))
        if language_of(path) in _WITH_MACROS and (known or not before):
            return ()
        fresh = []
        for fault in now:
            if known[fault.text, fault.what] > 0:
                known[fault.text, fault.what] -= 1
            else:
                fresh.append(fault)
        return tuple(fresh)

    def faults(self, path: str, source: bytes) -> tuple[SyntaxFault, ...]:
        """The syntax errors of `source`, as far as they can be known."""
        language = _DATA.get(path[path.rfind(".") :].lower(), language_of(path))
        if language == TEXT or not source or len(source) > MAX_BYTES:
            return ()
        with self._lock:
            try:
                channel = self._started()
                return () if channel is None else self._asked(channel, language, source)
            except (OSError, ValueError, TypeError) as exc:
                logger.warning("no syntax check", extra={"path": path, "bytes": len(source), "why": repr(exc)})
                self._end()
                return ()

    def _asked(self, channel: socket.socket, language: str, source: bytes) -> tuple[SyntaxFault, ...]:
        deadline = time.monotonic() + self._timeout_s
        channel.settimeout(self._timeout_s)
        channel.sendall(json.dumps([language, len(source)]).encode() + b"\n" + source)
        found = json.loads(_line(channel, deadline))
        return tuple(SyntaxFault(int(line), str(text), str(what)) for line, text, what in found)

    def _started(self) -> socket.socket | None:
        """The line to the process; None when it will not start here at all."""
        if self._channel is not None or self._false_starts >= _FALSE_STARTS:
            return self._channel
        ours, theirs = socket.socketpair()
        self._channel = ours
        self._false_starts += 1
        with theirs:
            self._process = subprocess.Popen(
                self._command(),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},  # hostile source may take over the parser: nothing to find there
                cwd="/",
            )
        if _line(ours, time.monotonic() + self._start_timeout_s) + b"\n" != READY:
            raise ValueError("the syntax checker does not greet")
        self._false_starts = 0
        return ours

    def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
        self._channel = self._process = None


def _line(channel: socket.socket, deadline: float) -> bytes:
    """The next line; nobody sends two at once.

    Raises:
        OSError: None came in time. ValueError: The other end hung up, or sends too much.
    """
    data = bytearray()
    while not data.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        channel.settimeout(left)
        chunk = channel.recv(1 << 16)
        if not chunk or len(data) > _MAX_ANSWER:
            raise ValueError("the parser is gone, or says too much")
        data += chunk
    return bytes(data[:-1])
