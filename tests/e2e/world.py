"""A whole installation for tests: GitHub and a model on loopback, and `coder serve` as a process that may be killed."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from coder.sandbox.config import SandboxSettings
from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.trace.events import Answered, Event, Finished
from coder.trace.journal import JournalStore
from coder.types import JsonObject, RunResult
from tests.servers.github import GitHubServer
from tests.servers.github_state import Comment, Issue, Pull, Repo
from tests.servers.model import ModelServer
from tests.servers.model_turns import Turn

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "demo"
SECRET = "it-is-a-secret-of-the-hook"
TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB"
MODEL_KEY = "sk-key-of-the-model-0123456789"
DEADLINE_S = 240.0
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def until(condition: Callable[[], object], *, what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        threading.Event().wait(0.02)


def demo_files() -> dict[str, str | bytes]:
    """The sample repository."""
    root = DEMO / "repository"
    return {
        p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.suffix in {".py", ".md"}
    }


def demo_turns() -> list[Turn]:
    """The recorded answers for it, as a model server speaks them."""
    completions = json.loads((DEMO / "answers.json").read_text())
    return [
        Turn(
            reasoning=c["message"]["reasoning_content"],
            calls=tuple(
                {"name": call["name"], "arguments": call["arguments"], "id": call["id"]}
                for call in c["message"]["tool_calls"]
            ),
        )
        for c in completions
    ]


class World:
    """GitHub with one repository and its issue, a model that knows the answers, and the service between them."""

    def __init__(
        self,
        folder: Path,
        *,
        turns: list[Turn] | Callable[[str], list[Turn]] | None = None,
        files: dict[str, str | bytes] | None = None,
        more_config: str = "",
    ) -> None:
        self.folder, self._more_config = folder, more_config
        self._turns = demo_turns() if turns is None else turns
        self.github = GitHubServer(folder / "github")
        (folder / "github").mkdir()
        self.model = ModelServer(self._answer, strictness="moonshot", api_key=MODEL_KEY)
        self.repo: Repo = self.github.add_repository("octo/bills", demo_files() if files is None else files)
        self.github.add_user("ann", repo=self.repo, permission="write")
        self.github.add_user("coder-bot", repo=self.repo, permission="write")
        self.github.add_user("stranger")
        self.github.add_user("github-actions[bot]", kind="Bot")
        self.github.add_token(TOKEN, "coder-bot")
        title, _, body = (DEMO / "issue.md").read_text().partition("\n")
        self.issue: Issue = self.github.add_issue(self.repo, title=title, body=body.strip(), author="ann")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.installation = f"e2e-{uuid.uuid4().hex[:10]}"
        self.web = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def __enter__(self) -> Self:
        self.github.__enter__()
        self.model.__enter__()
        (self.folder / "coder.toml").write_text(self._config())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.web.close()
        self.model.__exit__(kind, exc, trace)
        self.github.__exit__(kind, exc, trace)
        with DockerSandboxProvider(SandboxSettings(installation=self.installation)) as provider:
            provider.sweep()

    # --- the service ---

    def start(self) -> None:
        """Start the service, and wait until it answers."""
        self.starts += 1
        with (self.folder / f"service-{self.starts}.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "coder", "serve", "--config", str(self.folder / "coder.toml")],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )
        until(self._answers, what="the service to answer")

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(timeout=30)
            self.process = None

    def post(self, headers: dict[str, str], body: bytes) -> httpx.Response:
        """Deliver a webhook."""
        return self.web.post("/webhooks/github", headers=headers, content=body)

    def label(self, sender: str = "ann", label: str = "coder", *, on: Issue | None = None) -> httpx.Response:
        """Put the label on an issue."""
        return self.post(*self.github.labeled(self.repo, on or self.issue, label=label, sender=sender, secret=SECRET))

    def comment(self, body: str, *, by: str = "ann", on: Issue | None = None) -> Comment:
        """Write a comment on an issue."""
        comment = self.github.add_comment(on or self.issue, author=by, body=body)
        answer = self.post(*self.github.commented(self.repo, on or self.issue, comment, secret=SECRET))
        assert answer.status_code == 202, answer.text
        return comment

    def event(self, name: str, payload: JsonObject, *, by: str = "ann") -> JsonObject:
        """Something else happens: `payload` without what all events have."""
        answer = self.post(*self.github.happened(self.repo, name, payload, sender=by, secret=SECRET))
        assert answer.status_code == 202, answer.text
        shown: JsonObject = answer.json()
        return shown

    def log(self) -> str:
        """What the service wrote."""
        return "".join(p.read_text("utf-8", "replace") for p in sorted(self.folder.glob("service-*.log")))

    # --- what came of it ---

    def events(self, run_id: str = "") -> tuple[Event, ...]:
        """The journal of a run, or of the latest one; empty before it has begun."""
        path = self.folder / "state" / "journal.sqlite"
        if not path.exists():
            return ()
        try:
            store = JournalStore(path)
        except sqlite3.Error:
            return ()
        try:
            known = [line.run_id for line in store.runs()]
            run_id = run_id or (known[0] if known else "")
            return store.open(run_id).events if run_id in known else ()
        finally:
            store.close()

    def happened(self, kind: str, *, times: int = 1, run_id: str = "") -> bool:
        """Whether the journal holds an event of this type (so often)."""
        return len([e for e in self.events(run_id) if e.type == kind]) >= times

    def answers(self) -> int:
        """How many answers are journalled."""
        return len([e for e in self.events() if isinstance(e, Answered)])

    def finish(self, *, times: int = 1, run_id: str = "") -> RunResult:
        """Wait for the run's end, the first one or a later one after somebody added to it; how it ended."""

        def ended() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log()
            return self.happened("finished", times=times, run_id=run_id)

        until(ended, what="the run to finish")
        return [e.result for e in self.events(run_id) if isinstance(e, Finished)][-1]

    def pulls(self) -> list[Pull]:
        """All pull requests."""
        return list(self.repo.pulls.values())

    def branches(self) -> list[str]:
        """All branches but main."""
        shown = subprocess.run(
            ["git", "-C", str(self.repo.folder), "for-each-ref", "--format=%(refname:short)", "refs/heads"],
            check=True,
            capture_output=True,
            text=True,
        )
        return [name for name in shown.stdout.split() if name != "main"]

    def comments(self) -> list[Comment]:
        """All comments on the issue by our bot."""
        return [c for c in self.issue.comments if c.user.login == "coder-bot"]

    def asked(self) -> list[int]:
        """For each request to the model, how many answers stood in its history."""
        return [len([m for m in r.messages if m["role"] == "assistant"]) for r in self.model.requests]

    def _answer(self, body: dict[str, Any]) -> Turn:
        answered = len([m for m in body["messages"] if m["role"] == "assistant"])
        turns = self._turns if isinstance(self._turns, list) else self._turns(json.dumps(body["messages"]))
        if answered >= len(turns):
            return Turn(fault="status", status=400, error="the script is over")
        return turns[answered]

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            return self.web.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def _config(self) -> str:
        bundle = f'ca_bundle = "{CERTIFICATES}"' if CERTIFICATES.exists() else ""
        return f"""
            state_dir = "{self.folder / "state"}"
            [model]
            profile = "kimi-k2-thinking"
            api_base = "{self.model.base_url}"
            api_key = "{MODEL_KEY}"
            [sandbox]
            installation = "{self.installation}"
            memory_mb = 1024
            workspace_mb = 128
            tmp_mb = 128
            repository_mb = 128
            prewarm = 0
            {bundle}
            [github]
            api_url = "{self.github.url}"
            git_url = "{self.github.url}"
            http_hosts = ["{self.github.host}"]
            token = "{TOKEN}"
            seconds_between_requests = 0.0
            seconds_between_writes = 0.0
            retry_backoff_s = 0.0
            [service]
            port = {self.port}
            webhook_secret = "{SECRET}"
            allowed_repos = ["octo/*"]
            drain_s = 1.0
            {self._more_config}
        """
