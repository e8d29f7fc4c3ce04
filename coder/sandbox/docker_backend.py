"""Sandboxes as Docker containers. Works on remote engines too: everything travels over the attached stream."""

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import docker
import docker.errors
from typing_extensions import override

from coder.errors import EngineUnavailableError, SandboxError
from coder.sandbox import docker_beside, docker_container, images, runner
from coder.sandbox.config import SandboxSettings
from coder.sandbox.docker_beside import RUN, Beside
from coder.sandbox.docker_engine import Engine, connected, engine_errors
from coder.sandbox.docker_environment import Environments
from coder.sandbox.docker_images import ImageBuilder
from coder.sandbox.docker_pool import Pool, name_prefix
from coder.sandbox.docker_stream import AttachedStream
from coder.sandbox.protocol import NOTHING, Image, SandboxProvider, TreePack, Wants
from coder.sandbox.runner_sandbox import FILE_REQUEST_TIMEOUT_S, GIT_REQUEST_TIMEOUT_S, RunnerSandbox
from coder.sandbox.session import RunnerSession
from coder.sandbox.setup_phase import Setup
from coder.types import Contact

logger = logging.getLogger(__name__)

INSTALLATION = "coder.installation"
OWNER = "coder.owner"


class DockerSandbox(RunnerSandbox):
    """One container."""

    def __init__(
        self, session: RunnerSession, image: Image, settings: SandboxSettings, container: str, end: Callable[[], None]
    ) -> None:
        super().__init__(
            session, image, output_bytes=settings.output_bytes, max_diff_bytes=settings.max_diff_bytes, end=end
        )
        self.container = container
        """The container's id."""
        self.beside = ExitStack()
        """What ends with it: servers, the way out."""

    @override
    def close(self) -> None:
        super().close()
        self.beside.close()

    def keep_artefacts(self) -> int:
        """End of a setup phase: keep what it left in the work tree for the image; the size in bytes."""
        header, _ = self.request("artefacts", {}, timeout_s=GIT_REQUEST_TIMEOUT_S)
        return int(header.get("bytes", 0))

    def put(self, path: str, data: bytes) -> None:
        """Write a file at the absolute `path` in the container (the setup phase's certificates)."""
        self.request("write", {"path": path, "absolute": True}, data, timeout_s=FILE_REQUEST_TIMEOUT_S)


class DockerSandboxProvider(SandboxProvider):
    """Makes `DockerSandbox`es; connects to the engine at first use. Close it, or use it in a `with`."""

    def __init__(self, settings: SandboxSettings, *, images_folder: Path | None = None) -> None:
        self._settings = settings
        self._catalogue = images.catalogue(images_folder or images.default_folder(), settings.base_image)
        self._lock = threading.Lock()
        self._api: Engine | None = None
        self._pool = Pool(settings.prewarm, lambda image: self._started(image, {}, "agent"))
        self._environments = Environments(settings, self._catalogue, self._engine)
        self._beside = Beside(settings, self._engine, self._environments.server, self._discard)

    @property
    def catalogue(self) -> images.Catalogue:
        """The images on offer."""
        return self._catalogue

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
        def set_up(builder: ImageBuilder, base: Image, setup: Setup, progress: Callable[[str], None]) -> Image:
            return self._set_up(builder, base, pack, setup, progress)

        image = self._environments.image_for(files, setup=setup, wants=wants, set_up=set_up, progress=progress)
        self._pool.refill(image)
        return image

    def _set_up(
        self, builder: ImageBuilder, base: Image, pack: TreePack, setup: Setup, progress: Callable[[str], None]
    ) -> Image:
        """Run the steps on the unpacked commit, with network, and keep the result. What stopped is kept nowhere."""
        with self._started(base, {RUN: f"setup-{setup.key[:12]}"}, "setup") as sandbox:
            sandbox.load(pack)
            if self._settings.ca_bundle:
                sandbox.put(docker_container.CERTIFICATES, builder.certificates())
            state = setup.carried_out(sandbox, timeout_s=self._settings.setup_timeout_s, progress=progress)
            if state == "stopped":
                return Image(base.reference, base.digest, setup_log=setup.log, setup_ok=False, setup_stopped=True)
            sandbox.keep_artefacts()
            progress("setup: keeping the result as an image")
            return builder.keep(setup.key, sandbox.container, setup.log, state)

    @override
    def open(self, image: Image, pack: TreePack, *, labels: Mapping[str, str]) -> DockerSandbox:
        """A fresh container; keys of `labels` get the prefix `coder.` where they lack it (`run` → `coder.run`)."""
        named = {key if key.startswith("coder.") else f"coder.{key}": value for key, value in labels.items()}
        ready = self._pool.take(image)
        sandbox = ready or self._started(image, named, "agent")
        self._pool.refill(image)
        try:
            if ready is not None:
                with engine_errors("name a container"):
                    self._engine().rename(ready.container, _container_name(named))
            wait = self._beside.begin(image, sandbox.container, _labelled(named, self._settings), sandbox.beside)
            sandbox.load(pack)
            wait()
        except BaseException:
            sandbox.close()
            raise
        return sandbox

    @override
    def contacts(self, run_id: str) -> tuple[Contact, ...]:
        """Whom sandboxes of the run tried to reach since the last call."""
        return self._beside.contacts(run_id)

    @override
    def sweep(self, *, run_id: str | None = None) -> int:
        """Remove what dead processes left. A run's containers go whoever owns them; living owners keep theirs otherwise."""
        api = self._engine()
        wanted = f"{INSTALLATION}={self._settings.installation}"
        with engine_errors("list containers"):
            found: list[dict[str, Any]] = api.containers(all=True, filters={"label": wanted})
        if run_id is None:
            found = [entry for entry in found if not _is_alive(entry["Labels"].get(OWNER, ""), entry["State"])]
        else:
            found = [entry for entry in found if _is_of(run_id, entry)]
        return sum(self._remove(entry["Id"]) for entry in found)

    def close(self) -> None:
        """End what was started in advance, and close the connection to the engine."""
        self._pool.close()
        with self._lock:
            if self._api is not None:
                self._api.close()
                self._api = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _engine(self) -> docker.APIClient:
        with self._lock:
            if self._api is not None and not self._api.usable:
                self._api.close()
                self._api = None
            if self._api is None:
                self._api = connected(self._settings)
            return self._api

    def _started(self, image: Image, labels: Mapping[str, str], phase: docker_container.Phase) -> DockerSandbox:
        api = self._engine()
        program = runner.program(
            root=docker_container.WORKSPACE,
            private=f"{docker_container.PRIVATE}/repository",
            artefacts=docker_container.KEPT,
            env=docker_container.environment(phase, self._settings)
            if phase == "setup"
            else docker_beside.environment(image, self._settings),
        )
        container = self._create(api, image, labels, phase, len(program))
        try:
            stream = AttachedStream(api, container)
        except BaseException:
            self._remove(container)
            raise
        session = RunnerSession(stream, f"{container[:12]} ({image.reference})")
        sandbox = DockerSandbox(session, image, self._settings, container, lambda: self._discard(container))
        try:
            with engine_errors(f"start a container of {image.reference}"):
                api.start(container)
            session.start(program)
        except SandboxError as exc:
            sandbox.close()
            said = bytes(stream.stderr).decode("utf-8", "replace").strip()
            if said:
                raise SandboxError(f"{exc}; it said: {said[-1000:]}") from exc
            raise
        except BaseException:
            sandbox.close()
            raise
        return sandbox

    def _create(
        self, api: docker.APIClient, image: Image, labels: Mapping[str, str], phase: docker_container.Phase, size: int
    ) -> str:
        limits = docker_container.host_config(api, phase, self._settings)
        with engine_errors(f"create a container of {image.reference}"):
            created = api.create_container(
                image.digest,
                command=runner.argv("python3", size),
                entrypoint=[],
                name=_container_name(labels),
                user=docker_container.USER,
                working_dir=docker_container.WORKSPACE,
                stdin_open=True,
                tty=False,
                # Attached, so that the engine closes stdin when this process dies: the runner then leaves.
                detach=False,
                environment={},
                labels=_labelled(labels, self._settings),
                host_config=limits,
            )
        return str(created["Id"])

    def _remove(self, container: str) -> bool:
        try:
            with engine_errors("remove a container"):
                self._engine().remove_container(container, force=True, v=True)
        except SandboxError as exc:
            # Gone, or going: it removes itself when it ends.
            if isinstance(exc.__cause__, docker.errors.APIError) and exc.__cause__.status_code in (404, 409):
                return False
            raise
        return True

    def _discard(self, container: str) -> None:
        """Remove on closing: what cannot be removed now ends with its runner, and the sweep finds the rest."""
        try:
            self._remove(container)
        except (SandboxError, EngineUnavailableError) as exc:
            logger.warning("container not removed", extra={"container": container, "reason": str(exc)})


def _container_name(labels: Mapping[str, str]) -> str:
    return f"{name_prefix(labels.get(RUN, ''))}{uuid.uuid4().hex[:16]}"


def _is_of(run_id: str, entry: Mapping[str, Any]) -> bool:
    """Whether a container works for a run: by its label, or by the name it got when it was taken out of the pool."""
    prefix = f"/{name_prefix(run_id)}"
    return entry["Labels"].get(RUN) == run_id or any(name.startswith(prefix) for name in entry["Names"] or ())


def _labelled(labels: Mapping[str, str], settings: SandboxSettings) -> dict[str, str]:
    """What tells whose a container is, beside `labels`."""
    return {**labels, INSTALLATION: settings.installation, OWNER: _owner()}


def _owner() -> str:
    """This process, so that another one can tell whether it still lives."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{_started_at(pid)}"


def _started_at(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty when there is none or no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _is_alive(owner: str, state: str) -> bool:
    """Whether a container's owner may still want it. Of another machine only the container itself can be judged."""
    process, _, started = owner.rpartition(":")
    host, _, pid = process.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return state in ("running", "restarting", "paused")
    return _started_at(int(pid)) == started
