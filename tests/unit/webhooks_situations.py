"""Situations that a request may meet, and what comes of it."""

from pathlib import Path
from typing import Any

from coder.types import JsonObject, RepoRef, Task
from tests.unit.webhooks_payloads import commented, config
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
