"""What asks for runs without a webhook, over HTTP to GitHub: programs, the clock, a lost label; and a worker that dies."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from coder.types import JsonObject
from tests.e2e.stage import API_TOKEN, Stage

WEEKLY = {
    "cron": "0 3 * * 1",
    "repo": "octo/bills",
    "title": "Update the dependencies",
    "prompt": "Mend what breaks.",
    "requested_by": "ann",
}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path, schedule=(WEEKLY,), allowed_repos=("octo/bills",)) as stage:
        yield stage


def ask(stage: Stage, body: JsonObject, *, token: str = API_TOKEN, key: str = "k-1") -> int:
    headers = {"authorization": f"Bearer {token}", "idempotency-key": key}
    return stage.web.post("/api/v1/runs", json=body, headers=headers).status_code


def test_a_program_asks_by_rest_once_for_each_key(stage: Stage) -> None:
    body = {"repo": "octo/bills", "issue": 1, "requested_by": "ann"}

    answers = [
        ask(stage, body, token="a guess"),
        ask(stage, body | {"repo": "octo/gone"}, key="k-2"),
        ask(stage, body),
        ask(stage, body),
        ask(stage, body | {"verb": "plan"}),
    ]
    stage.settle()

    assert answers == [403, 403, 202, 202, 409]
    assert stage.ran() == ["run"]
    assert stage.eyes(stage.issue)


def test_scheduled_work_is_asked_for_once_at_its_time(stage: Stage) -> None:
    stage.now -= timedelta(minutes=1)
    stage.clockwork.tick()
    early = stage.ran()
    stage.now += timedelta(minutes=3)
    for _ in range(3):
        stage.clockwork.tick()
    stage.settle()

    assert early == []
    assert [(work.task.kind, work.task.prompt_title) for work in stage.given] == [("prompt", "Update the dependencies")]


def test_a_label_whose_webhook_was_lost_is_found_and_not_doubled(stage: Stage) -> None:
    stage.now += timedelta(hours=1)
    stage.issue.labels.append("coder")
    stage.issue.updated_at = (stage.now - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")

    for minutes in (0, 11, 22):
        stage.now += timedelta(minutes=minutes)
        stage.clockwork.tick()
        stage.settle()

    assert [(work.task.number, work.task.requested_by) for work in stage.given] == [(1, "ann")]


def test_of_a_run_whose_worker_dies_people_are_told_once(stage: Stage) -> None:
    stage.dies = True
    stage.label()
    stage.settle()

    for _ in range(3):
        stage.desk.watch()
        stage.settle()

    (answer,) = stage.answers()
    assert "of the run on #1" in answer
    assert "coder:failed" in stage.issue.labels
