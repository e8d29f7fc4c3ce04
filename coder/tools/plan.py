"""Keeping a plan."""

from typing import Literal

from pydantic import Field

from coder.tools.base import Arguments
from coder.types import ToolOutput

_MARKS = {"todo": "[ ]", "doing": "[~]", "done": "[x]", "dropped": "[-]"}


class PlanItem(Arguments):
    """One line of the plan."""

    text: str = Field(min_length=1, description="What is to be done.")
    status: Literal["todo", "doing", "done", "dropped"] = Field(description="Where it stands.")


class PlanArguments(Arguments):
    """Arguments of `plan`."""

    items: list[PlanItem] = Field(min_length=1, max_length=30, description="The whole plan, each time.")


class Plan:
    """Write the plan down."""

    name = "plan"
    arguments = PlanArguments
    mutates = False

    def run(self, arguments: PlanArguments) -> ToolOutput:
        """The plan as a checklist."""
        return ToolOutput(content="\n".join(f"{_MARKS[item.status]} {item.text}" for item in arguments.items))
