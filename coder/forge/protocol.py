"""The seam to where problems come from and pull requests go."""

from typing import Protocol

from coder.types import Base, Followup, Problem, Proposal, PullRequest, RunResult, Task
from coder.types import Remote as Remote


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
        """Branch and commit to work from."""
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
