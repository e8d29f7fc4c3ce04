"""GitHub: problems from issues, status comments, pull requests."""

import re
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import github
from typing_extensions import override

from coder.forge.config import GitHubSettings
from coder.forge.github_app import AppTokens, PersonalToken, Tokens
from coder.forge.github_client import MOVED, UNAUTHORIZED, TokenAuth, basic, connect, translated
from coder.forge.github_problem import prompted, read_problem
from coder.forge.github_repository import MAX_BODY, RepositoryAccess, checked, renamed
from coder.forge.protocol import Forge
from coder.types import Base, Problem, Proposal, PullRequest, Remote, RepoRef, RunResult, Task

T = TypeVar("T")


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
        self._renamed: dict[str, RepoRef] = {}
        """Names as they stand in tasks to what the repositories are called now."""
        if tokens is None:
            tokens = (
                AppTokens(settings, sleep=sleep)
                if settings.app_id is not None
                else PersonalToken(settings, self._client)
            )
        self._tokens = tokens

    @override
    def may_write(self, task: Task) -> bool:
        what = f"look up what {task.requested_by} may do in {task.repo.full_name}"
        return self._do(task, what, lambda access: access.writes(task.requested_by))

    @override
    def problem(self, task: Task) -> Problem:
        if task.number is None:
            return prompted(task)
        own_id = self._tokens.identity().id

        def read(access: RepositoryAccess) -> Problem:
            client = self._client(self._tokens.token(checked(task.repo)))
            moved = task.model_copy(update={"repo": access.ref})
            return read_problem(client, moved, self._settings, writes=access.writes, own_id=own_id)

        return self._do(task, f"read {task.repo.full_name}#{task.number}", read)

    @override
    def base(self, task: Task) -> Base:
        what = f"find {task.base_ref or 'the default branch'} of {task.repo.full_name}"
        return self._do(task, what, lambda access: access.base(task.base_ref))

    @override
    def remote(self, task: Task) -> Remote:
        token = self._tokens.token(checked(task.repo))
        return Remote(url=f"{self._settings.git_url}/{self._ref(task).full_name}.git", authorization=basic(token))

    @override
    def acknowledge(self, task: Task) -> None:
        what = f"react to {task.repo.full_name}#{task.number}"
        self._do(task, what, lambda access: access.react(task, "eyes"))

    @override
    def status(self, task: Task, body: str) -> None:
        if task.number is None:
            return
        marker = f"<!-- coder:status run={re.sub('[^A-Za-z0-9_.:-]', '-', task.run_id)} -->"
        text = f"{body[: MAX_BODY - len(marker) - 2]}\n\n{marker}"
        number, own_id = task.number, self._tokens.identity().id
        known = self._comments.get(task.run_id)
        what = f"write the status comment on {task.repo.full_name}#{number}"
        self._comments[task.run_id] = self._do(
            task, what, lambda access: access.status(number, marker, text, own_id=own_id, known=known)
        )

    @override
    def publish(self, task: Task, proposal: Proposal, commit_sha: str) -> PullRequest:
        def open_one(access: RepositoryAccess) -> PullRequest:
            pull = access.pull(proposal, commit_sha)
            return PullRequest(
                branch=proposal.branch, commit_sha=commit_sha, draft=pull.draft, number=pull.number, url=pull.html_url
            )

        return self._do(task, f"open a pull request for {proposal.branch!r} in {task.repo.full_name}", open_one)

    @override
    def finish(self, task: Task, result: RunResult) -> None:
        if task.number is None:
            return
        good = result.pull_request is not None and result.verdict.kind in {"proven", "passing"}
        number, settings = task.number, self._settings
        label = settings.done_label if result.pull_request is not None else settings.failed_label

        def tell(access: RepositoryAccess) -> None:
            access.swap_labels(number, remove=settings.trigger_labels, add=label)
            access.react(task, "hooray" if good else "confused")

        self._do(task, f"finish {task.repo.full_name}#{number}", tell)

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

    def _do(self, task: Task, what: str, action: Callable[[RepositoryAccess], T]) -> T:
        """`action`, and once more after a token that GitHub has withdrawn or a new name of the repository."""
        with translated(what):
            try:
                return action(self._open(task))
            except github.GithubException as exc:
                if exc.status == UNAUTHORIZED and isinstance(self._tokens, AppTokens):
                    self._tokens.forget(task.repo)
                elif exc.status in MOVED:
                    self._follow(task)
                else:
                    raise
            return action(self._open(task))

    def _open(self, task: Task) -> RepositoryAccess:
        client = self._client(self._tokens.token(checked(task.repo)))
        return RepositoryAccess(client, self._ref(task), self._settings, pause=self._sleep)

    def _ref(self, task: Task) -> RepoRef:
        return self._renamed.get(task.repo.full_name, task.repo)

    def _follow(self, task: Task) -> None:
        """Learn the new name of a repository that was renamed while we worked.

        Raises:
            ForgeError: It was not: what moved is the issue, or the name belongs to another repository now.
        """
        client = self._client(self._tokens.token(checked(task.repo)))
        wanted = re.match(r"gh(\d+)-", task.run_id)
        self._renamed[task.repo.full_name] = renamed(
            client, self._ref(task), self._settings.api_url, repository_id=int(wanted[1]) if wanted else None
        )

    def _client(self, token: str) -> github.Github:
        """The client of a token: connections are kept, and GitHub's pace is kept, as long as the token is."""
        with self._lock:
            if token not in self._clients:
                self._clients[token] = connect(self._settings, TokenAuth(token))
            return self._clients[token]
