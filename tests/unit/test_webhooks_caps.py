"""Daily caps, and what is forgotten after a while."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coder.types import JsonObject
from tests.unit.webhooks_payloads import SECRET, commented, config, delivery, repository, user
from webhooks.caps import Caps
from webhooks.engine.memory import MemoryEngine
from webhooks.intake import Intake
from webhooks.store import Store


class Desk:
    """An intake with a clock that tests move; stranger's runs end as refusals, others well."""

    def __init__(self, folder: Path, *, caps: Caps) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.engine = MemoryEngine(run)
        self.store = Store(folder / "deliveries.db")
        rules = config(folder).rules()
        self.intake = Intake(SECRET.encode(), rules, self.store, self.engine, caps=caps, clock=lambda: self.now)

    def ask(self, number: int, *, login: str = "mona", repo: JsonObject | None = None) -> JsonObject:
        payload = commented(comment_id=number, number=number, sender=user(login), repo=repo)
        payload["comment"].pop("issue_url")
        payload["issue"].pop("repository_url")
        headers, body = delivery("issue_comment", payload)
        return self.intake.receive(headers, body).body

    def work(self) -> None:
        """Let every queued job end."""
        self.engine.run_worker()
        deadline = time.monotonic() + 30
        while any(job.state in {"queued", "running"} for job in self.engine.list(limit=1000)):
            assert time.monotonic() < deadline, "waited too long"
            threading.Event().wait(0.005)
        self.engine.drain(timeout_s=10)


def run(payload: JsonObject) -> JsonObject:
    return {"ok": True, "verdict": "refused" if payload["task"]["requested_by"].startswith("sock") else "proven"}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, caps=Caps(per_repo=5, per_sender=3))
    yield made
    made.engine.close()
    made.store.close()


def test_one_person_may_ask_so_often_a_day(desk: Desk) -> None:
    first = [desk.ask(number) for number in range(1, 4)]
    fourth = desk.ask(4)
    elsewhere = desk.ask(5, repo=repository("octo/other", 43), login="Mona")
    other = desk.ask(6, login="ann")

    assert all("run" in answer for answer in first)
    assert fourth == {"refused": "mona has asked for 3 runs within a day: that is the cap"}
    assert "refused" in elsewhere
    assert "run" in other
    assert desk.store.deliveries()[2].decision == "refused"


def test_a_day_later_it_goes_on(desk: Desk) -> None:
    for number in range(1, 4):
        desk.ask(number)
    desk.now += timedelta(hours=24, seconds=1)

    assert "run" in desk.ask(4)


def test_what_was_taken_already_is_not_refused_when_it_comes_again(desk: Desk) -> None:
    answers = [desk.ask(number) for number in range(1, 4)]

    assert desk.ask(1) == answers[0]


def test_a_repository_has_a_cap_too(desk: Desk) -> None:
    taken = [desk.ask(number, login=f"user{number}") for number in range(1, 6)]
    sixth = desk.ask(6, login="user6")
    other = desk.ask(7, login="user7", repo=repository("octo/other", 421))

    assert all("run" in answer for answer in taken)
    assert sixth == {"refused": "octo/tools has had 5 runs within a day: that is the cap"}
    assert "run" in other


def test_strangers_cannot_use_up_what_a_repository_has(desk: Desk) -> None:
    for number in range(1, 31):
        desk.ask(number, login=f"sock{number}")
        if number % 5 == 0:
            desk.work()

    assert "run" in desk.ask(99)


def test_what_is_old_is_forgotten_and_does_not_come_back(desk: Desk) -> None:
    answer = desk.ask(1)
    desk.work()
    desk.ask(2)  # still waiting: kept whatever its age
    desk.now = datetime.now(UTC) + timedelta(days=40)
    recent = desk.ask(3)

    removed = desk.intake.forget(days=30)
    again = desk.ask(1)

    assert removed == 3
    assert [one.run_id for one in desk.store.deliveries()] == [None, recent["run"]]
    assert "over long ago" in again["refused"]
    assert desk.engine.status(answer["run"]) is None
    assert len(desk.engine.list()) == 2
