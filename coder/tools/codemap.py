"""Asking the code map: where things are defined and used."""

from typing import Protocol

from pydantic import Field

from coder.errors import CodeMapError
from coder.tools.base import Arguments
from coder.types import ToolOutput


class CodeMapArguments(Arguments):
    """Arguments of `code_map`."""

    words: str = Field(default="", description="What you look for, in words: the most relevant files and functions.")
    path: str = Field(default="", description="A file: its outline.")
    symbol: str = Field(default="", description="A name: where it is defined and where it is used.")


class Maps(Protocol):
    """The code map of the base commit."""

    def relevant(self, words: str) -> str:
        """Files and functions that matter for `words`."""
        ...

    def outline(self, path: str) -> str:
        """The definitions in a file."""
        ...

    def symbol(self, name: str) -> str:
        """Definitions and uses of a name."""
        ...


class CodeMapTool:
    """Look up files, outlines and symbols."""

    name = "code_map"
    arguments = CodeMapArguments
    mutates = False

    def __init__(self, maps: Maps) -> None:
        self._maps = maps

    def run(self, arguments: CodeMapArguments) -> ToolOutput:
        """The part of the map that was asked for."""
        asked = [bool(arguments.words), bool(arguments.path), bool(arguments.symbol)]
        if sum(asked) != 1:
            return ToolOutput(content="Give exactly one of `words`, `path`, `symbol`.", is_error=True)
        try:
            if arguments.words:
                return ToolOutput(content=self._maps.relevant(arguments.words))
            if arguments.path:
                return ToolOutput(content=self._maps.outline(arguments.path))
            return ToolOutput(content=self._maps.symbol(arguments.symbol))
        except CodeMapError as exc:
            return ToolOutput(content=str(exc), is_error=True)
