"""Which image a repository needs, and on which base: pure decisions over file names and contents."""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coder.errors import ConfigError, InputError
from coder.sandbox.setup_versions import Ask, Version

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
class BaseSpec:
    """A release of the distribution that images are built on."""

    name: str
    image: str
    """Reference of its image."""
    suite: str
    """Name of its archive, for debootstrap."""
    versions: Mapping[str, Version] = field(default_factory=dict)
    """What it has of each language, as major and minor."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All images, in the order of choice."""

    specs: tuple[ImageSpec, ...]
    bases: tuple[BaseSpec, ...]
    """The usual one first, the newest last."""
    servers: tuple[ImageSpec, ...] = ()
    """Images of what is started beside a sandbox; all are built on the usual base."""

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the servers on offer."""
        return tuple(spec.name for spec in self.servers)

    def server(self, name: str) -> tuple[ImageSpec, ...]:
        """The images that a server is built of, outermost parent first."""
        found = next((spec for spec in self.servers if spec.name == name), None)
        if found is None:
            raise ConfigError(f"images.toml knows no service {name!r}")
        return (*self.chain(self.named(found.parent or BASE)), found)

    def base(self, asks: Sequence[Ask], main: str) -> BaseSpec:
        """The base that meets most of what is asked for, the main language first; the usual one when it is as good."""

        def fitness(base: BaseSpec) -> tuple[bool, int]:
            met = [ask for ask in asks if ask.met(base.versions)]
            return all(ask in met for ask in asks if ask.language == main), len(met)

        best = max(self.bases, key=fitness)
        unmet = [ask for ask in asks if not ask.met(best.versions)]
        # Where nothing is new enough, the newest is the nearest.
        return self.bases[-1] if any(ask.language == main and ask.too_old(best.versions) for ask in unmet) else best

    def base_named(self, name: str) -> BaseSpec:
        """The base of that name."""
        for base in self.bases:
            if base.name == name:
                return base
        raise ConfigError(f"images.toml knows no base {name!r}; there are {', '.join(b.name for b in self.bases)}")

    def choice(self, paths: Iterable[str]) -> ImageSpec:
        """The image for a repository with these files."""
        everything = tuple(paths)
        top = {path for path in everything if "/" not in path}
        for spec in self.specs:
            if top.intersection(spec.markers):
                return spec
        # No part speaks for the whole: most of the sources do, then a marker anywhere.
        names = [path.rpartition("/")[2] for path in everything]
        most = max(self.specs, key=lambda spec: sum(name.endswith(spec.suffixes) for name in names))
        if any(name.endswith(most.suffixes) for name in names):
            return most
        return next((spec for spec in self.specs if any(name in spec.markers for name in names)), self.named(BASE))

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


def catalogue(folder: Path, base_image: str | None = None) -> Catalogue:
    """The images described in `folder`; all on `base_image` when one is given.

    Raises:
        ConfigError: A file is missing or malformed.
    """
    try:
        table = tomllib.loads((folder / "images.toml").read_text("utf-8"))
        specs = tuple(_spec(folder, entry) for entry in table["image"])
        servers = tuple(_spec(folder, {"markers": (), "suffixes": (), **entry}) for entry in table.get("service", ()))
        bases = tuple(
            BaseSpec(
                name=entry["name"],
                image=entry["image"],
                suite=entry["suite"],
                versions={k: tuple(int(part) for part in v.split(".")) for k, v in entry["versions"].items()},
            )
            for entry in table["base"]
        )
        if base_image is not None:
            named = [base for base in bases if base.image == base_image]
            bases = (*named, BaseSpec(name="own", image=base_image, suite=bases[0].suite))[:1]
        return Catalogue(specs, bases or _none(), servers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigError(f"cannot read the sandbox images in {folder}: {exc}") from exc


def _spec(folder: Path, entry: Mapping[str, Any]) -> ImageSpec:
    return ImageSpec(
        name=entry["name"],
        parent=entry.get("parent"),
        markers=tuple(entry["markers"]),
        suffixes=tuple(entry["suffixes"]),
        dockerfile=(folder / entry["name"] / "Dockerfile").read_text("utf-8"),
    )


def _none() -> tuple[BaseSpec, ...]:
    raise ValueError("there is no base")


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
