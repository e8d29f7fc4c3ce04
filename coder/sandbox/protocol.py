"""The seam to where the model acts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from coder.types import Contact, ExecResult
from coder.types import TreePack as TreePack


@dataclass(frozen=True, slots=True)
class Wants:
    """What a repository says it needs, beside what its files show."""

    images: tuple[str, ...] = ()
    """Names in `images.toml`, the main one first; empty chooses by the files."""
    packages: tuple[str, ...] = ()
    """Packages of the distribution, installed into the image."""
    services: tuple[str, ...] = ()
    """Servers beside each sandbox: `postgres`, `mysql`, `redis`."""
    egress: tuple[str, ...] = ()
    """Hosts to be reached, as far as the operator allows them."""


NOTHING = Wants()


@dataclass(frozen=True, slots=True)
class Image:
    """An image that containers are started from."""

    reference: str
    digest: str
    """The image's content id (`sha256:…`)."""
    setup_log: str = ""
    setup_ok: bool = True
    """False when the setup phase failed and the run goes on without it: the pull request says so."""
    setup_stopped: bool = False
    """A step failed that all others need: nothing of the setup phase is in the image."""
    services: tuple[str, ...] = ()
    """Servers that are started beside each of its sandboxes."""
    egress: tuple[str, ...] = ()
    """Hosts that its sandboxes may reach; empty is no network at all."""


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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The work tree at one moment."""

    tree_sha: str
    """Its tree id, ignored files left out."""
    diff: str
    """As `Sandbox.diff` gives it."""
    left_out: tuple[str, ...] = ()
    """New or changed files of more than 16 MiB: neither in the tree nor in the diff."""


@dataclass(frozen=True, slots=True)
class Process:
    """A command that goes on between others."""

    name: str
    command: str
    running: bool
    exit_code: int | None
    """None while it runs, and when it was killed before it ended."""
    output_bytes: int
    duration_s: float


class Background(Protocol):
    """The background processes of a sandbox: a development server, a watcher. They end with the sandbox at the latest.

    Their limits are the sandbox's. One ends when its shell does: what it left behind goes, too. A command that kills
    everything (`kill -9 -1`) or cannot be ended otherwise takes them along; `processes` then says so.
    """

    def spawn(self, command: str, *, name: str, cwd: str = ".", env: Mapping[str, str] | None = None) -> None:
        """Start `command` with `bash -c` and do not wait; its output is kept, head and tail.

        Raises:
            FileNotFoundError, NotADirectoryError, ValueError: The folder or the name is none, one of this name is
                running, or too many are.
        """
        ...

    def processes(self) -> tuple[Process, ...]:
        """Those that run and the last that ended, oldest first."""
        ...

    def logs(self, name: str) -> ExecResult:
        """What one has printed so far, and how it ended (`exit_code` is None while it runs).

        Raises:
            ValueError: There is none of this name.
        """
        ...

    def kill(self, name: str) -> None:
        """End one and all that it started; nothing when it has ended.

        Raises:
            ValueError: There is none of this name.
        """
        ...


class Sandbox(Protocol):
    """One sealed place with a git work tree at its root; paths are relative to that root.

    No network, no credentials. Every method raises `SandboxError` when the sandbox itself is gone or broken.
    """

    @property
    def image(self) -> Image:
        """What it was started from."""
        ...

    @property
    def background(self) -> Background:
        """What goes on between commands."""
        ...

    def exec(
        self, command: str, *, timeout_s: float, cwd: str = ".", env: Mapping[str, str] | None = None
    ) -> ExecResult:
        """Run `command` with `bash -c`; every process it started is gone when this returns (see `background`).

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

    def snapshot(self, known_tree: str) -> Snapshot | None:
        """Checkpoint and diff in one; None, and no diff made, when the tree is still `known_tree`."""
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

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()


class SandboxProvider(Protocol):
    """Whatever makes sandboxes."""

    def image_for(
        self,
        files: Mapping[str, bytes],
        *,
        pack: TreePack,
        setup: tuple[str, ...] | None,
        progress: Callable[[str], None],
        wants: Wants = NOTHING,
    ) -> Image:
        """The image for a repository whose marker files (pyproject.toml, go.mod, lock files …) are `files`.

        Builds it if needed and runs the setup phase with network (`setup` commands, or detected ones when None) on the
        unpacked commit; the result is kept under a key of base image, marker files and commands.

        Raises:
            InputError: It wants an image or a service that there is not.
        """
        ...

    def open(self, image: Image, pack: TreePack, *, labels: Mapping[str, str]) -> Sandbox:
        """A fresh sandbox with `pack` checked out. `labels` name the run, for the sweep."""
        ...

    def contacts(self, run_id: str) -> tuple[Contact, ...]:  # noqa: ARG002  (where nobody is reached, the run does not matter)
        """Whom sandboxes of the run tried to reach, where they may reach anybody, since the last call."""
        return ()

    def sweep(self, *, run_id: str | None = None) -> int:
        """Remove containers that a dead process left behind (of one run, or all of this installation); how many."""
        ...
