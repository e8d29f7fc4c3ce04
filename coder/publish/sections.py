"""The sections of a pull request's text, each with a size of its own so that together they always fit."""

from collections.abc import Collection, Sequence

from coder.publish.texts import Texts, fitting
from coder.types import (
    Base,
    Cell,
    Evidence,
    FileChange,
    Note,
    Outcome,
    Patch,
    Problem,
    Spent,
    Submission,
    Task,
    Verdict,
    VerdictKind,
)
from coder.verify.prediction import as_predicted

VERDICT_WORDS: dict[VerdictKind, str] = {
    "proven": "Proven: a test failed before and passes now, and nothing that passed fails.",
    "passing": "Passing, not proven: nothing new fails, but no test is known to have failed before.",
    "unverified": "Unverified: the tests could not show that this works.",
    "regressed": "Regressed: tests fail that did not fail before.",
    "no_change": "No change was made.",
    "refused": "Refused: the change breaks a rule of what may leave the sandbox.",
}
"""What a verdict means, in a sentence."""


def why(texts: Texts, task: Task, problem: Problem, outcome: Outcome, *, closes: bool) -> str:
    """The problem, and the model's own words on cause and cure, as a quote."""
    title = texts.line(problem.title, 200)
    if task.number is None:
        lines = [f"Asked for: {title}" if title else "Asked for on the command line."]
    else:
        lines = [f"{'Fixes' if closes else 'Refs'} #{task.number} — {title}".rstrip(" —")]
    submission = outcome.submission
    if submission is not None and submission.summary.strip():
        lines += ["", "In the model's words:", "", texts.quote(submission.summary, 3_000)]
    elif outcome.kind != "submitted":
        ended = {"limit": "a limit was reached", "stuck": "it went in circles", "failed": "it failed"}[outcome.kind]
        reason = texts.line(outcome.reason, 300)
        lines += [
            "",
            f"The work was not handed in: {ended}{f' ({reason})' if reason else ''}. This is how far it came.",
        ]
    return "\n".join(lines)


def what_changed(texts: Texts, patch: Patch, submission: Submission | None) -> str:
    """A line for each file, with the model's reason for it."""
    reasons = {entry.path: entry.reason for entry in submission.rationale} if submission else {}
    flagged = frozenset(patch.flagged)
    lines = [_file_line(texts, change, reasons.get(change.path, ""), flagged) for change in patch.files]
    return "\n".join(fitting(lines, 11_000, more="- … and {} more files")) or "Nothing."


def _file_line(texts: Texts, change: FileChange, reason: str, flagged: Collection[str]) -> str:
    size = "binary" if change.additions is None else f"+{change.additions} -{change.deletions or 0}"
    was = f" from {texts.code(change.old_path, 150)}" if change.old_path else ""
    mark = " **protected**" if change.path in flagged else ""
    words = texts.line(reason, 240)
    return f"- {texts.code(change.path, 150)} ({change.status}{was}, {size}){mark}{f': {words}' if words else ''}"


def proof(texts: Texts, verdict: Verdict, evidence: Evidence, submission: Submission | None = None) -> str:
    """Verdict, table of runs, proving tests, what the model predicted of them, and what they ran on."""
    parts = [f"**{VERDICT_WORDS[verdict.kind]}**"]
    reasons = [f"- {texts.line(reason, 500)}" for reason in verdict.reasons]
    if reasons:
        parts.append("\n".join(fitting(reasons, 5_000, more="- … and {} more reasons")))
    if evidence.cells:
        parts.append(_table(texts, evidence.cells))
        parts.append(f"Run by the service, not by the model; {_where(evidence)}.")
    if evidence.proving_tests:
        names = fitting(
            [f"- {texts.code(name, 240)}" for name in evidence.proving_tests], 4_000, more="- … and {} more"
        )
        parts.append("\n".join(["Fails on base, passes on head:", "", *names]))
    expected = submission.expected_failure if submission else ""
    borne_out = as_predicted(expected, evidence)
    if borne_out is not None:
        how = "**as predicted**" if borne_out else "**not as predicted** (compared by its words; look at it)"
        parts.append(f"The new tests failed on base {how}. The model's prediction: {texts.line(expected, 300)}")
    parts.append(
        f"Base commit {texts.code(evidence.base_sha, 64)}, tree of the change {texts.code(evidence.head_tree, 64)}, "
        f"image {texts.code(evidence.image, 150)} {texts.code(evidence.image_digest, 100)}."
    )
    return "\n\n".join(parts)


def _where(evidence: Evidence) -> str:
    """What the runs were sealed in: only images have a digest of content."""
    if evidence.image_digest.startswith("sha256:"):
        return "each row in a fresh container without network"
    return "each row in a fresh folder, **without isolation** from the machine"


def _table(texts: Texts, cells: Sequence[Cell]) -> str:
    """The runs, a row each; a command that all share stands below, once."""
    commands = list(dict.fromkeys(cell.command for cell in cells))
    shared = len(commands) == 1
    head = [
        "run",
        *([] if shared else ["command"]),
        "exit code",
        "passed",
        "failed",
        "errors",
        "skipped",
        "time",
        "tree",
    ]
    rows = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for cell in cells:
        code = "killed" if cell.exit_code is None else str(cell.exit_code)
        command = [] if shared else [texts.code(cell.command, 200)]
        row = [cell.name, *command, code, *_counts(cell), f"{cell.duration_s:.1f} s", texts.code(cell.tree_sha[:12])]
        rows.append(f"| {' | '.join(row)} |")
    below = [f"Command: {texts.code(commands[0], 400)}"] if shared else []
    return "\n".join([*rows, *(["", *below] if below else [])])


def _counts(cell: Cell) -> list[str]:
    report = cell.report
    if not report.by_id:
        return ["?", "?", "?", "?"]
    return [str(len(ids)) for ids in (report.passed, report.failed, report.errored, report.skipped)]


def not_verified(texts: Texts, patch: Patch, outcome: Outcome, verdict: Verdict, evidence: Evidence) -> str:
    """What a reviewer must not take for granted."""
    lines = [f"- {texts.line(line, 300)}" for line in evidence.not_verified]
    if verdict.kind == "passing":
        lines.append("- whether a test would have caught the problem")
    if outcome.kind != "submitted":
        lines.append("- whether the work is complete: the model did not hand it in")
    lines += [f"- {texts.code(path, 150)} is a protected file: look at this change with care" for path in patch.flagged]
    return "\n".join(fitting(lines, 4_000, more="- … and {} more")) or "- nothing that the runs above could show"


def inputs(texts: Texts, task: Task, problem: Problem, base: Base) -> str:
    """Whose words the model was shown, and what was withheld."""
    lines = [
        f"- asked for by {texts.code(task.requested_by, 60)} at {texts.code(task.requested_at, 40)}",
        f"- worked from {texts.code(base.ref, 100)} at {texts.code(base.sha, 64)}",
        _note_line(texts, "problem", problem.body),
        *(_note_line(texts, "comment", note) for note in problem.comments),
    ]
    withheld = [f"- withheld: {texts.line(line, 200)}" for line in problem.withheld]
    shown = fitting(lines, 3_500, more="- … and {} more comments")
    return "\n".join([*shown, *(fitting(withheld, 2_500, more="- … and {} more withheld") or ["- withheld: nothing"])])


def _note_line(texts: Texts, what: str, note: Note) -> str:
    trust = "may write to the repository" if note.trusted else "shown as data, not as instructions"
    when = f" at {texts.code(note.created_at, 40)}" if note.created_at else ""
    return f"- {what} by {texts.code(note.author, 60) or 'nobody'}{when}: {len(note.body):,} character{'' if len(note.body) == 1 else 's'}, {trust}"


def cost(texts: Texts, task: Task, spent: Spent, *, model: str, recorded: bool, journal_digest: str) -> str:
    """What the run used of its limits, and by which its journal can be checked."""
    lines = [
        f"- model {texts.code(model, 100)}"
        + (": **a recorded model run, played back; nothing was asked of a live model**" if recorded else ""),
        f"- {spent.steps} of {task.limits.max_steps} steps, {duration(spent.elapsed_s)} of {task.limits.max_minutes:g} min",
        f"- {spent.prompt_tokens:,} prompt tokens ({cached_share(spent)} cached), {spent.completion_tokens:,} completion tokens",
        f"- ${spent.cost_usd:.4f} of ${task.limits.max_cost_usd:.2f}"
        + (" (as the recording was billed)" if recorded else ""),
        f"- run {texts.code(task.run_id, 100)}, journal digest {texts.code(journal_digest, 100) or 'unknown'}",
    ]
    return "\n".join(lines)


def cached_share(spent: Spent) -> str:
    """The cached part of the prompt tokens as a percentage."""
    return f"{100 * spent.cached_tokens / spent.prompt_tokens:.0f} %" if spent.prompt_tokens else "0 %"


def duration(seconds: float) -> str:
    """Seconds as people say them: `42 s`, `3 min 12 s`, `2 h 5 min`."""
    whole = max(0, int(seconds))
    if whole < 60:  # noqa: PLR2004 — seconds in a minute
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 — minutes in an hour
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
