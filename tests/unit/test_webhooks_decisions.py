"""What starts a run, and what does not: the first table of docs/events.md, row by row."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.types import JsonObject
from tests.unit.webhooks_payloads import (
    BOT_ID,
    assigned,
    commented,
    config,
    dispatched,
    labeled,
    opened,
    pull_labeled,
    reviewed,
    user,
)
from tests.unit.webhooks_situations import NOW, RULES, outcome, said, summary, task_of

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
    options = task_of(said("/coder fix max=$2 steps=10 minutes=5 model=kimi-k2.6 base=release/1 attempts=3"))
    prompt = task_of(outcome("repository_dispatch", dispatched({"title": "A  b", "prompt": "Do"})))

    assert (label.mode, label.model, label.base_ref, label.limits.max_cost_usd) == ("fix", "scripted", None, 5.0)
    assert plan.mode == "plan"
    assert (heavy.mode, heavy.model, heavy.limits.max_cost_usd) == ("fix", "big", 20.0)
    assert (on_pull.number, on_pull.base_ref) == (30, "feature")
    assert (options.limits.max_cost_usd, options.limits.max_steps, options.limits.max_minutes) == (2.0, 10, 5.0)
    assert (options.model, options.base_ref, options.attempts) == ("kimi-k2.6", "release/1", 3)
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
        ("/coder fix model=gpt", {}, "That model may not be named here."),
        ("/coder fix max=0", {}, "`max` needs an amount"),
        ("/coder fix attempts=9", {}, "`attempts` is 8 at most"),
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


def test_force_overrules_closed_locked_and_assigned() -> None:
    assert task_of(said("/coder fix --force", state="closed")).force
    assert not task_of(said("/coder fix")).force
    assert summary(said("/coder fix --force", assignees=[user("lisa", 9)])) == "run react"
    assert summary(said("/coder fix --force", locked=True)) == "run react"
    assert summary(said("/coder fix", assignees=[user(), user("coder-app[bot]", BOT_ID, "Bot")])) == "run react"


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("issues", opened(locked=True)),
        ("issues", labeled(locked=True)),
        ("issue_comment", commented("@coder do it", locked=True)),
        ("issue_comment", commented("/coder fix", locked=True)),
    ],
)
def test_of_a_locked_issue_it_is_told_that_it_is(event: str, payload: JsonObject) -> None:
    decision = outcome(event, payload)

    assert summary(decision) == "answer"
    assert decision.reason == "issue #12 is locked"
