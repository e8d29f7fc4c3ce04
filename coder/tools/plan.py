"""Keeping a plan, and handing in."""

from typing import Literal

from pydantic import Field

from coder.sandbox.protocol import Sandbox
from coder.tools.base import Arguments, clamp
from coder.types import FileRationale, Submission, ToolOutput

_DIFF_CHARS = 12_000
_MAX_LEFT_OUT = 10
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
            return ToolOutput(content=_look(self._sandbox))
        reasons = tuple(FileRationale(path=r.path, reason=r.reason) for r in arguments.rationale)
        submission = Submission(
            title=arguments.title,
            summary=arguments.summary,
            rationale=reasons,
            expected_failure=arguments.expected_failure,
        )
        return ToolOutput(content="Handed in.", submission=submission)


def _look(sandbox: Sandbox) -> str:
    """The change, what is not part of it, and what to ask oneself about it."""
    change = sandbox.snapshot("")
    if change is None or not (change.diff.strip() or change.left_out):
        return _NOTHING
    parts = [f"This is the whole change:\n\n{clamp(change.diff, _DIFF_CHARS) or '(no change)'}\n"]
    if change.left_out:
        names = ", ".join(change.left_out[:_MAX_LEFT_OUT])
        parts.append(
            f"Not part of it, because no file of more than 16 MiB can be: {names}. Nothing may depend on them.\n"
        )
    parts.append(
        "Is every hunk needed, is a test that fails without the change part of it, and is nothing left over (scripts, "
        "prints, notes)? If so, call submit again with confirm=true."
    )
    return "\n".join(parts)
