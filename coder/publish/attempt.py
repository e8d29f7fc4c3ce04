"""An honest account of work that did not get there: what was tried, what happened, what is nearest, how to go on."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from coder.publish.texts import Texts, fitting
from coder.trace.events import Answered, Event, Solved, Told, ToolFinished, Verified
from coder.types import RunResult, Spent, Task

FIRST: Final = 3
_LAST: Final = 9
"""Of what was tried the first and last lines are told."""
_MAX_FILES: Final = 4
_MIN_USD: Final = 1.0
_FAILING = re.compile(r"(?m)^failing:\n  (\S.*)$")
"""How `run_tests` names them."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One thing that was tried, and what came of it. The words are strangers' in part: neither redacted nor inert."""

    step: int
    what: str
    happened: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a run that published nothing finished."""

    tried: tuple[Tried, ...] = ()
    left_out: int = 0
    nearest: str = ""
    """The failing test of the attempt that failed fewest."""
    add_usd: float = 0.0
    """What going on might take, in whole dollars; 0 when money was not what it ended for."""

    @property
    def told(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.tried or self.nearest)


def unfinished(result: RunResult) -> bool:
    """Whether the run's end needs an account: nothing was published, or the work was not handed in."""
    if result.outcome.kind == "submitted":
        return result.pull_request is None and result.verdict.kind != "no_change"
    return result.outcome.kind in {"limit", "stuck"}


def attempt(events: Sequence[Event], *, task: Task, spent: Spent) -> Attempt:
    """What the journal says of it."""
    walk = _Walk()
    for event in events:
        walk.take(event)
    tried = walk.tried
    shown = tried if len(tried) <= FIRST + _LAST else [*tried[:FIRST], *tried[-_LAST:]]
    solved = next((event for event in reversed(events) if isinstance(event, Solved)), None)
    by_limit = solved is not None and solved.outcome.kind == "limit"
    return Attempt(
        tried=tuple(shown),
        left_out=len(tried) - len(shown),
        nearest=walk.nearest,
        add_usd=_more(task, spent) if by_limit else 0.0,
    )


def _more(task: Task, spent: Spent) -> float:
    """Half of what was spent or a fifth of what was allowed, in whole dollars: a guess, and said to be one."""
    return float(math.ceil(max(spent.cost_usd / 2, task.limits.max_cost_usd / 5, _MIN_USD)))


def account_of(texts: Texts, found: Attempt) -> str:
    """The account as a list for a comment; empty when there is nothing to tell."""
    lines = [
        f"- {f'step {one.step}: ' if one.step else ''}{texts.line(one.what, 300)} → {texts.line(one.happened, 300)}"
        for one in found.tried
    ]
    if found.left_out:
        lines.insert(FIRST, f"- … {found.left_out} more …")
    parts = ["What was tried → what happened:\n\n" + "\n".join(fitting(lines, 5_000))] if lines else []
    if found.nearest:
        parts.append(f"Nearest failing test: {texts.code(found.nearest, 240)}")
    return "\n\n".join(parts)


@dataclass(slots=True)
class _Walk:
    """Goes through the events: edits are gathered until a run of the tests says what came of them."""

    tried: list[Tried] = field(default_factory=list)
    nearest: str = ""
    _fewest: int = 1_000_000_000
    _edited: dict[str, None] = field(default_factory=dict)
    _paths: dict[str, str] = field(default_factory=dict)
    """Of calls that name a file: the file, by the call's id."""

    def take(self, event: Event) -> None:
        """Look at one event."""
        if isinstance(event, Answered):
            self._paths = {call.id: _path(call.arguments) for call in event.completion.message.tool_calls}
        elif isinstance(event, ToolFinished):
            self._finished(event)
        elif isinstance(event, Verified):
            what = f"handed in, round {event.round}"
            self._add(0, what, "; ".join([event.verdict.kind, *event.verdict.reasons[:2]]))
            self._verified(event)
        elif isinstance(event, Told) and event.reason == "stuck":
            self._add(event.step, "went in circles", "was told to try something else")

    def _finished(self, event: ToolFinished) -> None:
        if event.checkpoint is not None and event.name != "run":
            self._edited[self._paths.get(event.call_id) or event.name] = None
        counts = event.output.tests
        if counts is None or event.name != "run_tests":
            return
        red = counts.failed + counts.errored
        happened = f"{counts.passed} passed, {red} failed" if counts.passed + red else "no test ran"
        self._add(event.step, self._what(), happened)
        failing = _FAILING.search(event.output.content)
        self._near(red, failing[1] if failing else "")

    def _verified(self, event: Verified) -> None:
        head = next((cell for cell in event.evidence.cells if cell.name == "head"), None)
        base = next((cell for cell in event.evidence.cells if cell.name == "base"), None)
        if head is not None and head.report.by_id:
            known = set(base.report.failed + base.report.errored) if base else set()
            red = [name for name in (*head.report.failed, *head.report.errored) if name not in known]
            self._near(len(red), red[0] if red else "")

    def _near(self, red: int, name: str) -> None:
        if name and red <= self._fewest:
            self._fewest, self.nearest = red, name

    def _what(self) -> str:
        names = list(self._edited)
        self._edited = {}
        if not names:
            return "ran the tests"
        more = f" and {len(names) - _MAX_FILES} more" if len(names) > _MAX_FILES else ""
        return f"changed {', '.join(names[:_MAX_FILES])}{more}"

    def _add(self, step: int, what: str, happened: str) -> None:
        self.tried.append(Tried(step, what, happened))


def _path(arguments: str) -> str:
    try:
        values = json.loads(arguments or "{}", strict=False)
    except (ValueError, RecursionError):
        return ""
    path = values.get("path") if isinstance(values, dict) else None
    return path if isinstance(path, str) else ""
