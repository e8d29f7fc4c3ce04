"""When shortening the conversation pays: what carrying old steps will cost, against writing a summary and re-reading.

Append-only is not the cheapest: at a cached price of a quarter of the full one, 300 steps cost three times as much as
with a reduction every 20 to 40 steps (docs/decisions/0006).
"""

from collections.abc import Sequence

from coder.agent import window
from coder.model.profile import ModelProfile, Prices
from coder.trace.events import Answered, Event, Reduced, Summarised, Told, ToolFinished
from coder.types import Message

KEEP_STEPS = 12
"""Steps that stay whole."""
HORIZON_STEPS = 40
"""Steps that are assumed to come: nobody knows, and most runs that came so far go on for about that long."""
MARGIN = 8.0
"""How many times the saving must exceed the price: a summary also costs attention, so it is not written for pennies."""
SUMMARY_TOKENS = 1_000
_REFERENCE = Prices(input=0.60, cached_input=0.15, output=2.50)
"""For models whose tokens cost nothing: time is spent in the same proportions."""


def first_step_to_keep(events: Sequence[Event], profile: ModelProfile) -> int | None:
    """The step before which a summary would pay now; None while none would."""
    sizes = _step_tokens(events)
    if len(sizes) <= KEEP_STEPS or _failed_lately(events):
        return None
    steps = sorted(sizes)
    keep = steps[-KEEP_STEPS]
    dropped = sum(sizes[step] for step in steps if step < keep)
    tail = sum(sizes[step] for step in steps if step >= keep)
    prices = profile.prices if profile.prices.output else _REFERENCE
    saved = (dropped - SUMMARY_TOKENS) * prices.cached_input * HORIZON_STEPS
    price = (
        SUMMARY_TOKENS * prices.output
        + (tail + SUMMARY_TOKENS) * (prices.input - prices.cached_input)
        + (dropped + tail) * prices.cached_input
    )
    return keep if saved > MARGIN * price else None


def _failed_lately(events: Sequence[Event]) -> bool:
    """Whether the model was asked for a summary in the last steps and gave none: asking at once again would be as vain."""
    answers = 0
    for event in reversed(events):
        if isinstance(event, Summarised):
            return event.message is None and answers < KEEP_STEPS
        answers += isinstance(event, Answered)
    return False


def _step_tokens(events: Sequence[Event]) -> dict[int, int]:
    """Tokens of each step that still stands in the conversation."""
    first = max((e.before_step for e in events if isinstance(e, Summarised) and e.message), default=0)
    stubs = max((e.before_step for e in events if isinstance(e, Reduced)), default=0)
    sizes: dict[int, int] = {}
    for event in events:
        if isinstance(event, Answered | ToolFinished | Told) and event.step >= first:
            sizes[event.step] = sizes.get(event.step, 0) + window.tokens([_message(event, stubs)])
    return sizes


def _message(event: Answered | ToolFinished | Told, stubs: int) -> Message:
    match event:
        case Answered():
            return event.completion.message
        case ToolFinished():
            return Message(role="tool", content="" if event.step < stubs else event.output.content)
        case Told():
            return event.message
