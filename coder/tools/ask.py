"""Asking the people who wait for the work."""

from pydantic import Field

from coder.tools.base import Arguments
from coder.types import ToolOutput


class AskArguments(Arguments):
    """Arguments of `ask`."""

    question: str = Field(
        min_length=1,
        max_length=8_000,
        description="What you found out, the question, the choices, and the one that you would take.",
    )


class Ask:
    """Put a question to people; the run waits for their answer."""

    name = "ask"
    arguments = AskArguments
    mutates = False

    def run(self, arguments: AskArguments) -> ToolOutput:
        """The question as the end of this part of the work."""
        return ToolOutput(
            content="The question was put; the answer comes as the next message.", question=arguments.question
        )
