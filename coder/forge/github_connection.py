"""The connection to GitHub that everything shares: tokens, clients, new names of repositories, errors of ours."""

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import github

from coder.forge.config import GitHubSettings
from coder.forge.github_app import AppTokens, Identity, PersonalToken, Tokens
from coder.forge.github_client import MOVED, UNAUTHORIZED, Answers, Client, TokenAuth, repeated, translated
from coder.forge.github_pace import Paces
from coder.forge.github_repository import RepositoryAccess, checked, renamed
from coder.types import RepoRef, Task

T = TypeVar("T")
MAX_CLIENTS = 64
"""An App has a token for each repository and hour: those of old ones are let go of."""


class GitHubConnection:
    """GitHub as one of its users or as a GitHub App. Safe for threads; `close` when done.

    `sleep` waits between attempts of a failed write; `tokens` replaces what the settings say. Processes that share
    `pace_folder` keep GitHub's pace together.
    """

    def __init__(
        self,
        settings: GitHubSettings,
        *,
        tokens: Tokens | None = None,
        pace_folder: Path | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self.pause = sleep
        self._lock = threading.Lock()
        self._clients: dict[str, Client] = {}
        self._paces = Paces(settings.seconds_between_writes, folder=pace_folder, sleep=sleep)
        self._answers = Answers()
        self._renamed: dict[str, RepoRef] = {}
        """Names as they stand in tasks to what the repositories are called now."""
        if tokens is None:
            tokens = (
                AppTokens(settings, sleep=sleep)
                if settings.app_id is not None
                else PersonalToken(settings, self._client, sleep=sleep)
            )
        self._tokens = tokens

    def identity(self) -> Identity:
        """Our own account at GitHub.

        Raises:
            ForgeError: GitHub does not say.
        """
        with translated("ask GitHub who we are"):
            return self._tokens.identity()

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

    def within(self, task: Task, what: str, action: Callable[[RepositoryAccess], T]) -> T:
        """`action`, which looks before it writes: again after what may pass, a token that is over, a new name."""
        with translated(what), self._paces.turn(task.repo.owner, self._tokens.token(checked(task.repo))):
            return repeated(lambda: self._try(task, action), pause=self.pause, settings=self._settings)

    def _try(self, task: Task, action: Callable[[RepositoryAccess], T]) -> T:
        try:
            return action(self._open(task))
        except github.GithubException as exc:
            if exc.status == UNAUTHORIZED and isinstance(self._tokens, AppTokens):
                self._tokens.renewed(task.repo)
            elif exc.status in MOVED:
                self._follow(task)
            else:
                raise
        return action(self._open(task))

    def _open(self, task: Task) -> RepositoryAccess:
        client = self._client(self._tokens.token(checked(task.repo)))
        return RepositoryAccess(client, self._ref(task), self._settings)

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

    def _client(self, token: str) -> Client:
        """The client of a token: connections are kept, and GitHub's pace is kept, as long as the token is."""
        with self._lock:
            if token not in self._clients:
                self._clients[token] = Client(self._settings, TokenAuth(token), self._answers)
            while len(self._clients) > MAX_CLIENTS:
                self._clients.pop(next(iter(self._clients))).close()
            return self._clients[token]
