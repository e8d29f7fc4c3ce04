"""Containers beside a sandbox's: they share its loopback interface, which is its whole network, and nothing else."""

import logging
import time
import uuid
from collections.abc import Callable, Mapping

import docker
from docker.types import LogConfig, Ulimit

from coder.errors import SandboxError
from coder.sandbox import seccomp
from coder.sandbox.config import SandboxSettings
from coder.sandbox.docker_container import MIB, USER
from coder.sandbox.docker_engine import engine_errors
from coder.sandbox.docker_stream import AttachedStream
from coder.sandbox.inside.frames import FrameError
from coder.sandbox.servers import READY, SERVERS
from coder.types import JsonObject

logger = logging.getLogger(__name__)

READY_TIMEOUT_S = 90.0
TMP_MB = 64
MAX_SAID_BYTES = 4_000


class Sidecar:
    """One container beside a sandbox's, attached to. It ends when this process hangs up, as a sandbox does."""

    def __init__(
        self,
        api: docker.APIClient,
        image: str,
        argv: list[str],
        *,
        beside: str,
        labels: Mapping[str, str],
        settings: SandboxSettings,
        memory_mb: int,
        remove: Callable[[str], None],
    ) -> None:
        with engine_errors("create a container beside the sandbox"):
            created = api.create_container(
                image,
                command=argv,
                entrypoint=[],
                name=f"coder-{uuid.uuid4().hex[:16]}",
                user=USER,
                working_dir="/tmp",  # noqa: S108  (a tmpfs of the container)
                stdin_open=True,
                tty=False,
                # Attached, so that the engine closes stdin when this process dies.
                detach=False,
                environment={},
                labels=dict(labels),
                host_config=_host_config(api, beside, settings, memory_mb),
            )
        self.container = str(created["Id"])
        self._remove = remove
        self.stream: AttachedStream | None = None
        try:
            self.stream = AttachedStream(api, self.container)
            with engine_errors("start a container beside the sandbox"):
                api.start(self.container)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up and remove it; safe to call twice."""
        if self.stream is not None:
            self.stream.hang_up()
            self.stream.close()
            self.stream = None
        if self.container:
            self._remove(self.container)
            self.container = ""


def await_ready(sidecar: Sidecar, name: str, *, timeout_s: float = READY_TIMEOUT_S) -> None:
    """Wait until what runs in `sidecar` says that it is ready.

    Raises:
        SandboxError: It ended, or took too long; the message has the end of what it said.
    """
    said = b""
    deadline = time.monotonic() + timeout_s
    try:
        while READY not in said and sidecar.stream is not None:
            chunk = sidecar.stream.receive(MAX_SAID_BYTES, deadline)
            if not chunk:
                break
            said = (said + chunk)[-MAX_SAID_BYTES:]
    except (OSError, FrameError) as exc:
        raise SandboxError(f"{name} did not start: {exc}") from exc
    if READY not in said:
        raise SandboxError(f"{name} did not start: {said.decode('utf-8', 'replace').strip()[-1500:]}")


def argv_of(name: str) -> list[str]:
    """The command line of a server's container."""
    return ["/bin/sh", "-c", SERVERS[name].program]


def _host_config(api: docker.APIClient, beside: str, settings: SandboxSettings, memory_mb: int) -> JsonObject:
    memory = memory_mb * MIB
    owner = "rw,nosuid,nodev,uid=1000,gid=1000"
    config: JsonObject = api.create_host_config(
        auto_remove=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true", f"seccomp={seccomp.profile()}"],
        read_only=True,
        tmpfs={
            "/data": f"{owner},noexec,size={memory_mb // 2}m",
            "/tmp": f"{owner},size={TMP_MB}m,mode=1777",  # noqa: S108  (a tmpfs of the container)
        },
        mem_limit=memory,
        memswap_limit=memory,
        pids_limit=256,
        nano_cpus=int(settings.cpus * 1e9),
        ulimits=[Ulimit(name="core", soft=0, hard=0)],
        # Its loopback interface is the only one there is: no gateway, no names, no way out.
        network_mode=f"container:{beside}",
        ipc_mode="private",
        log_config=LogConfig(type="none", config={}),
        init=False,
        runtime=settings.runtime,
    )
    config["CgroupnsMode"] = "private"
    return config
