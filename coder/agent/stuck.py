"""Seeing that a run goes in circles: remind first, then stop with an honest report."""

import json
from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile

from coder.trace.events import Answered, Event, Told, ToolFinished

REMIND_AT = (3, 5, 8)
"""Lengths of a streak of equal calls at which the model is reminded (kimi-cli's ladder)."""
STOP_AT = 12
_TO_AND_FRO = (6, 9)
"""Lengths of a to and fro at which the model is reminded (OpenHands' detector takes six)."""
_LOOK_BACK = 6 * STOP_AT
"""Events: enough for the longest streak, unless its steps make many calls each, and then it is no circle."""
_ADVICE = "Repeating it will not help: say what you expected, why it is not so, and do something else."
MAX_SILENT_ANSWERS = 3
"""Answers in a row without any tool call."""
MAX_ERRORS = 10
"""Tool calls in a row that failed before they ran."""


def silent_answers(events: Sequence[Event]) -> int:
    """How many of the last answers in a row had no tool call."""
    count = 0
    for event in reversed(events):
        if isinstance(event, Answered):
            if event.completion.message.tool_calls:
                break
            count += 1
        elif isinstance(event, Told) and event.reason == "objection":
            break
    return count


def equal_calls(events: Sequence[Event]) -> int:
    """Length of the streak of steps at the end that made exactly the same calls with the same results."""
    shapes = _shapes(events)
    return len(list(takewhile(lambda shape: shape == shapes[-1], reversed(shapes))))


def alternations(events: Sequence[Event]) -> int:
    """Length of the streak of steps at the end that go to and fro between two different ones (A, B, A, B, …)."""
    shapes = _shapes(events)
    if len(shapes) < len(_TO_AND_FRO) or shapes[-1] == shapes[-2]:
        return 0
    backwards = list(reversed(shapes))
    return len(list(takewhile(lambda pair: pair[1] == backwards[pair[0] % 2], enumerate(backwards))))


def _shapes(events: Sequence[Event]) -> list[list[str]]:
    """The last steps as their calls and results, so that equal ones can be seen."""
    steps: dict[int, list[str]] = {}
    for event in events[-_LOOK_BACK:]:
        if isinstance(event, Answered):
            calls = event.completion.message.tool_calls
            steps[event.step] = [f"{c.name}({_canonical(c.arguments)})" for c in calls]
        elif isinstance(event, ToolFinished) and event.step in steps:
            steps[event.step].append(event.output.content)
    return list(steps.values())


def failed_calls(events: Sequence[Event]) -> int:
    """How many tool calls in a row failed, counted from the end."""
    count = 0
    for event in reversed(events):
        if isinstance(event, ToolFinished):
            if not event.output.is_error or event.name in {"run", "run_tests"}:  # a red test is no mistake
                break
            count += 1
    return count


def reminder(events: Sequence[Event]) -> str | None:
    """What the model is told when it repeats itself; None when it does not."""
    streak = equal_calls(events)
    if streak in REMIND_AT:
        return f"You have made the same call {streak} times with the same result. {_ADVICE}"
    streak = alternations(events)
    if streak in _TO_AND_FRO:
        return (
            f"For {streak} steps you have gone to and fro between the same two calls with the same results. {_ADVICE}"
        )
    return None


def stop(events: Sequence[Event]) -> str | None:
    """Why the run cannot go on, as a sentence; None when it can."""
    if silent_answers(events) >= MAX_SILENT_ANSWERS:
        return f"the model answered {MAX_SILENT_ANSWERS} times in a row without calling a tool"
    if equal_calls(events) >= STOP_AT:
        return f"the model made the same call {STOP_AT} times in a row with the same result"
    if alternations(events) >= STOP_AT:
        return f"the model went to and fro between the same two calls for {STOP_AT} steps"
    if failed_calls(events) >= MAX_ERRORS:
        return f"{MAX_ERRORS} tool calls in a row failed"
    return None


@lru_cache(maxsize=512)
def _canonical(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments, strict=False), sort_keys=True)
    except ValueError:
        return arguments
