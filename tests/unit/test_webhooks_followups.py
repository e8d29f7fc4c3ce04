"""What is added to runs that exist: the second table of docs/events.md, row by row."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.types import JsonObject
from tests.unit.webhooks_payloads import (
    BOT_ID,
    SHA,
    changed,
    check,
    config,
    labeled,
    pull,
    pull_labeled,
    review_commented,
    reviewed,
    user,
)
from tests.unit.webhooks_situations import (
    LIVE,
    NOTHING,
    NOW,
    OVER,
    OWN,
    OWN_LIVE,
    PLANNED,
    RULES,
    RUN,
    TASK,
    WAITING,
    outcome,
    said,
    summary,
    task_of,
)
from webhooks.decisions import Situation

# --- a run that exists ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "live", "waiting", "over", "own"),
    [
        ("/coder fix", "nothing", "run react", "run react", "continue react"),
        ("/coder plan", "nothing", "run react", "run react", "continue react"),
        ("/coder retry", "nothing", "run react", "run react", "continue react"),
        ("/coder rebase", "nothing", "run react", "rebase react", "rebase react"),
        ("/coder approve", "answer", "approve react", "answer", "answer"),
        ("/coder revise be kind", "steer", "revise react", "revise react", "revise react"),
        ("/coder continue", "answer", "continue react", "continue react", "continue react"),
        ("/coder continue +$5", "answer", "continue react", "continue react", "continue react"),
        ("/coder continue +$50", "answer", "answer", "answer", "answer"),
        ("/coder stop", "stop", "stop", "answer", "answer"),
        ("/coder status", "describe", "describe", "describe", "describe"),
        ("/coder explain", "describe", "describe", "describe", "describe"),
        ("/coder autofix on", "switch", "switch", "switch", "switch"),
        ("/coder config", "answer", "answer", "answer", "answer"),
        ("/coder help", "answer", "answer", "answer", "answer"),
        ("@coder use bcrypt", "steer", "answer react", "run react", "revise react"),
        ("No, @coder, the other", "steer", "answer react", "nothing", "revise react"),
    ],
)
def test_every_verb_in_every_situation(body: str, live: str, waiting: str, over: str, own: str) -> None:
    on_pull = {"pull_request": {"url": "x"}, "number": 30}

    assert summary(said(body, LIVE)) == live
    assert summary(said(body, WAITING)) == waiting
    assert summary(said(body, OVER)) == over
    assert summary(said(body, OWN, **on_pull)) == own


def test_fix_while_a_plan_waits_approves_it() -> None:
    assert summary(said("/coder fix", PLANNED)) == "approve react"
    assert summary(outcome("issues", labeled(), PLANNED)) == "approve react"
    assert summary(said("/coder plan", PLANNED)) == "run react"


def test_an_approval_that_is_quicker_than_the_end_of_the_plan_waits_behind_it() -> None:
    planning = Situation(now=NOW, state="live", task=TASK.model_copy(update={"mode": "plan"}))

    assert summary(said("/coder approve", planning)) == "approve react"


def test_what_is_added_to_a_run_keeps_its_task_and_names_its_comment() -> None:
    decision = said("/coder revise use\nthe other one", WAITING, comment_id=501)

    work = decision.work
    assert work is not None
    assert work.followup is not None
    assert (work.task, work.job_id, work.sender) == (TASK, f"{RUN}.comment-501", "mona")
    assert work.followup.note.body == "use\nthe other one"
    assert not work.followup.note.trusted
    assert work.followup.comment_id == 501


def test_dollars_are_added_up_to_the_ceiling() -> None:
    once = said("/coder continue +$5", OVER)
    had = Situation(now=NOW, state="over", task=TASK, added_cost_usd=12.0)

    assert once.work is not None
    assert once.work.followup is not None
    assert once.work.followup.add_cost_usd == 5.0
    assert summary(said("/coder continue +$3", had)) == "continue react"
    assert "allows $3.00 more" in said("/coder continue +$4", had).chores[0].text


def test_ten_follow_ups_are_enough() -> None:
    often = Situation(now=NOW, state="over", task=TASK, own_pull=True, rounds=(*["review by ann"] * 9, "steer by @eve"))

    for decision in (said("@coder again", often), said("/coder continue", often), said("/coder fix", often)):
        assert summary(decision) == "answer hand_over"
        assert decision.chores[0].marker == "enough-gh42-12"
        assert decision.chores[0].text.count("- review by ann") == 9
        assert "@" not in decision.chores[0].text
        assert (decision.chores[1].work.task.run_id, decision.chores[1].work.sender) == (TASK.run_id, "mona")


def test_an_answer_on_a_pull_request_is_said_there() -> None:
    decision = said("/coder status", OWN, number=30, pull_request={"url": "x"})

    assert decision.chores[0].number == 30
    assert decision.chores[0].work.task.number == 12


# --- reviews --------------------------------------------------------------------------------------------------------------


def test_a_review_and_its_comments_are_one_job_in_any_order() -> None:
    decisions = [
        outcome("pull_request_review", reviewed(), OWN),
        outcome("pull_request_review_comment", review_commented(), OWN),
        outcome("pull_request_review_comment", review_commented("@coder and this", comment_id=92), OWN),
    ]

    assert [summary(one) for one in decisions] == ["review react"] * 3
    assert {one.work.job_id for one in decisions if one.work} == {f"{RUN}.review-900"}


def test_a_review_while_the_run_works_waits_its_turn() -> None:
    assert summary(outcome("pull_request_review", reviewed(), OWN_LIVE)) == "review react"


def test_a_command_in_a_review_is_a_command() -> None:
    assert summary(outcome("pull_request_review", reviewed("/coder stop"), OWN_LIVE)) == "stop"
    assert summary(outcome("pull_request_review", reviewed("/coder status", state="commented"), OWN)) == "describe"
    assert summary(outcome("pull_request_review_comment", review_commented("/coder stop"), OWN_LIVE)) == "stop"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (changed(reviewed(), "review.user", user("eve", 8)), "author did not send"),
        (changed(reviewed(), "sender", user("coder-app[bot]", BOT_ID, "Bot")), "our own review"),
        (reviewed(state="changes_requested") | {"pull_request": pull(state="closed")}, "closed"),
    ],
)
def test_a_review_of_nobody_is_nothing(payload: JsonObject, reason: str) -> None:
    decision = outcome("pull_request_review", payload, OWN)

    assert summary(decision) == "nothing"
    assert reason in decision.reason


# --- checks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["check_run", "check_suite", "workflow_run"])
def test_however_many_checks_fail_on_a_commit_they_are_one_job(event: str) -> None:
    decision = outcome(event, check(event), OWN)

    assert decision.work is not None
    assert decision.work.followup is not None
    assert decision.work.followup.kind == "check_failure"
    assert decision.work.job_id == f"{RUN}.checks-{SHA[:16]}"
    assert "ended with failure" in decision.work.followup.note.body


@pytest.mark.parametrize(
    ("payload", "situation", "reason"),
    [
        (check(conclusion="success"), OWN, "no draft of ours waits for the checks of this commit"),
        (check(conclusion=None), OWN, "check_suite.completed with no conclusion"),
        (check(conclusion="cancelled"), OWN, "check_suite.completed with cancelled"),
        (check(app={"slug": "coder-app"}), OWN, "our own check"),
        (check(), OWN_LIVE, "its next commit is checked anew"),
        (check(), Situation(now=NOW, state="over", task=TASK, own_pull=True, autofix=False), "automatic fixes are off"),
        (check(), NOTHING, "not ours, and nobody asked"),
        (check(pulls=()), NOTHING, "belongs to no pull request of ours"),
        (check(pulls=(), head_branch="main"), NOTHING, "belongs to no pull request of ours"),
    ],
)
def test_checks_that_start_nothing(payload: JsonObject, situation: Situation, reason: str) -> None:
    decision = outcome("check_suite", payload, situation)

    assert summary(decision) == "nothing"
    assert reason in decision.reason


FORKED: dict[str, JsonObject] = {
    "workflow_run": {"head_repository": {"id": 77}},
    "check_run": {},
    "check_suite": {"head_branch": None},
}
"""What the checks of a fork's commit say beside naming no pull request."""


@pytest.mark.parametrize("name", FORKED)
def test_checks_of_a_fork_are_nobodys_unless_somebody_asked(name: str) -> None:
    payload = check(name, pulls=(), **FORKED[name])

    nobody = outcome(name, payload)
    asked = outcome(name, payload, Situation(now=NOW, asking=((31, "mona"), (32, "ann"))))

    assert "no pull request of ours" in nobody.reason
    assert nobody.chores == ()
    assert asked.work is None
    assert [(one.kind, one.number, one.work.sender, one.work.task.base_ref) for one in asked.chores] == [
        ("look", 31, "mona", "pull/31/head"),
        ("look", 32, "ann", "pull/32/head"),
    ]


def test_a_forks_branch_that_is_called_like_ours_is_not_ours() -> None:
    rules = replace(RULES, fix_default_branch=True)
    payload = check("workflow_run", pulls=(), head_branch="main", head_repository={"id": 77})

    assert outcome("workflow_run", payload, rules=rules).work is None


def test_red_commits_of_somebodys_pull_request_are_looked_at_a_few_times() -> None:
    many = Situation(now=NOW, autofix=True, autofix_by="mona", check_runs=RULES.max_check_followups)

    decision = outcome("check_suite", check(), many)

    assert decision.work is None
    assert [(one.kind, one.work.sender) for one in decision.chores] == [("answer", "mona"), ("hand_over", "mona")]
    assert "rounds are enough" in decision.chores[0].text


@pytest.mark.parametrize("body", ["/coder fix", "@coder mend the parser", "Hm.\n\n@coder plan"])
def test_a_word_on_a_pull_request_of_somebody_starts_a_run_on_its_branch(body: str) -> None:
    task = task_of(said(body, number=31, pull_request={"url": "x"}))

    assert (task.number, task.base_ref) == (31, "pull/31/head")


def test_a_label_on_a_pull_request_from_a_fork_starts_a_run_on_its_commit() -> None:
    task = task_of(outcome("pull_request", pull_labeled(fork=True, branch="main")))

    assert task.base_ref == "pull/30/head"


def test_what_is_said_in_a_review_of_somebodys_pull_request_is_one_run_and_handed_on() -> None:
    line = task_of(outcome("pull_request_review_comment", review_commented("@coder rename it")))
    whole = task_of(outcome("pull_request_review", reviewed("@coder rename it", branch="feature")))

    assert line.run_id == whole.run_id
    assert (whole.base_ref, whole.review_id, line.review_id) == ("feature", 900, 900)
    assert summary(outcome("pull_request_review", reviewed("Rename it, will you"))) == "nothing"
    assert summary(outcome("pull_request_review_comment", review_commented("I like @coder"))) == "nothing"


def test_where_fixes_are_asked_for_a_failed_check_starts_a_run_on_that_branch() -> None:
    payload = check(head_branch="feature", pulls=(31,))

    task = task_of(outcome("check_suite", payload, Situation(now=NOW, autofix=True, autofix_by="ann")))

    assert (task.number, task.base_ref, task.requested_by) == (31, "feature", "ann")
    assert (task.kind, task.check_sha) == ("check_failure", SHA)


def test_the_default_branch_is_fixed_only_where_the_operator_says_so() -> None:
    rules = config(Path("unused"), fix_default_branch=True).rules()
    payload = check(pulls=(), head_branch="main")

    task = task_of(outcome("check_suite", payload, rules=rules))

    assert (task.kind, task.number, task.prompt_title) == ("check_failure", None, "tests fails on main")
    assert (task.check_sha, task.base_ref, task.requested_by) == (SHA, None, "github-actions[bot]")


def test_after_five_rounds_of_checks_the_person_who_asked_is_told() -> None:
    often = Situation(now=NOW, state="over", task=TASK, own_pull=True, check_followups=5)

    decision = outcome("check_suite", check(), often)

    assert summary(decision) == "answer hand_over"
    assert [one.work.sender for one in decision.chores] == [TASK.requested_by] * 2
    assert decision.chores[0].marker == "enough-gh42-30"


@given(
    st.sampled_from(["fix", "plan", "approve", "continue", "stop", "status", "help", "config", "rebase"]),
    st.sampled_from([NOTHING, LIVE, WAITING, PLANNED, OVER, OWN, OWN_LIVE]),
)
def test_no_decision_both_runs_and_refuses(verb: str, situation: Situation) -> None:
    decision = said(f"/coder {verb}", situation)

    assert (decision.work is None) or decision.run_id is not None
    assert decision.work or decision.chores or decision.reason
