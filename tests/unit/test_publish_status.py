import pytest

from coder.publish.body import commit_message, is_draft, pull_request_title
from coder.publish.sections import duration
from coder.publish.status import status_body
from coder.publish.texts import fitting
from coder.trace.events import Continued, Finished, RunStarted, ToolFinished
from coder.types import (
    Followup,
    Note,
    Outcome,
    Patch,
    Problem,
    PullRequest,
    RunResult,
    Spent,
    Submission,
    ToolOutput,
    Verdict,
    VerdictKind,
)
from tests.unit.publish_values import LIVE, NASTY, TOKEN, hide, task, verdict


def test_nothing_live_or_secret_reaches_title_commit_or_status() -> None:
    submission = Submission(title=NASTY, summary=NASTY)
    problem = Problem(kind="issue", title=NASTY, body=Note(author="b", body=""), number=12)
    result = RunResult(
        run_id="r",
        verdict=Verdict(kind="refused", reasons=(NASTY,)),
        outcome=Outcome(kind="failed", reason=NASTY),
        spent=Spent(),
        pull_request=PullRequest(branch=NASTY, commit_sha="c", draft=True, url=f"https://x/{NASTY}"),
    )
    texts = [
        pull_request_title(problem=problem, submission=submission, redact=hide),
        commit_message(
            task=task(requested_by=NASTY),
            problem=problem,
            submission=submission,
            verdict=verdict("proven"),
            redact=hide,
        ),
        status_body(task=task(requested_by=NASTY), station=NASTY, spent=Spent(), result=None, redact=hide),
        status_body(task=task(), station=NASTY, spent=Spent(), result=result, redact=hide),
    ]

    for text in texts:
        assert not LIVE.search(text.replace("\n```", "")), text
        assert "s3cr3t" not in text
        assert TOKEN not in text


def test_titles_are_short_and_never_empty() -> None:
    problem = Problem(kind="issue", title=" \u200b ", body=Note(author="b", body=""), number=12)

    assert pull_request_title(problem=problem, submission=None, redact=hide) == "Work on #12"
    long = pull_request_title(problem=problem, submission=Submission(title="word " * 100, summary=""), redact=hide)
    assert len(long) <= 120
    assert long.endswith("word…")


def test_the_commit_message_has_a_short_subject_and_trailers() -> None:
    problem = Problem(kind="issue", title="t", body=Note(author="b", body=""), number=12)
    submission = Submission(title="Make slugs of many spaces " * 5, summary="Because.\n\nAnd so.")

    message = commit_message(
        task=task(), problem=problem, submission=submission, verdict=verdict("unverified"), redact=hide
    )

    lines = message.split("\n")
    assert len(lines[0]) <= 72
    assert lines[1] == ""
    assert "Refs #12" in lines
    assert lines[-3:] == ["Requested-by: alice", "Coder-run: run-1", "Coder-verdict: unverified"]


@pytest.mark.parametrize(
    ("kind", "flagged", "expected"),
    [("proven", (), "ready"), ("proven", ("action.yml",), "draft"), ("passing", (), "draft")],
)
def test_a_draft_unless_proven_and_harmless(kind: VerdictKind, flagged: tuple[str, ...], expected: str) -> None:
    patch = Patch(base_sha="b", tree_sha="e", diff="", files=(), flagged=flagged)

    assert is_draft(verdict=verdict(kind), patch=patch) == (expected == "draft")


def test_the_status_tells_who_how_long_and_how_much() -> None:
    spent = Spent(steps=31, cost_usd=0.42, elapsed_s=192, prompt_tokens=100, cached_tokens=63)

    text = status_body(task=task(), station="testing", spent=spent, result=None, redact=hide)

    assert text.split("\n")[0] == "**Working on it**"
    assert "Asked for by `alice` · 3 min 12 s · $0.42 of $5.00 · 31 of 300 steps · 63 % of the prompt cached" in text
    assert text.endswith("Now: testing")


def test_the_final_status_has_verdict_reasons_and_a_live_link() -> None:
    result = RunResult(
        run_id="r",
        verdict=Verdict(kind="proven", reasons=("because",)),
        outcome=Outcome(kind="submitted"),
        spent=Spent(),
        pull_request=PullRequest(
            branch="coder/issue-12", commit_sha="c", draft=False, number=13, url="https://github.com/o/r/pull/13"
        ),
    )

    text = status_body(task=task(), station="done", spent=Spent(), result=result, redact=hide)

    assert text.startswith("**Proven:")
    assert "- because" in text
    assert text.endswith("Pull request: https://github.com/o/r/pull/13 (branch `coder/issue-12`)")
    assert "Now:" not in text


def test_a_result_without_a_pull_request_says_so() -> None:
    result = RunResult(
        run_id="r", verdict=verdict("regressed"), outcome=Outcome(kind="limit", reason="$5"), spent=Spent()
    )

    text = status_body(task=task(), station="done", spent=Spent(), result=result, redact=hide)

    assert "- The run stopped at a limit before the work was handed in. $5" in text
    assert "No pull request was opened. `/coder continue` goes on" in text


@pytest.mark.parametrize(("seconds", "words"), [(-1, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (7500, "2 h 5 min")])
def test_durations_read_well(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_lines_that_do_not_fit_are_counted() -> None:
    assert fitting(["aaaa", "bbbb", "c"], 6) == ["aaaa", "… and 2 more"]


def plan(content: str) -> ToolFinished:
    return ToolFinished(step=1, call_id="c", name="plan", output=ToolOutput(content=content), duration_s=0.1)


def ended(kind: VerdictKind, outcome: str = "submitted") -> Finished:
    how = Outcome.model_validate({"kind": outcome})
    return Finished(result=RunResult(run_id="r", verdict=Verdict(kind=kind), outcome=how, spent=Spent()))


def test_the_status_shows_the_last_plan_as_a_checklist_and_what_was_before_folded() -> None:
    review = Followup(id="review-1", kind="review", note=Note(author="bob", body=NASTY))
    events = (
        RunStarted(task=task(), version="1"),
        plan("[ ] look"),
        ended("no_change", "asked"),
        Continued(followup=review),
        plan(f"[x] look\n[~] mend @octo/team\n[ ] test {NASTY}\n[-] <b>sing</b>\nOf this nothing: [x]"),
    )

    text = status_body(
        task=task(), station="working", spent=Spent(), result=None, redact=hide, events=events, trace_url="https://t/r"
    )

    assert "- [x] look\n- [ ] mend @\u200bocto/team (now)\n- [ ] test" in text
    assert "Of this nothing" not in text
    assert "<details><summary>Earlier: 1</summary>\n\n- asked for by `alice`: waited for a word\n\n</details>" in text
    assert "[trace](https://t/r)" in text
    assert not LIVE.search(text)
    assert TOKEN not in text


def test_the_status_folds_earlier_runs_of_the_issue_too() -> None:
    before = (RunStarted(task=task(requested_by="zoe"), version="1"), ended("unverified"))
    events = (RunStarted(task=task(), version="1"),)

    text = status_body(
        task=task(), station="at work", spent=Spent(), result=None, redact=hide, events=events, before=before
    )

    assert "<details><summary>Earlier: 1</summary>\n\n- asked for by `zoe`: " in text


def test_a_first_round_without_a_plan_shows_neither() -> None:
    events = (RunStarted(task=task(), version="1"),)

    text = status_body(
        task=task(), station="working", spent=Spent(), result=None, redact=hide, events=events, trace_url="no url"
    )

    assert "- [" not in text
    assert "details" not in text
    assert "trace" not in text
