"""Where a continued run goes on: the branch as it is now, the workspace on it, and no call left half done."""

from collections.abc import Sequence

from coder.errors import JournalError, PatchRefusedError, WorkspaceError
from coder.policy import Policy
from coder.services import Ground, Services
from coder.trace.events import Event, PatchTaken, Reopened, Solved, ToolFinished
from coder.trace.journal import Journal
from coder.trace.state import RunState, last_turn, state_of
from coder.types import Base, Checkpoint, Followup, Outcome, PullRequest, Task, ToolOutput
from coder.workspace.history import History
from coder.workspace.repository import Repository

MAX_REVIEWS = 10
"""Reviews of one run that are answered, and …"""
MAX_BOT_REVIEWS = 5
"""… how many of them by bots; then a person has to look."""
_NOT_RUN = "The run was interrupted before this call: it was not carried out. Make it again if it is still of use."


class Segment:
    """The part of a run that answers one follow-up. In a run's first segment there is nothing for it to do."""

    def __init__(self, task: Task, services: Services, journal: Journal, ground: Ground, *, policy: Policy) -> None:
        self._task, self._services, self._journal = task, services, journal
        self._ground, self._policy = ground, policy

    @property
    def _state(self) -> RunState:
        return state_of(self._journal.events)

    def begin(self) -> None:
        """Find out where the branch is now and journal it; once for each follow-up."""
        state = self._state
        if state.followup is None or state.reopened is not None:
            return
        self._close_calls()
        if state.pull_request is None:
            # What was tried while only a plan was asked for is no part of the change.
            planned = not may_edit(self._task, state.segments[:-1])
            self._journal.append(Reopened(head_sha=None, checkpoint=None if planned else state.checkpoint))
            return
        head, foreign = self._head(state.pull_request)
        if state.followup.kind == "rebase" and not self._history.is_ancestor(self._base.sha, head):
            self._take_in(head, foreign)
            return
        self._journal.append(Reopened(head_sha=head, checkpoint=self._checkpoint(head), foreign=foreign))

    @property
    def is_idle(self) -> bool:
        """The base branch was to be taken in, and has nothing that the branch lacks."""
        state = self._state
        asked = state.followup is not None and state.followup.kind == "rebase"
        return (
            asked and state.reopened is not None and state.reopened.head_sha is not None and not state.reopened.merges
        )

    def _take_in(self, head: str, foreign: tuple[str, ...]) -> None:
        """Merge the base branch in. Without conflicts the tests have the next word, and no model is asked."""
        merged = self._history.merged(head, self._base.sha)
        checkpoint = self._checkpoint(merged.tree_sha)
        self._journal.append(
            Reopened(
                head_sha=head,
                checkpoint=checkpoint,
                foreign=foreign,
                conflicts=merged.conflicts,
                merges=self._base.sha,
            )
        )

    def settle(self) -> None:
        """Hand in a merge without conflicts as it is."""
        state = self._state
        reopened = state.reopened
        if reopened is None or reopened.merges is None or reopened.conflicts or reopened.checkpoint is None:
            return
        if state.told or state.solved is not None or state.objections:
            return
        diff = self._journal.blob(reopened.checkpoint.diff_blob).decode("utf-8", "surrogateescape")
        patch = self._ground.repository.apply(self._base.sha, diff, self._policy.patch)
        self._journal.append(Solved(outcome=Outcome(kind="submitted")))
        blob = reopened.checkpoint.diff_blob
        self._journal.append(PatchTaken(patch=patch.model_copy(update={"diff": ""}), diff_blob=blob))

    def meet(self, commit_sha: str, theirs_sha: str) -> None:
        """Begin again on what others pushed while we worked, with `commit_sha`, our change, merged into it."""
        state = self._state
        before = state.reopened.head_sha if state.reopened else None
        repository = self._fetched(theirs_sha)
        history = repository.history
        try:
            merged = history.merged(commit_sha, theirs_sha)
            tree, conflicts = merged.tree_sha, merged.conflicts
        except WorkspaceError:  # their branch has nothing in common with ours any more: it is theirs
            tree, conflicts = theirs_sha, ()
        self._journal.append(
            Reopened(
                head_sha=theirs_sha,
                checkpoint=self._checkpoint(tree),
                foreign=history.since(before or self._base.sha, theirs_sha),
                conflicts=conflicts,
                merges=state.reopened.merges if state.reopened else None,
            )
        )

    def _head(self, published: PullRequest) -> tuple[str, tuple[str, ...]]:
        """The commit that the next one is put on, and what others pushed on top of ours."""
        remote = self._services.forge.remote(self._task)
        there = self._ground.repository.branch_sha(remote, published.branch)
        ours = published.commit_sha
        if there is None:  # the branch was removed, or never left this machine; our commit is still here
            self._ground.repository.tree_sha(ours)
            return ours, ()
        repository = self._fetched(there)
        if there == ours:
            return ours, ()
        # People wrote to the branch: it is theirs as much as ours, also where they took something of ours back.
        known = ours if repository.history.is_ancestor(ours, there) else self._base.sha
        return there, repository.history.since(known, there)

    def _fetched(self, sha: str) -> Repository:
        return self._services.workspace.fetch(self._services.forge.remote(self._task), self._task.repo, sha)

    def _checkpoint(self, commit_or_tree: str) -> Checkpoint:
        """The workspace as a commit has it; also what people committed keeps the rules for what may be pushed.

        Raises:
            WorkspaceError: It does not keep them.
        """
        base, repository = self._base, self._ground.repository
        diff = repository.history.diff(base.sha, commit_or_tree)
        try:
            patch = repository.apply(base.sha, diff, self._policy.patch)
        except PatchRefusedError as exc:
            raise WorkspaceError(f"what stands on the branch may not be published by us: {exc}") from exc
        blob = self._journal.put_blob(diff.encode("utf-8", "surrogateescape"))
        return Checkpoint(step=last_turn(self._journal.events).step, tree_sha=patch.tree_sha, diff_blob=blob)

    def _close_calls(self) -> None:
        """Give every open call its result: a conversation in which one is missing is refused by providers."""
        for finished in not_run(self._journal.events):
            self._journal.append(finished)

    @property
    def _history(self) -> History:
        return self._ground.repository.history

    @property
    def _base(self) -> Base:
        if (problem := self._state.problem) is None:
            raise JournalError(f"run {self._task.run_id} goes on without having read its problem")
        return problem.base


def not_run(events: Sequence[Event]) -> list[ToolFinished]:
    """Results for the calls that the journal ends without."""
    turn = last_turn(events)
    output = ToolOutput(content=_NOT_RUN, is_error=True)
    return [
        ToolFinished(step=turn.step, call_id=call.id, name=call.name, output=output, duration_s=0.0)
        for call in turn.open_calls
    ]


def enough_reviews(segments: Sequence[Followup], review: Followup) -> str | None:
    """Why one more review is not answered by us, as a clause; None while it is.

    Bots never tire: between two of them a pull request would be reviewed and mended for ever.
    """
    reviews = [one for one in segments if one.kind == "review"]
    by_bots = [one for one in reviews if _is_bot(one)]
    if len(reviews) >= MAX_REVIEWS:
        return f"{len(reviews)} reviews were answered"
    if _is_bot(review) and len(by_bots) >= MAX_BOT_REVIEWS:
        return f"{len(by_bots)} reviews by bots were answered"
    return None


def _is_bot(followup: Followup) -> bool:
    return followup.note.author.endswith("[bot]")


def may_edit(task: Task, segments: Sequence[Followup]) -> bool:
    """Whether files may be changed: always, or once the plan was approved."""
    return task.mode == "fix" or any(followup.kind == "approve" for followup in segments)
