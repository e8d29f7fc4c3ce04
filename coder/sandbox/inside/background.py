"""Background processes: commands that go on between others, each below a keeper, so that its tree is known.

Whatever a command starts belongs to the runner once its parent is gone; so nothing of a process itself says to which
command it belonged. A keeper takes in the orphans of the one command that it started (a "child subreaper").
"""

from __future__ import annotations

import ctypes
import os
import re
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from coder.sandbox.inside.output import Ring, exit_code

if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_CHILD_SUBREAPER = 36
MAX_RUNNING = 8
MAX_REMEMBERED = 16
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
MAX_FD = 4096
"""More than a runner ever has open."""
CHUNK = 1 << 18
CLOSED = -1


class Process:
    """One background process; `output` and `life` are pipes from the command and from its keeper."""

    def __init__(self, name: str, command: str, keeper: int, pipes: tuple[int, int], limit: int) -> None:
        self.name = name
        self.command = command
        self.keeper = keeper
        self.output, self.life = pipes
        self.ring = Ring(limit)
        self.running = True
        self.status: int | None = None
        self._started = time.monotonic()
        self._duration_s = 0.0

    @property
    def duration_s(self) -> float:
        """How long it has run, or ran."""
        return time.monotonic() - self._started if self.running else self._duration_s

    def take(self) -> bool:
        """Take a piece of output; False when there is none now. Its end closes it: the process may go on."""
        if self.output < 0:
            return False
        try:
            data = os.read(self.output, CHUNK)
        except BlockingIOError:
            return False
        self.ring.add(data)
        if not data:
            os.close(self.output)
            self.output = CLOSED
        return bool(data)

    def finish(self) -> None:
        """Its keeper is gone: keep how it ended and the last of its output."""
        text = os.read(self.life, 16)
        self.status = int(text) if text else None
        self._duration_s = self.duration_s
        self.running = False
        # At most what a pipe holds: somebody of its tree may still be writing.
        for _ in range(4):
            if not self.take():
                break
        if self.output != CLOSED:
            os.close(self.output)
            self.output = CLOSED
        os.close(self.life)


class Background:
    """The background processes of a runner, by name. One that has ended is remembered until its name is used again."""

    def __init__(self) -> None:
        self._processes: dict[str, Process] = {}

    @property
    def running(self) -> list[Process]:
        """Those that have not ended, as far as is known."""
        return [process for process in self._processes.values() if process.running]

    @property
    def keepers(self) -> set[int]:
        """Process ids of the roots of their trees."""
        return {process.keeper for process in self.running}

    def all(self) -> list[Process]:
        """Every one, in the order in which they were started."""
        return list(self._processes.values())

    def find(self, name: str) -> Process:
        """The one of this name."""
        try:
            return self._processes[name]
        except KeyError:
            known = ", ".join(self._processes) or "there is none"
            raise ValueError(f"no background process is called {name!r}: {known}") from None

    def check(self, name: str) -> None:
        """Whether one of this name may be started now."""
        if not NAME.match(name):
            raise ValueError(f"{name[:80]!r} is not a name: use up to 64 letters, digits, '.', '_' and '-'")
        known = self._processes.get(name)
        if known is not None and known.running:
            raise ValueError(f"a background process called {name!r} is running already")
        if len(self.running) >= MAX_RUNNING:
            names = ", ".join(process.name for process in self.running)
            raise ValueError(f"{MAX_RUNNING} background processes are running already: {names}")

    def add(self, process: Process) -> None:
        """Remember it; the oldest that have ended are forgotten."""
        self._processes.pop(process.name, None)
        self._processes[process.name] = process
        ended = [known for known in self._processes.values() if not known.running]
        for known in ended[: max(len(self._processes) - MAX_REMEMBERED, 0)]:
            del self._processes[known.name]

    def register(self, poller: select.poll) -> None:
        """Have `poller` watch their pipes."""
        for process in self.running:
            poller.register(process.life, select.POLLIN)
            if process.output != CLOSED:
                poller.register(process.output, select.POLLIN)

    def take(self, ready: set[int]) -> bool:
        """Read from the pipes that are ready; whether a process has ended."""
        ended = False
        for process in self.running:
            if process.life in ready:
                process.finish()
                ended = True
            elif process.output in ready:
                process.take()
        return ended

    def collect(self) -> bool:
        """Take what there is right now; whether a process has ended."""
        if not self.running:
            return False
        poller = select.poll()
        self.register(poller)
        return self.take({fd for fd, _ in poller.poll(0)})


def started(name: str, command: str, spawn: Callable[[int], int], limit: int) -> Process:
    """A process below a keeper; `spawn` is called in the keeper with the descriptor for output and gives the shell's id."""
    output, writer = os.pipe()
    life, alive = os.pipe()
    os.set_blocking(output, False)
    try:
        keeper = os.fork()
        if keeper == 0:
            _keep(spawn, writer, alive)
    except OSError as exc:
        os.close(output)
        os.close(life)
        raise ValueError(f"cannot start {name!r}: {exc.strerror}") from exc
    finally:
        os.close(writer)
        os.close(alive)
    return Process(name, command, keeper, (output, life), limit)


def _keep(spawn: Callable[[int], int], output: int, alive: int) -> NoReturn:
    """Be the keeper: start the command, take in its orphans, tell how it ended."""
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        shell = spawn(output)
        # The host must see the channel close when the runner ends, so nobody else may hold it.
        low = 3
        for kept in sorted({output, alive}):
            os.closerange(low, kept)
            low = kept + 1
        os.closerange(low, MAX_FD)
        os.close(output)
        while True:
            done, raw = os.waitpid(-1, 0)
            if done == shell:
                os.write(alive, b"%d" % exit_code(raw))
                os._exit(0)
    except (OSError, ValueError) as exc:
        with suppress(OSError):
            os.write(output, f"cannot run: {exc}\n".encode("utf-8", "replace"))
            os.write(alive, b"126")
    finally:
        os._exit(1)
