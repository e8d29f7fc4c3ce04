"""The whole service but for the run itself: GitHub over HTTP, signed deliveries, real store, desk and forge.

The runner notes what it is given and ends as a test says, unless the test has one of its own.
"""

import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fastapi.testclient import TestClient

from coder.forge.config import GitHubSettings
from coder.forge.github import GitHubForge
from coder.forge.github_lookup import GitHubLookup
from coder.types import Followup, JsonObject, Task
from tests.servers.github import GitHubServer, signed_webhook
from tests.servers.github_state import Comment, Issue, user_json
from tests.unit.webhooks_payloads import SHA, config
from webhooks.app import WebParts, create_app
from webhooks.clockwork import Clockwork
from webhooks.deeds import Outside
from webhooks.desk import Desk
from webhooks.engine.memory import MemoryEngine
from webhooks.intake import Intake
from webhooks.outbox import Inbox
from webhooks.store import Store
from webhooks.work import Work
from webhooks.worker import TaskRunner, Underway, on_payload

SECRET = "it-is-a-secret-of-the-hook"
TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB"
DEADLINE_S = 60.0
API_TOKEN = "a-token-of-the-api"
BOT = "coder-bot"
PROVEN: JsonObject = {"ok": True, "verdict": "proven", "outcome": "submitted", "number": 2}
ASKED: JsonObject = {"ok": True, "verdict": "no_change", "outcome": "asked"}


def until(condition: Callable[[], object], *, what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        threading.Event().wait(0.005)


class Stage:
    """One repository `octo/bills` with issue 1 and pull request 2, and the service that listens to it."""

    def __init__(
        self,
        folder: Path,
        *,
        runner: TaskRunner | None = None,
        files: Mapping[str, str | bytes] | None = None,
        app: bool = False,
        **settings: Any,
    ) -> None:
        self.folder = folder
        (folder / "github").mkdir()
        self.github = GitHubServer(folder / "github")
        self.repo = self.github.add_repository("octo/bills", files or {"a.py": "x = 1\n"}, installation=77)
        bot_login = f"{self.github.state.app_slug}[bot]" if app else BOT
        us: JsonObject = {"token": TOKEN}
        if app:
            us = {"app_id": self.github.state.app_id, "private_key": self.github.add_app()}
        self.bot = self.github.add_user(bot_login, repo=self.repo, permission="write")
        for login, role in (("ann", "write"), ("tom", "triage")):
            self.github.add_user(login, repo=self.repo, permission=role)
        self.github.add_user("eve")
        self.github.add_user("ci[bot]", kind="Bot")
        self.github.add_token(TOKEN, bot_login)
        self.issue: Issue = self.github.add_issue(self.repo, title="It breaks", body="Badly", author="ann")
        if runner is None:
            # At GitHub every pull request is an issue too; this is its side that takes comments.
            self.pull: Issue = self.github.add_issue(self.repo, title="Mend it", body="Fixes #1", author=BOT)
        connection = {
            "api_url": self.github.url,
            "git_url": self.github.url,
            "http_hosts": frozenset({self.github.host}),
            "seconds_between_requests": 0,
            "seconds_between_writes": 0,
            "retry_backoff_s": 0,
        }
        self.connection = GitHubSettings.model_validate(connection | us)
        self.forge = GitHubForge(self.connection, sleep=lambda _: None)
        self.lookup = GitHubLookup(self.connection)
        self.now = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
        self.dies = False
        self.given: list[Work] = []
        self.stopped: list[str] = []
        self.endings: deque[JsonObject] = deque()
        self.free = threading.Event()
        self.free.set()
        self.engine = MemoryEngine(self._run)
        self.store = Store(folder / "deliveries.db")
        self._worker = on_payload(runner or self._played, self.store, Underway(), pause=lambda _: None)
        self.inbox = Inbox(self.store.database)
        outside = Outside(self.forge, lambda task, what: f"{what} of the run on #{task.number}", self._stop)
        # An hour of pauses at the desk is over at once.
        leap = itertools.count()
        self.desk = Desk(
            outside, self.store, self.engine, clock=lambda: datetime.now(UTC) + timedelta(seconds=30 * next(leap))
        )
        values = config(
            folder, webhook_secret=SECRET, bot_login=bot_login, bot_id=self.bot.id, ceiling_cost_usd=20.0, **settings
        )
        self.intake = Intake(SECRET.encode(), values.rules(), self.store, self.engine, wake=self.desk.wake)
        self.clockwork = Clockwork(
            self.intake,
            self.store,
            self.lookup,
            schedule=values.schedule,
            sweep_every=timedelta(minutes=10),
            clock=lambda: self.now,
        )
        parts = WebParts(
            intake=self.intake,
            store=self.store,
            engine=self.engine,
            desk=self.desk,
            describe_repository=self.lookup.repository,
            api_token=API_TOKEN,
        )
        self.web = TestClient(create_app(parts))

    def __enter__(self) -> Self:
        self.github.__enter__()
        self.web.__enter__()
        self.engine.run_worker()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free.set()
        self.web.__exit__(None, None, None)
        self.engine.drain(timeout_s=10)
        self.engine.close()
        self.store.close()
        self.lookup.close()
        self.forge.close()
        self.github.__exit__(kind, exc, trace)

    # --- what happens at GitHub ---

    def comment(self, body: str, *, by: str = "ann", on: Issue | None = None) -> Comment:
        """Somebody writes a comment, and GitHub tells us."""
        place = on or self.issue
        comment = self.github.add_comment(place, author=by, body=body)
        headers, data = self.github.commented(self.repo, place, comment, secret=SECRET)
        if place is self.pull:
            payload = json.loads(data)
            payload["issue"]["pull_request"] = {"url": "x"}
            headers, data = signed_webhook("issue_comment", payload, SECRET)
        self._post(headers, data)
        return comment

    def label(self, name: str = "coder", *, by: str = "ann") -> JsonObject:
        """Somebody labels the issue."""
        return self._post(*self.github.labeled(self.repo, self.issue, label=name, sender=by, secret=SECRET))

    def event(self, name: str, payload: JsonObject, *, by: str = "ann") -> JsonObject:
        """Something else happens: `payload` without what all events have."""
        return self._post(*self.github.happened(self.repo, name, payload, sender=by, secret=SECRET))

    def person(self, login: str) -> JsonObject:
        """An account, as payloads name it."""
        return user_json(self.github.state, self.github.state.user(login))

    def _post(self, headers: dict[str, str], body: bytes) -> JsonObject:
        answer = self.web.post("/webhooks/github", content=body, headers=headers)
        assert answer.status_code == 202, answer.text
        shown: JsonObject = answer.json()
        return shown

    # --- what came of it ---

    def settle(self) -> None:
        """Until nothing is left to do."""
        until(self._quiet, what="the service to be done")

    def ran(self) -> list[str]:
        """What the runner was given: the kind of each job."""
        return ["run" if work.followup is None else work.followup.kind for work in self.given]

    def eyes(self, place: Issue | Comment) -> bool:
        """Whether the bot's 👀 is there."""
        return (BOT, "eyes") in place.reactions

    def answers(self, place: Issue | None = None) -> list[str]:
        """What the bot wrote."""
        return [c.body for c in (place or self.issue).comments if c.user == self.bot]

    def _quiet(self) -> bool:
        busy = [job for job in self.engine.list(limit=1000) if job.state in {"queued", "running"}]
        return not busy and not self.store.to_enqueue() and not self.desk.waiting()

    def _run(self, payload: JsonObject) -> JsonObject:
        self.given.append(Work.model_validate(payload))
        return self._worker(payload)

    def _played(self, _task: Task, _followup: Followup | None, _heard: object) -> JsonObject:
        self.free.wait(DEADLINE_S)
        if self.dies:
            raise RuntimeError("the worker is gone")
        return self.endings.popleft() if self.endings else PROVEN

    def _stop(self, run_id: str) -> None:
        self.stopped.append(run_id)
        self.free.set()


def check(stage: Stage, name: str) -> JsonObject:
    side = {"repo": {"id": stage.repo.id}}
    facts = {
        "name": "tests",
        "head_sha": SHA,
        "head_branch": "coder/issue-1-it-breaks",
        "conclusion": "failure",
        "pull_requests": [{"number": stage.pull.number, "head": side, "base": side}],
    }
    return {"action": "completed", name: facts}


def published(stage: Stage) -> str:
    """A run that has opened pull request 2."""
    run = str(stage.label()["run"])
    stage.settle()
    return run
