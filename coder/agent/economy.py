"""When shortening the conversation pays: what carrying old steps will cost, against writing a summary and re-reading.

Append-only is not the cheapest: at a cached price of a quarter of the full one, 300 steps cost three times as much as
with a reduction every 20 to 40 steps (docs/decisions/0006).
"""

from coder.agent.window import CHARS_PER_TOKEN
from coder.model.profile import ModelProfile, Prices
from coder.trace.events import Answered, Event, Reduced, Summarised, Told, ToolFinished
from coder.trace.fold import chars

KEEP_STEPS = 6
"""Steps that stay whole."""
STEPS_AFTER_FAILURE = 12
"""Steps until the model is asked again after it was asked for a summary and wrote none."""
HORIZON_STEPS = 40
"""Steps that are assumed to come: nobody knows, and most runs that came so far go on for about that long."""
MARGIN = 15.5
"""How many times the saving must exceed the price: a summary also costs attention, so it is not written for pennies."""
SUMMARY_TOKENS = 1_000
_REFERENCE = Prices(input=0.60, cached_input=0.15, output=2.50)
"""For models whose tokens cost nothing: time is spent in the same proportions."""


class Economy:
    """Follows a run's events and says when a summary would pay. Each event is looked at once, however long the run."""

    def __init__(self, profile: ModelProfile) -> None:
        self._prices = profile.prices if profile.prices.output else _REFERENCE
        self._chars: dict[int, int] = {}
        """Of each step that still stands in the conversation."""
        self._since_failure: int | None = None
        """Answers since the model was asked for a summary and wrote none."""

    def first_step_to_keep(self) -> int | None:
        """The step before which a summary would pay now; None while none would."""
        failed = self._since_failure is not None and self._since_failure < STEPS_AFTER_FAILURE
        if failed or len(self._chars) <= KEEP_STEPS:
            return None
        steps = sorted(self._chars)
        keep = steps[-KEEP_STEPS]
        dropped = sum(self._chars[step] for step in steps if step < keep) / CHARS_PER_TOKEN
        tail = sum(self._chars[step] for step in steps if step >= keep) / CHARS_PER_TOKEN
        return keep if self._saved(dropped) > MARGIN * self._price(dropped, tail) else None

    def _saved(self, dropped: float) -> float:
        return (dropped - SUMMARY_TOKENS) * self._prices.cached_input * HORIZON_STEPS

    def _price(self, dropped: float, tail: float) -> float:
        prices = self._prices
        reread = (tail + SUMMARY_TOKENS) * (prices.input - prices.cached_input)
        return SUMMARY_TOKENS * prices.output + reread + (dropped + tail) * prices.cached_input

    def take(self, event: Event) -> None:
        """Move on by one event."""
        match event:
            case Answered():
                self._add(event.step, chars(event.completion.message))
                self._since_failure = None if self._since_failure is None else self._since_failure + 1
            case ToolFinished():
                self._add(event.step, len(event.output.content))
            case Told():
                self._add(event.step, chars(event.message))
            case Reduced() | Summarised():
                self._shortened(event)
            case _:
                pass

    def _shortened(self, event: Reduced | Summarised) -> None:
        if isinstance(event, Summarised):
            self._since_failure = None if event.message else 0
            if event.message is None:
                return
        # Of steps whose outputs are hidden little stays: it is not worth a summary of its own.
        self._chars = {step: n for step, n in self._chars.items() if step >= event.before_step}

    def _add(self, step: int, chars: int) -> None:
        self._chars[step] = self._chars.get(step, 0) + chars
