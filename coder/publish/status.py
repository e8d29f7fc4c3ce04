"""The one status comment of a run, edited in place; its hidden marker is the forge's business."""

import re
from collections.abc import Callable, Sequence

from coder.prompts import render
from coder.publish.attempt import Attempt, account_of, attempt, unfinished
from coder.publish.course import checklist, earlier
from coder.publish.sections import VERDICT_WORDS, address, cached_share, duration
from coder.publish.texts import Texts, fitting
from coder.trace.events import Event
from coder.types import PullRequest, RunResult, Spent, Task

_URL = re.compile(r"https?://[^\s<>()\[\]\"'`]{1,500}")
_ENDINGS = {
    "limit": "The run stopped at a limit before the work was handed in.",
    "stuck": "The run stopped because it went in circles.",
    "failed": "The run could not do its work.",
    "stopped": "The work so far is kept.",
}
_QUESTION_CHARS = 20_000


def status_body(
    *,
    task: Task,
    station: str,
    spent: Spent,
    result: RunResult | None,
    redact: Callable[[str], str],
    events: Sequence[Event] = (),
    before: Sequence[Event] = (),
    trace_url: str = "",
) -> str:
    """Where the run stands: outcome, who asked, elapsed, dollars and steps of their limits, station or result, links.

    By the run's `events` it shows the plan and earlier rounds, by those `before` them earlier runs of the same issue, and of a run that did not get there what was tried. `station` is
    shown while `result` is None. No text in it is live, except the links to the pull request and the trace.
    """
    texts = Texts(redact)
    limits = task.limits
    tried = attempt(events, task=task, spent=spent) if result is not None and unfinished(result) else Attempt()
    facts = [
        f"Asked for by {texts.code(task.requested_by, 60)}",
        duration(spent.elapsed_s),
        f"${spent.cost_usd:.2f} of ${limits.max_cost_usd:.2f}",
        f"{spent.steps} of {limits.max_steps} steps",
        *([f"{cached_share(spent)} of the prompt cached"] if spent.prompt_tokens else []),
        f"model {texts.code(task.model, 80)}",
        f"run {texts.code(task.run_id, 80)}",
        *([f"[trace]({trace_url})"] if address(trace_url) else []),
    ]
    return render(
        "status",
        headline=_headline(result, station),
        facts=" · ".join(facts),
        plan=checklist(texts, events),
        earlier=earlier(texts, (*before, *events)),
        station="" if result is not None else texts.line(station, 500),
        question=_question(texts, result),
        reasons=_reasons(texts, result),
        tried=account_of(texts, tried),
        next=_next_step(texts, task, result, tried),
        link=_link(texts, result.pull_request) if result is not None and result.pull_request is not None else "",
    )


def _headline(result: RunResult | None, station: str) -> str:
    if result is None:  # a run that broke off says at its station by what
        return "Stopped" if station.startswith("stopped") else "Working on it"
    if result.outcome.kind == "asked":
        return "Waiting for a person's word"
    if result.outcome.kind == "stopped":
        return "Stopped"
    return VERDICT_WORDS[result.verdict.kind]


def _question(texts: Texts, result: RunResult | None) -> str:
    """The plan or the question that waits for a person, as a quote."""
    if result is None or result.outcome.kind != "asked":
        return ""
    return texts.quote(result.outcome.reason, _QUESTION_CHARS)


def _reasons(texts: Texts, result: RunResult | None) -> str:
    """How it ended, and why the verdict is what it is."""
    if result is None or result.outcome.kind == "asked":
        return ""
    lines = []
    if result.outcome.kind != "submitted":
        reason = texts.line(result.outcome.reason, 300)
        lines.append(f"- {_ENDINGS[result.outcome.kind]}{f' {reason}' if reason else ''}")
    lines += [f"- {texts.line(reason, 400)}" for reason in result.verdict.reasons]
    return "\n".join(fitting(lines, 4_000, more="- … and {} more"))


def _next_step(texts: Texts, task: Task, result: RunResult | None, tried: Attempt) -> str:
    """What a person can do now."""
    if result is None:
        return ""
    if result.outcome.kind == "asked" and task.mode == "plan":
        return "`/coder approve` carries this out, `/coder revise` with what should be different asks for another plan."
    if result.outcome.kind == "asked":
        return "Answer in a comment that begins with `/coder`, and the work goes on."
    if result.outcome.kind == "stopped":
        return "`/coder continue` goes on from there."
    nothing = ["No pull request was opened."] if result.pull_request is None else []
    return " ".join([*nothing, *(_going_on(texts, result, tried) if unfinished(result) else [])])


def _going_on(texts: Texts, result: RunResult, tried: Attempt) -> list[str]:
    """Where the work is, and how to go on with how much."""
    kept = [f"The work so far is kept on branch {texts.code(result.kept, 250)}."] if result.kept else []
    if not tried.add_usd:
        return [*kept, "`/coder continue` goes on from there, best with a hint."]
    return [*kept, f"`/coder continue +${tried.add_usd:.0f}` goes on with ${tried.add_usd:.0f} more (a guess)."]


def _link(texts: Texts, pull_request: PullRequest) -> str:
    """The pull request by its address, else the branch; addresses of another form are shown as text."""
    branch = f"branch {texts.code(pull_request.branch, 250)}"
    kind = "Draft pull request" if pull_request.draft else "Pull request"
    if pull_request.url is None:
        return branch[0].upper() + branch[1:]
    shown = pull_request.url if _URL.fullmatch(pull_request.url) else texts.code(pull_request.url, 300)
    return f"{kind}: {shown} ({branch})"
