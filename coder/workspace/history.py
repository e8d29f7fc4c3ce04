"""What lies between commits of one bare repository of ours: the change, the commits, and two changes put together."""

from dataclasses import dataclass
from pathlib import Path

from coder.errors import WorkspaceError
from coder.workspace.git import Git, checked_sha

MERGE_MEMORY_MB = 2048
"""For merging what strangers may have written; the same as for applying it."""
MERGE_TIMEOUT_S = 60.0
_CONFLICTS = 1
"""Exit code of `git merge-tree` that says so: https://git-scm.com/docs/git-merge-tree#_exit_status"""


@dataclass(frozen=True, slots=True)
class Merged:
    """Two changes put together. `conflicts` are the files that hold both, between conflict markers."""

    tree_sha: str
    conflicts: tuple[str, ...] = ()


class History:
    """Reads the commits of the repository at `git_dir`."""

    def __init__(self, git_dir: Path, git: Git) -> None:
        self._git_dir = git_dir
        self._git = git

    def diff(self, old: str, new: str) -> str:
        """What makes the commit or tree `new` of `old`, in the form in which changes leave a sandbox.

        Raises:
            WorkspaceError: One of them is not here.
        """
        args = ["diff-tree", "-r", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv"]
        shown = self._git.output([*args, checked_sha(old), checked_sha(new)], git_dir=self._git_dir)
        return shown.decode("utf-8", "surrogateescape")

    def paths(self, old: str, new: str) -> tuple[str, ...]:
        """The files in which two commits or trees differ.

        Raises:
            WorkspaceError: One of them is not here.
        """
        args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", checked_sha(old), checked_sha(new)]
        listed = self._git.output(args, git_dir=self._git_dir)
        return tuple(name.decode("utf-8", "replace") for name in listed.split(b"\0") if name)

    def since(self, old_sha: str, new_sha: str, *, limit: int = 20) -> tuple[str, ...]:
        """The commits that `new_sha` has and `old_sha` has not, `abbreviation author: subject` each, oldest first."""
        args = ["log", "--format=%h %an: %s", f"--max-count={limit}", checked_sha(new_sha), f"^{checked_sha(old_sha)}"]
        shown = self._git.output(args, git_dir=self._git_dir).decode("utf-8", "replace")
        return tuple(reversed(shown.splitlines()))

    def is_ancestor(self, old_sha: str, new_sha: str) -> bool:
        """Whether a branch at `old_sha` can be moved to `new_sha` without losing a commit."""
        args = ["merge-base", "--is-ancestor", checked_sha(old_sha), checked_sha(new_sha)]
        return self._git.run(args, git_dir=self._git_dir).exit_code == 0

    def parent(self, sha: str) -> str | None:
        """The commit before, the first of a merge's; None where there is none."""
        args = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{checked_sha(sha)}^1"]
        finished = self._git.run(args, git_dir=self._git_dir)
        return checked_sha(finished.stdout.decode().strip()) if finished.exit_code == 0 else None

    def merged(self, ours_sha: str, theirs_sha: str) -> Merged:
        """Both commits' changes since they went apart, in one tree.

        Raises:
            WorkspaceError: They have nothing in common, or git is too old (2.38 can).
        """
        args = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"]
        finished = self._git.run(
            [*args, checked_sha(ours_sha), checked_sha(theirs_sha)],
            git_dir=self._git_dir,
            timeout_s=MERGE_TIMEOUT_S,
            memory_mb=MERGE_MEMORY_MB,
        )
        if finished.exit_code not in {0, _CONFLICTS}:
            raise WorkspaceError(f"cannot merge {ours_sha[:12]} and {theirs_sha[:12]}: {finished.reason}")
        tree, *names = [field.decode("utf-8", "replace") for field in finished.stdout.split(b"\0")]
        return Merged(checked_sha(tree.strip()), tuple(name for name in names if name))
