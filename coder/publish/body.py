"""The words of a pull request: body, title, commit message, and whether it is a draft."""

from collections.abc import Callable, Sequence

from coder.prompts import render
from coder.publish import sections
from coder.publish.account import Account
from coder.publish.evidence import details, statement
from coder.publish.template import Section, arranged
from coder.publish.texts import BODY_UNITS, Texts, units
from coder.publish.titles import in_style
from coder.publish.trace_section import trace_section
from coder.trace.events import Reviewed
from coder.types import Patch, Problem, Submission, Task, Verdict

_GREEN = frozenset({"proven", "passing"})
_MIN_TRACE_UNITS = 500
_TITLE_CHARS = 120
_SUBJECT_CHARS = 72


def pull_request_body(account: Account, *, redact: Callable[[str], str]) -> str:
    """The body: why, what changed, proof, not verified, inputs, cost, trace, evidence; at most `BODY_UNITS` UTF-16 units.

    Every text that is not ours is redacted and inert. The issue is closed by it (`Fixes #N`) only when the verdict is
    proven or passing. The trace takes the room that the other sections leave and keeps the decisive steps first.
    """
    texts = Texts(redact)
    document = statement(
        texts, account.verdict, account.evidence, journal_digest=account.journal_digest, commit=account.commit
    )
    folded = f"\n\n{details(texts, document)}" if account.evidence.cells else ""
    own = [section for section in _sections(texts, account) if section.text]
    sections_then = arranged(texts, own, account.template)
    without_trace = render("pull_request", sections=sections_then)
    if units(without_trace) + units(folded) > BODY_UNITS:
        sections_then = own  # the evidence matters more than the repository's own headings
        without_trace = render("pull_request", sections=own)
    room = BODY_UNITS - units(without_trace) - units(folded) - len("\n\n## Trace\n\n")
    trace = trace_section(texts, account.events, max_units=room) if room >= _MIN_TRACE_UNITS else ""
    told = [*sections_then, Section("trace", "Trace", trace)] if trace else sections_then
    return f"{render('pull_request', sections=told)}{folded if room >= 0 else ''}"


def _sections(texts: Texts, account: Account) -> list[Section]:
    """Our sections in our order; what has nothing to say is empty."""
    closing = closes(account.task, account.verdict)
    outcome = account.outcome
    return [
        Section("why", "Why", sections.why(texts, account.task, account.problem, outcome, closes=closing)),
        Section("changed", "What changed", sections.what_changed(texts, account)),
        Section("proof", "Proof", sections.proof(texts, account)),
        Section("not_verified", "Not verified, risks", sections.not_verified(texts, account)),
        Section("review", "Independent review", sections.review(texts, account.reviewed)),
        Section("inputs", "Inputs", sections.inputs(texts, account)),
        Section("cost", "Cost and model", sections.cost(texts, account)),
    ]


def pull_request_title(
    *, problem: Problem, submission: Submission | None, redact: Callable[[str], str], log: Sequence[str] = ()
) -> str:
    """The title that the model gave, else the problem's own; in the style of `log`, inert, at most 120 characters."""
    return _title(problem, submission, Texts(redact), _TITLE_CHARS, log)


def commit_message(
    *,
    task: Task,
    problem: Problem,
    submission: Submission | None,
    verdict: Verdict,
    redact: Callable[[str], str],
    log: Sequence[str] = (),
) -> str:
    """Subject of at most 72 characters, the model's summary, and trailers: issue, who asked, run, verdict."""
    texts = Texts(redact)
    parts = [_title(problem, submission, texts, _SUBJECT_CHARS, log)]
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


def is_draft(*, verdict: Verdict, patch: Patch, reviewed: Reviewed | None = None) -> bool:
    """Whether the pull request opens as a draft: unless it is proven, leaves protected files alone, and nobody objects."""
    objected = reviewed is not None and reviewed.review is not None and any(r.must_fix for r in reviewed.review.remarks)
    return verdict.kind != "proven" or bool(patch.flagged) or objected


def closes(task: Task, verdict: Verdict) -> bool:
    """Whether merging may close the issue."""
    return task.kind == "issue" and task.number is not None and verdict.kind in _GREEN


def _title(problem: Problem, submission: Submission | None, texts: Texts, max_chars: int, log: Sequence[str]) -> str:
    own = texts.title(submission.title, max_chars) if submission else ""
    fallback = f"Work on #{problem.number}" if problem.number is not None else "Proposed change"
    made = own or texts.title(problem.title, max_chars)
    return texts.title(in_style(made, log), max_chars) if made else fallback
