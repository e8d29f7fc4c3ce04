"""What a repository's sandboxes are made of: base, images, packages and setup steps, decided without any engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coder.errors import InputError
from coder.sandbox.images import BASE, BaseSpec, Catalogue, ImageSpec
from coder.sandbox.protocol import Wants
from coder.sandbox.setup_commands import MAX_LANGUAGES, detected, folders, given
from coder.sandbox.setup_folder import Step
from coder.sandbox.setup_hints import BUILDS, Hints, hints
from coder.sandbox.setup_versions import asks

USELESS = frozenset(
    {
        "apt-transport-https",
        "apt-utils",
        "bash",
        "ca-certificates",
        "docker.io",
        "git",
        "gnupg",
        "less",
        "locales",
        "nano",
    }
    | {
        "openssh-client",
        "openssh-server",
        "patch",
        "procps",
        "python3",
        "software-properties-common",
        "sudo",
        "systemd",
    }
    | {"tzdata", "unzip", "vim", "xz-utils", "zsh"}
)
"""Packages that Dockerfiles ask for and sandboxes have, or have no use for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made."""

    base: BaseSpec
    specs: tuple[ImageSpec, ...]
    """Each is built on the one before."""
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    """Files that the result of the steps depends on."""

    @property
    def commands(self) -> tuple[str, ...]:
        """Everything that may be run, in order."""
        return tuple(part for step in self.steps for part in (step.folder, step.command, *step.fallbacks))


def plan(catalogue: Catalogue, files: Mapping[str, bytes], *, setup: tuple[str, ...] | None, wants: Wants) -> Plan:
    """The environment for a repository with these files. What somebody said counts more than what files show.

    Raises:
        InputError: An image is wanted that there is not.
    """
    hinted = hints(files)
    main = _main(catalogue, files, hinted, wants)
    wanted = detected(files, main.name) if setup is None else given(files, setup, main.name)
    named = tuple(catalogue.wanted(name).name for name in wants.images[1:])
    others = named or _others(main, wanted.languages, hinted)
    languages = tuple(dict.fromkeys((main.name, *others)))
    said = asks(folders(files), languages)
    manifest = {ask.language for ask in said}
    base = catalogue.base(
        (*said, *(ask for ask in hinted.asks if ask.language in languages and ask.language not in manifest)), main.name
    )
    required = tuple(dict.fromkeys(wants.packages))
    optional = tuple(name for name in hinted.packages if name not in USELESS and name not in required)
    specs = catalogue.stack(main, others)
    if required or optional:
        specs = (*specs, packages_image(required, optional))
    steps = wanted.steps
    if setup is None:
        # Beside what the manifests say they are a help; alone they are all that is known.
        more = [command for command in hinted.commands if not steps or BUILDS.search(command)]
        steps = (*steps, *(Step(command, on_failure="note" if steps else "flag") for command in more))
    return Plan(base, specs, steps, tuple(sorted({*wanted.inputs, *(hinted.inputs if steps else ())})))


def _main(catalogue: Catalogue, files: Mapping[str, bytes], hinted: Hints, wants: Wants) -> ImageSpec:
    if wants.images:
        return catalogue.wanted(wants.images[0])
    main = catalogue.choice(files)
    return catalogue.named(hinted.languages[0]) if main.name == BASE and hinted.languages else main


def _others(main: ImageSpec, languages: Sequence[str], hinted: Hints) -> tuple[str, ...]:
    """The further languages: those that are set up, then those that a development container has."""
    found = dict.fromkeys((*languages, *hinted.languages))
    found.pop(main.name, None)
    return tuple(found)[: MAX_LANGUAGES - 1]


def packages_image(required: Sequence[str], optional: Sequence[str]) -> ImageSpec:
    """An image with packages of the distribution on top. `optional` ones that it has not are left out.

    Names were checked where they were read: nothing in them has a meaning to a shell.
    """
    install = "apt-get install -y --no-install-recommends"
    strict = f"    {install} {' '.join(required)}; \\\n" if required else ""
    loose = ""
    if optional:
        names = " ".join(optional)
        loose = (
            f'    {install} {names} || for name in {names}; do {install} "$name" || echo "no package $name"; done; \\\n'
        )
    dockerfile = (
        "ARG BASE=debian:bookworm-slim\nFROM ${BASE}\nUSER root\nRUN set -eu; \\\n"
        "    export DEBIAN_FRONTEND=noninteractive; \\\n    apt-get update; \\\n"
        f"{strict}{loose}"
        "    rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb\nUSER coder\n"
    )
    return ImageSpec("packages", None, (), (), dockerfile)


def known_services(catalogue: Catalogue, services: Sequence[str]) -> tuple[str, ...]:
    """`services`, each once.

    Raises:
        InputError: One is not on offer.
    """
    offered = catalogue.services
    for name in services:
        if name not in offered:
            raise InputError(f"`services:` names {name!r}, which there is not; there are {', '.join(offered)}")
    return tuple(dict.fromkeys(services))
