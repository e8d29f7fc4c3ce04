"""What a person sees on the terminal: a run as it goes, and how it ended."""

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape

from coder.publish.attempt import FIRST, Attempt, unfinished
from coder.trace.events import (
    Answered,
    Attempted,
    Continued,
    Entry,
    Prepared,
    ProblemRead,
    Published,
    Reviewed,
    Solved,
    Told,
    ToolFinished,
    Verified,
)
from coder.trace.journal import RunLine
from coder.types import Evidence, JsonObject, Review, RunResult

if TYPE_CHECKING:
    from rich.status import Status

_COLOURS = {"proven": "green", "passing": "yellow", "no_change": "yellow"}
_BRIEF = 100
_CONTROL = dict.fromkeys([*range(32), 127, *range(128, 160)], " ")


class Watcher:
    """Shows a run live: a line for each step, and a moving line with tokens, dollars and time."""

    def __init__(self, console: Console, *, max_cost_usd: float, clock: Callable[[], float]) -> None:
        self._console, self._max_cost_usd, self._clock = console, max_cost_usd, clock
        self._started = clock()
        self._status: Status | None = console.status("starting") if console.is_terminal else None
        self._station = "starting"
        self._step = self._tokens = self._cached = 0
        self._cost_usd = 0.0

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._status:
            self._status.stop()

    def progress(self, station: str) -> None:
        """What is going on now."""
        self._station = brief(station)
        self._print(f"[dim]· {escape(self._station)}[/]")

    def hear(self, entry: Entry) -> None:
        """Show one line of the journal."""
        line = self._line(entry)
        if line:
            self._print(line)

    def _line(self, entry: Entry) -> str:
        match entry.event:
            case Answered() as answered:
                return self._answered(answered)
            case ToolFinished(name=name, output=output, duration_s=took):
                mark = "[red]✗[/]" if output.is_error else "[green]✓[/]"
                return f"      {mark} {name} [dim]{took:.1f} s  {escape(brief(_gist(name, output.content)))}[/]"
            case Told(reason=reason):
                return f"    [yellow]told: {reason.replace('_', ' ')}[/]"
            case _:
                return _milestone(entry)

    def _answered(self, answered: Answered) -> str:
        usage, message = answered.completion.usage, answered.completion.message
        self._step = answered.step
        self._tokens += usage.prompt_tokens + usage.completion_tokens
        self._cached += usage.cached_tokens
        self._cost_usd += answered.completion.cost_usd
        calls = ", ".join(f"{call.name} {_arguments(call.arguments)}" for call in message.tool_calls)
        what = calls or message.content or "(no tool call)"
        return f"[cyan]{answered.step:>4}[/] [dim]{self._meter()}[/]  {escape(brief(what))}"

    def _meter(self) -> str:
        elapsed = int(self._clock() - self._started)
        share = f"${self._cost_usd:.3f} of {self._max_cost_usd:g}"
        return f"{elapsed // 60:>2}:{elapsed % 60:02}  {self._tokens:>9,} tokens  {share}"

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)
        if self._status:
            self._status.update(f"{escape(self._station)}  step {self._step}  {self._meter()}")


def _milestone(entry: Entry) -> str:
    """A line for the events that stand outside the conversation; empty for those that nobody waits for."""
    match entry.event:
        case ProblemRead(problem=problem):
            line = f"[bold]{escape(brief(problem.title))}[/]"
        case Prepared(setup_ok=False):
            line = "[yellow]the dependencies could not be installed; going on without them[/]"
        case Attempted(number=number):
            line = f"[bold]attempt {number}, from the base commit[/]"
        case Solved(outcome=outcome):
            line = f"    {outcome.kind}{': ' + escape(outcome.reason) if outcome.reason else ''}"
        case Verified(round=number, verdict=verdict):
            line = f"[bold]round {number}: {verdict.kind}[/] {escape(brief('; '.join(verdict.reasons)))}"
        case Reviewed() as reviewed:
            line = f"[bold]review:[/] {escape(brief(review_line(reviewed), 160))}"
        case Published(pull_request=pull_request):
            line = f"published: {escape(pull_request.url or pull_request.branch)}"
        case _:
            line = ""
    return line


def show_result(console: Console, result: RunResult, evidence: Evidence | None, tried: Attempt | None = None) -> None:
    """The verdict, where the change is, and of a run that did not get there what was `tried`."""
    verdict, spent = result.verdict, result.spent
    console.print()
    colour = _COLOURS.get(verdict.kind, "red")
    console.print(f"verdict: [bold {colour}]{verdict.kind}[/]", highlight=False)
    for reason in verdict.reasons:
        console.print(f"  {escape(brief(reason, 300))}", highlight=False, soft_wrap=True)
    for cell in evidence.cells if evidence else ():
        report = cell.report
        counts = (
            f"{len(report.passed)} passed, {len(report.failed) + len(report.errored)} failed" if report.by_id else ""
        )
        ending = "timed out" if cell.exit_code is None else f"exit {cell.exit_code}"
        console.print(
            f"  {cell.name:<15} {ending:<10} {counts}  {cell.duration_s:.1f} s", highlight=False, soft_wrap=True
        )
    if result.outcome.kind != "submitted":
        how = "it asks" if result.outcome.kind == "asked" else f"the agent ended early: {result.outcome.kind}"
        console.print(f"{how}: {escape(result.outcome.reason)}", highlight=False, soft_wrap=True)
    cached = f"{spent.cached_tokens / spent.prompt_tokens:.0%} cached" if spent.prompt_tokens else "none"
    console.print(
        f"{spent.steps} steps, {spent.prompt_tokens:,} prompt tokens ({cached}), {spent.completion_tokens:,} completion "
        f"tokens, ${spent.cost_usd:.3f}, {spent.elapsed_s:.0f} s",
        highlight=False,
        soft_wrap=True,
    )
    for line in _account(result, tried or Attempt()):
        console.print(escape(line), highlight=False, soft_wrap=True)
    if result.pull_request is not None:
        where = result.pull_request.url or f"branch {result.pull_request.branch}"
        state = "draft" if result.pull_request.draft else "ready"
        console.print(
            f"{state}: {escape(where)} at {result.pull_request.commit_sha[:12]}", highlight=False, soft_wrap=True
        )


def _account(result: RunResult, tried: Attempt) -> Iterable[str]:
    """Of a run that did not get there: what was tried, what happened, where the work is, how to go on."""
    if not unfinished(result):
        return
    if tried.tried:
        yield "what was tried → what happened:"
    for index, one in enumerate(tried.tried):
        if tried.left_out and index == FIRST:
            yield f"  … {tried.left_out} more …"
        step = f"{one.step:>4}" if one.step else "    "
        yield f"  {step}  {brief(one.what)} → {brief(one.happened, 160)}"
    if tried.nearest:
        yield f"nearest failing test: {brief(tried.nearest, 200)}"
    if result.kept:
        yield f"the work so far is on branch {brief(result.kept, 200)}"
    money = f"+${tried.add_usd:.0f} " if tried.add_usd else ""
    yield f'to go on: coder run --resume {result.run_id} --say "{money}HINT"'


def run_line(line: RunLine) -> str:
    """A run in the listing: id, when, how it stands, what it is about."""
    started, newest = (_json(text) for text in (line.first, line.newest))
    task = started.get("task", {})
    verdict = newest.get("result", {}).get("verdict", {}).get("kind")
    number = f"#{task['number']}" if task.get("number") else ""
    repo = "/".join(filter(None, (task.get("repo", {}).get("owner"), task.get("repo", {}).get("name"))))
    state = verdict or f"at {newest.get('type', '?')}"
    about = brief(f"{repo}{number} {task.get('prompt_title', '')}", 80)
    return f"{line.run_id}  {line.started}  {line.events:>5} events  {state:<12}  {about}".rstrip()


def _json(text: str) -> JsonObject:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def trace_lines(entries: Iterable[Entry], *, full: bool) -> Iterable[str]:
    """A journal for reading: a line for each event, with `full` also what was thought, called and answered."""
    for entry in entries:
        yield f"{entry.seq:>5} {entry.ts} {entry.hash[:8]} {entry.event.type} {_summary(entry)}".rstrip()
        if full:
            yield from (f"        {plain(line)}" for line in _detail(entry).splitlines())


_SAID = {"told": "reason", "cell_run": "cell", "attempted": "number", "chosen": "number"}
"""Events that one field says enough of."""


def _summary(entry: Entry) -> str:
    match entry.event:
        case Answered(step=step, completion=completion):
            calls = ", ".join(f"{c.name} {_arguments(c.arguments)}" for c in completion.message.tool_calls)
            line = brief(f"step {step}: {calls or completion.message.content or '(nothing)'}")
        case ToolFinished(name=name, output=output):
            line = brief(f"{name}: {'error' if output.is_error else 'ok'}: {_gist(name, output.content)}")
        case Verified(verdict=verdict):
            line = brief(f"{verdict.kind}: {'; '.join(verdict.reasons)}")
        case Reviewed() as reviewed:
            line = brief(review_line(reviewed))
        case Continued(followup=followup):
            line = brief(f"{followup.kind} by {followup.note.author}")
        case Solved(outcome=outcome):
            line = outcome.kind
        case Prepared() as prepared:
            line = brief(f"{'' if prepared.setup_ok else 'setup failed: '}{prepared.image}: {prepared.test_command}")
        case _:
            line = brief(str(getattr(entry.event, _SAID.get(entry.event.type, ""), "")))
    return line


def _detail(entry: Entry) -> str:
    match entry.event:
        case Answered(completion=completion):
            message = completion.message
            calls = [f"→ {c.name}({c.arguments})" for c in message.tool_calls]
            return "\n".join(filter(None, [message.reasoning_content, message.content, *calls]))
        case ToolFinished(output=output):
            return output.content
        case Told(message=message):
            return message.content or ""
        case Prepared(setup_log=log):
            return log
        case Reviewed(review=Review() as review):
            return "\n".join([review.summary, *(f"{r.place}: {r.what}".removeprefix(": ") for r in review.remarks)])
        case _:
            return ""


def review_line(reviewed: Reviewed) -> str:
    """What came of a review, in a line."""
    if reviewed.review is None:
        return f"none: {reviewed.problem}"
    objections = [remark for remark in reviewed.review.remarks if remark.must_fix]
    said = f"{len(objections)} objections, {len(reviewed.review.remarks) - len(objections)} notes by {reviewed.model}"
    return f"{said}: {objections[0].what}" if objections else said


def plain(text: str) -> str:
    """Text of a stranger without control characters, so that it cannot play with the terminal."""
    return text.translate(_CONTROL)


def brief(text: str, limit: int = _BRIEF) -> str:
    """The text on one line, shortened."""
    line = plain(text).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _gist(name: str, content: str) -> str:
    """The line that says most: a program's last words, and the first of what our tools answer."""
    lines = [line for line in content.splitlines() if line.strip()] or [""]
    return lines[-1] if name == "run" else lines[0]


def _arguments(arguments: str) -> str:
    """The values of a call's arguments, the way a person would say them."""
    try:
        values = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        return arguments
    if not isinstance(values, dict):
        return arguments
    return " ".join(str(value) for value in values.values() if isinstance(value, str | int) and value != "")
