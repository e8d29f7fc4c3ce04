"""What the journal says of a run: pure folds over its events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from coder.trace.events import (
    Answered,
    Entry,
    Event,
    Finished,
    Opened,
    PatchTaken,
    Prepared,
    ProblemRead,
    Published,
    Reduced,
    Resumed,
    RunStarted,
    Solved,
    Told,
    ToolFinished,
    Verified,
)
from coder.types import Checkpoint, Completion, Message, Spent, Submission, ToolCall

STUB = "[This old output is hidden to save space. Run the tool again if you need it.]"
"""What a hidden tool output looks like to the model."""

_FIELDS = {
    "run_started": "started",
    "problem_read": "problem",
    "prepared": "prepared",
    "opened": "opened",
    "solved": "solved",
    "patch_taken": "patch",
    "published": "published",
    "finished": "finished",
}


@dataclass(slots=True)
class RunState:
    """Where a run stands: the last event of each kind. Reading it never changes it."""

    started: RunStarted | None = None
    problem: ProblemRead | None = None
    prepared: Prepared | None = None
    opened: Opened | None = None
    checkpoint: Checkpoint | None = None
    solved: Solved | None = None
    """How the agent's part ended; None again after an objection reopened it."""
    patch: PatchTaken | None = None
    objections: int = 0
    """How often the work was sent back."""
    verified: list[Verified] = field(default_factory=list)
    published: Published | None = None
    finished: Finished | None = None

    def take(self, event: Event) -> None:
        """Move on by one event."""
        if isinstance(event, Verified):
            self.verified.append(event)
        elif isinstance(event, ToolFinished):
            self.checkpoint = event.checkpoint or self.checkpoint
        elif isinstance(event, Told) and event.reason == "objection":
            self.solved = self.patch = None
            self.objections += 1
        elif event.type in _FIELDS:
            setattr(self, _FIELDS[event.type], event)


def state_of(events: Iterable[Event]) -> RunState:
    """Where the run stands after `events`."""
    state = RunState()
    for event in events:
        state.take(event)
    return state


def conversation(events: Iterable[Event]) -> list[Message]:
    """The messages as they go on the wire next, rebuilt from the journal.

    Tool results stand right after the call's message, in call order, as templates that pair by order need them.
    """
    messages: list[Message] = []
    steps: list[int] = []  # of the message at the same place
    for event in events:
        step = getattr(event, "step", 0)
        match event:
            case Opened():
                messages.extend(event.messages)
            case Answered():
                messages.append(event.completion.message)
            case ToolFinished():
                messages.append(
                    Message(role="tool", content=event.output.content, tool_call_id=event.call_id, name=event.name)
                )
            case Told():
                if event.replaces_answer and messages[-1].role == "assistant":
                    messages.pop()
                messages.append(event.message)
            case Reduced():
                messages = [hidden(m) if s < event.before_step else m for m, s in zip(messages, steps, strict=True)]
            case _:
                pass
        steps = steps[: len(messages)] + [step] * (len(messages) - len(steps))
    return messages


def hidden(message: Message) -> Message:
    """A long tool output as the stub that stands for it on the wire; any other message as it is."""
    if message.role != "tool" or len(message.content or "") <= len(STUB):
        return message
    return message.model_copy(update={"content": STUB})


@dataclass(frozen=True, slots=True)
class Turn:
    """The last answer and what of it is still to be done: where a new process goes on."""

    step: int = 0
    answer: Completion | None = None
    """None when nothing is left to do for it."""
    open_calls: tuple[ToolCall, ...] = ()
    submission: Submission | None = None


def last_turn(events: Iterable[Event]) -> Turn:
    """The turn that the journal ends in."""
    turn = Turn()
    for event in events:
        match event:
            case Answered():
                turn = Turn(event.step, event.completion, event.completion.message.tool_calls)
            case ToolFinished():
                rest = tuple(call for call in turn.open_calls if call.id != event.call_id)
                turn = replace(turn, open_calls=rest, submission=event.output.submission or turn.submission)
            case Told() | Solved():
                turn = Turn(step=turn.step)
            case _:
                pass
    return turn


def spent(entries: Sequence[Entry]) -> Spent:
    """Steps, tokens, dollars and wall clock so far; time in which no process ran the journal is not counted."""
    answers = [e.event for e in entries if isinstance(e.event, Answered)]
    elapsed, started, last = 0.0, "", ""
    for entry in entries:
        if isinstance(entry.event, Resumed) or not started:
            elapsed += _seconds(started, last)
            started = entry.ts
        last = entry.ts
    usages = [answer.completion.usage for answer in answers]
    return Spent(
        steps=len(answers),
        cost_usd=sum(answer.completion.cost_usd for answer in answers),
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        elapsed_s=round(elapsed + _seconds(started, last), 3),
    )


def _seconds(start: str, end: str) -> float:
    if not start or not end:
        return 0.0
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
