"""The image below all others: already there, pulled, or made with debootstrap where no registry can be reached."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions

from coder.errors import SandboxError
from coder.sandbox.config import SandboxSettings
from coder.sandbox.docker_engine import engine_errors
from coder.sandbox.images import BaseSpec

APT_FOLDER = Path("/etc/apt")
DEBOOTSTRAP_TIMEOUT_S = 1200
TAR_TIMEOUT_S = 300


def ensure_base(
    api: docker.APIClient, settings: SandboxSettings, base: BaseSpec, progress: Callable[[str], None]
) -> str:
    """The content id of a base image, which is got if it is not there.

    Raises:
        SandboxError: There is no way to get it here; the message says what to do.
    """
    name = base.image
    found = base_id(api, name)
    if found is not None:
        return found
    progress(f"pulling {name}")
    refusal = _pull(settings, name)
    if refusal is not None:
        progress(f"{name} cannot be pulled: {refusal}")
        _check_debootstrap(name, refusal)
        import_debootstrapped(api, base, progress)
    found = base_id(api, name)
    if found is None:
        raise SandboxError(f"the engine has no image {name} although it was just made")
    return found


def inspected(api: docker.APIClient, name: str) -> dict[str, Any]:
    """What the engine knows of an image; the SDK's own errors."""
    found: dict[str, Any] = api.inspect_image(name)  # type: ignore[no-untyped-call]  # the stubs leave it open
    return found


def base_id(api: docker.APIClient, name: str) -> str | None:
    """The content id of an image by its name; None when the engine has none."""
    with engine_errors(f"look for image {name}"):
        try:
            return str(inspected(api, name)["Id"])
        except docker.errors.ImageNotFound:
            return None


def _pull(settings: SandboxSettings, name: str) -> str | None:
    """Pull `name`; why it cannot be, else None."""
    repository, _, tag = name.rpartition(":")
    try:
        # A client of its own: the time-out between two signs of life is shorter than elsewhere.
        api = docker.APIClient(base_url=settings.docker_host, version="auto", timeout=int(settings.pull_timeout_s))
        try:
            api.pull(repository or name, tag=tag if repository else "latest")
        finally:
            api.close()
    except (docker.errors.DockerException, requests.exceptions.RequestException) as exc:
        return str(exc).splitlines()[0][:300]
    return None


def _check_debootstrap(name: str, refusal: str) -> None:
    if os.geteuid() == 0 and shutil.which("debootstrap"):
        return
    raise SandboxError(
        f"image {name} is not on the engine and cannot be pulled ({refusal}). Load it (docker pull or docker load), name "
        "another Debian image in sandbox.base_image, or run once as root with debootstrap installed, which makes it"
    )


def import_debootstrapped(api: docker.APIClient, base: BaseSpec, progress: Callable[[str], None]) -> None:
    """Make a minimal Debian with the host's own mirror and import it under the base's name. Needs root."""
    name = base.image
    with tempfile.TemporaryDirectory(prefix="coder-base-") as folder:
        root, archive = Path(folder) / "root", Path(folder) / "root.tar"
        progress(f"making {name} with debootstrap (a minute or two)")
        mirror = _mirror(_apt_sources(APT_FOLDER))
        _run(
            ["debootstrap", "--variant=minbase", base.suite, str(root), *([mirror] if mirror else [])],
            DEBOOTSTRAP_TIMEOUT_S,
        )
        left_out = [f"--exclude=./var/{path}/*" for path in ("cache/apt/archives", "lib/apt/lists", "log")]
        _run(["tar", "-C", str(root), "--numeric-owner", *left_out, "-cf", str(archive), "."], TAR_TIMEOUT_S)
        repository, _, tag = name.rpartition(":")
        with engine_errors(f"import image {name}"):
            api.import_image_from_file(str(archive), repository=repository or name, tag=tag if repository else "latest")


def _run(argv: list[str], timeout_s: float) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise SandboxError(f"cannot make the base image: {argv[0]}: {exc}") from exc
    if done.returncode != 0:
        tail = (done.stdout + done.stderr).decode("utf-8", "replace").strip()[-800:]
        raise SandboxError(f"cannot make the base image: {argv[0]} ended with {done.returncode}: {tail}")


def _apt_sources(folder: Path) -> str:
    """Everything the host's own apt is told about archives."""
    files = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]
    files += sorted(folder.glob("sources.list.d/*.sources"))
    texts = []
    for path in files:
        try:
            texts.append(path.read_text("utf-8", "replace"))
        except OSError:
            continue
    return "\n\n".join(texts)


def _mirror(sources: str) -> str | None:
    """The Debian archive named in apt's sources, in either format; None leaves the choice to debootstrap.

    An archive has all suites, so which of them the host itself uses does not matter.
    """
    lines = [line for line in sources.splitlines() if not line.lstrip().startswith("#")]
    single = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(https?://\S+/debian/?)\s+[a-z]+\s")
    for line in lines:
        match = single.match(line)
        if match:
            return match[1]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        uri = re.search(r"^URIs:\s*(https?://\S+/debian/?)(?:\s|$)", stanza, re.MULTILINE)
        if uri:
            return uri[1]
    return None
