"""The runner: answers the host's frames one after the other until the host hangs up."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

from coder.sandbox.inside.files import Tree, reopen
from coder.sandbox.inside.frames import FrameError, encoded, received
from coder.sandbox.inside.git import Git, RepositoryError
from coder.sandbox.inside.process import CANNOT_RUN, PR_SET_DUMPABLE, Commands
from coder.sandbox.inside.repository import Repository
from coder.sandbox.inside.staging import clear

if TYPE_CHECKING:
    from collections.abc import Callable

    from coder.sandbox.inside.background import Process

HIGH_FD = 200
"""The channel lives up here, out of the way of what commands expect at 0, 1 and 2."""
SMALL = 1 << 16
"""Below this a reply goes out in one piece: each piece is a journey through the engine."""
VALUE_ERRORS = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, ValueError, OSError)
"""What a request may fail with and the conversation goes on."""


Answer = tuple[dict[str, Any], bytes]


class HungUpError(Exception):
    """The host is gone."""


class Channel:
    """The two pipes to the host."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self.incoming = incoming
        self._outgoing = outgoing

    def exactly(self, length: int) -> bytes:
        """The next `length` bytes."""
        data = bytearray()
        while len(data) < length:
            chunk = os.read(self.incoming, min(length - len(data), 1 << 20))
            if not chunk:
                raise HungUpError
            data += chunk
        return bytes(data)

    def spool(self, length: int, path: str) -> None:
        """Put the next `length` bytes into a new file; on a full disk the rest is still taken, then the error raised."""
        problem = None
        with open(path, "wb") as file:
            while length > 0:
                chunk = os.read(self.incoming, min(length, 1 << 20))
                if not chunk:
                    raise HungUpError
                length -= len(chunk)
                if problem is None:
                    try:
                        file.write(chunk)
                    except OSError as exc:
                        problem = exc
        if problem is not None:
            raise problem

    def reply(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send one frame."""
        start = encoded(header, len(body))
        parts = [start + body] if len(body) < SMALL else [start, body]
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(self._outgoing, view) :]


class Runner:
    """The operations."""

    def __init__(self, channel: Channel, config: dict[str, Any]) -> None:
        self._channel = channel
        self._env: dict[str, str] = config["env"]
        self._artefacts: str = config["artefacts"]
        self._tree = Tree(config["root"])
        self._own = (config["root"], os.path.dirname(config["private"]), config["private"])
        self._git = Git(config["root"], config["private"])
        self._repository = Repository(self._git)
        self.commands = Commands(channel.incoming, self.leave, whole_namespace=os.getpid() == 1)
        # Their bodies are not held in memory.
        self._spooled = {"load": self._load, "mend": self._mend}
        self._operations: dict[str, Callable[[dict[str, Any], bytes], Answer]] = {
            "exec": self._exec,
            "read": self._read,
            "write": self._write,
            "list": self._list,
            "checkpoint": self._checkpoint,
            "snapshot": self._snapshot,
            "diff": self._diff,
            "restore": self._restore,
            "artefacts": self._keep_artefacts,
            **BackgroundRequests(self.commands, self._tree, self._env).operations,
        }

    def leave(self) -> NoReturn:
        """End everything and this process."""
        try:
            self.commands.leave()
        finally:
            os._exit(0)

    def answer(self, request: dict[str, Any], length: int) -> None:
        """Do one request and reply to it."""
        number = request.get("id")
        try:
            if (spooled := self._spooled.get(request["op"])) is not None:
                header, body = spooled(request, length)
            else:
                content = self._channel.exactly(length)
                header, body = self._operations[request["op"]](request, content)
        except HungUpError:
            raise
        except RepositoryError as exc:
            header, body = {"error": "RepositoryError", "message": str(exc)}, b""
        except VALUE_ERRORS as exc:
            header, body = {"error": _kind(exc), "message": str(exc), "errno": getattr(exc, "errno", None)}, b""
        except MemoryError:
            header, body = {"error": "MemoryError", "message": "the runner has no memory left"}, b""
        self._channel.reply({**header, "id": number}, body)

    def _exec(self, request: dict[str, Any], _body: bytes) -> Answer:
        started = time.monotonic()
        command: str = request["command"]
        try:
            if "\0" in command:
                raise ValueError("a command cannot contain a NUL character")
            folder = self._tree.open(request["cwd"], os.O_RDONLY | os.O_DIRECTORY)
        except VALUE_ERRORS as exc:
            text = f"cannot run in {request['cwd']!r}: {exc}\n".encode("utf-8", "replace")
            return _result(CANNOT_RUN, text, b"", len(text), time.monotonic() - started)
        try:
            done = self.commands.run(
                command,
                folder=folder,
                env={**self._env, **request["env"]},
                timeout_s=request["timeout_s"],
                limit=request["limit"],
            )
        finally:
            os.close(folder)
            for own in self._own:
                reopen(own)
        head, tail = done.ring.parts
        return _result(done.status, head, tail, done.ring.total, done.duration_s)

    def _read(self, request: dict[str, Any], _body: bytes) -> Answer:
        return {}, self._tree.read(request["path"], request["max_bytes"])

    def _write(self, request: dict[str, Any], body: bytes) -> Answer:
        if request.get("absolute"):
            with open(request["path"], "wb") as file:
                file.write(body)
        else:
            self._tree.write(request["path"], body)
        return {}, b""

    def _list(self, _request: dict[str, Any], _body: bytes) -> Answer:
        return {}, self._tidied(self._repository.files)

    def _checkpoint(self, _request: dict[str, Any], _body: bytes) -> Answer:
        return {"tree": self._tidied(self._repository.checkpoint)}, b""

    def _snapshot(self, request: dict[str, Any], _body: bytes) -> Answer:
        known, max_bytes = request["known"], request["max_bytes"]
        tree, text, left_out = self._tidied(lambda: self._repository.snapshot(known, max_bytes))
        return {"tree": tree, "left_out": left_out}, text

    def _diff(self, request: dict[str, Any], _body: bytes) -> Answer:
        return {}, self._tidied(lambda: self._repository.diff(request["max_bytes"]))

    def _restore(self, _request: dict[str, Any], body: bytes) -> Answer:
        self._tidied(lambda: self._repository.restore(body))
        return {}, b""

    def _load(self, request: dict[str, Any], length: int) -> Answer:
        commit, at = request["commit"], request.get("at")
        self._channel.spool(length, self._git.incoming_pack(commit))
        if at is not None:
            self._repository.modules.load(at, commit)
            return {}, b""
        tree = self._repository.load(commit, request["shallow"], request["tags"])
        self._repository.unpack_artefacts(self._artefacts)
        return {"tree": tree}, b""

    def _mend(self, request: dict[str, Any], length: int) -> Answer:
        commit, at = request["commit"], request.get("at")
        if at is None:
            clear(self._own[-1])
        self._channel.spool(length, self._git.incoming_pack(commit))
        if at is None:
            self._repository.mend(commit, request["shallow"])
        else:
            self._repository.modules.mend(commit)
        return {}, b""

    def _keep_artefacts(self, _request: dict[str, Any], _body: bytes) -> Answer:
        return {"bytes": self._repository.keep_artefacts(self._artefacts)}, b""

    def _tidied(self, action: Callable[[], Any]) -> Any:
        """What `action` gives. Git may have started helpers from a nested repository's configuration: none stays."""
        try:
            return action()
        finally:
            self.commands.end_all()


class BackgroundRequests:
    """The operations on background processes."""

    def __init__(self, commands: Commands, tree: Tree, env: dict[str, str]) -> None:
        self._commands = commands
        self._tree = tree
        self._env = env
        self.operations: dict[str, Callable[[dict[str, Any], bytes], Answer]] = {
            "spawn": self._spawn,
            "processes": self._processes,
            "logs": self._logs,
            "kill": self._kill,
        }

    def _spawn(self, request: dict[str, Any], _body: bytes) -> Answer:
        command: str = request["command"]
        if "\0" in command:
            raise ValueError("a command cannot contain a NUL character")
        folder = self._tree.open(request["cwd"], os.O_RDONLY | os.O_DIRECTORY)
        env = {**self._env, **request["env"]}
        try:
            self._commands.start(request["name"], command, folder=folder, env=env, limit=request["limit"])
        finally:
            os.close(folder)
        return {}, b""

    def _processes(self, _request: dict[str, Any], _body: bytes) -> Answer:
        self._noticed()
        return {"processes": [_described(process) for process in self._commands.background.all()]}, b""

    def _logs(self, request: dict[str, Any], _body: bytes) -> Answer:
        self._noticed()
        process = self._commands.background.find(request["name"])
        head, tail = process.ring.parts
        return _result(process.status, head, tail, process.ring.total, process.duration_s)

    def _kill(self, request: dict[str, Any], _body: bytes) -> Answer:
        self._commands.stop(request["name"])
        return {}, b""

    def _noticed(self) -> None:
        """See what happened to the background processes until now."""
        if self._commands.background.collect():
            self._commands.end_all()


def _result(status: int | None, head: bytes, tail: bytes, total: int, duration_s: float) -> Answer:
    return {"status": status, "head": len(head), "total": total, "duration_s": duration_s}, head + tail


def _described(process: Process) -> dict[str, Any]:
    return {
        "name": process.name,
        "command": process.command,
        "running": process.running,
        "exit_code": process.status,
        "output_bytes": process.ring.total,
        "duration_s": process.duration_s,
    }


def _kind(exc: Exception) -> str:
    known = ("FileNotFoundError", "IsADirectoryError", "NotADirectoryError", "PermissionError")
    name = type(exc).__name__
    if name in known:
        return name
    return "OSError" if isinstance(exc, OSError) else "ValueError"


def _channel() -> Channel:
    """Move the pipes away from 0 and 1, so that no command inherits them."""
    incoming = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
    outgoing = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    if nothing > 2:  # noqa: PLR2004  (stderr)
        os.close(nothing)
    return Channel(incoming, outgoing)


def main(config: dict[str, Any]) -> NoReturn:
    """Serve until the host hangs up."""
    channel = _channel()
    # For PID 1 the kernel drops signals from inside that have no handler: keep it so.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.umask(0o022)
    runner = Runner(channel, config)
    # Nothing of this process may be read or traced by what it runs, which has the same user.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    channel.reply({"id": 0, "python": sys.version.split()[0]})
    try:
        while True:
            runner.commands.idle()
            request, length = received(channel.exactly)
            runner.answer(request, length)
    except (HungUpError, FrameError, OSError):
        runner.leave()
