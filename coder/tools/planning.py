"""Tools while only a plan is asked for: the same list with the same descriptions, so that the conversation can go on."""

from typing import Any

from coder.tools.base import Arguments, Tool
from coder.tools.submit import SubmitArguments
from coder.types import ToolOutput

_OFF = (
    "Nothing was changed: only a plan is asked for. Hand your plan in by `submit` with confirm=true; when a person "
    "has approved it, this tool works."
)
EDITING = frozenset({"apply_patch", "edit"})
"""Tools whose only use is to change files."""


def planning(tools: list[Tool[Any]]) -> list[Tool[Any]]:
    """`tools` as they are before a plan is approved: what edits refuses, and handing in hands in the plan."""
    return [_Refusing(t) if t.name in EDITING else _Proposing() if t.name == "submit" else t for t in tools]


class _Refusing:
    """Stands for a tool that edits."""

    mutates = False

    def __init__(self, tool: Tool[Any]) -> None:
        self.name, self.arguments = tool.name, tool.arguments

    def run(self, arguments: Arguments) -> ToolOutput:  # noqa: ARG002 - the answer is the same for all
        return ToolOutput(content=_OFF, is_error=True)


class _Proposing:
    """Stands for `submit`: what is handed in is the plan, and a person has the next word."""

    name = "submit"
    arguments = SubmitArguments
    mutates = False

    def run(self, arguments: SubmitArguments) -> ToolOutput:
        plan = f"{arguments.title}\n\n{arguments.summary}"
        return ToolOutput(content="The plan is shown to the people who asked.", question=plan)
