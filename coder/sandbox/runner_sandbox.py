"""A sandbox made of requests to a runner."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from pydantic import TypeAdapter, ValidationError
from typing_extensions import override

from coder.errors import SandboxError, SandboxRepositoryError
from coder.sandbox.inside.frames import MAX_BODY_BYTES
from coder.sandbox.protocol import Background, Image, Process, Sandbox, Snapshot, TreePack
from coder.sandbox.session import RunnerSession
from coder.types import ExecResult, JsonObject

GRACE_S = 60.0
"""How much longer than its own time-out a request may take on a busy machine before the sandbox counts as dead."""
GIT_REQUEST_TIMEOUT_S = 600.0
FILE_REQUEST_TIMEOUT_S = 120.0
PROCESS: Final = TypeAdapter(Process)


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
        self._background = RunnerBackground(session, output_bytes)
        self._pack: TreePack | None = None
        self.tree_sha = ""
        """Tree of the loaded commit, as git inside says."""

    @property
    @override
    def image(self) -> Image:
        return self._image

    @property
    @override
    def background(self) -> Background:
        return self._background

    def load(self, pack: TreePack) -> None:
        """Check `pack` out into the empty work tree."""
        if len(pack.pack) > MAX_BODY_BYTES:
            raise SandboxError(
                f"the history of {pack.commit_sha} has {len(pack.pack)} bytes, more than {MAX_BODY_BYTES}"
            )
        fields = {"commit": pack.commit_sha, "shallow": list(pack.shallow), "tags": [list(tag) for tag in pack.tags]}
        header, _ = self.request("load", fields, pack.pack, timeout_s=GIT_REQUEST_TIMEOUT_S)
        self.tree_sha = _text(header, "tree")
        self._send_inner("load", pack)
        self._pack = pack

    def _send_inner(self, op: Literal["load", "mend"], pack: TreePack, prefix: str = "") -> None:
        """Send the submodules of `pack`, which lies in the folder `prefix`."""
        for path, inner in pack.inner:
            at = f"{prefix}{path}"
            self.request(op, {"commit": inner.commit_sha, "at": at}, inner.pack, timeout_s=GIT_REQUEST_TIMEOUT_S)
            self._send_inner(op, inner, f"{at}/")

    def _git(self, op: str, fields: JsonObject, body: bytes = b"") -> tuple[JsonObject, bytes]:
        """A request to the git inside; once more in a new repository when it fails, as a command may have spoilt it."""
        try:
            return self.request(op, fields, body, timeout_s=GIT_REQUEST_TIMEOUT_S)
        except SandboxRepositoryError as exc:
            if self._pack is None:
                raise
            try:
                given = {"commit": self._pack.commit_sha, "shallow": list(self._pack.shallow)}
                self.request("mend", given, self._pack.pack, timeout_s=GIT_REQUEST_TIMEOUT_S)
                self._send_inner("mend", self._pack)
            except SandboxRepositoryError:
                raise exc from None
        return self.request(op, fields, body, timeout_s=GIT_REQUEST_TIMEOUT_S)

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
        _, body = self._git("list", {})
        return tuple(name.decode("utf-8", "surrogateescape") for name in sorted(set(body.split(b"\0")[:-1])))

    @override
    def checkpoint(self) -> str:
        header, _ = self._git("checkpoint", {})
        return _text(header, "tree")

    @override
    def snapshot(self, known_tree: str) -> Snapshot | None:
        fields = {"known": known_tree, "max_bytes": self._max_diff_bytes}
        header, body = self._git("snapshot", fields)
        tree = _text(header, "tree")
        left_out = header.get("left_out")
        if not isinstance(left_out, list):
            raise SandboxError("the sandbox does not say what it left out")
        return None if tree == known_tree else Snapshot(tree, _diff_text(body), tuple(map(str, left_out)))

    @override
    def diff(self) -> str:
        _, body = self._git("diff", {"max_bytes": self._max_diff_bytes})
        return _diff_text(body)

    @override
    def restore(self, diff: str) -> None:
        self._git("restore", {}, diff.encode("utf-8"))

    @override
    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._session.close()
            self._end()

    def request(self, op: str, fields: JsonObject, body: bytes = b"", *, timeout_s: float) -> tuple[JsonObject, bytes]:
        """A request whose every failure is the sandbox's."""
        try:
            return self._session.request(op, fields, body, timeout_s=timeout_s)
        except OSError as exc:
            raise SandboxRepositoryError(f"the sandbox cannot {op}: {exc}") from exc
        except ValueError as exc:
            raise SandboxError(f"the sandbox cannot {op}: {exc}") from exc


class RunnerBackground(Background):
    """The background processes of a runner."""

    def __init__(self, session: RunnerSession, output_bytes: int) -> None:
        self._session = session
        self._output_bytes = output_bytes

    @override
    def spawn(self, command: str, *, name: str, cwd: str = ".", env: Mapping[str, str] | None = None) -> None:
        fields = {"command": command, "name": name, "cwd": cwd, "env": dict(env or {}), "limit": self._output_bytes}
        self._session.request("spawn", fields, timeout_s=GRACE_S)

    @override
    def processes(self) -> tuple[Process, ...]:
        header, _ = self._request("processes", {})
        found = header.get("processes")
        if not isinstance(found, list):
            raise SandboxError("the sandbox's list of processes makes no sense")
        return tuple(map(_process, found))

    @override
    def logs(self, name: str) -> ExecResult:
        return _exec_result(*self._request("logs", {"name": name}))

    @override
    def kill(self, name: str) -> None:
        self._request("kill", {"name": name})

    def _request(self, op: str, fields: JsonObject) -> tuple[JsonObject, bytes]:
        """A request that may fail by what was asked for (ValueError); any other failure is the sandbox's."""
        try:
            return self._session.request(op, fields, timeout_s=GRACE_S)
        except OSError as exc:
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


def _diff_text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise SandboxError("the sandbox gave a diff that is not UTF-8") from exc


def _process(given: object) -> Process:
    try:
        return PROCESS.validate_python(given)
    except ValidationError as exc:
        raise SandboxError("the sandbox's description of a process makes no sense") from exc
