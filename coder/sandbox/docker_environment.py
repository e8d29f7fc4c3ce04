"""Images for repositories, made on an engine as they are planned."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import docker

from coder.errors import InputError, SandboxError
from coder.sandbox import egress_rules, images
from coder.sandbox.config import SandboxSettings
from coder.sandbox.docker_images import ImageBuilder
from coder.sandbox.environment import Plan, known_services, plan
from coder.sandbox.protocol import Image, Wants
from coder.sandbox.setup_phase import Setup

Progress = Callable[[str], None]


class SetUp(Protocol):
    """Runs a setup phase on an image and keeps the result."""

    def __call__(self, builder: ImageBuilder, base: Image, setup: Setup, progress: Progress) -> Image:
        """The image with what the setup left in it; what stopped is kept nowhere."""
        ...


class Environments:
    """Finds or makes the images that sandboxes and the servers beside them are started from."""

    def __init__(
        self, settings: SandboxSettings, catalogue: images.Catalogue, engine: Callable[[], docker.APIClient]
    ) -> None:
        self._settings, self._catalogue, self._engine = settings, catalogue, engine
        # Two builds of one image at once would do the same work twice.
        self._building = threading.Lock()

    def image_for(
        self,
        files: Mapping[str, bytes],
        *,
        setup: tuple[str, ...] | None,
        wants: Wants,
        set_up: SetUp,
        progress: Progress,
    ) -> Image:
        """The image for a repository with these files, its setup phase done.

        Raises:
            InputError: It wants an image or a service that there is not. SandboxError: It cannot be made.
        """
        builder = ImageBuilder(self._engine(), self._settings, progress)
        services = known_services(self._catalogue, wants.services)
        reachable = self._egress(wants.egress, progress)
        wanted = plan(self._catalogue, files, setup=setup, wants=wants)
        for name in services:
            self.server(name, progress)
        with self._building:
            base = self._built(builder, wanted, progress)
        image = base
        if wanted.steps:
            dated = (self._settings.packages_before,) if self._settings.packages_before else ()
            key = images.setup_key(base.digest, files, wanted.inputs, (*wanted.commands, *dated))
            image = builder.kept(key) or set_up(builder, base, Setup(key, wanted.steps), progress)
        return replace(image, services=services, egress=reachable)

    def server(self, name: str, progress: Progress = lambda _: None) -> Image:
        """The image of a server."""
        builder = ImageBuilder(self._engine(), self._settings, progress)
        with self._building:
            return builder.built(self._catalogue.server(name), self._catalogue.bases[0])

    def _built(self, builder: ImageBuilder, wanted: Plan, progress: Progress) -> Image:
        """The image on the base that was chosen; where that cannot be had, on the usual one: its checks tell."""
        try:
            return builder.built(wanted.specs, wanted.base)
        except SandboxError as exc:
            usual = self._catalogue.bases[0]
            if wanted.base == usual:
                raise
            progress(f"no image on {wanted.base.name} ({str(exc).splitlines()[0][:300]}); taking {usual.name}")
            return builder.built(wanted.specs, usual)

    def _egress(self, wanted: tuple[str, ...], progress: Progress) -> tuple[str, ...]:
        """What of the wanted hosts the operator allows."""
        for pattern in wanted:
            if not egress_rules.is_pattern(pattern):
                raise InputError(f"`egress:` names {pattern!r}, which is no host: write `host.example` or `*.example`")
        reachable = egress_rules.narrowed(self._settings.egress_allowed, wanted)
        if len(reachable) < len(set(wanted)):
            progress(f"egress: the operator allows {', '.join(reachable) or 'none'} of what .coder.yml names")
        return reachable
