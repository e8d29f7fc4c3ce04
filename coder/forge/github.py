"""GitHub: problems from issues, status comments, pull requests."""

import re
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import github
from typing_extensions import override

from coder.forge.config import GitHubSettings
from coder.forge.github_app import AppTokens, PersonalToken, Tokens
from coder.forge.github_client import TokenAuth, basic, connect, translated
from coder.forge.github_problem import read_problem
from coder.forge.github_repository import MAX_BODY, RepositoryAccess, checked
from coder.forge.protocol import Forge
from coder.types import Base, Problem, Proposal, PullRequest, Remote, RunResult, Task


class GitHubForge(Forge):
    """GitHub as one of its users or as a GitHub App. Safe for threads; `close` when done.

    `sleep` waits between attempts of a failed write; `tokens` replaces what the settings say.
    """

    def __init__(
        self, settings: GitHubSettings, *, tokens: Tokens | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._lock = threading.Lock()
        self._clients: dict[str, github.Github] = {}
        self._comments: dict[str, int] = {}
        """Run id to the id of its status comment, as far as this process has seen it."""
        if tokens is None:
            tokens = (
                AppTokens(settings, sleep=sleep)
                if settings.app_id is not None
                else PersonalToken(settings, self._client)
            )
        self._tokens = tokens

    @override
    def may_write(self, task: Task) -> bool:
        with translated(f"look up what {task.requested_by} may do in {task.repo.full_name}"):
            return self._open(task).writes(task.requested_by)

    @override
    def problem(self, task: Task) -> Problem:
        client = self._client(self._tokens.token(checked(task.repo)))
        own_id = self._tokens.identity().id
        return read_problem(client, task, self._settings, writes=self._open(task).writes, own_id=own_id)

    @override
    def base(self, task: Task) -> Base:
        with translated(f"find {task.base_ref or 'the default branch'} of {task.repo.full_name}"):
            return self._open(task).base(task.base_ref)

    @override
    def remote(self, task: Task) -> Remote:
        token = self._tokens.token(checked(task.repo))
        return Remote(url=f"{self._settings.git_url}/{task.repo.full_name}.git", authorization=basic(token))

    @override
    def acknowledge(self, task: Task) -> None:
        with translated(f"react to {task.repo.full_name}#{task.number}"):
            self._open(task).react(task, "eyes")

    @override
    def status(self, task: Task, body: str) -> None:
        if task.number is None:
            return
        marker = f"<!-- coder:status run={re.sub('[^A-Za-z0-9_.:-]', '-', task.run_id)} -->"
        text = f"{body[: MAX_BODY - len(marker) - 2]}\n\n{marker}"
        with translated(f"write the status comment on {task.repo.full_name}#{task.number}"):
            own_id = self._tokens.identity().id
            known = self._comments.get(task.run_id)
            self._comments[task.run_id] = self._open(task).status(task.number, marker, text, own_id=own_id, known=known)

    @override
    def publish(self, task: Task, proposal: Proposal, commit_sha: str) -> PullRequest:
        with translated(f"open a pull request for {proposal.branch!r} in {task.repo.full_name}"):
            pull = self._open(task).pull(proposal, commit_sha)
            return PullRequest(
                branch=proposal.branch, commit_sha=commit_sha, draft=pull.draft, number=pull.number, url=pull.html_url
            )

    @override
    def finish(self, task: Task, result: RunResult) -> None:
        if task.number is None:
            return
        good = result.pull_request is not None and result.verdict.kind in {"proven", "passing"}
        settings = self._settings
        with translated(f"finish {task.repo.full_name}#{task.number}"):
            access = self._open(task)
            label = settings.done_label if result.pull_request is not None else settings.failed_label
            access.swap_labels(task.number, remove=settings.trigger_labels, add=label)
            access.react(task, "hooray" if good else "confused")

    def login(self) -> str:
        """Who we are at GitHub."""
        with translated("ask GitHub who we are"):
            return self._tokens.identity().login

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
        if isinstance(self._tokens, AppTokens):
            self._tokens.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, task: Task) -> RepositoryAccess:
        client = self._client(self._tokens.token(checked(task.repo)))
        return RepositoryAccess(client, task.repo, self._settings, pause=self._sleep)

    def _client(self, token: str) -> github.Github:
        """The client of a token: connections are kept, and GitHub's pace is kept, as long as the token is."""
        with self._lock:
            if token not in self._clients:
                self._clients[token] = connect(self._settings, TokenAuth(token))
            return self._clients[token]
