"""Handing in, in two steps: a look at the whole change, and then the word that it is this one."""

from collections.abc import Iterable

from pydantic import Field

from coder.sandbox.protocol import Sandbox, Snapshot
from coder.tools.base import Arguments, clamp
from coder.trace.attempts import of_attempt
from coder.trace.events import Answered, Event, ToolFinished
from coder.trace.journal import Journal
from coder.types import FileRationale, Look, Submission, ToolOutput

_DIFF_CHARS = 12_000
_MAX_LEFT_OUT = 10
_NOTHING = (
    "Nothing is changed. If the problem needs no change or cannot be solved here, say in the summary why, and what you tried, "
    "and call submit again with confirm=true."
)
_QUESTIONS = """Before you hand it in:
- Reproduced: does a test in it fail without the change, and did you see it fail? `expected_failure` says how.
- Cleaned up: is every hunk needed, and nothing left over (scripts, prints, notes)?
- Explained: does `rationale` give a reason for each file?
If so, call submit again with confirm=true. What is changed after this look has to be looked at again."""

_UNTRIED = "Nothing was run since the last edit: see the tests that have to do with it pass first.\n\n"


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
    confirm: bool = Field(default=False, description="True hands in the change that the last look showed.")


class Submit:
    """Hand the work in, after a last look at the whole change."""

    name = "submit"
    arguments = SubmitArguments
    mutates = False

    def __init__(self, sandbox: Sandbox, journal: Journal) -> None:
        self._sandbox, self._journal = sandbox, journal

    def run(self, arguments: SubmitArguments) -> ToolOutput:
        """The end of the work, when the change is the one that was looked at and `confirm` says so; else a look at it."""
        seen = last_seen(of_attempt(self._journal.events))
        submission = Submission(
            title=arguments.title,
            summary=arguments.summary,
            rationale=tuple(FileRationale(path=r.path, reason=r.reason) for r in arguments.rationale),
            expected_failure=arguments.expected_failure,
        )
        change = self._sandbox.snapshot(seen if arguments.confirm else "")
        if change is None:
            return ToolOutput(content="Handed in.", submission=submission)
        moved = "The change is not the one that you looked at last.\n" if arguments.confirm and seen else ""
        untried = "" if tried(of_attempt(self._journal.events)) else _UNTRIED
        content = moved + _shown(change, untried)
        return ToolOutput(content=content, look=Look(tree_sha=change.tree_sha, submission=submission))


def last_seen(events: Iterable[Event]) -> str:
    """The tree that the model looked at last, empty before any: a look counts from the answer after it, once it is read."""
    seen = shown = ""
    for event in events:
        if isinstance(event, Answered):
            seen = shown
        elif isinstance(event, ToolFinished) and event.output.look is not None:
            shown = event.output.look.tree_sha
    return seen


def tried(events: Iterable[Event]) -> bool:
    """Whether anything was run since the last edit; also where there was none."""
    ran = True
    for event in events:
        if isinstance(event, ToolFinished) and event.name in {"run", "run_tests"}:
            ran = True
        elif isinstance(event, ToolFinished) and event.checkpoint is not None:
            ran = False
    return ran


def _shown(change: Snapshot, untried: str) -> str:
    """The change, what is not part of it, and what to ask oneself about it."""
    if not (change.diff.strip() or change.left_out):
        return _NOTHING
    parts = [f"This is the whole change:\n\n{clamp(change.diff, _DIFF_CHARS) or '(no change)'}\n"]
    if change.left_out:
        names = ", ".join(change.left_out[:_MAX_LEFT_OUT])
        parts.append(
            f"Not part of it, because no file of more than 16 MiB can be: {names}. Nothing may depend on them.\n"
        )
    return "\n".join([*parts, untried + _QUESTIONS])
