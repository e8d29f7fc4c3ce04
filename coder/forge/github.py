"""GitHub: problems from issues, status comments, pull requests."""

import re
import time
from collections.abc import Callable

from typing_extensions import override

from coder.forge.config import GitHubSettings
from coder.forge.github_app import Tokens
from coder.forge.github_client import basic
from coder.forge.github_connection import GitHubConnection
from coder.forge.github_problem import prompted, read_problem
from coder.forge.github_repository import MAX_BODY, RepositoryAccess, checked
from coder.forge.protocol import Forge
from coder.types import Base, Followup, Problem, Proposal, PullRequest, Remote, RunResult, Task


class GitHubForge(GitHubConnection, Forge):
    """GitHub as one of its users or as a GitHub App. Safe for threads; `close` when done."""

    def __init__(
        self, settings: GitHubSettings, *, tokens: Tokens | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(settings, tokens=tokens, sleep=sleep)
        self._comments: dict[str, int] = {}
        """Run id to the id of its status comment, as far as this process has seen it."""

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

    @override
    def heard(self, task: Task, followup: Followup, pull: int | None = None) -> Followup:
        what = f"read what {followup.note.author} said to {task.repo.full_name}"
        return self._do(task, what, lambda access: access.said().heard(followup, pull))

    @override
    def co_author(self, task: Task) -> str:
        if task.number is None:
            return ""
        what = f"find out who {task.requested_by} is"
        return self._do(task, what, lambda access: access.co_author(task.requested_by))
