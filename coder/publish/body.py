"""The words of a pull request: body, title, commit message, and whether it is a draft."""

from collections.abc import Callable, Sequence

from coder.prompts import render
from coder.publish import sections
from coder.publish.evidence import details, statement
from coder.publish.texts import BODY_UNITS, Texts, units
from coder.publish.trace_section import trace_section
from coder.trace.events import Event
from coder.types import Base, Evidence, Outcome, Patch, Problem, Spent, Submission, Task, Verdict

_GREEN = frozenset({"proven", "passing"})
_MIN_TRACE_UNITS = 500
_TITLE_CHARS = 120
_SUBJECT_CHARS = 72


def pull_request_body(
    *,
    task: Task,
    problem: Problem,
    base: Base,
    outcome: Outcome,
    patch: Patch,
    verdict: Verdict,
    evidence: Evidence,
    spent: Spent,
    model: str,
    recorded: bool,
    events: Sequence[Event],
    journal_digest: str,
    redact: Callable[[str], str],
) -> str:
    """The body: why, what changed, proof, not verified, inputs, cost, trace, evidence; at most `BODY_UNITS` UTF-16 units.

    Every text that is not ours is redacted and inert. The issue is closed by it (`Fixes #N`) only when the verdict is
    proven or passing. The trace takes the room that the other sections leave and keeps the decisive steps first.
    """
    texts = Texts(redact)
    parts = {
        "why": sections.why(texts, task, problem, outcome, closes=closes(task, verdict)),
        "changed": sections.what_changed(texts, patch, outcome.submission),
        "proof": sections.proof(texts, verdict, evidence, outcome.submission),
        "not_verified": sections.not_verified(texts, patch, outcome, verdict, evidence),
        "inputs": sections.inputs(texts, task, problem, base),
        "cost": sections.cost(texts, task, spent, model=model, recorded=recorded, journal_digest=journal_digest),
    }
    document = statement(texts, verdict, evidence, journal_digest=journal_digest)
    folded = f"\n\n{details(texts, document)}" if evidence.cells else ""
    without_trace = render("pull_request", **parts, trace="")
    room = BODY_UNITS - units(without_trace) - units(folded) - len("\n\n## Trace\n\n")
    if room < 0:
        return without_trace
    trace = trace_section(texts, events, max_units=room) if room >= _MIN_TRACE_UNITS else ""
    text = render("pull_request", **parts, trace=trace) if trace else without_trace
    return f"{text}{folded}"


def pull_request_title(*, problem: Problem, submission: Submission | None, redact: Callable[[str], str]) -> str:
    """The title that the model gave, else the problem's own; inert, one line, at most 120 characters."""
    return _title(problem, submission, Texts(redact), _TITLE_CHARS)


def commit_message(
    *,
    task: Task,
    problem: Problem,
    submission: Submission | None,
    verdict: Verdict,
    redact: Callable[[str], str],
) -> str:
    """Subject of at most 72 characters, the model's summary, and trailers: issue, who asked, run, verdict."""
    texts = Texts(redact)
    parts = [_title(problem, submission, texts, _SUBJECT_CHARS)]
    if submission is not None and submission.summary.strip():
        parts.append(texts.message(submission.summary, 2_000))
    trailers = [
        f"Requested-by: {texts.title(task.requested_by, 60)}",
        f"Coder-run: {texts.title(task.run_id, 100)}",
        f"Coder-verdict: {verdict.kind}",
    ]
    if task.number is not None:
        parts.append(f"{'Fixes' if closes(task, verdict) else 'Refs'} #{task.number}")
    return "\n\n".join([*parts, "\n".join(trailers)])


def is_draft(*, verdict: Verdict, patch: Patch) -> bool:
    """Whether the pull request opens as a draft: unless it is proven and leaves protected files alone."""
    return verdict.kind != "proven" or bool(patch.flagged)


def closes(task: Task, verdict: Verdict) -> bool:
    """Whether merging may close the issue."""
    return task.kind == "issue" and task.number is not None and verdict.kind in _GREEN


def _title(problem: Problem, submission: Submission | None, texts: Texts, max_chars: int) -> str:
    own = texts.title(submission.title, max_chars) if submission else ""
    fallback = f"Work on #{problem.number}" if problem.number is not None else "Proposed change"
    return own or texts.title(problem.title, max_chars) or fallback
