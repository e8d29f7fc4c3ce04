"""Commands: each in a session of its own, its output kept head and tail, and nothing of it left afterwards."""

from __future__ import annotations

import ctypes
import math
import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
CANNOT_RUN = 126
"""The shell's own exit code for a command that was found but cannot run."""
REAP_TIMEOUT_S = 20.0
DRAIN_TIMEOUT_S = 1.0
POLL_S = 0.01
"""How often an exit is looked for where the kernel has no process descriptors."""


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
        self._oom_score = -1
        with suppress(OSError):
            self._oom_score = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        if not whole_namespace:
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def run(self, command: str, *, folder: int, env: dict[str, str], timeout_s: float, limit: int) -> Finished:
        """Run `command` with bash in the folder descriptor `folder`."""
        started = time.monotonic()
        ring = Ring(limit)
        argv = [b"bash", b"-c", command.encode("utf-8", "surrogateescape")]
        reader, writer = os.pipe()
        try:
            pid = self._spawned(argv, folder, env, writer)
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

    def _spawned(self, argv: list[bytes], folder: int, env: dict[str, str], writer: int) -> int:
        """The command's process. Spawned and not forked: copying this process' pages costs more than the shell itself."""
        os.fchdir(folder)
        # Where memory runs out, the command goes and not the runner: the child inherits, then this process goes back.
        self._volunteer(b"1000")
        try:
            return os.posix_spawn(
                "/bin/bash",
                argv,
                env,
                file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, writer, 2)],
                setsid=True,
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT],
            )
        finally:
            self._volunteer(b"0")
            os.chdir("/")

    def _volunteer(self, score: bytes) -> None:
        """Set how willingly this process is killed for memory."""
        if self._oom_score >= 0:
            with suppress(OSError):
                os.pwrite(self._oom_score, score, 0)

    def _watch(self, pid: int, reader: int, ring: Ring, deadline: float) -> int | None:
        """Collect output until the shell has ended (0, its status is read by `end_all`) or time is up (None)."""
        poller = select.poll()
        poller.register(reader, select.POLLIN)
        poller.register(self._channel_fd, select.POLLIN)
        handle = _process_descriptor(pid)
        wait_s = POLL_S
        if handle is not None:
            poller.register(handle, select.POLLIN)
            wait_s = math.inf
        try:
            while (left := deadline - time.monotonic()) > 0:
                ready = {fd for fd, _ in poller.poll(1000 * min(left, wait_s))}
                if self._channel_fd in ready:
                    self._hung_up()
                if reader in ready and not _took(reader, ring):
                    poller.unregister(reader)
                if handle in ready or (handle is None and _has_exited(pid)):
                    return 0
            return None
        finally:
            if handle is not None:
                os.close(handle)

    def end_all(self, pid: int = 0) -> int | None:
        """Kill and reap everything; the exit code of `pid`, when it was among the reaped.

        Raises:
            OSError: Something survives being killed.
        """
        deadline = time.monotonic() + REAP_TIMEOUT_S
        status = None
        while True:
            self._kill()
            try:
                while True:
                    done, raw = os.waitpid(-1, os.WNOHANG)
                    if done == 0:
                        break
                    if done == pid:
                        status = _exit_code(raw)
            except ChildProcessError:
                return status
            if time.monotonic() > deadline:
                raise OSError("processes survive being killed")
            time.sleep(0.0002)

    def _kill(self) -> None:
        if self._whole_namespace:
            with suppress(OSError):
                os.kill(-1, signal.SIGKILL)
            return
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in _descendants(os.getpid()):
                with suppress(OSError):
                    os.kill(pid, number)


def _process_descriptor(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _has_exited(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _exit_code(raw: int) -> int:
    return 128 + os.WTERMSIG(raw) if os.WIFSIGNALED(raw) else os.WEXITSTATUS(raw)


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


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as stat:
                parent = int(stat.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found
