"""The seam to where the model acts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from coder.types import ExecResult
from coder.types import TreePack as TreePack


@dataclass(frozen=True, slots=True)
class Image:
    """An image that containers are started from."""

    reference: str
    digest: str
    """The image's content id (`sha256:…`)."""
    setup_log: str = ""
    setup_ok: bool = True
    """False when the setup phase failed and the run goes on without it: the pull request says so."""


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Resources of one container."""

    memory_mb: int = 4096
    cpus: float = 2.0
    pids: int = 512
    workspace_mb: int = 1536
    """tmpfs of the workspace; with /tmp at most half of the memory, or filling it would kill the runner."""
    tmp_mb: int = 512
    output_bytes: int = 64 * 1024
    """How much of a command's output is kept, half head and half tail."""


class Sandbox(Protocol):
    """One sealed place with a git work tree at its root; paths are relative to that root.

    No network, no credentials. Every method raises `SandboxError` when the sandbox itself is gone or broken.
    """

    @property
    def image(self) -> Image:
        """What it was started from."""
        ...

    def exec(
        self, command: str, *, timeout_s: float, cwd: str = ".", env: Mapping[str, str] | None = None
    ) -> ExecResult:
        """Run `command` with `bash -c`; every process it started is gone when this returns.

        A non-zero exit and a time-out are results (`exit_code` is None when killed).
        """
        ...

    def read(self, path: str, *, max_bytes: int = 4_000_000) -> bytes:
        """A regular file's bytes. Never leaves the root, whatever links say.

        Raises:
            FileNotFoundError, IsADirectoryError, PermissionError, ValueError: As the path deserves (ValueError: too
                large, not a regular file, or outside the root).
        """
        ...

    def write(self, path: str, data: bytes) -> None:
        """Create or replace a file, its folders made as needed, its mode kept. Raises as `read` does."""
        ...

    def list_files(self) -> tuple[str, ...]:
        """Tracked and untracked files that git does not ignore, sorted."""
        ...

    def checkpoint(self) -> str:
        """The tree id of the work tree as it stands, ignored files left out."""
        ...

    def diff(self) -> str:
        """The change against the loaded commit as text: `git diff --binary --full-index --no-renames`, untracked files included."""
        ...

    def restore(self, diff: str) -> None:
        """Bring the work tree to the loaded commit with `diff` (as `diff()` gave it; may be empty) applied."""
        ...

    def close(self) -> None:
        """Remove it; safe to call twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class SandboxProvider(Protocol):
    """Whatever makes sandboxes."""

    def image_for(
        self,
        files: Mapping[str, bytes],
        *,
        pack: TreePack,
        setup: tuple[str, ...] | None,
        progress: Callable[[str], None],
    ) -> Image:
        """The image for a repository whose marker files (pyproject.toml, go.mod, lock files …) are `files`.

        Builds it if needed and runs the setup phase with network (`setup` commands, or detected ones when None) on the
        unpacked commit; the result is kept under a key of base image, marker files and commands.
        """
        ...

    def open(self, image: Image, pack: TreePack, *, labels: Mapping[str, str]) -> Sandbox:
        """A fresh sandbox with `pack` checked out. `labels` name the run, for the sweep."""
        ...

    def sweep(self, *, run_id: str | None = None) -> int:
        """Remove containers that a dead process left behind (of one run, or all of this installation); how many."""
        ...
