"""Images on the engine: built on demand from `sandbox_images/`, and kept results of setup phases."""

import io
import re
import tarfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import docker
import docker.errors

from coder.errors import ConfigError, SandboxError
from coder.sandbox.config import SandboxSettings
from coder.sandbox.docker_base import base_id, ensure_base, inspected
from coder.sandbox.docker_engine import engine_errors
from coder.sandbox.images import HASH_CHARACTERS, BaseSpec, ImageSpec, content_hash
from coder.sandbox.machine_lock import machine_lock
from coder.sandbox.protocol import Image

CONTENT = "coder.content"
SETUP = "coder.setup"
SETUP_LOG = "coder.setup-log"
SETUP_STATE = "coder.setup-state"
"""`whole`, or `partial` (a fallback was used, an optional step failed) or `flagged` (not what the project asks for)."""
SETUP_REPOSITORY = "coder-setup"
MAX_LOG_CHARACTERS = 16_000
"""How much of a setup log is kept with the image: its end."""
PARTIAL_KEPT = timedelta(days=1)
"""How long a result with failures is used again: some were the network's, and are worth another try."""
SetupState = Literal["whole", "partial", "flagged"]


class ImageBuilder:
    """Finds or makes images."""

    def __init__(
        self,
        api: docker.APIClient,
        settings: SandboxSettings,
        progress: Callable[[str], None],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = api
        self._settings = settings
        self._progress = progress
        self._now = now

    def built(self, specs: Sequence[ImageSpec], base: BaseSpec) -> Image:
        """The image of the last of `specs` on `base`, each made on the one before where it is not there yet."""
        found = self._stack(specs, base, base_id(self._api, base.image), make=False)
        if found is not None:
            return found
        # Two processes that make the same base get two: what one builds on its own is unknown to the other.
        with machine_lock("images"):
            digest = ensure_base(self._api, self._settings, base, self._progress)
            made = self._stack(specs, base, digest, make=True)
        if made is None:
            raise SandboxError(f"the engine has no image {specs[-1].name} although it was just made")
        return made

    def _stack(self, specs: Sequence[ImageSpec], base: BaseSpec, digest: str | None, *, make: bool) -> Image | None:
        """The image on top, from the base's `digest` up; None where one is missing and not to be made."""
        reference = base.image
        for part in specs if digest else ():
            content = content_hash(part, digest or "")
            below, reference = reference, f"coder-sandbox-{part.name}:{content[:HASH_CHARACTERS]}"
            digest = image_id(self._api, reference)
            if digest is None and not make:
                return None
            digest = digest or self._build(part, reference, below, content)
        return Image(reference=reference, digest=digest) if digest else None

    def _build(self, spec: ImageSpec, reference: str, below: str, content: str) -> str:
        self._progress(f"building image {reference}")
        context = _context({"Dockerfile": spec.dockerfile.encode(), "ca-bundle.crt": self.certificates()})
        lines: list[str] = []
        with engine_errors(f"build image {reference}"):
            events = self._api.build(
                fileobj=context,
                custom_context=True,
                tag=reference,
                rm=True,
                forcerm=True,
                decode=True,
                timeout=int(self._settings.build_timeout_s),
                labels={CONTENT: content},
                buildargs={"BASE": below, **self._settings.proxy.environment()},
            )
            for event in events:
                self._follow(event, lines, reference)
        digest = image_id(self._api, reference)
        if digest is None:
            raise SandboxError(f"building image {reference} gave none; its last lines: {' | '.join(lines[-5:])}")
        return digest

    def _follow(self, event: dict[str, Any], lines: list[str], reference: str) -> None:
        text = str(event.get("stream", "")).strip()
        if text:
            lines.append(text[-500:])
            del lines[:-50]
            if text.startswith("Step "):
                self._progress(f"{reference}: {text.splitlines()[0][:100]}")
        if "error" in event:
            tail = "\n".join(lines[-15:])
            raise SandboxError(f"cannot build image {reference}: {event['error']}\n{tail}")

    def certificates(self) -> bytes:
        """The configured CA bundle; empty without one.

        Raises:
            ConfigError: It cannot be read.
        """
        if self._settings.ca_bundle is None:
            return b""
        try:
            return Path(self._settings.ca_bundle).read_bytes()
        except OSError as exc:
            raise ConfigError(f"cannot read sandbox.ca_bundle {self._settings.ca_bundle!r}: {exc}") from exc

    def kept(self, key: str) -> Image | None:
        """What an earlier setup phase with the same key left."""
        reference = _setup_reference(key)
        with engine_errors(f"look for image {reference}"):
            try:
                found = inspected(self._api, reference)
            except docker.errors.ImageNotFound:
                return None
        labels = found["Config"].get("Labels") or {}
        state = labels.get(SETUP_STATE, "whole")
        if labels.get(SETUP) != key or (state != "whole" and self._now() - created_at(found) > PARTIAL_KEPT):
            return None
        return Image(reference, found["Id"], setup_log=labels.get(SETUP_LOG, ""), setup_ok=state != "flagged")

    def keep(self, key: str, container: str, log: str, state: SetupState) -> Image:
        """The container's file system as an image. Its environment holds nothing: proxies are given per command."""
        reference = _setup_reference(key)
        with engine_errors(f"keep image {reference}"):
            self._api.commit(
                container,
                repository=SETUP_REPOSITORY,
                tag=key[:HASH_CHARACTERS],
                conf={"Labels": {SETUP: key, SETUP_STATE: state, SETUP_LOG: log[-MAX_LOG_CHARACTERS:]}},
            )
        digest = image_id(self._api, reference)
        if digest is None:
            raise SandboxError(f"the engine did not keep image {reference}")
        return Image(reference=reference, digest=digest, setup_log=log, setup_ok=state != "flagged")


def created_at(inspected_image: dict[str, Any]) -> datetime:
    """When an image was made, of what `inspected` gives; long ago where the engine does not say."""
    # The engine writes nanoseconds, of which Python takes six digits.
    match = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", str(inspected_image.get("Created") or ""))
    return datetime.fromisoformat(match[0]).replace(tzinfo=UTC) if match else datetime.fromtimestamp(0, UTC)


def image_id(api: docker.APIClient, reference: str) -> str | None:
    """The content id of an image, None when the engine does not have it."""
    with engine_errors(f"look for image {reference}"):
        try:
            return str(inspected(api, reference)["Id"])
        except docker.errors.ImageNotFound:
            return None


def _setup_reference(key: str) -> str:
    return f"{SETUP_REPOSITORY}:{key[:HASH_CHARACTERS]}"


def _context(files: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    buffer.seek(0)
    return buffer
