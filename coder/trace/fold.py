"""Folds that follow a journal line by line: what the next request holds, and what the run has used.

However long a run is, a step costs what its own lines cost.
"""

from datetime import datetime

from coder.trace.events import (
    Answered,
    Entry,
    Event,
    Opened,
    Reduced,
    Resumed,
    Reviewed,
    Summarised,
    Told,
    ToolFinished,
)
from coder.types import Completion, Message, Spent

STUB = "[{chars} characters hidden to save space; recall(step={step}) shows them]"
"""What a hidden tool output looks like to the model."""
SUMMARY_STEP = -1
"""Where a summary belongs: to no step, so that the next one takes its place."""


class Conversation:
    """The messages as they go on the wire next.

    Tool results stand right after the call's message, in call order, as templates that pair by order need them. What a
    reduction takes away are whole steps, or the outputs of whole steps: no call ever stands without its result.
    """

    def __init__(self) -> None:
        self._steps: list[int] = []
        """The step that each message belongs to: 0 for the opening."""
        self.messages: list[Message] = []
        """In order; only this object changes the list."""
        self.chars = 0
        """Of all messages, as `chars` counts them."""

    def take(self, event: Event) -> None:
        """Move on by one event."""
        match event:
            case Opened():
                self._add(0, *event.messages)
            case Answered():
                self._add(event.step, event.completion.message)
            case ToolFinished():
                content = event.output.content
                self._add(
                    event.step, Message(role="tool", content=content, tool_call_id=event.call_id, name=event.name)
                )
            case Told():
                if event.replaces_answer and self.messages[-1].role == "assistant":
                    self.chars -= chars(self.messages.pop())
                    self._steps.pop()
                self._add(event.step, event.message)
            case Reduced() | Summarised():
                self._shorten(event)
            case _:
                pass

    def _add(self, step: int, *messages: Message) -> None:
        self.messages += messages
        self._steps += [step] * len(messages)
        self.chars += sum(map(chars, messages))

    def _shorten(self, event: Reduced | Summarised) -> None:
        """What stays after a reduction; a summary takes the place of the one before it, too."""
        placed = list(zip(self._steps, self.messages, strict=True))
        if isinstance(event, Reduced):
            placed = [(step, hidden(m, step) if step < event.before_step else m) for step, m in placed]
        elif event.message is not None:
            opening = [(step, m) for step, m in placed if step == 0]
            placed = [*opening, (SUMMARY_STEP, event.message), *(p for p in placed if p[0] >= event.before_step)]
        self._steps, self.messages = [step for step, _ in placed], [m for _, m in placed]
        self.chars = sum(map(chars, self.messages))


def chars(message: Message) -> int:
    """Characters of a message on the wire, with what encloses them."""
    calls = sum(len(call.arguments) + len(call.name) + 40 for call in message.tool_calls)
    return len(message.content or "") + len(message.reasoning_content or "") + 20 + calls


def hidden(message: Message, step: int) -> Message:
    """A long tool output as the stub that stands for it on the wire; any other message as it is."""
    content = message.content or ""
    stub = STUB.format(chars=len(content), step=step)
    if message.role != "tool" or len(content) <= len(stub):
        return message
    return message.model_copy(update={"content": stub})


class Meter:
    """Steps, tokens, dollars and wall clock; time in which no process ran the journal is not counted."""

    def __init__(self) -> None:
        self._used = Spent()
        self._before_s = 0.0
        """Wall clock of the processes before this one."""
        self._started = self._last = ""

    def take(self, entry: Entry) -> None:
        """Move on by one line."""
        event = entry.event
        if isinstance(event, Resumed) or not self._started:
            self._before_s += _seconds(self._started, self._last)
            self._started = entry.ts
        self._last = entry.ts
        if isinstance(event, Answered | Summarised):
            self._pay(event.completion, steps=1)
        elif isinstance(event, Reviewed) and event.completion is not None:  # paid for, and no step of the agent
            self._pay(event.completion, steps=0)

    @property
    def spent(self) -> Spent:
        """What is used so far."""
        elapsed_s = self._before_s + _seconds(self._started, self._last)
        return self._used.model_copy(update={"elapsed_s": round(elapsed_s, 3)})

    def _pay(self, completion: Completion, *, steps: int) -> None:
        used, usage = self._used, completion.usage
        self._used = Spent(
            steps=used.steps + steps,
            cost_usd=used.cost_usd + completion.cost_usd,
            prompt_tokens=used.prompt_tokens + usage.prompt_tokens,
            cached_tokens=used.cached_tokens + usage.cached_tokens,
            completion_tokens=used.completion_tokens + usage.completion_tokens,
        )


def _seconds(start: str, end: str) -> float:
    if not start or not end:
        return 0.0
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
