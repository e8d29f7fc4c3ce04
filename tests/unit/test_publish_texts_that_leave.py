import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder.publish.claim import published_in
from coder.publish.texts import BODY_UNITS, units
from coder.trace.events import Event, Reviewed, Solved, Told, ToolFinished, Verified
from coder.types import (
    Base,
    Cell,
    Evidence,
    FileChange,
    FileRationale,
    Message,
    Note,
    Outcome,
    Patch,
    Problem,
    Remark,
    Review,
    Submission,
    TestReport,
    ToolCall,
    ToolOutput,
    Verdict,
    VerdictKind,
)
from tests.unit.publish_values import CLEAN, LIVE, NASTY, SECRET, TOKEN, answered, body, cell, step, task, verdict


def test_the_sections_stand_in_order() -> None:
    titles = [line for line in body().split("\n") if line.startswith("## ")]

    assert titles == [
        "## Why",
        "## What changed",
        "## Proof",
        "## Not verified, risks",
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


def test_what_ran_without_isolation_says_so() -> None:
    local = Evidence(cells=(cell("head", CLEAN, 0),), base_sha="b", head_tree="e", image="local", image_digest="local")

    assert "each row in a fresh container without network" in body()
    assert "**without isolation**" in body(evidence=local)


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
    assert text.count("<details>") == 2


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
        cells=(
            cell("base+new tests", CLEAN, 0).model_copy(update={"output_tail": long}),
            *(cell("head", CLEAN, 0),) * 4,
        ),
        base_sha=long,
        head_tree=long,
        image=long,
        image_digest=long,
        proving_tests=ids,
        not_verified=ids,
        test_files=ids,
    )
    remarks = tuple(Remark(path=change.path, what=long or "x", must_fix=True) for _ in range(20))
    submission = Submission(title=long, summary=long, rationale=(FileRationale(path=change.path, reason=long),))

    made = body(
        patch=Patch(base_sha="b", tree_sha="e", diff="", files=(change,) * many, flagged=ids),
        verdict=Verdict(kind="proven", reasons=ids),
        evidence=evidence,
        outcome=Outcome(kind="submitted", submission=submission),
        events=[event for number in range(min(many, 40)) for event in step(number, "run", long)],
        reviewed=Reviewed(round=1, model=long, review=Review(summary=long, remarks=remarks)),
        made_in={change.path: tuple(range(many))},
        template=f"# {text}\n{long}\n" * min(many, 50),
        hosts=ids,
    )

    assert units(made) <= BODY_UNITS
    assert made.count("<details>") == made.count("</details>")
    assert published_in(made).verdict == "proven"
