"""Asking the code map: where things are, where they are defined and used, what tests them, and what changes with them."""

import posixpath
from typing import Final, Protocol

from pydantic import Field

from coder.errors import CodeMapError, WorkspaceError
from coder.tools.base import Arguments
from coder.types import ToolOutput


class CodeMapArguments(Arguments):
    """Arguments of `code_map`."""

    words: str = Field(default="", description="What you look for, in words: the most relevant files and functions.")
    path: str = Field(default="", description="A file or folder: its outline.")
    symbol: str = Field(
        default="", description="A name, also as `Class.method`: its definitions, implementations and uses."
    )
    tests_of: str = Field(default="", description="A file or name: the tests that touch it.")
    changed_with: str = Field(default="", description="A file or folder: what past commits changed together with it.")


class Maps(Protocol):
    """The code map of the base commit."""

    def overview(self) -> str:
        """What the repository holds."""
        ...

    def relevant(self, words: str) -> str:
        """Files and functions that matter for `words`."""
        ...

    def outline(self, path: str) -> str:
        """The definitions in a file, or the files in a folder with theirs."""
        ...

    def symbol(self, name: str) -> str:
        """Definitions, implementations and uses of a name."""
        ...

    def tests_of(self, target: str) -> str:
        """The tests that touch a file or a name."""
        ...

    def changed_with(self, path: str) -> str:
        """What changed together with a file or folder."""
        ...


class CodeMapTool:
    """Look up files, outlines, symbols, tests and history."""

    name: Final = "code_map"
    arguments = CodeMapArguments
    mutates = False

    def __init__(self, maps: Maps) -> None:
        self._maps = maps

    def run(self, arguments: CodeMapArguments) -> ToolOutput:
        """The part of the map that was asked for; the overview when nothing was."""
        ways = {
            "words": self._maps.relevant,
            "path": self._maps.outline,
            "symbol": self._maps.symbol,
            "tests_of": self._maps.tests_of,
            "changed_with": self._maps.changed_with,
        }
        asked = {name: value.strip() for name, value in arguments.model_dump().items() if value.strip()}
        if len(asked) > 1:
            return ToolOutput(
                content=f"One question at a time: call it once with each of {', '.join(asked)}.", is_error=True
            )
        try:
            for name, value in asked.items():
                plain = value if name in {"words", "symbol"} else posixpath.normpath(value).lstrip("/")
                text = ways[name](plain)
                return ToolOutput(content=text or f"Nothing fits {value!r}: try other words, or `search`.")
            return ToolOutput(content=self._maps.overview())
        except (CodeMapError, WorkspaceError) as exc:
            return ToolOutput(content=str(exc), is_error=True)
