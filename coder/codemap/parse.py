"""Parsing in processes that may die: a hostile file costs its own definitions and nothing else."""

import json
import logging
import os
import selectors
import subprocess
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import accumulate
from typing import Any, Final, NamedTuple, Self

from coder.codemap.parsed import MAX_DEFINITIONS, Parsed, Postings, Status, entry
from coder.errors import CodeMapError

logger = logging.getLogger(__name__)

FILE_TIMEOUT_S: Final = 10.0
"""Seconds of wall clock without any answer after which a worker is killed: its own CPU limit comes first on an idle machine."""

_START_TIMEOUT_S: Final = 60.0
"""Seconds that a new worker may need until its first answer: starting Python on a loaded machine is slow."""
_MAX_ANSWER: Final = 64 << 20
"""Bytes of one answer; 1 MB of source gives at most a tenth of it."""
_AHEAD: Final = 256 << 10
"""Bytes of jobs that a worker has in hand: it never waits for us, and its death sends few jobs round again."""
_ANSWERS: Final = ("parsed", "text", "unparsed")
_HEAD: Final = [int, str, *[int] * len(Postings._fields), int]
_COLUMNS: Final = [{kind} for kind in (str, str, int, int, int, str)]
"""The types of a definition's fields."""
_FALSE_STARTS: Final = 2
_READ: Final = 1 << 18
_FEW: Final = 8
_LITTLE: Final = 128 << 10
_BOOT: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from coder.codemap import parse_worker; parse_worker.main()"


class Job(NamedTuple):
    """One blob to parse; `key` is the caller's."""

    key: int
    language: str
    path: str
    source: bytes

    def encoded(self) -> bytes:
        """The job as a worker reads it."""
        head = json.dumps([self.key, self.language, self.path, len(self.source)])
        return head.encode() + b"\n" + self.source


class Answer(NamedTuple):
    """The head of a worker's answer: whose it is, and how long its parts are."""

    key: int
    status: Status
    sizes: tuple[int, ...]
    """Bytes of the definitions in JSON, the words, their documents' lengths, their entries' counts, the entries."""

    @classmethod
    def of(cls, line: bytes) -> "Answer":
        """Read it.

        Raises:
            ValueError: It is none: the worker's memory was trampled on.
        """
        head = json.loads(line)
        if not isinstance(head, list) or [type(one) for one in head] != _HEAD or head[1] not in _ANSWERS:
            raise ValueError("a parser's answer does not start as one")
        if min(head[2:]) < 0 or sum(head[2:]) > _MAX_ANSWER:
            raise ValueError("a parser's answer says impossible sizes")
        return cls(head[0], head[1], tuple(head[2:]))

    def parsed(self, parts: bytes) -> Parsed:
        """What came of the job.

        Raises:
            ValueError: It does not add up.
        """
        ends = list(accumulate(self.sizes))
        told, said, *columns = (parts[end - size : end] for size, end in zip(self.sizes, ends, strict=True))
        lengths, sizes, entries = (array("H", column) for column in columns)
        words = tuple(said.decode().split(" ")) if said else ()
        definitions = json.loads(told)
        types = [{*map(type, column)} for column in zip(*definitions, strict=True)] if definitions else _COLUMNS
        is_sound = types == _COLUMNS and len(lengths) == len(definitions) + 1 <= MAX_DEFINITIONS + 1
        if not is_sound or len(words) != len(sizes) or sum(sizes) != len(entries):
            raise ValueError("a parser's answer does not add up")
        if entries and max(entries) >= entry(len(lengths), 0):
            raise ValueError("a parser's answer speaks of documents that it does not have")
        return Parsed(self.status, told.decode(), Postings(lengths, words, sizes, entries))


def worker_command() -> list[str]:
    """How a parser process is started: isolated from the environment, with this process's import path."""
    return [sys.executable, "-I", "-S", "-c", _BOOT, json.dumps([entry for entry in sys.path if entry])]


class Parsers:
    """Up to `workers` parser processes. They start when there is work and end with `close`."""

    def __init__(
        self,
        workers: int = 2,
        *,
        command: Callable[[], list[str]] = worker_command,
        file_timeout_s: float = FILE_TIMEOUT_S,
    ) -> None:
        self._limit = max(1, workers)
        self._command = command
        self._file_timeout_s = file_timeout_s
        self._workers: list[_Worker] = []
        self._false_starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.close()
        self._workers.clear()

    def parse(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Parsed | None]]:
        """Every job with what came of it, in the order of answers; None when the parser died of it or hung.

        Sources are taken from `jobs` only as fast as they are parsed.

        Raises:
            CodeMapError: No parser process will start.
        """
        feed = _Feed(jobs)
        try:
            while feed.fill() or any(worker.in_hand for worker in self._workers):
                self._staff(feed)
                for worker in self._workers:
                    worker.take(feed)
                yield from self._turn(feed)
        finally:
            self.close()

    def _staff(self, feed: "_Feed") -> None:
        """Start as many processes as the work is worth: one for a handful of small files."""
        wanted = self._limit if feed.is_much() or len(self._workers) > 1 else 1
        while len(self._workers) < wanted and feed.waiting:
            try:
                self._workers.append(_Worker(self._command(), self._file_timeout_s))
            except OSError as exc:
                raise CodeMapError(f"cannot start a parser process: {exc}") from exc

    def _turn(self, feed: "_Feed") -> Iterator[tuple[Job, Parsed | None]]:
        """Move bytes to and from the workers once; bury those that died."""
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                worker.register(selector)
            events = selector.select(timeout=0.5)
        ready: dict[int, int] = {}
        for key, mask in events:
            ready[key.data] = ready.get(key.data, 0) | mask
        for worker in list(self._workers):
            mask = ready.get(worker.process.pid, 0)
            if mask & selectors.EVENT_WRITE:
                worker.send()
            if mask & selectors.EVENT_READ:
                yield from worker.receive()
            if worker.is_broken or worker.is_late():
                yield from self._bury(worker, feed)

    def _bury(self, worker: "_Worker", feed: "_Feed") -> Iterator[tuple[Job, Parsed | None]]:
        """Give the killer back as unparsed, and the jobs behind it to others."""
        self._workers.remove(worker)
        worker.close()
        if not worker.is_ready:
            self._false_starts += 1
            if self._false_starts > _FALSE_STARTS:
                raise CodeMapError(
                    f"parser processes do not start: {worker.command[0]} ended with {worker.process.returncode}"
                )
            feed.put_back(worker.in_hand)
            return
        if not worker.in_hand:
            return
        killer = worker.in_hand.popleft()
        logger.warning(
            "parser died", extra={"path": killer.path, "bytes": len(killer.source), "exit": worker.process.returncode}
        )
        feed.put_back(worker.in_hand)
        yield killer, None


class _Feed:
    """The jobs that wait, read from an iterator no faster than needed."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._source = iter(jobs)
        self.waiting: deque[Job] = deque()
        self._bytes = 0
        self._is_much = False

    def fill(self) -> bool:
        """Have some jobs waiting; whether any is."""
        while self._bytes < 2 * _AHEAD and (job := next(self._source, None)) is not None:
            self.waiting.append(job)
            self._bytes += len(job.source)
        return bool(self.waiting)

    def is_much(self) -> bool:
        """Whether a second process would pay."""
        self._is_much = self._is_much or len(self.waiting) > _FEW or self._bytes > _LITTLE
        return self._is_much

    def pop(self) -> Job:
        """The next job."""
        job = self.waiting.popleft()
        self._bytes -= len(job.source)
        return job

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Let jobs that a dead worker had be done by another, first of all."""
        returned = list(jobs)
        self.waiting.extendleft(reversed(returned))
        self._bytes += sum(len(job.source) for job in returned)


class _Worker:
    """One process, the jobs it has in hand, and the bytes under way."""

    def __init__(self, command: list[str], file_timeout_s: float) -> None:
        self.command = command
        self.file_timeout_s = file_timeout_s
        self.in_hand: deque[Job] = deque()
        self.is_broken = False
        self.is_ready = False
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={},  # a hostile file may take over the parser: nothing to find there
            cwd="/",
        )
        self._out = bytearray()
        self._in = bytearray()
        self._head: Answer | None = None
        self._bytes = 0
        self._deadline = time.monotonic() + _START_TIMEOUT_S
        for stream in self._streams():
            os.set_blocking(stream.fileno(), False)

    def take(self, feed: _Feed) -> None:
        """Take jobs up to a small stock."""
        while feed.waiting and not self.is_broken and (not self.in_hand or self._bytes < _AHEAD):
            job = feed.pop()
            if self.is_ready and not self.in_hand:
                self._deadline = time.monotonic() + self.file_timeout_s
            self.in_hand.append(job)
            self._bytes += len(job.source)
            self._out += job.encoded()

    def register(self, selector: selectors.BaseSelector) -> None:
        """Say what to wait for."""
        stdin, stdout = self._streams()
        selector.register(stdout, selectors.EVENT_READ, self.process.pid)
        if self._out:
            selector.register(stdin, selectors.EVENT_WRITE, self.process.pid)

    def send(self) -> None:
        """Write what fits."""
        try:
            sent = os.write(self._streams()[0].fileno(), memoryview(self._out)[:_READ])
        except BlockingIOError:
            return
        except OSError:
            self.is_broken = True
            return
        del self._out[:sent]

    def receive(self) -> Iterator[tuple[Job, Parsed]]:
        """Read what is there; the jobs that it answers."""
        try:
            data = os.read(self._streams()[1].fileno(), _READ)
        except BlockingIOError:
            return
        self._in += data
        self.is_broken = not data or len(self._in) > _MAX_ANSWER + _READ
        try:
            while not self.is_broken and (answered := self._answered()) is not None:
                yield answered
        except (TypeError, ValueError, RecursionError):  # nonsense ends the worker
            self.is_broken = True

    def _answered(self) -> tuple[Job, Parsed] | None:
        """The job in hand with its answer; None when that is not here as a whole."""
        if self._head is None:
            line, end, _ = self._in.partition(b"\n")
            if not end:
                return None
            del self._in[: len(line) + 1]
            self._deadline = time.monotonic() + self.file_timeout_s
            if not self.is_ready:
                self.is_ready = line == b"ready"
                self.is_broken = not self.is_ready
                return None if self.is_broken else self._answered()
            self._head = Answer.of(bytes(line))
        size = sum(self._head.sizes)
        if len(self._in) < size:
            return None
        parsed = self._head.parsed(bytes(self._in[:size]))
        del self._in[:size]
        if not self.in_hand or self.in_hand[0].key != self._head.key:
            raise ValueError("a parser answered what it was not asked")
        self._head = None
        self._deadline = time.monotonic() + self.file_timeout_s
        job = self.in_hand.popleft()
        self._bytes -= len(job.source)
        return job, parsed

    def is_late(self) -> bool:
        """Whether its next answer is overdue."""
        return bool(self.in_hand) and time.monotonic() > self._deadline

    def close(self) -> None:
        """Kill it and wait."""
        self.process.kill()
        for stream in self._streams():
            with suppress(OSError):
                stream.close()
        self.process.wait()

    def _streams(self) -> tuple[Any, Any]:
        return self.process.stdin, self.process.stdout
