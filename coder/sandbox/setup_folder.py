"""What setup detection works with: one folder of a repository, and the steps that come of it."""

import configparser
import json
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from coder.errors import CoderError

MAX_MANIFEST_BYTES = 4_000_000
"""A larger manifest is taken as empty; lock files are only looked for, not read."""

TOOLS = "/opt/coder"
"""Programs that a setup phase gets go to its `bin`, which is first on every sandbox's PATH and stays in the image."""

WORKFLOW = re.compile(r"\.github/workflows/[^/]*(?:test|ci|build|check|main|unit|python|pr)[^/]*\.ya?ml", re.IGNORECASE)
"""Workflows by whose names tests may be run; others install what releases and documents need."""
MAX_WORKFLOWS = 8

OnFailure = Literal["stop", "flag", "note"]
"""stop: the environment would not build · flag: go on, but it is not what the project asks for · note: go on, say so."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a setup phase. `fallbacks` are tried in order when it fails; any success is a success."""

    command: str
    folder: str = "."
    fallbacks: tuple[str, ...] = ()
    on_failure: OnFailure = "stop"

    @property
    def shown(self) -> str:
        """The command as the log and the people who wait see it."""
        return self.command if self.folder == "." else f"(cd {self.folder}) {self.command}"

    def softened(self) -> "Step":
        """The same for a language that is not the repository's main one: its failure does not stop the rest."""
        return replace(self, on_failure="flag") if self.on_failure == "stop" else self


class Folder:
    """One folder of a repository: the names in it, and their contents when asked. What does not parse is empty."""

    def __init__(self, path: str, files: Mapping[str, bytes], names: frozenset[str]) -> None:
        self.path = path
        """From the repository's root; empty for the root itself."""
        self.names = names
        """Files in it, and those of its `requirements` folder as `requirements/x.txt`."""
        self._files = files

    def has(self, *names: str) -> bool:
        """Whether one of `names` is there."""
        return not self.names.isdisjoint(names)

    def text(self, name: str) -> str:
        """A file's text; empty when it is not there, too large, or cannot be read."""
        if name not in self.names:
            return ""
        try:
            data = self._files[f"{self.path}/{name}" if self.path else name]
        except CoderError:
            return ""
        return data.decode("utf-8", "replace") if len(data) <= MAX_MANIFEST_BYTES else ""

    def toml(self, name: str) -> dict[str, Any]:
        """A TOML file's table."""
        try:
            return tomllib.loads(self.text(name))
        except (ValueError, RecursionError):
            return {}

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file's object."""
        try:
            value = json.loads(self.text(name) or "{}")
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def ini(self, name: str) -> configparser.RawConfigParser:
        """An INI file's sections."""
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(self.text(name))
        except configparser.Error:
            return configparser.RawConfigParser()
        return parser

    def workflows(self) -> list[str]:
        """The texts of workflows that may run tests; those of the repository's root belong to the root alone."""
        paths = sorted(path for path in self._files if WORKFLOW.fullmatch(path)) if not self.path else []
        texts = []
        for path in paths[:MAX_WORKFLOWS]:
            with suppress(CoderError):
                texts.append(self._files[path][:MAX_MANIFEST_BYTES].decode("utf-8", "replace"))
        return texts

    def step(self, command: str, *fallbacks: str, on_failure: OnFailure = "stop") -> Step:
        """A step in this folder."""
        return Step(command, self.path or ".", fallbacks, on_failure)


def table(values: object, *names: str) -> dict[str, Any]:
    """The table under `names` within nested tables; empty where one is missing or is something else."""
    for name in names:
        values = values.get(name) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else {}


def strings(value: object) -> list[str]:
    """The strings of a list; none when it is something else."""
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []
