"""Several attempts at one problem in one journal: which lines belong to the attempt that goes on (docs/decisions/0029)."""

from collections.abc import Sequence

from coder.trace.events import (
    Answered,
    Attempted,
    Chosen,
    Event,
    PatchTaken,
    Reduced,
    Solved,
    Summarised,
    Told,
    ToolFinished,
)

_ITS_OWN = (Answered, ToolFinished, Told, Reduced, Summarised, Solved, PatchTaken)
"""What an attempt does not share with others. What people said (`Told` with a follow-up) all of them are told."""


def elsewhere(events: Sequence[Event]) -> frozenset[int]:
    """Numbers of the lines of other attempts than the last one, or than the one that was chosen."""
    going_on, attempt = 1, 1
    for event in events:
        if isinstance(event, Attempted | Chosen):
            going_on = event.number
    found = set()
    for number, event in enumerate(events):
        if isinstance(event, Attempted | Chosen):
            attempt = event.number
        elif attempt != going_on and isinstance(event, _ITS_OWN) and not (isinstance(event, Told) and event.followup):
            found.add(number)
    return frozenset(found)


def of_attempt(events: Sequence[Event]) -> tuple[Event, ...]:
    """`events` without those of other attempts."""
    others = elsewhere(events)
    return tuple(event for number, event in enumerate(events) if number not in others)
