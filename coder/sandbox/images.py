"""Which image a repository needs and what its setup phase runs: pure decisions over file names and contents."""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from coder.errors import ConfigError, InputError

BASE = "base"
HASH_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """One entry of `images.toml`, with its folder's content."""

    name: str
    parent: str | None
    markers: tuple[str, ...]
    suffixes: tuple[str, ...]
    dockerfile: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All images, in the order of choice."""

    specs: tuple[ImageSpec, ...]

    def choice(self, paths: Iterable[str]) -> ImageSpec:
        """The image for a repository with these files."""
        everything = tuple(paths)
        top = {path for path in everything if "/" not in path}
        names = {path.rpartition("/")[2] for path in everything}
        for found in (top, names):
            for spec in self.specs:
                if found.intersection(spec.markers):
                    return spec
        for spec in self.specs:
            if any(name.endswith(spec.suffixes) for name in names):
                return spec
        return self.named(BASE)

    def named(self, name: str) -> ImageSpec:
        """The image of that name."""
        for spec in self.specs:
            if spec.name == name:
                return spec
        raise ConfigError(f"images.toml knows no image {name!r}")

    def wanted(self, name: str) -> ImageSpec:
        """The image that a repository names.

        Raises:
            InputError: There is none of that name.
        """
        known = [spec.name for spec in self.specs]
        if name not in known:
            raise InputError(f"`images:` names {name!r}, which there is not; there are {', '.join(sorted(known))}")
        return self.named(name)

    def stack(self, main: ImageSpec, others: Iterable[str]) -> tuple[ImageSpec, ...]:
        """`main`, the images named in `others`, and what they are built on, each to be built on the one before."""
        known = {spec.name for spec in self.specs}
        found = dict.fromkeys(self.chain(main))
        for name in others:
            found |= dict.fromkeys(self.chain(self.named(name)) if name in known else ())
        return tuple(found)

    def chain(self, spec: ImageSpec) -> tuple[ImageSpec, ...]:
        """`spec` and what it is built on, outermost parent first."""
        found = [spec]
        while found[-1].parent is not None:
            parent = self.named(found[-1].parent)
            if parent in found:
                raise ConfigError(f"images.toml: {parent.name!r} is its own parent")
            found.append(parent)
        return tuple(reversed(found))


def catalogue(folder: Path) -> Catalogue:
    """The images described in `folder`.

    Raises:
        ConfigError: A file is missing or malformed.
    """
    try:
        table = tomllib.loads((folder / "images.toml").read_text("utf-8"))
        specs = tuple(
            ImageSpec(
                name=entry["name"],
                parent=entry.get("parent"),
                markers=tuple(entry["markers"]),
                suffixes=tuple(entry["suffixes"]),
                dockerfile=(folder / entry["name"] / "Dockerfile").read_text("utf-8"),
            )
            for entry in table["image"]
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read the sandbox images in {folder}: {exc}") from exc
    return Catalogue(specs)


def default_folder() -> Path:
    """Where the images are described: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parent.parent
    installed = package / "_data" / "sandbox_images"
    return installed if installed.is_dir() else package.parent / "sandbox_images"


def content_hash(spec: ImageSpec, base_digest: str) -> str:
    """Names an image by everything that it is made of: its own file and the image below."""
    return _hash([spec.name, spec.dockerfile, base_digest])


def setup_key(base_digest: str, files: Mapping[str, bytes], inputs: Iterable[str], commands: Iterable[str]) -> str:
    """Names the result of a setup phase: the image below, the files that bear on it, and the commands."""
    parts = [base_digest, *commands]
    for path in sorted(inputs):
        parts += [path, hashlib.sha256(files[path]).hexdigest()]
    return _hash(parts)


def _hash(parts: list[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogateescape")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()
