"""A sandbox that is none: the same runner as a plain process in a temporary folder.

For tests and for an explicit `--unsafe` only. Commands run as the user who started this program, with the network and
every file that user can reach. Limits on memory, processes and disk are not enforced.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from typing_extensions import override

from coder.errors import SandboxError
from coder.sandbox import runner
from coder.sandbox.config import SandboxSettings
from coder.sandbox.protocol import NOTHING, Image, SandboxProvider, TreePack, Wants
from coder.sandbox.runner_sandbox import RunnerSandbox
from coder.sandbox.session import RunnerSession, SocketStream

IMAGE: Final = Image(reference="local", digest="local", setup_log="no setup phase: commands run on this machine itself")
END_TIMEOUT_S = 30.0


class LocalSandbox(RunnerSandbox):
    """A work tree in a temporary folder, without any isolation."""

    def __init__(
        self, session: RunnerSession, settings: SandboxSettings, folder: Path, end: Callable[[], None]
    ) -> None:
        super().__init__(
            session, IMAGE, output_bytes=settings.output_bytes, max_diff_bytes=settings.max_diff_bytes, end=end
        )
        self.folder = folder


class LocalSandboxProvider(SandboxProvider):
    """Makes `LocalSandbox`es. `env` is added to the little environment that commands get."""

    def __init__(self, settings: SandboxSettings, *, env: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._env = dict(env or {})

    @override
    def image_for(
        self,
        files: Mapping[str, bytes],
        *,
        pack: TreePack,
        setup: tuple[str, ...] | None,
        progress: Callable[[str], None],
        wants: Wants = NOTHING,
    ) -> Image:
        """The machine itself, whatever the repository needs: nothing is installed."""
        return IMAGE

    @override
    def open(self, image: Image, pack: TreePack, *, labels: Mapping[str, str]) -> LocalSandbox:
        """A fresh folder with `pack` checked out."""
        folder = Path(tempfile.mkdtemp(prefix="coder-local-"))
        for name in ("workspace", "home"):
            (folder / name).mkdir()
        try:
            program = self._program(folder)
            process, ours = _started(len(program))
        except OSError as exc:
            shutil.rmtree(folder, ignore_errors=True)
            raise SandboxError(f"cannot start a local sandbox: {exc}") from exc
        session = RunnerSession(SocketStream(ours), "local")

        def end() -> None:
            _end(process)
            _remove(folder)

        sandbox = LocalSandbox(session, self._settings, folder / "workspace", end)
        try:
            session.start(program)
            sandbox.load(pack)
        except BaseException:
            sandbox.close()
            raise
        return sandbox

    @override
    def sweep(self, *, run_id: str | None = None) -> int:
        """Nothing: a local runner ends with its host process."""
        return 0

    def _program(self, folder: Path) -> bytes:
        env = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(folder / "home"),
            "SHELL": "/bin/bash",
            "LC_CTYPE": "C.UTF-8",
            "TERM": "dumb",
            "PYTHONDONTWRITEBYTECODE": "1",
            **self._env,
        }
        return runner.program(
            root=str(folder / "workspace"), private=str(folder / "repository"), artefacts=str(folder / "none"), env=env
        )


def _started(size: int) -> tuple["subprocess.Popen[bytes]", socket.socket]:
    ours, theirs = socket.socketpair()
    nothing: dict[str, str] = {}
    with theirs:
        try:
            process = subprocess.Popen(
                runner.argv(sys.executable, size),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env=nothing,
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
    return process, ours


def _end(process: "subprocess.Popen[bytes]") -> None:
    """The session is closed, so the runner leaves by itself; a stuck one is killed."""
    try:
        process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove(folder: Path) -> None:
    """By the system's own tools: a command may have left folders without rights, and deeper than a path can name."""
    for tool in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([*tool, "--", str(folder)], capture_output=True, check=False, timeout=END_TIMEOUT_S)
