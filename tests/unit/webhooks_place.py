"""An intake and a desk over a forge and an engine in memory."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from typing_extensions import override

from coder.forge.memory import InMemoryForge, MemoryIssue
from coder.types import JsonObject
from tests.unit.webhooks_payloads import SECRET, commented, config, delivery, labeled
from webhooks.deeds import Outside
from webhooks.desk import Desk
from webhooks.engine.memory import MemoryEngine
from webhooks.engine.port import Job
from webhooks.intake import Intake
from webhooks.outbox import Inbox, Outbox
from webhooks.store import Store


def until(condition: Callable[[], object], *, what: str) -> None:
    """Wait for something that a thread does."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        threading.Event().wait(0.005)


class Engine(MemoryEngine):
    """Jobs end when and how a test says."""

    def __init__(self) -> None:
        super().__init__(None)
        self.ended: dict[str, Job] = {}

    @override
    def status(self, job_id: str) -> Job | None:
        return self.ended.get(job_id) or super().status(job_id)

    def end(self, job_id: str, *, state: str = "done", **result: object) -> None:
        job = super().status(job_id)
        assert job is not None
        self.ended[job_id] = Job.model_validate(job.model_dump() | {"state": state, "result": result or None})


class Place:
    """Intake, desk and what they work on; the clock stands until a test moves it."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.engine = Engine()
        self.store = Store(folder / "deliveries.db")
        issues = tuple(MemoryIssue(number=n, title="t", body="b", author="mona") for n in (12, 13, 30))
        self.forge = InMemoryForge(issues=issues, writers=frozenset({"mona"}))
        self.stopped: list[str] = []
        outside = Outside(self.forge, lambda task, what: f"{task.run_id} {what}", self.stopped.append)
        self.desk = Desk(outside, self.store, self.engine, clock=lambda: self.now)
        self.intake = Intake(SECRET.encode(), config(folder).rules(), self.store, self.engine, clock=lambda: self.now)
        self.outbox, self.inbox = Outbox(self.store.database), Inbox(self.store.database)

    def deliver(self, event: str, payload: JsonObject) -> JsonObject:
        headers, body = delivery(event, payload)
        return self.intake.receive(headers, body).body

    def say(self, body: str, *, number: int = 12, by: str = "mona", on_pull: bool = False) -> JsonObject:
        self.comments += 1
        changes: JsonObject = {"pull_request": {"url": "x"}} if on_pull else {}
        person = {"login": by, "id": 7 if by == "mona" else 66, "type": "User"}
        return self.deliver(
            "issue_comment", commented(body, comment_id=self.comments, number=number, sender=person, **changes)
        )

    comments = 100

    def work(self) -> int:
        done = 0
        while self.desk.work_once():
            done += 1
        return done

    def started(self) -> str:
        run = self.deliver("issues", labeled())["run"]
        self.work()
        return str(run)

    def published(self) -> str:
        run = self.started()
        self.engine.end(run, ok=True, verdict="proven", outcome="submitted", number=30)
        return run

    def jobs(self) -> list[str]:
        return sorted(job.id for job in self.engine.list(limit=1000))

    def eyes(self, number: int = 12) -> bool:
        return "eyes" in self.forge.issues[number].reactions
