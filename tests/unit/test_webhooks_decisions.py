"""Event, rules and situation to what is done: the table of docs/events.md, row by row."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.types import JsonObject, RepoRef, Task
from tests.unit.webhooks_payloads import (
    BOT_ID,
    SHA,
    assigned,
    changed,
    check,
    commented,
    config,
    dispatched,
    labeled,
    opened,
    pull,
    pull_labeled,
    review_commented,
    reviewed,
    user,
)
from webhooks.decisions import Decision, Situation, decide, refused
from webhooks.reading import read
from webhooks.rules import Refusal, Rules
from webhooks.triggers import asked
from webhooks.work import JOB_ID

NOW = "2026-01-03T00:00:00Z"
RUN = "gh42-12-0123456789abcdef"
RULES = config(Path("unused"), models=("kimi-k2.6",), heavy_model="big", ceiling_cost_usd=20.0).rules()
TASK = Task(
    run_id=RUN,
    repo=RepoRef(owner="octo", name="tools"),
    kind="issue",
    number=12,
    requested_by="mona",
    requested_at=NOW,
    model="scripted",
)
NOTHING = Situation(now=NOW)
LIVE = Situation(now=NOW, state="live", task=TASK)
WAITING = Situation(now=NOW, state="waiting", task=TASK)
PLANNED = Situation(now=NOW, state="waiting", task=TASK.model_copy(update={"mode": "plan"}))
OVER = Situation(now=NOW, state="over", task=TASK, has_pull=True)
OWN = Situation(now=NOW, state="over", task=TASK, own_pull=True, has_pull=True)
OWN_LIVE = Situation(now=NOW, state="live", task=TASK, own_pull=True, has_pull=True)


def outcome(event: str, payload: JsonObject, situation: Situation = NOTHING, rules: Rules = RULES) -> Decision:
    request = asked(read(event, payload), rules)
    return refused(request) if isinstance(request, Refusal) else decide(request, situation, rules)


def said(body: str, situation: Situation = NOTHING, **changes: Any) -> Decision:
    return outcome("issue_comment", commented(body, **changes), situation)


def task_of(decision: Decision) -> Task:
    assert decision.work is not None, decision
    assert decision.work.followup is None
    assert JOB_ID.fullmatch(decision.work.job_id)
    return decision.work.task


def summary(decision: Decision) -> str:
    """One line: what is queued, what is said."""
    work = decision.work
    queued = "" if work is None else ("run" if work.followup is None else work.followup.kind)
    if work is not None:
        assert JOB_ID.fullmatch(work.job_id)
    return " ".join(filter(None, [queued, *(chore.kind for chore in decision.chores)])) or "nothing"


# --- what starts a run ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("issues", labeled()),
        ("issues", labeled(label="coder:plan")),
        ("issues", labeled(label="CODER:AUTO")),
        ("issues", labeled(label="coder:heavy")),
        ("pull_request", pull_labeled(branch="feature")),
        ("issues", assigned()),
        ("issues", opened()),
        ("issues", opened("It breaks.\n\n/coder fix max=$1")),
        ("issue_comment", commented("/coder fix")),
        ("issue_comment", commented("@coder plan")),
        ("issue_comment", commented("@coder-app retry")),
        ("issue_comment", commented("@coder please mend the parser")),
        ("repository_dispatch", dispatched()),
        ("repository_dispatch", dispatched({"title": "Weekly", "prompt": "Update the changelog"})),
    ],
)
def test_each_trigger_starts_one_run_and_shows_that_it_was_seen(event: str, payload: JsonObject) -> None:
    first, again = outcome(event, payload), outcome(event, payload)

    assert summary(first) == "run react"
    assert first == again
    assert first.run_id == task_of(first).run_id


def test_what_a_run_is_told_by_its_trigger() -> None:
    label = task_of(outcome("issues", labeled()))
    plan = task_of(outcome("issues", labeled(label="coder:plan")))
    heavy = task_of(outcome("issues", labeled(label="coder:heavy")))
    on_pull = task_of(outcome("pull_request", pull_labeled(branch="feature")))
    options = task_of(said("/coder fix max=$2 steps=10 minutes=5 model=kimi-k2.6 base=release/1"))
    prompt = task_of(outcome("repository_dispatch", dispatched({"title": "A  b", "prompt": "Do"})))

    assert (label.mode, label.model, label.base_ref, label.limits.max_cost_usd) == ("fix", "scripted", None, 5.0)
    assert plan.mode == "plan"
    assert (heavy.mode, heavy.model, heavy.limits.max_cost_usd) == ("fix", "big", 20.0)
    assert (on_pull.number, on_pull.base_ref) == (30, "feature")
    assert (options.limits.max_cost_usd, options.limits.max_steps, options.limits.max_minutes) == (2.0, 10, 5.0)
    assert (options.model, options.base_ref) == ("kimi-k2.6", "release/1")
    assert (prompt.kind, prompt.number, prompt.prompt_title, prompt.prompt) == ("prompt", None, "A b", "Do")
    assert prompt.requested_at == NOW


def test_the_effort_of_a_model_may_be_named() -> None:
    assert task_of(said("/coder fix model=kimi-k2.6@high")).model == "kimi-k2.6@high"
    assert summary(said("/coder fix model=gpt@high")) == "answer"


def test_no_option_goes_above_what_the_operator_allows() -> None:
    task = task_of(said("/coder fix max=$999 steps=999999 minutes=99999"))

    assert (task.limits.max_cost_usd, task.limits.max_steps, task.limits.max_minutes) == (20.0, 300, 60.0)


@given(st.sampled_from(["max", "steps", "minutes"]), st.integers(min_value=1, max_value=999_999))
def test_limits_stay_below_the_ceiling_whatever_is_asked_for(name: str, value: int) -> None:
    limits = task_of(said(f"/coder fix {name}={value}")).limits

    assert limits.max_cost_usd <= RULES.highest_cost_usd
    assert limits.max_steps <= RULES.limits.max_steps
    assert limits.max_minutes <= RULES.limits.max_minutes


def test_plans_come_first_where_the_operator_says_so() -> None:
    rules = config(Path("unused"), plan_first=True).rules()

    modes = [
        task_of(outcome("issues", labeled(label=label), rules=rules)).mode
        for label in ("coder", "coder:plan", "coder:auto", "coder:heavy")
    ]

    assert modes == ["plan", "plan", "fix", "fix"]


def test_other_labels_can_be_chosen() -> None:
    rules = config(Path("unused"), label_plan="bot-plan").rules()

    assert task_of(outcome("issues", labeled(label="bot-plan"), rules=rules)).mode == "plan"
    assert summary(outcome("issues", labeled(label="coder:plan"), rules=rules)) == "nothing"


@pytest.mark.parametrize(
    ("event", "payload", "reason"),
    [
        ("issues", assigned(user("lisa", 9)), "assigned to 'lisa', not to us"),
        ("issues", opened("It breaks"), "no command in the comment"),
        ("issues", opened("cc @coder"), "we are mentioned, not asked"),
        ("issues", opened(locked=True), "issue #12 is locked"),
        ("issue_comment", commented("@coder do it", locked=True), "issue #12 is locked"),
        ("issues", assigned(sender=user("coder-app[bot]", BOT_ID, "Bot")), "our own event"),
        ("issue_comment", commented("Nice, @coder"), "we are mentioned, not asked"),
        ("repository_dispatch", dispatched(action="deploy"), "nothing reacts to repository_dispatch.deploy"),
        ("repository_dispatch", dispatched({}), "client_payload: neither"),
        ("repository_dispatch", dispatched({"issue": "12"}), "client_payload: `issue` is not"),
        ("repository_dispatch", dispatched({"issue": 12, "verb": "stop"}), "client_payload: `verb` 'stop'"),
        ("repository_dispatch", dispatched({"issue": 12, "options": [1]}), "client_payload: `options` is not"),
        ("repository_dispatch", dispatched({"issue": 12, "options": {"max": -1}}), "client_payload: `max` needs"),
        ("repository_dispatch", dispatched([]), "client_payload: neither"),
        ("pull_request", pull_labeled(label="bug"), "label 'bug' is not 'coder'"),
        ("pull_request_review", reviewed(), "a review of a pull request that no run of ours opened"),
        ("pull_request_review", reviewed("LGTM", state="approved"), "a review that is 'approved'"),
        ("pull_request_review", reviewed("hm", state="commented"), "a review that is 'commented'"),
    ],
)
def test_what_is_not_asked_for_starts_nothing(event: str, payload: JsonObject, reason: str) -> None:
    decision = outcome(event, payload)

    assert summary(decision) == "nothing"
    assert reason in decision.reason


@pytest.mark.parametrize(
    ("body", "changes", "text"),
    [
        ("/coder fix", {"state": "closed"}, "issue #12 is closed"),
        ("/coder fix", {"assignees": [user("lisa", 9)]}, "issue #12 is assigned to lisa"),
        ("@coder do it", {"state": "closed"}, "issue #12 is closed"),
        ("@coder do it", {"assignees": [user("lisa", 9)]}, "issue #12 is assigned to lisa"),
        ("/coder fix", {"pull_request": {"url": "x"}}, "whose branch is in this repository"),
        ("/coder fix model=gpt", {}, "That model may not be named here."),
        ("/coder fix max=0", {}, "`max` needs an amount"),
        ("/coder fix attempts=3", {}, "There is no option `attempts`"),
        ("/coder deploy", {}, "There is no verb `deploy`."),
        ("/coder", {}, "A verb is missing."),
        ("/coder help", {}, "Say `/coder VERB`"),
        ("/coder config", {}, "| model | `scripted` |"),
        ("/coder status", {}, "No run belongs to this yet."),
        ("/coder approve", {}, "Nothing waits for an approval"),
        ("/coder revise", {}, "Say what to revise"),
        ("/coder revise x", {}, "No run belongs to this yet."),
        ("/coder continue", {}, "No run belongs to this yet."),
        ("/coder rebase", {}, "No run belongs to this yet."),
        ("/coder stop", {}, "Nothing is at work here."),
        ("/coder autofix maybe", {}, "Say `autofix on`"),
    ],
)
def test_a_person_is_told_politely(body: str, changes: JsonObject, text: str) -> None:
    decision = said(body, **changes)

    assert summary(decision) == "answer"
    assert text in decision.chores[0].text
    assert decision.chores[0].work.sender == "mona"


def test_a_stranger_word_in_an_answer_is_inert() -> None:
    decision = said("/coder @octo/all#1<b>`x`")

    assert "@" not in decision.chores[0].text.splitlines()[0]
    assert "<" not in decision.chores[0].text.splitlines()[0]


def test_help_for_a_wrong_verb_is_one_comment_an_issue() -> None:
    markers = {said("/coder deploy", comment_id=number).chores[0].marker for number in (1, 2)}
    elsewhere = said("/coder deploy", number=13).chores[0].marker

    assert len(markers) == 1
    assert elsewhere not in markers


def test_force_overrules_closed_and_assigned_but_not_locked() -> None:
    assert task_of(said("/coder fix --force", state="closed")).force
    assert not task_of(said("/coder fix")).force
    assert summary(said("/coder fix --force", assignees=[user("lisa", 9)])) == "run react"
    assert summary(said("/coder fix --force", locked=True)) == "nothing"
    assert summary(said("/coder fix", assignees=[user(), user("coder-app[bot]", BOT_ID, "Bot")])) == "run react"


# --- a run that exists ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "live", "waiting", "over", "own"),
    [
        ("/coder fix", "nothing", "run react", "run react", "continue react"),
        ("/coder plan", "nothing", "run react", "run react", "continue react"),
        ("/coder retry", "nothing", "run react", "run react", "continue react"),
        ("/coder rebase", "nothing", "run react", "run react", "continue react"),
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
    often = Situation(now=NOW, state="over", task=TASK, own_pull=True, followups=10)

    for decision in (said("@coder again", often), said("/coder continue", often), said("/coder fix", often)):
        assert summary(decision) == "answer"
        assert decision.chores[0].marker == "enough-gh42-12"


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
        (check(conclusion="success"), OWN, "check_suite.completed with success"),
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


def test_checks_of_a_fork_are_nobodys() -> None:
    payload = check("workflow_run", head_repository={"id": 77})
    foreign = changed(check(), "check_suite.pull_requests", [])

    assert outcome("workflow_run", payload, OWN).reason == "a check of a fork"
    assert summary(outcome("check_suite", foreign, OWN)) == "nothing"


def test_where_fixes_are_asked_for_a_failed_check_starts_a_run_on_that_branch() -> None:
    payload = check(head_branch="feature", pulls=(31,))

    task = task_of(outcome("check_suite", payload, Situation(now=NOW, autofix=True)))

    assert (task.number, task.base_ref) == (31, "feature")


def test_the_default_branch_is_fixed_only_where_the_operator_says_so() -> None:
    rules = config(Path("unused"), fix_default_branch=True).rules()
    payload = check(pulls=(), head_branch="main")

    task = task_of(outcome("check_suite", payload, rules=rules))

    assert (task.kind, task.number, task.prompt_title) == ("prompt", None, "tests fails on main")


def test_after_five_rounds_of_checks_the_person_who_asked_is_told() -> None:
    often = Situation(now=NOW, state="over", task=TASK, own_pull=True, followups=5, check_followups=5)

    decision = outcome("check_suite", check(), often)

    assert summary(decision) == "answer"
    assert decision.chores[0].work.sender == TASK.requested_by
    assert decision.chores[0].marker == "enough-gh42-30"


@given(
    st.sampled_from(["fix", "plan", "approve", "continue", "stop", "status", "help", "config", "rebase"]),
    st.sampled_from([NOTHING, LIVE, WAITING, PLANNED, OVER, OWN, OWN_LIVE]),
)
def test_no_decision_both_runs_and_refuses(verb: str, situation: Situation) -> None:
    decision = said(f"/coder {verb}", situation)

    assert (decision.work is None) or decision.run_id is not None
    assert decision.work or decision.chores or decision.reason
