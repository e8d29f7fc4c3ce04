"""Looking back: what earlier steps showed, also when it has left the conversation."""

from pydantic import Field

from coder.tools.base import Arguments
from coder.trace.recall import Recall
from coder.types import ToolOutput


class RecallArguments(Arguments):
    """Arguments of `recall`."""

    words: str = Field(default="", description="Words to search for in all earlier outputs and thoughts.")
    step: int | None = Field(default=None, ge=1, description="A step, to see its outputs whole.")


class RecallTool:
    """Search the run's own past."""

    name = "recall"
    arguments = RecallArguments
    mutates = False

    def __init__(self, recall: Recall) -> None:
        self._recall = recall

    def run(self, arguments: RecallArguments) -> ToolOutput:
        """The places found, or the outputs of a step."""
        if bool(arguments.words) == (arguments.step is not None):
            return ToolOutput(content="Give either `words` or `step`.", is_error=True)
        if arguments.step is not None:
            outputs = self._recall.step(arguments.step)
            text = "\n\n".join(f"{name}:\n{output}" for name, output in outputs)
            return ToolOutput(content=text or f"Step {arguments.step} ran no tool.", is_error=not outputs)
        hits = self._recall.search(arguments.words)
        found = "\n\n".join(f"step {hit.step}, {hit.what}:\n{hit.snippet}" for hit in hits)
        return ToolOutput(content=found or f"Nothing earlier holds any of these words: {arguments.words}")
