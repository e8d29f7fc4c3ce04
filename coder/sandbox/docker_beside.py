"""What is started beside a sandbox: the servers that its tests need, and the only way out that it may have."""

import importlib.resources
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import docker

from coder.sandbox import docker_container, egress, servers
from coder.sandbox.config import SandboxSettings
from coder.sandbox.docker_sidecar import Sidecar, argv_of, await_ready
from coder.sandbox.protocol import Image
from coder.sandbox.session import Stream
from coder.types import Contact

RUN = "coder.run"
RELAY_MB = 128
CERTIFICATES = "/etc/coder/ca-bundle.crt"
"""Where images that were built with `sandbox.ca_bundle` have it."""


def environment(image: Image, settings: SandboxSettings) -> dict[str, str]:
    """The environment of commands in a sandbox of `image`."""
    found = docker_container.environment("agent", settings) | servers.environment(image.services)
    if not image.egress:
        return found
    # Package managers may ask: what they may not reach is refused at once.
    online = {name: value for name, value in found.items() if name not in docker_container.OFFLINE_ENV}
    certificates = dict.fromkeys(docker_container.CERTIFICATE_VARIABLES, CERTIFICATES) if settings.ca_bundle else {}
    return online | egress.ENVIRONMENT | certificates


@dataclass(slots=True)
class Beside:
    """Starts containers beside sandboxes, and remembers whom each run tried to reach."""

    settings: SandboxSettings
    engine: Callable[[], docker.APIClient]
    server: Callable[[str], Image]
    """The image of a server, by its name."""
    remove: Callable[[str], None]
    """Removes a container, by its id."""
    proxy: Callable[[Stream, tuple[str, ...], egress.Contacts], egress.EgressProxy] = egress.EgressProxy
    _contacts: dict[str, egress.Contacts] = field(default_factory=dict)

    def begin(self, image: Image, container: str, labels: Mapping[str, str], stack: ExitStack) -> Callable[[], None]:
        """Start what `image` needs beside `container`; all of it ends with `stack`. What comes back waits for it.

        Raises:
            SandboxError: Something cannot be started; from the waiting, too.
        """

        def started(digest: str, argv: list[str], memory_mb: int) -> Sidecar:
            sidecar = Sidecar(
                self.engine(),
                digest,
                argv,
                beside=container,
                labels=labels,
                settings=self.settings,
                memory_mb=memory_mb,
                remove=self.remove,
            )
            stack.callback(sidecar.close)
            return sidecar

        mb = self.settings.service_mb
        running = {name: started(self.server(name).digest, argv_of(name), mb) for name in image.services}
        relay: Sidecar | None = None
        if image.egress:
            program = importlib.resources.files("coder.sandbox.beside").joinpath("relay.py").read_text("utf-8")
            argv = ["python3", "-I", "-S", "-u", "-c", program, str(egress.PORT)]
            relay = started(image.digest, argv, RELAY_MB)

        def wait() -> None:
            for name, server in running.items():
                await_ready(server, f"the service {name}")
            if relay is not None:
                await_ready(relay, "the way out")
                self._open_way(relay, image.egress, labels.get(RUN, ""), stack)

        return wait

    def contacts(self, run_id: str) -> tuple[Contact, ...]:
        """Whom sandboxes of the run tried to reach since the last time."""
        found = self._contacts.get(run_id)
        return found.take() if found is not None else ()

    def _open_way(self, relay: Sidecar, allowed: tuple[str, ...], run_id: str, stack: ExitStack) -> None:
        if relay.stream is not None:
            contacts = self._contacts.setdefault(run_id, egress.Contacts())
            proxy = self.proxy(relay.stream, allowed, contacts)
            proxy.start()
            stack.callback(proxy.join)
            stack.callback(relay.stream.hang_up)
