"""A checkout on this machine in the place of a forge: the problem comes from a prompt or a file, the result is a branch."""

from collections.abc import Collection, Mapping
from pathlib import Path

from typing_extensions import override

from coder.errors import ForgeError
from coder.forge.hidden import strip_line
from coder.forge.protocol import CheckReport, Checks, ChecksState, FailedJob, Forge, StateLabel
from coder.types import Base, Followup, Note, Problem, Proposal, PullRequest, Remote, RunResult, Task


class NoChecks(Checks):
    """Nothing checks the commits of a checkout."""

    @override
    def report(self, task: Task, commit_sha: str, check: CheckReport) -> None:
        """The verdict is printed."""

    @override
    def missing(self, task: Task, commit_sha: str, base_sha: str) -> bool:
        return False

    @override
    def expected(self, task: Task, base_sha: str, paths: Collection[str]) -> bool:
        return False

    @override
    def state(self, task: Task, commit_sha: str) -> ChecksState:
        return "none"

    @override
    def release(self, task: Task, pull: int, commit_sha: str) -> None:
        """A branch is no draft."""

    @override
    def failures(self, task: Task, commit_sha: str) -> tuple[FailedJob, ...]:
        return ()


class LocalForge(Forge):
    """The work tree at `path`, whose HEAD is the commit `head` on `branch` (None: detached).

    Whoever runs the command line may do everything in their own checkout, and what they hand in is trusted.
    """

    def __init__(self, path: Path, *, head: str, branch: str | None, title: str, body: str) -> None:
        self._path = path.absolute()
        self._head = head
        self._branch = branch
        self._title = title
        self._body = body
        self.proposal: Proposal | None = None
        """What was published last, for the command line to show."""

    @override
    def may_write(self, task: Task) -> bool:
        return True

    @override
    def problem(self, task: Task) -> Problem:
        body = Note(author=task.requested_by, body=self._body, created_at=task.requested_at, trusted=True)
        return Problem(kind=task.kind, title=strip_line(self._title), body=body, number=task.number)

    @override
    def base(self, task: Task) -> Base:
        if task.base_ref not in {None, self._branch, self._head}:
            raise ForgeError(
                f"{self._path} is at {self._branch or self._head[:12]}, not at {task.base_ref}: check it out first"
            )
        return Base(ref=self._branch or self._head, sha=self._head)

    @override
    def remote(self, task: Task) -> Remote:
        return Remote(url=str(self._path), local=True)

    @override
    def acknowledge(self, task: Task) -> None:
        """Nobody needs to be told: they sit in front of it."""

    @override
    def status(self, task: Task, body: str) -> None:
        """Progress is shown by the command line itself."""

    @override
    def publish(self, task: Task, proposal: Proposal, commit_sha: str) -> PullRequest:
        self.proposal = proposal
        return PullRequest(branch=proposal.branch, commit_sha=commit_sha, draft=proposal.draft)

    @override
    def finish(self, task: Task, result: RunResult) -> None:
        """Nothing to tidy up."""

    @override
    def heard(self, task: Task, followup: Followup, pull: int | None = None) -> Followup:
        return followup.model_copy(update={"note": followup.note.model_copy(update={"trusted": True})})

    @override
    def co_author(self, task: Task) -> str:
        return ""

    @override
    def unfit(self, task: Task) -> str | None:
        return None

    @override
    def mark(self, task: Task, state: StateLabel | None) -> None:
        """There are no labels."""

    @override
    def reply(self, task: Task, pull: int, replies: Mapping[int, str]) -> None:
        """There are no reviews."""

    @override
    def introduce(self, task: Task, pull: int, *, reviewers: tuple[str, ...], labels: tuple[str, ...]) -> None:
        """There is nobody else."""

    @property
    @override
    def checks(self) -> Checks:
        return NoChecks()
