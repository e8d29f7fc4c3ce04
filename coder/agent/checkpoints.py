"""The workspace as it stands after a step, for the journal."""

from coder.sandbox.protocol import Sandbox
from coder.trace.journal import Journal
from coder.trace.state import state_of
from coder.types import Checkpoint


class Checkpoints:
    """Takes checkpoints of a sandbox, and sets it back to one."""

    def __init__(self, sandbox: Sandbox, journal: Journal) -> None:
        self._sandbox, self._journal = sandbox, journal
        last = state_of(journal.events).checkpoint
        self._tree = last.tree_sha if last else sandbox.checkpoint()

    @property
    def tree_sha(self) -> str:
        """The workspace as it stood at the last checkpoint."""
        return self._tree

    def take(self, step: int) -> Checkpoint | None:
        """The workspace as it stands, if it changed since the last time."""
        snapshot = self._sandbox.snapshot(self._tree)
        if snapshot is None:
            return None
        self._tree = snapshot.tree_sha
        blob = self._journal.put_blob(snapshot.diff.encode("utf-8", "surrogateescape"))
        return Checkpoint(step=step, tree_sha=snapshot.tree_sha, diff_blob=blob)

    def back_to(self, checkpoint: Checkpoint | None) -> Checkpoint:
        """Set the workspace back (None: to how it was at the start); what it is now."""
        blob = checkpoint.diff_blob if checkpoint else self._journal.put_blob(b"")
        self._sandbox.restore(self._journal.blob(blob).decode("utf-8", "surrogateescape"))
        self._tree = self._sandbox.checkpoint()
        return Checkpoint(step=checkpoint.step if checkpoint else 0, tree_sha=self._tree, diff_blob=blob)
