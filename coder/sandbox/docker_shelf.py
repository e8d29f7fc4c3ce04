"""The images that are ours on an engine: build them ahead of time, list them, and throw old ones away."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

import docker
import docker.errors

from coder.errors import SandboxError
from coder.sandbox import images
from coder.sandbox.config import SandboxSettings
from coder.sandbox.docker_engine import connected, engine_errors
from coder.sandbox.docker_images import CONTENT, SETUP, ImageBuilder
from coder.sandbox.protocol import Image

MIB = 1 << 20
PACKAGES = "coder-sandbox-packages:"


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image of ours on the engine."""

    digest: str
    reference: str
    """Its name; empty when it has lost it to a newer one."""
    kind: Literal["sandbox", "setup"]
    """Built from `sandbox_images/`, or made for one repository: the result of its setup phase, or its packages."""
    created: datetime
    own_mb: float
    """What removing it gives back, without the layers that it shares with the image below."""


def to_remove(
    stored: Sequence[StoredImage], *, now: datetime, older_than: timedelta, keep_mb: float
) -> tuple[StoredImage, ...]:
    """Nameless ones, setup results that are too old, and the oldest setup results beyond `keep_mb` together."""
    nameless = [image for image in stored if not image.reference]
    setups = sorted((i for i in stored if i.kind == "setup" and i.reference), key=lambda i: i.created, reverse=True)
    found, total_mb = [], 0.0
    for image in setups:
        if now - image.created > older_than or total_mb + image.own_mb > keep_mb:
            found.append(image)
        else:
            total_mb += image.own_mb
    return (*nameless, *reversed(found))


class ImageShelf:
    """The engine's images that carry our labels; no others are ever touched. Use it in a `with`."""

    def __init__(self, settings: SandboxSettings, folder: Path) -> None:
        self._settings = settings
        self._catalogue = images.catalogue(folder, settings.base_image)
        self._api = connected(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._api.close()

    @property
    def engine(self) -> str:
        """The engine in a line: version, API, processors, memory, storage."""
        with engine_errors("ask the engine what it is"):
            about: dict[str, Any] = self._api.info()
            version: dict[str, Any] = self._api.version()
        return (
            f"Docker {version.get('Version', '?')}, API {version.get('ApiVersion', '?')}, {about.get('NCPU', '?')} CPUs, "
            f"{int(about.get('MemTotal') or 0) // MIB} MiB, {about.get('Driver', '?')}"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """What is built ahead of time: every image on the usual base, and the servers."""
        return (*(spec.name for spec in self._catalogue.specs), *self._catalogue.services)

    def build(self, name: str, progress: Callable[[str], None]) -> Image:
        """Build an image (`python`, or `python@trixie` on another base) and what it stands on, where it is not there yet.

        Raises:
            ConfigError: There is none of that name. SandboxError: It cannot be built.
        """
        image, _, on = name.partition("@")
        catalogue = self._catalogue
        base = catalogue.base_named(on) if on else catalogue.bases[0]
        server = image in catalogue.services
        specs = catalogue.server(image) if server else catalogue.stack(catalogue.named(image), ())
        return ImageBuilder(self._api, self._settings, progress).built(specs, base)

    def stored(self) -> tuple[StoredImage, ...]:
        """Every image of ours, the newest first."""
        found: dict[str, StoredImage] = {}
        with engine_errors("list images"):
            for label in (CONTENT, SETUP):
                listed: list[dict[str, Any]] = self._api.images(filters={"label": label})
                for entry in listed:
                    found[entry["Id"]] = self._described(entry)
        return tuple(sorted(found.values(), key=lambda image: image.created, reverse=True))

    def collect(self, *, older_than: timedelta, keep_mb: float, now: datetime | None = None) -> tuple[StoredImage, ...]:
        """Remove what `to_remove` names, except what a container or another image needs; what is gone."""
        stored = self.stored()
        doomed = to_remove(stored, now=now or datetime.now(UTC), older_than=older_than, keep_mb=keep_mb)
        return tuple(image for image in doomed if self._remove(image))

    def _described(self, entry: dict[str, Any]) -> StoredImage:
        labels = entry.get("Labels") or {}
        tags = [tag for tag in entry.get("RepoTags") or [] if tag != "<none>:<none>"]
        layers: list[dict[str, Any]] = self._api.history(entry["Id"])  # type: ignore[no-untyped-call]  # open stubs
        for_one = SETUP in labels or any(tag.startswith(PACKAGES) for tag in tags)
        kind: Literal["sandbox", "setup"] = "setup" if for_one else "sandbox"
        # A setup result is one layer on its image; a built image is all layers since the image below.
        own = layers[:1] if SETUP in labels else layers[: _layers_of_build(layers)]
        return StoredImage(
            digest=entry["Id"],
            reference=tags[0] if tags else "",
            kind=kind,
            created=datetime.fromtimestamp(int(entry.get("Created") or 0), UTC),
            own_mb=round(sum(int(layer.get("Size") or 0) for layer in own) / MIB, 1),
        )

    def _remove(self, image: StoredImage) -> bool:
        try:
            with engine_errors(f"remove image {image.reference or image.digest}"):
                self._api.remove_image(image.reference or image.digest, noprune=True)
        except SandboxError as exc:
            # In use, or gone already.
            if isinstance(exc.__cause__, docker.errors.APIError) and exc.__cause__.status_code in (404, 409):
                return False
            raise
        return True


def _layers_of_build(layers: Sequence[dict[str, Any]]) -> int:
    """How many layers of an image's history belong to its own build: up to the next one that has a name."""
    for number, layer in enumerate(layers[1:], start=1):
        if layer.get("Tags"):
            return number
    return len(layers)
