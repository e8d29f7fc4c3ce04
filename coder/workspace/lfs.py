"""Files of Git LFS: the repository holds pointers to contents that lie on another server, which is not asked."""

from typing import Final

from coder.workspace.repository import Repository

MAX_READ: Final = 16_000
"""Files looked into for one commit."""
_SIZES: Final = range(100, 1024)
"""Bytes of a pointer: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""
_START: Final = b"version https://git-lfs.github.com/spec/v1\n"
_ATTRIBUTES: Final = ".gitattributes"


def lfs_pointers(repository: Repository, commit_sha: str) -> tuple[str, ...]:
    """The files of a commit that are such pointers, in git's order; none where no `.gitattributes` speaks of them.

    Raises:
        WorkspaceError: There is no such commit here.
    """
    tree = repository.tree(commit_sha)
    said = [path for path in tree.files() if path.rpartition("/")[2] == _ATTRIBUTES]
    if not any(b"filter=lfs" in tree.read(path) for path in said):
        return ()
    small = [path for path, entry in repository.files(commit_sha).items() if entry.regular and entry.size in _SIZES]
    tree.read_ahead(small[:MAX_READ])
    return tuple(path for path in small[:MAX_READ] if tree.read(path).startswith(_START))
