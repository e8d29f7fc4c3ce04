"""Keeping a plan, and handing in."""

from typing import Literal

from pydantic import Field

from coder.sandbox.protocol import Sandbox
from coder.tools.base import Arguments, clamp
from coder.types import FileRationale, Submission, ToolOutput

_DIFF_CHARS = 12_000
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


class Reason(Arguments):
    """Why one file changed."""

    path: str = Field(description="A file of the change.")
    reason: str = Field(description="Why it is changed, in one sentence.")


class SubmitArguments(Arguments):
    """Arguments of `submit`."""

    title: str = Field(min_length=1, max_length=200, description="Title of the pull request, imperative.")
    summary: str = Field(min_length=1, description="The cause of the problem and how the change solves it.")
    rationale: list[Reason] = Field(default_factory=list, description="One entry for each changed file.")
    expected_failure: str = Field(default="", description="How the new test fails without the change.")
    confirm: bool = Field(default=False, description="False shows the change for a last look; true hands it in.")


_NOTHING = (
    "Nothing is changed. If the problem needs no change or cannot be solved here, say in the summary why, and what you tried, "
    "and call submit again with confirm=true."
)


class Submit:
    """Hand the work in, after a last look at the whole change."""

    name = "submit"
    arguments = SubmitArguments
    mutates = False

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def run(self, arguments: SubmitArguments) -> ToolOutput:
        """Without `confirm` the change as it would be handed in; with it the end of the work."""
        if not arguments.confirm:
            diff = self._sandbox.diff()
            if not diff.strip():
                return ToolOutput(content=_NOTHING)
            return ToolOutput(
                content=f"This is the whole change:\n\n{clamp(diff, _DIFF_CHARS)}\n\nIs every hunk needed, is a test that fails without the change "
                "part of it, and is nothing left over (scripts, prints, notes)? If so, call submit again with confirm=true."
            )
        reasons = tuple(FileRationale(path=r.path, reason=r.reason) for r in arguments.rationale)
        submission = Submission(
            title=arguments.title,
            summary=arguments.summary,
            rationale=reasons,
            expected_failure=arguments.expected_failure,
        )
        return ToolOutput(content="Handed in.", submission=submission)
