"""The sections of a pull request's text, each with a size of its own so that together they always fit."""

import re
from collections import Counter
from collections.abc import Collection, Sequence

from coder.prompts import exists
from coder.publish.account import Account
from coder.publish.texts import Texts, fitting
from coder.trace.events import Attempted, Contacted, Continued, Event, Opened, Prepared, Reviewed, ToolFinished
from coder.types import (
    Cell,
    Evidence,
    FileChange,
    Note,
    Outcome,
    Problem,
    Spent,
    Task,
    VerdictKind,
)
from coder.verify.excerpt import excerpt
from coder.verify.prediction import as_predicted
from coder.verify.verdict import CHANGED_EXPECTATION, PROVING

_STEPS_SHOWN = 3
_RED_CHARS = 2_000
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,255}(?:/[A-Za-z0-9._~/%=?&+-]{0,500})?")

VERDICT_WORDS: dict[VerdictKind, str] = {
    "proven": "Proven: a test failed before and passes now, and no other test that was run fails newly.",
    "passing": "Passing, not proven: nothing new fails, but no test is known to have failed before.",
    "unverified": "Unverified: the tests could not show that this works.",
    "regressed": "Regressed: tests fail that did not fail before.",
    "no_change": "No change was made.",
    "refused": "Refused: the change breaks a rule of what may leave the sandbox.",
}
"""What a verdict means, in a sentence."""
_CONTRADICTED = "Changed expectation: existing tests ask for something else now, and all else holds. A person must say who is right."
"""Of an unverified change whose tests say no more against it than that they were edited to fit."""


def why(texts: Texts, task: Task, problem: Problem, outcome: Outcome, *, closes: bool) -> str:
    """The problem, and the model's own words on cause and cure, as a quote."""
    title = texts.line(problem.title, 200)
    if task.number is None:
        lines = [f"Asked for: {title}" if title else "Asked for on the command line."]
    else:
        lines = [f"{'Fixes' if closes else 'Refs'} #{task.number} — {title}".rstrip(" —")]
    if outcome.kind != "submitted":
        ended = {"limit": "a limit was reached", "stuck": "it went in circles"}.get(outcome.kind, "it failed")
        reason = texts.line(outcome.reason, 300)
        lines += [
            "",
            f"The work was not handed in: {ended}{f' ({reason})' if reason else ''}. This is how far it came.",
        ]
    submission = outcome.submission
    if submission is not None and submission.summary.strip():
        lines += ["", "In the model's words:", "", texts.quote(submission.summary, 3_000)]
    return "\n".join(lines)


def what_changed(texts: Texts, account: Account) -> str:
    """A line for each file: the model's reason for it, and the steps of the trace that made it."""
    submission, patch = account.outcome.submission, account.patch
    reasons = {entry.path: entry.reason for entry in submission.rationale} if submission else {}
    flagged = frozenset(patch.flagged)
    lines = []
    for change in patch.files:
        made = _steps(account.made_in.get(change.path, ()), account.trace_url)
        lines.append(_file_line(texts, change, reasons.get(change.path, ""), flagged, made))
    return "\n".join(fitting(lines, 11_000, more="- … and {} more files")) or "Nothing."


def _steps(numbers: Sequence[int], trace_url: str) -> str:
    """The last steps, linked where the trace can be read."""
    last = numbers[-_STEPS_SHOWN:]
    if not last:
        return ""
    url = address(trace_url)
    shown = [f"[{number}]({url}#step-{number})" if url else str(number) for number in last]
    return f"; step{'s' if len(last) > 1 else ''} {', '.join(shown)}"


def address(url: str) -> str:
    """An address of the operator's that may be shown live; empty when it is none."""
    return url if _ADDRESS.fullmatch(url) else ""


def _file_line(texts: Texts, change: FileChange, reason: str, flagged: Collection[str], made: str) -> str:
    size = "binary" if change.additions is None else f"+{change.additions} -{change.deletions or 0}"
    was = f" from {texts.code(change.old_path, 150)}" if change.old_path else ""
    mark = " **protected**" if change.path in flagged else ""
    words = texts.line(reason, 240)
    return f"- {texts.code(change.path, 150)} ({change.status}{was}, {size}{made}){mark}{f': {words}' if words else ''}"


def proof(texts: Texts, account: Account) -> str:
    """Verdict, table of runs, proving tests, what the model predicted of them, and what they ran on."""
    verdict, evidence, submission = account.verdict, account.evidence, account.outcome.submission
    contradicted = verdict.kind == "unverified" and "".join(verdict.reasons[:1]).startswith(CHANGED_EXPECTATION)
    parts = [f"**{_CONTRADICTED if contradicted else VERDICT_WORDS[verdict.kind]}**"]
    # The tests that prove it have a list of their own.
    told = [reason for reason in verdict.reasons if not (evidence.proving_tests and reason.startswith(PROVING))]
    reasons = [f"- {texts.line(reason, 500)}" for reason in told]
    if reasons:
        parts.append("\n".join(fitting(reasons, 5_000, more="- … and {} more reasons")))
    if evidence.cells:
        parts.append(_table(texts, evidence.cells))
        parts.append(f"Run by the service, not by the model; {_where(texts, account)}.")
    if evidence.proving_tests:
        names = fitting(
            [f"- {texts.code(name, 240)}" for name in evidence.proving_tests], 4_000, more="- … and {} more"
        )
        parts.append("\n".join(["Fails on base, passes on head:", "", *names]))
    if tried := evidence.hunks_tried:
        needed = tried - len(evidence.unexercised)
        parts.append(f"Taken out one at a time, {needed} of {tried} parts of the change were missed by a test.")
    expected = submission.expected_failure if submission else ""
    borne_out = as_predicted(expected, evidence)
    if borne_out is not None:
        how = "**as predicted**" if borne_out else "**not as predicted** (compared by its words; look at it)"
        parts.append(f"The new tests failed on base {how}. The model's prediction: {texts.line(expected, 300)}")
    if verdict.kind == "proven" or contradicted:
        parts += _red_run(texts, evidence)
    parts.append(
        f"Base commit {texts.code(evidence.base_sha, 64)}, tree of the change {texts.code(evidence.head_tree, 64)}, "
        f"image {texts.code(evidence.image, 150)} {texts.code(evidence.image_digest, 100)}."
    )
    return "\n\n".join(parts)


def _red_run(texts: Texts, evidence: Evidence) -> list[str]:
    """What the failing run printed before the change, folded."""
    red = next((cell for cell in evidence.cells if cell.name == "base+new tests"), None)
    red = red or next((cell for cell in evidence.cells if cell.name == "base"), None)
    if red is None or not red.output_tail.strip():
        return []
    shown = texts.fence(excerpt(red.output_tail, evidence.proving_tests, max_chars=_RED_CHARS), 2 * _RED_CHARS)
    return [f"<details>\n<summary>How it failed before ({red.name})</summary>\n\n{shown}\n\n</details>"]


def _where(texts: Texts, account: Account) -> str:
    """What the runs were sealed in: only images have a digest of content."""
    if account.evidence.image_digest.startswith("sha256:"):
        hosts = ", ".join(texts.code(host, 100) for host in account.hosts[:20])
        reach = f"from which only {hosts} can be reached" if hosts else "without network"
        return f"each row in a fresh container {reach}"
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


def not_verified(texts: Texts, account: Account) -> str:
    """What a reviewer must not take for granted, and what could go wrong."""
    patch, evidence, verdict = account.patch, account.evidence, account.verdict
    lines = [f"- {texts.line(line, 300)}" for line in evidence.not_verified]
    if verdict.kind == "passing":
        lines.append("- whether a test would have caught the problem")
    if account.outcome.kind != "submitted":
        lines.append("- whether the work is complete: the model did not hand it in")
    lines += [f"- {texts.code(path, 150)} is a protected file: look at this change with care" for path in patch.flagged]
    lines += _review_risks(texts, account.reviewed)
    return "\n".join(fitting(lines, 5_000, more="- … and {} more")) or "- nothing that the runs above could show"


def _review_risks(texts: Texts, reviewed: Reviewed | None) -> list[str]:
    if reviewed is None:
        return []
    if reviewed.review is None:
        return [f"- no independent review: {texts.line(reviewed.problem, 200)}"]
    standing = sum(remark.must_fix for remark in reviewed.review.remarks)
    cut = (
        ["- the independent reviewer was not shown the whole change: it is too long"] if reviewed.review.partial else []
    )
    return [*([f"- {standing} objections of the independent reviewer stand (below)"] if standing else []), *cut]


def review(texts: Texts, reviewed: Reviewed | None) -> str:
    """What a second model says: its objections first. Empty when there is none."""
    if reviewed is None or reviewed.review is None:
        return ""
    found = reviewed.review
    lines = [
        f"- **{'objects' if remark.must_fix else 'notes'}** "
        + (f"{texts.code(remark.place, 160)}: " if remark.place else "")
        + texts.line(remark.what, 500)
        for remark in found.remarks
    ]
    listed = "\n".join(fitting(lines, 4_000, more="- … and {} more")) or "- no objection"
    said = [texts.quote(found.summary, 800)] if found.summary.strip() else []
    head = f"By {texts.code(reviewed.model, 80)}, which saw only the problem and the change. It proves nothing."
    return "\n\n".join([head, listed, *said])


def inputs(texts: Texts, account: Account) -> str:
    """Whose words the model was shown, what was withheld, and what it could reach."""
    task, problem, base = account.task, account.problem, account.base
    lines = [
        f"- asked for by {texts.code(task.requested_by, 60)} at {texts.code(task.requested_at, 40)}",
        f"- worked from {texts.code(base.ref, 100)} at {texts.code(base.sha, 64)}",
        _note_line(texts, "problem", problem.body),
        *(_note_line(texts, "comment", note) for note in problem.comments),
    ]
    withheld = [f"- withheld: {texts.line(line, 200)}" for line in problem.withheld]
    shown = fitting(lines, 3_500, more="- … and {} more comments")
    hidden = fitting(withheld, 2_500, more="- … and {} more withheld") or ["- withheld: nothing"]
    return "\n".join(
        [
            *shown,
            *hidden,
            *_remembered(texts, account.events),
            *_added(texts, account.events),
            *_submodules(texts, account.events),
            *_lfs(texts, account.events),
            _network(texts, account),
            *_contacts(texts, account.events),
            *_outside(texts, account.events),
        ]
    )


def _remembered(texts: Texts, events: Sequence[Event]) -> list[str]:
    """What earlier runs had found out and this one was told."""
    facts = [fact for event in events if isinstance(event, Opened) for fact in event.remembered]
    lines = [f"- remembered from earlier runs: {texts.line(fact, 300)}" for fact in facts]
    return fitting(lines, 1_500, more="- … and {} more facts of earlier runs")


def _added(texts: Texts, events: Sequence[Event]) -> list[str]:
    """Who added to the run later."""
    added = [event.followup for event in events if isinstance(event, Continued)]
    lines = [_note_line(texts, f"later, {one.kind.replace('_', ' ')}", one.note) for one in added]
    return fitting(lines, 1_500, more="- … and {} more")


def _submodules(texts: Texts, events: Sequence[Event]) -> list[str]:
    """Submodules whose folders were empty while the model worked and the tests ran."""
    missing = next((event.submodules_missing for event in events if isinstance(event, Prepared)), ())
    lines = [f"- submodule not fetched: {texts.line(line, 300)}" for line in missing]
    return fitting(lines, 1_500, more="- … and {} more submodules that were not fetched")


def _lfs(texts: Texts, events: Sequence[Event]) -> list[str]:
    """Files whose contents nobody had: what a test that reads them says is no fault of the change."""
    prepared = next((event for event in events if isinstance(event, Prepared) and event.lfs_count), None)
    if prepared is None:
        return []
    shown = prepared.lfs_pointers[:5]
    named = ", ".join(texts.code(path, 100) for path in shown)
    more = f" and {prepared.lfs_count - len(shown)} more" if prepared.lfs_count > len(shown) else ""
    what = "Git LFS: contents not fetched, so tests that read them fail before and after"
    return [f"- {what}: {named}{more}"]


def _network(texts: Texts, account: Account) -> str:
    """Which hosts commands of the model could speak to."""
    if not account.evidence.image_digest.startswith("sha256:"):
        return "- network: commands ran **without isolation**, with whatever this machine can reach"
    if account.hosts:
        hosts = ", ".join(texts.code(host, 100) for host in account.hosts[:20])
        return f"- network: while the model worked only {hosts}; the setup phase before it had all of it"
    return "- network: none while the model worked; the setup phase before it had one"


def _outside(texts: Texts, events: Sequence[Event]) -> list[str]:
    """Tools beside our own that the model used: they run outside of the sandbox, with whatever their operator gives them."""
    offered = {tool.name for event in events if isinstance(event, Opened) for tool in event.tools}
    used = Counter(e.name for e in events if isinstance(e, ToolFinished) and e.name in offered)
    foreign = [f"{texts.code(name, 64)} {n} times" for name, n in sorted(used.items()) if not exists(f"tools/{name}")]
    return [f"- tools outside of the sandbox: {', '.join(foreign[:20])}"] if foreign else []


def _contacts(texts: Texts, events: Sequence[Event]) -> list[str]:
    """Every host that sandboxes of the run reached or were kept from."""
    counts: dict[tuple[bool, str], int] = {}
    for event in events:
        for one in event.contacts if isinstance(event, Contacted) else ():
            said = texts.code(f"{one.host}:{one.port}", 120) + (
                f" ({texts.line(one.reason, 120)})" if one.reason else ""
            )
            counts[one.allowed, said] = counts.get((one.allowed, said), 0) + one.count
    lines = []
    for allowed, what in ((True, "reached"), (False, "refused or failed")):
        found = [f"{said} {count} times" for (let, said), count in sorted(counts.items()) if let is allowed]
        lines += [f"  - {what}: {', '.join(fitting(found, 1_200, more='and {} more'))}"] if found else []
    return lines


def _note_line(texts: Texts, what: str, note: Note) -> str:
    trust = "may write to the repository" if note.trusted else "shown as data, not as instructions"
    when = f" at {texts.code(note.created_at, 40)}" if note.created_at else ""
    return f"- {what} by {texts.code(note.author, 60) or 'nobody'}{when}: {len(note.body):,} character{'' if len(note.body) == 1 else 's'}, {trust}"


def cost(texts: Texts, account: Account) -> str:
    """What the run used of its limits, by which its journal can be checked, and how to read all of it."""
    task, spent, recorded = account.task, account.spent, account.recorded
    url = address(account.trace_url)
    run = texts.code(task.run_id, 100)
    begun = [event.number for event in account.events if isinstance(event, Attempted)]
    lines = [
        f"- model {texts.code(account.model, 100)}"
        + (": **a recorded model run, played back; nothing was asked of a live model**" if recorded else ""),
        f"- {spent.steps} of {task.limits.max_steps} steps, {duration(spent.elapsed_s)} of {task.limits.max_minutes:g} min",
        f"- {spent.prompt_tokens:,} prompt tokens ({cached_share(spent)} cached), {spent.completion_tokens:,} completion tokens",
        f"- ${spent.cost_usd:.4f} of ${task.limits.max_cost_usd:.2f}"
        + (" (as the recording was billed)" if recorded else ""),
        *(f"- {number} attempts, each from the base commit: this is the best by its tests" for number in begun[-1:]),
        f"- run {run}, journal digest {texts.code(account.journal_digest, 100) or 'unknown'}",
        f"- full trace: {url}" if url else f"- full trace: {texts.code(f'coder trace {task.run_id} --full', 150)}",
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
