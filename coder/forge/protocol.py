"""The seam to where problems come from and pull requests go."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from coder.types import Base, Followup, Problem, Proposal, PullRequest, RunResult, Task
from coder.types import Remote as Remote

CHECK_NAME = "coder / verification"
"""What our own check of a commit is called."""
ChecksState = Literal["none", "pending", "green", "red"]
"""What the checks of a commit say together; `none` when nothing checks it."""
StateLabel = Literal["queued", "running", "needs-info", "needs-human", "pr-open", "failed"]
"""Where a run stands, as a label on its issue; at most one of them is there."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A remark on a line of the change."""

    path: str
    line: int
    message: str
    level: Literal["notice", "warning", "failure"] = "warning"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What our verification found, as a check of the commit."""

    conclusion: Literal["success", "neutral", "failure"]
    title: str
    summary: str
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A check of somebody else's that failed; `log` is its end, or what it said of itself."""

    name: str
    log: str
    url: str = ""


class Checks(Protocol):
    """Checks of commits. Every method raises `ForgeError` as those of `Forge` do."""

    def report(self, task: Task, commit_sha: str, check: CheckReport) -> None:
        """Say on the commit what our verification found; once, however often it is said."""
        ...

    def missing(self, task: Task, commit_sha: str, base_sha: str) -> bool:
        """Whether no check of others began on the commit although there are some on base; waits some seconds for them."""
        ...

    def expected(self, task: Task, base_sha: str, paths: Collection[str]) -> bool:
        """Whether others are going to check what is pushed: they checked base, or its files (`paths`) have workflows."""
        ...

    def state(self, task: Task, commit_sha: str) -> ChecksState:
        """What the checks of others say of the commit."""
        ...

    def release(self, task: Task, pull: int, commit_sha: str) -> None:
        """Make a draft ready for review; nothing, where it is closed, or has another commit by now."""
        ...

    def failures(self, task: Task, commit_sha: str) -> tuple[FailedJob, ...]:
        """The checks of others that failed on the commit."""
        ...


class Forge(Protocol):
    """GitHub, or a local checkout that stands in for it. All writes are idempotent: look first, then write.

    Every method raises `ForgeError` when the forge cannot be read or written.
    """

    def may_write(self, task: Task) -> bool:
        """Whether the person who asked may write to the repository, asked now. Unknown is no."""
        ...

    def problem(self, task: Task) -> Problem:
        """The problem as of `task.requested_at`: later edits and comments, and strangers' comments, are withheld and listed."""
        ...

    def base(self, task: Task) -> Base:
        """Branch and commit to work from; of `pull/NUMBER/head` and `…/base` a pull request's."""
        ...

    def remote(self, task: Task) -> Remote:
        """Where to fetch and push, with a credential that is valid now."""
        ...

    def acknowledge(self, task: Task) -> None:
        """Show that the request was seen (👀 on the comment or the issue)."""
        ...

    def status(self, task: Task, body: str) -> None:
        """Create or edit the run's one status comment, found by its hidden marker and our own author id."""
        ...

    def publish(self, task: Task, proposal: Proposal, commit_sha: str) -> PullRequest:
        """The pull request for an already pushed branch: found by its head, else opened."""
        ...

    def finish(self, task: Task, result: RunResult) -> None:
        """Final reactions and labels, also after failure."""
        ...

    def heard(self, task: Task, followup: Followup, pull: int | None = None) -> Followup:
        """What was said, as the model may be shown it: `trusted` as of now, hidden text taken out.

        A review, whose follow-up's id is `review-NUMBER`, is read with its comments on lines of the pull request `pull`.
        """
        ...

    def co_author(self, task: Task) -> str:
        """`NAME <ADDRESS>` of the person who asked, for a commit's trailer; empty when the forge knows of none."""
        ...

    def unfit(self, task: Task) -> str | None:
        """Why nobody should begin work on it now, as a clause: somebody's open pull request does; None when nothing is in the way."""
        ...

    def mark(self, task: Task, state: StateLabel | None) -> None:
        """Show by a label where the run stands, or by none; the others of its kind, and those that start runs, come off."""
        ...

    def reply(self, task: Task, pull: int, replies: Mapping[int, str]) -> None:
        """Answer comments on lines of the pull request `pull`, by their ids; once each for the task's run and text."""
        ...

    def introduce(self, task: Task, pull: int, *, reviewers: tuple[str, ...], labels: tuple[str, ...]) -> None:
        """Ask people to review the pull request, and label it; who may not, and labels of ours, are left out."""
        ...

    @property
    def checks(self) -> Checks:
        """Checks of commits."""
        ...


def reaction_after(result: RunResult) -> Literal["hooray", "+1", "confused"]:
    """How the request is reacted to in the end."""
    if result.pull_request is not None and result.verdict.kind in {"proven", "passing"}:
        return "hooray"
    return "+1" if state_after(result) is None else "confused"


def state_after(result: RunResult) -> StateLabel | None:
    """The label that says how a run ended, or what it waits for; None when it did what there was to do, and changed nothing."""
    outcome = result.outcome.kind
    if outcome == "asked":
        return "needs-info"
    if result.pull_request is None and result.verdict.kind == "no_change":
        answered = outcome in {"submitted", "stopped"} or result.spent.steps == 0
        return None if answered else "failed"
    if result.pull_request is None and result.verdict.kind in {"proven", "passing"}:
        return "needs-human"  # what may not be pushed was offered
    return "pr-open" if result.pull_request is not None else "failed"
