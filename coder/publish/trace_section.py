"""The reasoning trace as a folded section: all steps in a line each, the decisive ones in full, within a budget."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from coder.publish.texts import Texts, units
from coder.trace.events import Answered, Attempted, Event, Reviewed, Solved, Told, ToolFinished, Verified
from coder.types import ToolCall

_REASONING_CHARS: Final = 1_500
_SAID_CHARS: Final = 800
_OUTPUT_CHARS: Final = 1_200
_SHOWN_ARGUMENTS: Final = ("command", "select", "path", "pattern", "query", "symbol", "words", "title")
_EDGE_STEPS: Final = 15
"""How many first and last steps keep their line when not even a line for each fits."""

_MAX_CALLS: Final = 8
_MAX_MISSES: Final = 40
"""After so many steps that did not fit in full, the room is taken to be used up."""


@dataclass(slots=True)
class _Step:
    """What happened in one step, in order."""

    number: int
    answer: Answered | None = None
    results: dict[str, ToolFinished] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)


@dataclass(slots=True)
class _Part:
    """A piece of the section: as a line, in full, and how much it matters (0 is most)."""

    brief: str
    full: Callable[[], str]
    """Made only when there may be room for it: a long run has megabytes of it."""
    rank: int


def trace_section(texts: Texts, events: Sequence[Event], *, max_units: int) -> str:
    """The trace in `<details>`, at most `max_units` UTF-16 units; empty when there is nothing or no room to tell.

    In full come first, while there is room: plan, verdicts and objections, the first red and the last green run of the
    tests, the handing in; then hypotheses (reasoning before the first edits and after red runs); then the rest.
    """
    steps = _steps(events)
    parts = [*_parts(texts, steps, events)]
    if not parts:
        return ""
    head = f"<details>\n<summary>What the model thought and did, {len(steps)} steps; other people's text in it is quoted, not ours</summary>\n"
    foot = "\n</details>"
    room = max_units - units(head) - units(foot) - 2
    chosen = _shortened([part.brief for part in parts], room)
    if chosen is None:
        return ""
    if len(chosen) == len(parts):
        _unfold(chosen, parts, room)
    return "\n".join([head, "\n\n".join(chosen), foot])


def _cost(lines: Sequence[str]) -> int:
    return sum(units(line) + 2 for line in lines)


def _shortened(lines: list[str], room: int) -> list[str] | None:
    """The lines, or the first and last of them; None when even these do not fit."""
    if _cost(lines) <= room:
        return lines
    for edge in (10 * _EDGE_STEPS, 4 * _EDGE_STEPS, _EDGE_STEPS, 3):
        kept = [*lines[:edge], f"… {len(lines) - 2 * edge} steps left out here …", *lines[-edge:]]
        if 2 * edge < len(lines) and _cost(kept) <= room:
            return kept
    return None


def _unfold(chosen: list[str], parts: Sequence[_Part], room: int) -> None:
    """Replace lines by full text, the most telling first, as long as there is room."""
    used, misses = _cost(chosen), 0
    for index in sorted(range(len(parts)), key=lambda index: (parts[index].rank, index)):
        full = parts[index].full()
        extra = units(full) - units(chosen[index])
        if used + extra <= room:
            chosen[index] = full
            used += extra
        else:
            misses += 1
        if misses > _MAX_MISSES:
            return


def _steps(events: Sequence[Event]) -> list[_Step]:
    """The steps of the conversation, each with its answer, tool results and messages of ours."""
    found: dict[int, _Step] = {}
    for event in events:
        if isinstance(event, Answered | ToolFinished | Told):
            step = found.setdefault(event.step, _Step(event.step))
            if isinstance(event, Answered):
                step.answer = event
            elif isinstance(event, ToolFinished):
                step.results[event.call_id] = event
            else:
                step.told.append(event)
    return [found[number] for number in sorted(found)]


def _parts(texts: Texts, steps: Sequence[_Step], events: Sequence[Event]) -> Iterator[_Part]:
    """The pieces in the order in which things happened; a step stands where it began."""
    ranks = _ranks(steps)
    waiting = {step.number: step for step in steps}
    for event in events:
        if isinstance(event, Answered | ToolFinished | Told):
            step = waiting.pop(event.step, None)
            if step is not None:
                yield _Part(_brief(texts, step), partial(_full, texts, step), ranks[step.number])
        elif isinstance(event, Verified):
            line = f"**Round {event.round}: {event.verdict.kind}**"
            yield _Part(line, partial(_verdict, texts, line, event), 0)
        elif isinstance(event, Reviewed):
            yield _Part(_review_line(event), partial(_review, texts, event), 0)
        elif isinstance(event, Attempted):
            line = f"**Attempt {event.number}, from the base commit**"
            yield _Part(line, partial(str, line), 0)
        elif isinstance(event, Solved):
            line = f"**Work ended: {event.outcome.kind}** {texts.line(event.outcome.reason, 200)}".rstrip()
            yield _Part(line, partial(str, line), 0)


def _verdict(texts: Texts, line: str, event: Verified) -> str:
    reasons = "\n".join(f"- {texts.line(reason, 300)}" for reason in event.verdict.reasons[:10])
    return f"{line}\n\n{reasons}".strip()


def _review_line(event: Reviewed) -> str:
    remarks = event.review.remarks if event.review else ()
    said = f"{sum(remark.must_fix for remark in remarks)} objections" if event.review else "none"
    return f"**Review of round {event.round}: {said}**"


def _review(texts: Texts, event: Reviewed) -> str:
    remarks = event.review.remarks if event.review else ()
    told = [f"- {texts.code(r.place, 160)} {texts.line(r.what, 300)}" for r in remarks if r.must_fix]
    return "\n\n".join([_review_line(event), *(["\n".join(told)] if told else [])])


def _ranks(steps: Sequence[_Step]) -> dict[int, int]:
    """How much each step matters."""
    ranks = {step.number: 3 for step in steps}
    runs = [(step.number, result.output.is_error) for step in steps for result in _test_runs(step)]
    red = [number for number, failed in runs if failed]
    green = [number for number, failed in runs if not failed]
    plans = [step.number for step in steps if any(result.name == "plan" for result in step.results.values())]
    edits = [step.number for step in steps if any(result.checkpoint for result in step.results.values())]
    for number in [step.number for step in steps[:3]] + [number + 1 for number in red] + edits:
        if number in ranks:
            ranks[number] = 2
    for number in [*edits[:2], *red[:3], *red[-2:]]:
        ranks[number] = 1
    decisive = [*plans[:1], *red[:1], *green[-1:]]
    objected = [step.number for step in steps if any(told.reason == "objection" for told in step.told)]
    handed_in = [step.number for step in steps if any(result.output.submission for result in step.results.values())]
    for number in [*decisive, *objected, *handed_in]:
        ranks[number] = 0
    return ranks


def _test_runs(step: _Step) -> list[ToolFinished]:
    return [result for result in step.results.values() if result.name == "run_tests"]


def _calls(step: _Step) -> tuple[ToolCall, ...]:
    return step.answer.completion.message.tool_calls[:_MAX_CALLS] if step.answer else ()


def _brief(texts: Texts, step: _Step) -> str:
    """The step as one line: which tools, on what, with which end."""
    calls = [f"{_call(texts, call, 80)} {_end(step.results.get(call.id))}" for call in _calls(step)]
    notes = [f"told: {told.reason}" for told in step.told]
    return f"**{step.number}** {'; '.join([*calls, *notes]) or 'answered without a tool'}"


def _full(texts: Texts, step: _Step) -> str:
    """The step with reasoning, words, calls and outputs."""
    parts = [f"**Step {step.number}**"]
    if step.answer is not None:
        message = step.answer.completion.message
        if message.reasoning_content and message.reasoning_content.strip():
            parts.append(texts.quote(message.reasoning_content, _REASONING_CHARS))
        if message.content and message.content.strip():
            parts.append(texts.quote(message.content, _SAID_CHARS))
    for call in _calls(step):
        result = step.results.get(call.id)
        parts.append(f"{_call(texts, call, 300)} {_end(result)}")
        if result is not None and result.output.content.strip():
            parts.append(texts.fence(result.output.content, _OUTPUT_CHARS))
    for told in step.told:
        parts.append(f"Told by the service ({told.reason}):")
        parts.append(texts.quote(told.message.content or "", _OUTPUT_CHARS))
    return "\n\n".join(parts)


def _call(texts: Texts, call: ToolCall, max_chars: int) -> str:
    """The tool and the argument that tells most; arguments that do not parse are shown as they are."""
    return f"{texts.code(call.name, 60)} {texts.code(_shown(call), max_chars)}".strip()


def _shown(call: ToolCall) -> str:
    try:
        arguments = json.loads(call.arguments or "{}")
        if isinstance(arguments, dict):
            arguments = next((arguments[key] for key in _SHOWN_ARGUMENTS if arguments.get(key)), "")
        return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    except (ValueError, RecursionError):
        return call.arguments


def _end(result: ToolFinished | None) -> str:
    if result is None:
        return "(no result)"
    return "(failed)" if result.output.is_error else "(ok)"
