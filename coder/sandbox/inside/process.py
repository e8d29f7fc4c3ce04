"""Commands: each in a session of its own, its output kept head and tail, and nothing of it left afterwards.

Only what was started as a background process, and its tree, goes on.
"""

from __future__ import annotations

import ctypes
import math
import os
import select
import signal
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from coder.sandbox.inside.background import PR_SET_CHILD_SUBREAPER, Background, started
from coder.sandbox.inside.output import Ring, exit_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PR_SET_DUMPABLE = 4
CANNOT_RUN = 126
"""The shell's own exit code for a command that was found but cannot run."""
REAP_TIMEOUT_S = 20.0
SPARING_TIMEOUT_S = 2.0
"""What multiplies faster than it is found for so long is ended together with the background processes."""
DRAIN_TIMEOUT_S = 1.0
POLL_S = 0.01
"""How often an exit is looked for where the kernel has no process descriptors."""


class Finished:
    """How a command ended: `status` is the shell's exit code, None when it was killed at its deadline."""

    def __init__(self, status: int | None, ring: Ring, duration_s: float) -> None:
        self.status = status
        self.ring = ring
        self.duration_s = duration_s


class Commands:
    """Runs commands; to be made while this process is still dumpable. `hung_up` is called when `channel_fd` becomes readable during one: nobody waits for it any more.

    `whole_namespace`: this process is PID 1 of its own namespace and may signal everything in it. Otherwise the
    descendants are found through /proc (Linux only; a process group's worth elsewhere).
    """

    def __init__(self, channel_fd: int, hung_up: Callable[[], NoReturn], *, whole_namespace: bool) -> None:
        self._channel_fd = channel_fd
        self._hung_up = hung_up
        self._whole_namespace = whole_namespace
        self.background = Background()
        self._oom_score = -1
        with suppress(OSError):
            self._oom_score = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        if not whole_namespace:
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def run(self, command: str, *, folder: int, env: dict[str, str], timeout_s: float, limit: int) -> Finished:
        """Run `command` with bash in the folder descriptor `folder`."""
        started = time.monotonic()
        ring = Ring(limit)
        reader, writer = os.pipe()
        try:
            with self._volunteer():
                pid = _spawned(command, folder, env, writer)
        except (OSError, ValueError) as exc:
            os.close(reader)
            os.close(writer)
            ring.add(f"cannot run: {exc}\n".encode("utf-8", "replace"))
            return Finished(CANNOT_RUN, ring, time.monotonic() - started)
        os.close(writer)
        try:
            status = self._watch(pid, reader, ring, started + timeout_s)
            last = self.end_all(pid)
            _drain(reader, ring)
        finally:
            os.close(reader)
        if status is not None and last is not None:
            status = last
        return Finished(status, ring, time.monotonic() - started)

    def start(self, name: str, command: str, *, folder: int, env: dict[str, str], limit: int) -> None:
        """Start `command` as a background process called `name`; a ValueError when that cannot be."""
        self.background.collect()
        self.background.check(name)
        with self._volunteer():
            self.background.add(started(name, command, lambda out: _spawned(command, folder, env, out), limit))

    def stop(self, name: str) -> None:
        """End a background process and its tree."""
        self.background.collect()
        process = self.background.find(name)
        if process.running:
            # Its tree is nobody's then, and goes with the next look around.
            os.kill(process.keeper, signal.SIGKILL)
            process.finish()
            self.end_all()

    def idle(self) -> None:
        """Return when the host asks for something; until then look after the background processes."""
        while self.background.running:
            poller = select.poll()
            poller.register(self._channel_fd, select.POLLIN)
            self.background.register(poller)
            ready = {fd for fd, _ in poller.poll()}
            if self._channel_fd in ready:
                return
            if self.background.take(ready):
                self.end_all()

    @contextmanager
    def _volunteer(self) -> Iterator[None]:
        """Where memory runs out, a command goes and not the runner: what is started here inherits being the first to go."""
        self._set_oom_score(b"1000")
        try:
            yield
        finally:
            self._set_oom_score(b"0")

    def _set_oom_score(self, score: bytes) -> None:
        if self._oom_score >= 0:
            with suppress(OSError):
                os.pwrite(self._oom_score, score, 0)

    def _watch(self, pid: int, reader: int, ring: Ring, deadline: float) -> int | None:
        """Collect output until the shell has ended (0, its status is read by `end_all`) or time is up (None)."""
        handle = _process_descriptor(pid)
        wait_s = POLL_S if handle is None else math.inf
        fds = [self._channel_fd, reader, *([] if handle is None else [handle])]
        try:
            while (left := deadline - time.monotonic()) > 0:
                poller = select.poll()
                for fd in fds:
                    poller.register(fd, select.POLLIN)
                self.background.register(poller)
                ready = {fd for fd, _ in poller.poll(1000 * min(left, wait_s))}
                if self._channel_fd in ready:
                    self._hung_up()
                if reader in ready and not _took(reader, ring):
                    fds.remove(reader)
                self.background.take(ready)
                if handle in ready or (handle is None and _has_exited(pid)):
                    return 0
            return None
        finally:
            if handle is not None:
                os.close(handle)

    def end_all(self, pid: int = 0) -> int | None:
        """Kill and reap everything but background processes; the exit code of `pid`, when it was among the reaped.

        Raises:
            OSError: Something survives being killed.
        """
        now = time.monotonic()
        deadline, patience = now + REAP_TIMEOUT_S, now + SPARING_TIMEOUT_S
        status = None
        while True:
            self.background.collect()
            keepers = self.background.keepers if time.monotonic() < patience else set()
            clear = self._kill(keepers)
            try:
                while True:
                    done, raw = os.waitpid(-1, os.WNOHANG)
                    if done == 0:
                        break
                    if done == pid:
                        status = exit_code(raw)
            except ChildProcessError:
                self.background.collect()
                return status
            if clear:
                return status
            if time.monotonic() > deadline:
                raise OSError("processes survive being killed")
            time.sleep(0.0002)

    def leave(self) -> None:
        """Kill and reap everything."""
        for process in self.background.running:
            with suppress(OSError):
                os.kill(process.keeper, signal.SIGKILL)
            process.finish()
        self.end_all()

    def _kill(self, keepers: set[int]) -> bool:
        """Kill everything that is not below `keepers`; True when there are keepers and there was nothing else."""
        if self._whole_namespace and not keepers:
            with suppress(OSError):
                os.kill(-1, signal.SIGKILL)
            return False
        parents = _parents()
        own = os.getpid()
        others = (set(parents) - {own}) if self._whole_namespace else _below({own}, parents)
        others -= keepers | _below(keepers, parents)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in others:
                with suppress(OSError):
                    os.kill(pid, number)
        return bool(keepers) and not others


def _spawned(command: str, folder: int, env: dict[str, str], writer: int) -> int:
    """A shell for the command. Spawned and not forked: copying this process' pages costs more than the shell itself."""
    os.fchdir(folder)
    try:
        return os.posix_spawn(
            "/bin/bash",
            [b"bash", b"-c", command.encode("utf-8", "surrogateescape")],
            env,
            file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, writer, 2)],
            setsid=True,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT],
        )
    finally:
        os.chdir("/")


def _process_descriptor(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _has_exited(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _took(reader: int, ring: Ring) -> bool:
    """Whether there was anything; False at the end of the stream, or when a pipe that does not block is empty."""
    try:
        data = os.read(reader, 1 << 18)
    except BlockingIOError:
        return False
    ring.add(data)
    return bool(data)


def _drain(reader: int, ring: Ring) -> None:
    """Take what the dead left in the pipe."""
    os.set_blocking(reader, False)
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    while time.monotonic() < deadline and _took(reader, ring):
        pass


def _parents() -> dict[int, int]:
    """Each process that can be seen, and its parent."""
    found: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as stat:
                found[int(name)] = int(stat.read().rpartition(b")")[2].split()[1])
    return found


def _below(roots: set[int], parents: dict[int, int]) -> set[int]:
    """Everything that descends from `roots`."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    queue = list(roots)
    while queue:
        below = [pid for pid in children.get(queue.pop(), []) if pid not in found]
        found.update(below)
        queue += below
    return found
