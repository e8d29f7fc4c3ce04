"""Keeping the conversation inside the model's window: append only, until one reduction in one go."""

from collections.abc import Sequence

from coder.trace.events import Answered, Event, Reduced, ToolFinished
from coder.trace.fold import STUB
from coder.types import ToolSpec

REDUCE_AT = 0.8
"""Share of the window at which old tool outputs are hidden (the vendor of Kimi K2 does the same at its limit)."""
KEEP_STEPS = 10
"""Steps whose outputs stay as they are."""
CHARS_PER_TOKEN = 3.0
"""On the safe side: code has 3 to 4 characters per token with the vocabularies of these models."""


def tokens(chars: int) -> int:
    """An upper estimate of the tokens of so many characters."""
    return int(chars / CHARS_PER_TOKEN)


def described(tools: Sequence[ToolSpec]) -> int:
    """Characters of the tools' descriptions, which every request carries."""
    return sum(len(tool.description) + len(str(tool.parameters)) for tool in tools)


def reduction(events: Sequence[Event], *, keep_steps: int = KEEP_STEPS) -> Reduced | None:
    """The reduction that hides all outputs but those of the last steps; None when it would hide nothing more."""
    step = max((e.step for e in events if isinstance(e, Answered)), default=0)
    before = step - keep_steps + 1
    done = max((e.before_step for e in events if isinstance(e, Reduced)), default=0)
    hides = any(
        isinstance(e, ToolFinished) and done <= e.step < before and len(e.output.content) > len(STUB) for e in events
    )
    return Reduced(before_step=before) if hides else None
