"""What devcontainer.json, Dockerfile and CI tell of an environment. They are read, never built: hints, not instructions."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from coder.errors import CoderError
from coder.sandbox.setup_folder import MAX_WORKFLOWS, WORKFLOW, table
from coder.sandbox.setup_versions import Ask, spans

DEVCONTAINERS = (".devcontainer/devcontainer.json", ".devcontainer.json")
DOCKERFILES = (".devcontainer/Dockerfile", "Dockerfile")
MAX_BYTES = 200_000
MAX_PACKAGES = 60
MAX_COMMANDS = 5
MAX_COMMAND_CHARACTERS = 2_000
LIFE_CYCLE = ("onCreateCommand", "updateContentCommand", "postCreateCommand")
"""https://containers.dev/implementors/json_reference/#lifecycle-scripts"""
FOREIGN = re.compile(
    r"\b(?:sudo|apt|apt-get|apk|dnf|yum|docker|systemctl|service|chown|gh|az|gcloud|git\s+config|ssh|pre-commit)\b"
)
"""What belongs to somebody's machine, or would not work without root."""

BUILDS = re.compile(r"\b(?:make|build|compile|gen(?:erate)?|codegen|prepare|migrate)\b")
"""In commands that do more than install what manifests lead to, which often ends in a second environment in the work tree."""

_LANGUAGES = {
    "python": "python",
    "node": "node",
    "javascript-node": "node",
    "typescript-node": "node",
    "golang": "go",
    "go": "go",
    "rust": "rust",
    "ruby": "ruby",
    "php": "php",
    "composer": "php",
    "gcc": "cpp",
    "cpp": "cpp",
    "java": "java",
    "openjdk": "java",
    "eclipse-temurin": "java",
    "amazoncorretto": "java",
    "maven": "java",
    "gradle": "java",
}
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,99}")
_HEAVY = re.compile(
    r"texlive|latex|libreoffice|cuda|nvidia|linux-|kernel|wine|ubuntu-|language-pack-|qemu|llvm|clang|valgrind"
)
"""Gigabytes, or another machine's."""
_INSTALL = re.compile(r"\bapt(?:-get)?\s+(?:-\S+\s+)*install\b([^&|;<>()]*)")
_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Hints:
    """What was found."""

    languages: tuple[str, ...] = ()
    """In the names of images."""
    asks: tuple[Ask, ...] = ()
    packages: tuple[str, ...] = ()
    """Packages of the distribution; some of them may have other names in ours."""
    commands: tuple[str, ...] = ()
    """What is run once after the container is made, as far as it needs no root."""
    inputs: tuple[str, ...] = ()
    """The files that it was found in."""


def hints(files: Mapping[str, bytes]) -> Hints:
    """What the repository's own descriptions of a development container say."""
    languages: dict[str, None] = {}
    asks: dict[Ask, None] = {}
    packages: dict[str, None] = {}
    commands: list[str] = []
    inputs: list[str] = []
    for path in (*DEVCONTAINERS, *DOCKERFILES):
        text = _text(files, path)
        if not text:
            continue
        inputs.append(path)
        container = _jsonc(text) if path in DEVCONTAINERS else {}
        lines = [] if path in DEVCONTAINERS else _instructions(text)
        for image, tag in (*_images(container), *_from(lines)):
            _add(image, tag, languages, asks)
        given = list(_commands(container))
        commands += [command for command in given if not FOREIGN.search(command)]
        for command in (*given, *lines):
            packages |= dict.fromkeys(_packages(command))
    for path in sorted(path for path in files if WORKFLOW.fullmatch(path))[:MAX_WORKFLOWS]:
        found = dict.fromkeys(name for line in _instructions(_text(files, path)) for name in _packages(line))
        packages |= found
        inputs += [path] if found else []
    return Hints(
        tuple(languages), tuple(asks), tuple(packages)[:MAX_PACKAGES], tuple(commands[:MAX_COMMANDS]), tuple(inputs)
    )


def _text(files: Mapping[str, bytes], path: str) -> str:
    if path not in files:
        return ""
    try:
        data = files[path]
    except CoderError:
        return ""
    return data.decode("utf-8", "replace") if len(data) <= MAX_BYTES else ""


def _jsonc(text: str) -> dict[str, Any]:
    """JSON with comments and trailing commas; what does not parse is empty."""
    plain = _STRING_OR_COMMENT.sub(lambda match: match[1] or " ", text)
    # Commas in strings that look so are changed, too: no such string bears on anything here.
    plain = re.sub(r",(\s*[}\]])", r"\1", plain)
    try:
        value = json.loads(plain)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _instructions(text: str) -> list[str]:
    """The instructions of a Dockerfile, one line each."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return re.sub(r"\\\s*\n", " ", "\n".join(lines)).splitlines()


def _images(container: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Image and features of a devcontainer, as name and version."""
    yield _named(str(container.get("image", "")))
    for feature, options in table(container, "features").items():
        name = re.search(r"/features/([a-z-]+)", feature)
        version = table({"x": options}, "x").get("version", "")
        if name:
            yield name[1], str(version)


def _from(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if match := re.match(r"(?i)\s*FROM\s+(?:--\S+\s+)?(\S+)", line):
            yield _named(match[1])


def _named(reference: str) -> tuple[str, str]:
    """The last part of an image's name, and its tag."""
    name, _, tag = reference.partition("@")[0].rpartition("/")[2].partition(":")
    return name, tag


def _add(image: str, tag: str, languages: dict[str, None], asks: dict[Ask, None]) -> None:
    language = _LANGUAGES.get(image)
    if language is None:
        return
    languages[language] = None
    # Development containers have a version of their own before the language's: 1-3.12-bookworm.
    pattern = r"(?:\d+(?:\.\d+)*-)?v?(\d{1,3}(?:\.\d{1,3})?)"
    if image in {"maven", "gradle"}:
        pattern = r".*?(?:temurin|openjdk|corretto|jdk)-?(\d{1,2})"
    version = re.match(pattern, tag)
    if version and (understood := spans(f">={version[1]}")):
        asks[Ask(language, understood)] = None


def _commands(container: dict[str, Any]) -> Iterator[str]:
    for stage in LIFE_CYCLE:
        value = container.get(stage)
        for one in value.values() if isinstance(value, dict) else [value]:
            words = [word for word in one if isinstance(word, str)] if isinstance(one, list) else []
            command = one if isinstance(one, str) else shlex.join(words)
            if command.strip() and len(command) <= MAX_COMMAND_CHARACTERS and "${" not in command:
                yield command.strip()


def _packages(command: str) -> Iterator[str]:
    """Names after `apt-get install`, without options, versions and architectures."""
    for match in _INSTALL.finditer(re.sub(r"\$\{\{[^}]*\}\}", " ", command[:MAX_BYTES])):
        for word in match[1].split():
            name = re.split(r"[=:/]", word)[0]
            if not word.startswith("-") and _PACKAGE.fullmatch(name) and not _HEAVY.search(name):
                yield name
