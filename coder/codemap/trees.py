"""The trees that `coder map` can look at: a work tree as it is on the disk, a commit, a folder of either."""

import re
from pathlib import Path

from coder.codemap.tree import Tree
from coder.codemap.worktrees import part, work_tree
from coder.errors import InputError
from coder.workspace.git import Git
from coder.workspace.objects import CommitTree, Objects


def tree_at(path: Path, rev: str) -> Tree:
    """The files of a checkout or bare repository: of the commit `rev`; without one as they are on the disk, edits included.

    A bare repository has no files on the disk: it is read at its HEAD. A `path` below a checkout's top is a part of it.

    Raises:
        InputError: No such folder, no repository there, or no such commit.
        WorkspaceError: Git failed.
    """
    if not path.is_dir():
        raise InputError(f"{path} is not a folder")
    git = Git()
    git_dir = git_dir_of(path, git)
    is_bare = _asked(git, path, "--is-bare-repository") == "true"
    if not rev and not is_bare:
        return work_tree(path)
    top = path if is_bare else Path(_asked(git, path, "--show-toplevel") or path)
    return part(CommitTree(Objects(git_dir, git), commit_of(git_dir, rev or "HEAD", git)), path, top)


def git_dir_of(path: Path, git: Git) -> Path:
    """The git folder that a path belongs to.

    Raises:
        InputError: It belongs to none, or to somebody else's.
    """
    found = _asked(git, path, "--absolute-git-dir")
    if not found:
        raise InputError(f"{path.absolute()} is not inside a git repository that you own: `git init` makes one")
    return Path(found)


def commit_of(git_dir: Path, rev: str, git: Git) -> str:
    """The full id of the commit that a branch, tag, id or expression names.

    Raises:
        InputError: There is no such commit.
    """
    args = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"]
    finished = git.run(args, git_dir=git_dir)
    sha = finished.stdout.decode("ascii", "replace").strip()
    if finished.exit_code != 0 or not re.fullmatch(r"[0-9a-f]{40,64}", sha):
        raise InputError(f"there is no commit {rev!r} in {git_dir}")
    return sha


def _asked(git: Git, path: Path, question: str) -> str:
    finished = git.run(["-C", str(path.absolute()), "rev-parse", question])
    return finished.stdout.decode("utf-8", "surrogateescape").rstrip("\n") if finished.exit_code == 0 else ""
