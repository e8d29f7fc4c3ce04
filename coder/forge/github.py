"""GitHub: problems from issues, status comments, pull requests."""

import hashlib
import re
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import get_args

from typing_extensions import override

from coder.forge.config import GitHubSettings
from coder.forge.github_app import AppTokens, Tokens
from coder.forge.github_checks import has_workflows, missing
from coder.forge.github_client import basic
from coder.forge.github_connection import GitHubConnection
from coder.forge.github_problem import prompted, read_problem
from coder.forge.github_repository import MAX_BODY, RepositoryAccess, checked
from coder.forge.protocol import (
    CheckReport,
    Checks,
    ChecksState,
    FailedJob,
    Forge,
    StateLabel,
    reaction_after,
    state_after,
)
from coder.types import Base, Followup, Problem, Proposal, PullRequest, Remote, RunResult, Task


class GitHubForge(GitHubConnection, Forge):
    """GitHub as one of its users or as a GitHub App. Safe for threads; `close` when done."""

    def __init__(
        self,
        settings: GitHubSettings,
        *,
        tokens: Tokens | None = None,
        pace_folder: Path | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(settings, tokens=tokens, pace_folder=pace_folder, sleep=sleep)
        self._comments: dict[str, int] = {}
        """Run id to the id of its status comment, as far as this process has seen it."""

    @override
    def may_write(self, task: Task) -> bool:
        what = f"look up what {task.requested_by} may do in {task.repo.full_name}"
        return self.within(task, what, lambda access: access.writes(task.requested_by))

    @override
    def problem(self, task: Task) -> Problem:
        number = task.number
        if number is None:
            return prompted(task)
        own_id = self._tokens.identity().id

        def read(access: RepositoryAccess) -> Problem:
            client = self._client(self._tokens.token(checked(task.repo)))
            moved = task.model_copy(update={"repo": access.ref})
            found = read_problem(client, moved, self._settings, writes=access.writes, own_id=own_id)
            review = access.people().review(number, task.review_id) if task.review_id is not None else ()
            return found.model_copy(update={"comments": (*found.comments, *review)})

        return self.within(task, f"read {task.repo.full_name}#{task.number}", read)

    @override
    def base(self, task: Task) -> Base:
        what = f"find {task.base_ref or 'the default branch'} of {task.repo.full_name}"
        return self.within(task, what, lambda access: access.base(task.base_ref))

    @override
    def remote(self, task: Task) -> Remote:
        tokens, repo = self._tokens, checked(task.repo)
        return Remote(
            url=f"{self._settings.git_url}/{self._ref(task).full_name}.git",
            authorization=basic(tokens.token(repo)),
            renewed=(lambda: basic(tokens.renewed(repo))) if isinstance(tokens, AppTokens) else None,
        )

    @override
    def acknowledge(self, task: Task) -> None:
        what = f"react to {task.repo.full_name}#{task.number}"
        self.within(task, what, lambda access: access.react(task, "eyes"))

    @override
    def status(self, task: Task, body: str) -> None:
        if task.number is None:
            return
        marker = f"<!-- coder:status run={re.sub('[^A-Za-z0-9_.:-]', '-', task.run_id)} -->"
        text = f"{body[: MAX_BODY - len(marker) - 2]}\n\n{marker}"
        number, own_id = task.number, self._tokens.identity().id
        known = self._comments.get(task.run_id)
        what = f"write the status comment on {task.repo.full_name}#{number}"
        self._comments[task.run_id] = self.within(
            task, what, lambda access: access.status(number, marker, text, own_id=own_id, known=known)
        )

    @override
    def publish(self, task: Task, proposal: Proposal, commit_sha: str) -> PullRequest:
        def open_one(access: RepositoryAccess) -> PullRequest:
            pull = access.pull(proposal, commit_sha)
            return PullRequest(
                branch=proposal.branch,
                commit_sha=commit_sha,
                draft=pull.draft,
                awaits_checks=pull.draft and proposal.awaits_checks,
                number=pull.number,
                url=pull.html_url,
            )

        return self.within(task, f"open a pull request for {proposal.branch!r} in {task.repo.full_name}", open_one)

    @override
    def finish(self, task: Task, result: RunResult) -> None:
        if task.number is None:
            return
        self.mark(task, state_after(result))
        what = f"finish {task.repo.full_name}#{task.number}"
        self.within(task, what, lambda access: access.react(task, reaction_after(result)))

    @override
    def mark(self, task: Task, state: StateLabel | None) -> None:
        if task.number is None:
            return
        number, off = task.number, own_labels(self._settings)
        label = self._settings.state_label.format(state=state) if state else ""
        what = f"put the label {label!r} on {task.repo.full_name}#{number}"
        self.within(task, what, lambda access: access.mark(number, label, instead_of=off))

    @override
    def heard(self, task: Task, followup: Followup, pull: int | None = None) -> Followup:
        what = f"read what {followup.note.author} said to {task.repo.full_name}"
        return self.within(task, what, lambda access: access.people().heard(followup, pull))

    @override
    def co_author(self, task: Task) -> str:
        if task.number is None:
            return ""
        what = f"find out who {task.requested_by} is"
        return self.within(task, what, lambda access: access.co_author(task.requested_by))

    @override
    def unfit(self, task: Task) -> str | None:
        if task.number is None:
            return None
        number, own_id = task.number, self._tokens.identity().id

        def look(access: RepositoryAccess) -> str | None:
            others = access.people().open_pulls(number, own_id=own_id)
            return f"#{others[0]} is open for it already" if others else None

        return self.within(task, f"look who works on {task.repo.full_name}#{number}", look)

    @override
    def reply(self, task: Task, pull: int, replies: Mapping[int, str]) -> None:
        own_id = self._tokens.identity().id
        mark = hashlib.sha256(f"{task.run_id}\n{sorted(replies.items())}".encode()).hexdigest()[:16]
        what = f"answer comments on {task.repo.full_name}#{pull}"
        self.within(
            task,
            what,
            lambda access: access.people().reply(pull, replies, f"<!-- coder:reply {mark} -->", own_id=own_id),
        )

    @override
    def introduce(self, task: Task, pull: int, *, reviewers: tuple[str, ...], labels: tuple[str, ...]) -> None:
        what = f"ask for reviews of {task.repo.full_name}#{pull}"
        self.within(task, what, lambda access: access.people().request_reviews(pull, reviewers))
        # A label that starts runs, or says where one stands, is not the repository's to give.
        theirs = [label for label in labels if label.lower() not in own_labels(self._settings)]
        if theirs:
            what = f"label {task.repo.full_name}#{pull}"
            self.within(task, what, lambda access: access.label(pull, theirs))

    @property
    @override
    def checks(self) -> Checks:
        return _GitHubChecks(self)


def own_labels(settings: GitHubSettings) -> frozenset[str]:
    """Labels that start runs or say where they stand, in lower case."""
    states = (settings.state_label.format(state=one) for one in get_args(StateLabel))
    return frozenset(label.lower() for label in (*states, *settings.trigger_labels))


class _GitHubChecks(Checks):
    """The forge's checks: tokens, new names and errors are the forge's business."""

    def __init__(self, forge: GitHubForge) -> None:
        self._forge = forge

    @override
    def report(self, task: Task, commit_sha: str, check: CheckReport) -> None:
        self._forge.within(task, "report a check", lambda access: access.checks().report(commit_sha, check))

    @override
    def missing(self, task: Task, commit_sha: str, base_sha: str) -> bool:
        return missing(
            base=lambda: self._suites(task, base_sha),
            commit=lambda: self._suites(task, commit_sha),
            pause=self._forge.pause,
        )

    def _suites(self, task: Task, sha: str) -> int:
        return self._forge.within(task, "look for checks", lambda access: access.checks().suites(sha))

    @override
    def expected(self, task: Task, base_sha: str, paths: Collection[str]) -> bool:
        return has_workflows(paths) or self.state(task, base_sha) != "none"

    @override
    def state(self, task: Task, commit_sha: str) -> ChecksState:
        return self._forge.within(task, "read checks", lambda access: access.checks().state(commit_sha))

    @override
    def release(self, task: Task, pull: int, commit_sha: str) -> None:
        what = f"make #{pull} ready for review"
        self._forge.within(task, what, lambda access: access.release(pull, commit_sha))

    @override
    def failures(self, task: Task, commit_sha: str) -> tuple[FailedJob, ...]:
        return self._forge.within(task, "read failed checks", lambda access: access.checks().failures(commit_sha))
