"""A forge in memory, for tests and rehearsals. Passes the same contract as the real one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from typing_extensions import override

from coder.errors import ForgeError
from coder.forge.hidden import strip_hidden, strip_line
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
from coder.types import Base, Followup, Note, Problem, Proposal, PullRequest, Remote, RunResult, Task


@dataclass
class MemoryComment:
    """A comment with its time, as RFC 3339 in UTC."""

    author: str
    body: str
    created_at: str


@dataclass
class MemoryIssue:
    """An issue and what was done to it."""

    number: int
    title: str
    body: str
    author: str
    created_at: str = "2026-01-01T00:00:00Z"
    edited_at: str | None = None
    comments: list[MemoryComment] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    reactions: set[str] = field(default_factory=set)


class MemoryChecks(Checks):
    """Checks in memory, by commit. `started`, `failed` and `states` are for tests to set, `reports` and `released` to look at."""

    def __init__(self) -> None:
        self.reports: dict[str, CheckReport] = {}
        self.started: set[str] = set()
        self.failed: dict[str, tuple[FailedJob, ...]] = {}
        self.states: dict[str, ChecksState] = {}
        self.released: list[tuple[int, str]] = []

    @override
    def report(self, task: Task, commit_sha: str, check: CheckReport) -> None:
        self.reports[commit_sha] = check

    @override
    def missing(self, task: Task, commit_sha: str, base_sha: str) -> bool:
        return base_sha in self.started and commit_sha not in self.started

    @override
    def expected(self, task: Task, base_sha: str, paths: Collection[str]) -> bool:
        return base_sha in self.started

    @override
    def state(self, task: Task, commit_sha: str) -> ChecksState:
        return self.states.get(commit_sha, "none")

    @override
    def release(self, task: Task, pull: int, commit_sha: str) -> None:
        self.released.append((pull, commit_sha))

    @override
    def failures(self, task: Task, commit_sha: str) -> tuple[FailedJob, ...]:
        return self.failed.get(commit_sha, ())


class MemoryPeople(Forge):
    """What people say, and what is said to them, in memory. `replies`, `reviewers` and `labels` are for tests to look at."""

    def __init__(self, issues: tuple[MemoryIssue, ...], writers: frozenset[str]) -> None:
        self.issues = {issue.number: issue for issue in issues}
        self.writers = writers
        self.failure: str | None = None
        self.in_the_way: str | None = None
        """What `unfit` says."""
        self.replies: dict[int, str] = {}
        self.reviewers: set[str] = set()
        self.labels: set[str] = set()
        self._checks = MemoryChecks()

    @override
    def heard(self, task: Task, followup: Followup, pull: int | None = None) -> Followup:
        self._fail()
        threads = tuple(t.model_copy(update={"note": self._heard(t.note)}) for t in followup.threads)
        return followup.model_copy(update={"note": self._heard(followup.note), "threads": threads})

    @override
    def co_author(self, task: Task) -> str:
        self._fail()
        return f"{task.requested_by} <{task.requested_by}@users.forge.invalid>" if task.number is not None else ""

    @override
    def unfit(self, task: Task) -> str | None:
        self._fail()
        return self.in_the_way

    @override
    def mark(self, task: Task, state: StateLabel | None) -> None:
        self._fail()
        if task.number is not None:
            labels = self._issue(task).labels
            labels -= {label for label in labels if label == "coder" or label.startswith("coder:")}
            labels |= {f"coder:{state}"} if state else set()

    @override
    def reply(self, task: Task, pull: int, replies: Mapping[int, str]) -> None:
        self._fail()
        self.replies |= replies

    @override
    def introduce(self, task: Task, pull: int, *, reviewers: tuple[str, ...], labels: tuple[str, ...]) -> None:
        self._fail()
        self.reviewers |= set(reviewers) & self.writers
        self.labels |= set(labels)

    @property
    @override
    def checks(self) -> MemoryChecks:
        return self._checks

    def _heard(self, note: Note) -> Note:
        return note.model_copy(update={"body": strip_hidden(note.body).text, "trusted": note.author in self.writers})

    def _issue(self, task: Task) -> MemoryIssue:
        if task.number not in self.issues:
            raise ForgeError(f"cannot read {task.repo.full_name}#{task.number}: there is no such issue")
        return self.issues[task.number]

    def _fail(self) -> None:
        if self.failure is not None:
            message, self.failure = self.failure, None
            raise ForgeError(message)


class InMemoryForge(MemoryPeople):
    """Issues by number, branches by name, writers by login.

    `statuses` (run id to text), `proposals` (by pull request number) and the issues' reactions and labels are for tests to look at.
    `failure`, when set, is raised by the next call and cleared, as a real forge fails.
    """

    def __init__(
        self,
        *,
        issues: tuple[MemoryIssue, ...] = (),
        writers: frozenset[str] = frozenset(),
        branches: dict[str, str] | None = None,
        default_branch: str = "main",
        remote: Remote | None = None,
    ) -> None:
        super().__init__(issues, writers)
        self.branches = dict(branches or {})
        self.statuses: dict[str, str] = {}
        self.pull_requests: list[PullRequest] = []
        self.proposals: dict[int, Proposal] = {}
        self.results: dict[str, RunResult] = {}
        self.heads: dict[str, Base] = {}
        """What `pull/NUMBER/head` is."""
        self._default_branch = default_branch
        self._remote = remote or Remote(url="https://forge.invalid/repository.git")

    @override
    def may_write(self, task: Task) -> bool:
        self._fail()
        return task.requested_by in self.writers

    @override
    def problem(self, task: Task) -> Problem:
        self._fail()
        if task.number is None:
            body = Note(author=task.requested_by, body=task.prompt, created_at=task.requested_at, trusted=True)
            return Problem(kind=task.kind, title=strip_line(task.prompt_title), body=body)
        issue = self._issue(task)
        withheld: list[str] = []
        text = strip_hidden(issue.body)
        if text.removed:
            withheld.append(f"hidden parts of the text of #{issue.number}: {', '.join(text.removed)}")
        shown = text.text
        if issue.edited_at is not None and issue.edited_at > task.requested_at:
            withheld.append(f"the text of #{issue.number}: edited after the request; ask again to include it")
            shown = ""
        later = sum(comment.created_at > task.requested_at for comment in issue.comments)
        if later:
            withheld.append(f"{later} comments made after the request")
        comments: list[Note] = []
        for comment in issue.comments[: len(issue.comments) - later]:
            if comment.author not in self.writers:
                withheld.append(f"a comment by {comment.author} ({comment.created_at}): no write permission")
            else:
                clean = strip_hidden(comment.body).text
                comments.append(Note(author=comment.author, body=clean, created_at=comment.created_at, trusted=True))
        body = Note(author=issue.author, body=shown, created_at=issue.created_at, trusted=issue.author in self.writers)
        return Problem(
            kind=task.kind,
            title=strip_line(issue.title),
            body=body,
            comments=tuple(comments),
            number=issue.number,
            withheld=tuple(withheld),
        )

    @override
    def base(self, task: Task) -> Base:
        self._fail()
        ref = task.base_ref or self._default_branch
        if ref in self.heads:
            return self.heads[ref]
        if ref in self.branches.values():
            return Base(ref=self._default_branch, sha=ref)
        if ref not in self.branches:
            raise ForgeError(f"cannot find {ref} of {task.repo.full_name}: no such branch")
        return Base(ref=ref, sha=self.branches[ref])

    @override
    def remote(self, task: Task) -> Remote:
        self._fail()
        return self._remote

    @override
    def acknowledge(self, task: Task) -> None:
        self._fail()
        if task.number is not None:
            self._issue(task).reactions.add("eyes")

    @override
    def status(self, task: Task, body: str) -> None:
        self._fail()
        if task.number is not None:
            if task.number not in self.proposals:
                self._issue(task)
            self.statuses[task.run_id] = body

    @override
    def publish(self, task: Task, proposal: Proposal, commit_sha: str) -> PullRequest:
        self._fail()
        known = next((pull for pull in self.pull_requests if pull.branch == proposal.branch), None)
        number = known.number if known is not None and known.number is not None else self._next_number()
        pull = PullRequest(
            branch=proposal.branch,
            commit_sha=commit_sha,
            draft=proposal.draft,
            awaits_checks=proposal.awaits_checks,
            number=number,
            url=f"https://forge.invalid/{task.repo.full_name}/pull/{number}",
        )
        self.pull_requests = [other for other in self.pull_requests if other.branch != proposal.branch] + [pull]
        self.proposals[number] = proposal
        return pull

    @override
    def finish(self, task: Task, result: RunResult) -> None:
        self._fail()
        self.results[task.run_id] = result
        if task.number is not None:
            issue = self._issue(task)
            issue.reactions.add(reaction_after(result))
            self.mark(task, state_after(result))

    def _next_number(self) -> int:
        return max([*self.issues, *self.proposals, 0]) + 1
