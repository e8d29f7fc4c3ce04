import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder.publish.body import commit_message, is_draft, pull_request_body, pull_request_title
from coder.publish.sections import duration
from coder.publish.status import status_body
from coder.publish.texts import BODY_UNITS, fitting, units
from coder.trace.events import Answered, Event, Solved, Told, ToolFinished, Verified
from coder.types import (
    Base,
    Cell,
    Checkpoint,
    Completion,
    Evidence,
    FileChange,
    FileRationale,
    Message,
    Note,
    Outcome,
    Patch,
    Problem,
    PullRequest,
    RepoRef,
    RunResult,
    Spent,
    Submission,
    Task,
    TestReport,
    ToolCall,
    ToolOutput,
    Usage,
    Verdict,
    VerdictKind,
)

SECRET = "s3cr3t-value-of-this-run"
TOKEN = "ghp_" + "a1B2" * 9
NASTY = (
    f"@everyone Fixes #99 owner/repo#7 closes https://github.com/o/r/issues/3 {SECRET} {TOKEN}\n/merge\n"
    "</details><script>x</script> \x1b[31mred\x1b[0m \u202eevil ![p](https://x/y.png)\n```\n## Proof\nall proven\n"
    f"| fake | table |\n{SECRET[:12]}\u200b{SECRET[12:]}"
)
LIVE = re.compile(r"@[A-Za-z]|#(?!12\b)\d|/issues/\d|^\s*/[a-z]|[\x1b\u202e]", re.MULTILINE)

CLEAN = TestReport(by_id=True, passed=("t.py::a", "t.py::b"))
RED = TestReport(by_id=True, passed=("t.py::b",), failed=("t.py::a",))


def hide(text: str) -> str:
    return text.replace(SECRET, "[redacted]")


def task(**changes: Any) -> Task:
    values: dict[str, Any] = {
        "run_id": "run-1",
        "repo": RepoRef(owner="o", name="r"),
        "kind": "issue",
        "number": 12,
        "requested_by": "alice",
        "requested_at": "2026-01-01T00:00:00Z",
        "model": "kimi-k2-thinking",
    }
    return Task(**{**values, **changes})


def answered(step: int, text: str, calls: Sequence[ToolCall] = ()) -> Answered:
    message = Message(role="assistant", content=text, reasoning_content=text, tool_calls=tuple(calls))
    completion = Completion(message=message, finish_reason="tool_calls", usage=Usage(), cost_usd=0.01, model="m")
    return Answered(step=step, completion=completion)


def step(number: int, name: str, text: str, *, is_error: bool = False, changed: bool = False) -> list[Event]:
    call = ToolCall(id=f"c{number}", name=name, arguments='{"command": "x"}')
    checkpoint = Checkpoint(step=number, tree_sha="t", diff_blob="b") if changed else None
    output = ToolOutput(content=text, is_error=is_error)
    finished = ToolFinished(
        step=number, call_id=call.id, name=name, output=output, duration_s=0.1, checkpoint=checkpoint
    )
    return [answered(number, text, [call]), finished]


def cell(name: Any, report: TestReport, exit_code: int | None) -> Cell:
    return Cell(
        name=name,
        tree_sha="e" * 40,
        command="python3 -m pytest -q",
        exit_code=exit_code,
        duration_s=1.25,
        report=report,
        output_tail="",
    )


def body(**changes: Any) -> str:
    cells = (
        cell("base", CLEAN, 0),
        cell("base+new tests", RED, 1),
        cell("head", CLEAN, 0),
        cell("head+old tests", CLEAN, 0),
    )
    values: dict[str, Any] = {
        "task": task(),
        "problem": Problem(
            kind="issue", title="Two spaces", body=Note(author="bob", body="b", trusted=True), number=12
        ),
        "base": Base(ref="main", sha="b" * 40),
        "outcome": Outcome(
            kind="submitted",
            submission=Submission(
                title="Fix", summary="Because.", rationale=(FileRationale(path="a.py", reason="the bug"),)
            ),
        ),
        "patch": Patch(
            base_sha="b" * 40,
            tree_sha="e" * 40,
            diff="",
            files=(FileChange(path="a.py", status="modified", additions=1, deletions=2),),
        ),
        "verdict": Verdict(kind="proven", reasons=("failing on base, passing on head: t.py::a",)),
        "evidence": Evidence(
            cells=cells,
            base_sha="b" * 40,
            head_tree="e" * 40,
            image="python",
            image_digest="sha256:1",
            proving_tests=("t.py::a",),
        ),
        "spent": Spent(
            steps=3, cost_usd=0.1234, prompt_tokens=1000, cached_tokens=630, completion_tokens=10, elapsed_s=75
        ),
        "model": "kimi-k2-thinking",
        "recorded": False,
        "events": [
            *step(1, "plan", "first"),
            *step(2, "run_tests", "1 failed", is_error=True),
            *step(3, "run_tests", "2 passed"),
        ],
        "journal_digest": "d" * 64,
        "redact": hide,
    }
    return pull_request_body(**{**values, **changes})


def verdict(kind: VerdictKind) -> Verdict:
    return Verdict(kind=kind, reasons=("why",))


def test_the_sections_stand_in_order() -> None:
    titles = [line for line in body().split("\n") if line.startswith("## ")]

    assert titles == [
        "## Why",
        "## What changed",
        "## Proof",
        "## Not verified",
        "## Inputs",
        "## Cost and model",
        "## Trace",
    ]


def test_the_proof_is_a_table_of_what_was_run() -> None:
    text = body()

    assert "| base+new tests | 1 | 1 | 1 | 0 | 0 | 1.2 s | `eeeeeeeeeeee` |" in text
    assert "Command: `python3 -m pytest -q`" in text
    assert "- `t.py::a`" in text
    assert "`sha256:1`" in text
    assert "- `a.py` (modified, +1 -2): the bug" in text
    assert "63 % cached" in text


def test_a_row_without_test_ids_claims_no_counts() -> None:
    unread = TestReport(by_id=False, problem="killed after 60 s")
    evidence = Evidence(cells=(cell("head", unread, None),), base_sha="b", head_tree="e", image="i", image_digest="d")

    assert "| head | killed | ? | ? | ? | ? |" in body(evidence=evidence, verdict=verdict("unverified"))


@pytest.mark.parametrize(
    ("kind", "words"),
    [("proven", "Fixes #12 "), ("passing", "Fixes #12 "), ("unverified", "Refs #12 "), ("regressed", "Refs #12 ")],
)
def test_only_a_green_verdict_closes_the_issue(kind: VerdictKind, words: str) -> None:
    assert body(verdict=verdict(kind)).split("\n")[2].startswith(words)


@pytest.mark.parametrize("kind", ["review", "check_failure"])
def test_what_is_no_issue_is_never_closed(kind: str) -> None:
    assert "Refs #12" in body(task=task(kind=kind))


def test_a_recorded_run_says_so() -> None:
    assert "a recorded model run" in body(recorded=True)
    assert "a recorded model run" not in body()


def test_protected_files_and_unfinished_work_are_pointed_out() -> None:
    patch = Patch(
        base_sha="b",
        tree_sha="e",
        diff="",
        files=(FileChange(path="action.yml", status="added"),),
        flagged=("action.yml",),
    )

    text = body(patch=patch, outcome=Outcome(kind="limit", reason="5 dollars"))

    assert "**protected**" in text
    assert "`action.yml` is a protected file" in text
    assert "The work was not handed in: a limit was reached (5 dollars)" in text


def test_inputs_tell_whose_words_were_shown_and_what_was_withheld() -> None:
    problem = Problem(
        kind="issue",
        title="t",
        body=Note(author="bob", body="x" * 1234, trusted=True),
        number=12,
        comments=(Note(author="eve", body="do evil", created_at="2026-01-01T00:00:00Z"),),
        withheld=("a comment by mallory, made later",),
    )

    text = body(problem=problem)

    assert "- problem by `bob`: 1,234 characters, may write to the repository" in text
    assert "- comment by `eve` at `2026-01-01T00:00:00Z`: 7 characters, shown as data, not as instructions" in text
    assert "- withheld: a comment by mallory, made later" in text
    assert "do evil" not in text


def nasty_body() -> str:
    note = Note(author=NASTY, body=NASTY, created_at=NASTY)
    submission = Submission(title=NASTY, summary=NASTY, rationale=(FileRationale(path=NASTY, reason=NASTY),))
    report = TestReport(by_id=True, passed=(NASTY,))
    ran = Cell(name="head", tree_sha=NASTY, command=NASTY, exit_code=0, duration_s=1, report=report, output_tail=NASTY)
    call = ToolCall(id="c", name=NASTY, arguments=NASTY)
    output = ToolOutput(content=NASTY)
    events: list[Event] = [
        answered(1, NASTY, [call]),
        ToolFinished(step=1, call_id="c", name=NASTY, output=output, duration_s=1),
        Told(step=1, reason="objection", message=Message(role="user", content=NASTY)),
        Solved(outcome=Outcome(kind="submitted", reason=NASTY, submission=submission)),
    ]
    return body(
        task=task(requested_by=NASTY, requested_at=NASTY),
        problem=Problem(kind="issue", title=NASTY, body=note, comments=(note,), number=12, withheld=(NASTY,)),
        base=Base(ref=NASTY, sha=NASTY),
        outcome=Outcome(kind="submitted", submission=submission),
        patch=Patch(
            base_sha="b",
            tree_sha="e",
            diff=NASTY,
            files=(FileChange(path=NASTY, old_path=NASTY, status="renamed"),),
            flagged=(NASTY,),
        ),
        verdict=Verdict(kind="unverified", reasons=(NASTY,)),
        evidence=Evidence(
            cells=(ran, ran.model_copy(update={"command": "other"})),
            base_sha=NASTY,
            head_tree=NASTY,
            image=NASTY,
            image_digest=NASTY,
            proving_tests=(NASTY,),
            not_verified=(NASTY,),
        ),
        model=NASTY,
        events=events,
        journal_digest=NASTY,
    )


def test_nothing_that_anybody_wrote_is_live_or_secret_in_the_body() -> None:
    text = nasty_body()

    assert not LIVE.search(text), LIVE.search(text)
    assert SECRET not in text
    assert TOKEN not in text
    assert "s3cr3t" not in text
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", text)
    assert [line for line in outside.split("\n") if line.startswith("## Proof")] == ["## Proof"]
    assert "<script" not in re.sub(r"`[^`\n]+`", "", outside)
    assert text.count("<details>") == 1


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


def long_run(steps: int, size: int) -> list[Event]:
    events: list[Event] = [*step(1, "plan", "THE PLAN"), *step(2, "run_tests", "THE RED RUN", is_error=True)]
    for number in range(3, steps):
        events += step(number, "read", f"@filler {number} " + "x" * size, changed=number == steps // 2)
    events += step(steps, "run_tests", "THE GREEN RUN")
    events.append(
        Verified(
            round=1,
            verdict=Verdict(kind="proven", reasons=("THE VERDICT",)),
            evidence=Evidence(base_sha="b", head_tree="e", image="i", image_digest="d"),
        )
    )
    return events


@pytest.mark.parametrize(("steps", "size"), [(30, 100), (300, 3_000), (300, 100_000), (3_000, 10)])
def test_the_decisive_steps_survive_any_length(steps: int, size: int) -> None:
    text = body(events=long_run(steps, size))

    assert units(text) <= BODY_UNITS
    assert text.endswith("</details>")
    if steps <= 300:
        for decisive in ("THE PLAN", "THE RED RUN", "THE GREEN RUN", "THE VERDICT"):
            assert decisive in text


def test_a_short_run_is_told_in_full() -> None:
    text = body()

    assert all(f"**Step {number}**" in text for number in (1, 2, 3))


@settings(max_examples=12, deadline=None)
@given(
    text=st.text(st.sampled_from("a@#`<&\n\U0001f389|/ 1"), max_size=60),
    times=st.integers(1, 4_000),
    many=st.integers(0, 400),
)
def test_the_body_never_exceeds_what_github_takes(text: str, times: int, many: int) -> None:
    long = text * times
    change = FileChange(path=long or "p", status="added", additions=1, deletions=0)
    ids = tuple(f"{text}{number}" for number in range(many))
    evidence = Evidence(
        cells=(cell("head", CLEAN, 0),) * 4,
        base_sha=long,
        head_tree=long,
        image=long,
        image_digest=long,
        proving_tests=ids,
        not_verified=ids,
    )
    submission = Submission(title=long, summary=long, rationale=(FileRationale(path=change.path, reason=long),))

    made = body(
        patch=Patch(base_sha="b", tree_sha="e", diff="", files=(change,) * many, flagged=ids),
        verdict=Verdict(kind="proven", reasons=ids),
        evidence=evidence,
        outcome=Outcome(kind="submitted", submission=submission),
        events=[event for number in range(min(many, 40)) for event in step(number, "run", long)],
    )

    assert units(made) <= BODY_UNITS
    assert made.count("<details>") == made.count("</details>")


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
    assert text.endswith("No pull request was opened.")


@pytest.mark.parametrize(("seconds", "words"), [(-1, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (7500, "2 h 5 min")])
def test_durations_read_well(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_lines_that_do_not_fit_are_counted() -> None:
    assert fitting(["aaaa", "bbbb", "c"], 6) == ["aaaa", "… and 2 more"]
