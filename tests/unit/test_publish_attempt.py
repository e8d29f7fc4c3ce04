"""The account of work that did not get there."""

import io

import pytest
from rich.console import Console

from coder.display import show_result, trace_lines
from coder.publish.attempt import attempt, unfinished
from coder.publish.status import status_body
from coder.trace.events import Continued, Entry, Event, Reviewed, Solved, Told, Verified
from coder.types import (
    Evidence,
    Followup,
    Limits,
    Message,
    Note,
    Outcome,
    PullRequest,
    Remark,
    Review,
    RunResult,
    Spent,
    TestCounts,
    Verdict,
)
from tests.unit.publish_values import CLEAN, LIVE, NASTY, RED, SECRET, TOKEN, cell, hide, step, task

SPENT = Spent(steps=9, cost_usd=4.2)


def edited(number: int, path: str) -> list[Event]:
    answer, finished = step(number, "edit", "ok", changed=True)
    call = answer.completion.message.tool_calls[0].model_copy(update={"arguments": f'{{"path": "{path}"}}'})
    message = answer.completion.message.model_copy(update={"tool_calls": (call,)})
    return [
        answer.model_copy(update={"completion": answer.completion.model_copy(update={"message": message})}),
        finished,
    ]


def ran_tests(number: int, failed: int, name: str) -> list[Event]:
    answer, finished = step(number, "run_tests", f"pytest: exit code 1.\nfailing:\n  {name}\n")
    output = finished.output.model_copy(update={"tests": TestCounts(passed=10, failed=failed)})
    return [answer, finished.model_copy(update={"output": output})]


def limit() -> Event:
    return Solved(outcome=Outcome(kind="limit", reason="of $5, $0.01 are left"))


def result(**changes: object) -> RunResult:
    fields: dict[str, object] = {
        "run_id": "run-1",
        "verdict": Verdict(kind="regressed", reasons=("newly failing: t.py::a",)),
        "outcome": Outcome(kind="limit", reason="of $5, $0.01 are left"),
        "spent": SPENT,
    }
    return RunResult.model_validate(fields | changes)


EVENTS: list[Event] = [
    *edited(1, "a.py"),
    *edited(2, "b.py"),
    *ran_tests(3, 4, "t.py::far"),
    *edited(4, "a.py"),
    *ran_tests(5, 1, "t.py::near"),
    *edited(6, "a.py"),
    *ran_tests(7, 7, "t.py::worse"),
    limit(),
]


def test_what_was_tried_stands_beside_what_happened() -> None:
    found = attempt(EVENTS, task=task(), spent=SPENT)

    assert [(one.step, one.what, one.happened) for one in found.tried] == [
        (3, "changed a.py, b.py", "10 passed, 4 failed"),
        (5, "changed a.py", "10 passed, 1 failed"),
        (7, "changed a.py", "10 passed, 7 failed"),
    ]
    assert found.nearest == "t.py::near"
    assert found.add_usd == 3.0


def test_rounds_and_circles_are_told_and_the_middle_of_many_is_left_out() -> None:
    evidence = Evidence(
        cells=(cell("base", CLEAN, 0), cell("head", RED, 1)), base_sha="b", head_tree="e", image="i", image_digest="d"
    )
    stuck = Told(step=9, reason="stuck", message=Message(role="user", content="x"))
    judged = Verified(
        round=1, verdict=Verdict(kind="regressed", reasons=("newly failing: t.py::a",)), evidence=evidence
    )

    found = attempt([*(EVENTS[:6] * 20), stuck, judged], task=task(), spent=SPENT)

    assert len(found.tried) == 12
    assert found.left_out == 10
    assert found.tried[-1].happened == "regressed; newly failing: t.py::a"
    assert found.tried[-2].what == "went in circles"
    assert found.nearest == "t.py::a"
    assert found.add_usd == 0.0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"outcome": Outcome(kind="submitted")}, True),
        ({"outcome": Outcome(kind="submitted"), "verdict": Verdict(kind="no_change")}, False),
        ({"outcome": Outcome(kind="failed"), "verdict": Verdict(kind="refused")}, False),
        ({"outcome": Outcome(kind="asked")}, False),
        (
            {"outcome": Outcome(kind="submitted"), "pull_request": PullRequest(branch="b", commit_sha="c", draft=True)},
            False,
        ),
        ({"outcome": Outcome(kind="stuck"), "pull_request": PullRequest(branch="b", commit_sha="c", draft=True)}, True),
    ],
)
def test_only_what_did_not_get_there_needs_an_account(*, changes: dict[str, object], expected: bool) -> None:
    assert unfinished(result(**changes)) is expected


def told(events: list[Event], **changes: object) -> str:
    asked = task(limits=Limits(max_cost_usd=5))
    return status_body(task=asked, station="done", spent=SPENT, result=result(**changes), redact=hide, events=events)


def test_the_comment_says_what_was_tried_where_it_is_and_how_to_go_on() -> None:
    text = told(EVENTS, kept="coder/issue-12-x-wip-0123")

    assert "- step 5: changed a.py → 10 passed, 1 failed" in text
    assert "Nearest failing test: `t.py::near`" in text
    assert "No pull request was opened. The work so far is kept on branch `coder/issue-12-x-wip-0123`." in text
    assert "`/coder continue +$3` goes on with $3 more (a guess)." in text
    assert "What was tried" not in told(EVENTS, outcome=Outcome(kind="asked", reason="which?"))
    assert "best with a hint" in told(EVENTS[:-1], outcome=Outcome(kind="stuck"))


def test_nothing_in_it_is_live_or_secret() -> None:
    nasty = NASTY.replace("\n", " ").replace('"', "'").replace("\\", "").replace("\x1b", "")
    events = [*edited(1, nasty), *ran_tests(2, 1, nasty), limit()]

    text = told(events, kept=nasty)

    assert not LIVE.search(text.replace("/coder continue", "")), LIVE.search(text)
    assert SECRET not in text
    assert TOKEN not in text


def test_the_terminal_says_the_same() -> None:
    out = io.StringIO()
    found = attempt(EVENTS, task=task(), spent=SPENT)

    show_result(Console(file=out, width=20), result(kept="coder/wip"), None, found)

    shown = out.getvalue()
    assert "   5  changed a.py → 10 passed, 1 failed" in shown
    assert "nearest failing test: t.py::near" in shown
    assert "the work so far is on branch coder/wip" in shown
    assert 'to go on: coder run --resume run-1 --say "+$3 HINT"' in shown


def test_a_review_and_who_added_something_stand_in_the_trace() -> None:
    remarks = (
        Remark(path="a.py", line=3, what="overflow\x1b[2J", must_fix=True),
        Remark(what="naming", must_fix=False),
    )
    events: list[Event] = [
        Reviewed(round=1, model="m", review=Review(summary="Looked.", remarks=remarks)),
        Reviewed(round=2, model="m", problem="no money"),
        Continued(followup=Followup(id="f", kind="revise", note=Note(author="eve", body="x"))),
    ]
    entries = [Entry(ts="t", seq=n, run_id="r", prev="p", hash="h" * 64, event=event) for n, event in enumerate(events)]

    lines = list(trace_lines(entries, full=True))

    assert any("reviewed 1 objections, 1 notes by m: overflow" in line for line in lines)
    assert any("a.py:3: overflow" in line for line in lines)
    assert any("reviewed none: no money" in line for line in lines)
    assert any("continued revise by eve" in line for line in lines)
    assert "\x1b" not in "".join(lines)
