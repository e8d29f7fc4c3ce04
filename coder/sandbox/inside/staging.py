"""Bringing the work tree into an index: fast where it is plain, and to an end where it is hostile."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from coder.sandbox.inside.git import RepositoryError

if TYPE_CHECKING:
    from coder.sandbox.inside.git import Git

LARGE_BYTES = 16 << 20
"""Larger files are left out of checkpoints and diffs when they are new or changed. A patch may not carry them anyway."""
HASTY_S = 5.0
"""A plain `git add` takes less by far; what takes longer reads something huge, like a file of holes."""
ROOM_BYTES = 2 * LARGE_BYTES
FULL_BYTES = 1 << 20
"""So little left after adding means that something was not stored."""
ROOM_FILES = 500
TOOL_TIMEOUT_S = 120
MAX_DEPTH = 256
"""Of folders. Git asks the kernel for the whole path at each level of a tree, which for thousands of levels takes seconds."""


class Staging:
    """Adds the work tree to an index of `git`."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._base = ""
        self._large: list[str] = []
        self._deep: list[str] = []
        self._used = 0
        """Bytes used on the work tree's file system when it was last looked for large files."""

    def begin(self, base: str) -> None:
        """The commit `base` has been checked out."""
        self._base = base
        self._look()

    def add(self, index: str) -> None:
        """Stage everything that is not ignored, not large and can be read."""
        if self._large or self._deep or _used(self._git.root) > self._used + LARGE_BYTES:
            self._look()
        try:
            self._add(index, accepted=(0,), timeout_s=HASTY_S)
        except RepositoryError:
            self._look()
            self._repair(index)
            # What cannot be read, and an empty nested repository, is left out rather than the end of everything.
            self._add(index, accepted=(0, 1))
            if _is_short(self._git.inside("."), FULL_BYTES):
                raise RepositoryError("there is no room for the objects of another checkpoint") from None

    def _repair(self, index: str) -> None:
        """Make room, and a new index if this one is none any more."""
        try:
            self._git("ls-files", "--stage", "-z", index=index)
        except RepositoryError:
            self._git.forget(index)
            self._git("read-tree", self._base, index=index)
        if _is_short(self._git.inside("."), ROOM_BYTES):
            # Objects of old checkpoints: the host keeps those as text. Only in need, as the work tree's own repository
            # borrows from here; and as far as it goes, it may have been spoilt, too.
            self._git("prune", "--expire=now", index=index, accepted=(0, 1, 128))

    def left_out(self) -> list[str]:
        """Large files that are new or changed, and folders too deep, as of the last `add`."""
        if not self._large:
            return sorted(self._deep)
        names = self._git("ls-files", "-z", "--others", "--modified", "--exclude-standard", "--", *self._large)
        return sorted({*self._deep, *(os.fsdecode(name) for name in names.split(b"\0")[:-1])})

    def _add(self, index: str, *, accepted: tuple[int, ...], timeout_s: float = 300) -> None:
        args = ["add", "--all", "--ignore-errors"]
        if not self._large and not self._deep:
            self._git(*args, index=index, accepted=accepted, timeout_s=timeout_s)
            return
        # In the index they stay as they were.
        paths = [":(top)", *(f":(top,exclude,literal){name}" for name in (*self._large, *self._deep))]
        stdin = b"".join(os.fsencode(path) + b"\0" for path in paths)
        args += ["--pathspec-from-file=-", "--pathspec-file-nul"]
        self._git(*args, index=index, stdin=stdin, accepted=accepted, timeout_s=timeout_s, magic=True)

    def _look(self) -> None:
        """Find the large files, and the folders that are too deep."""
        self._used = _used(self._git.root)
        self._deep = self._found("-mindepth", str(MAX_DEPTH), "-maxdepth", str(MAX_DEPTH), "-type", "d")
        self._large = self._found("-path", "./.git", "-prune", "-o", "-type", "f", "-size", f"+{LARGE_BYTES // 1024}k")

    def _found(self, *tests: str) -> list[str]:
        """What `find` finds in the work tree; folders that it may not enter: exit code 1."""
        argv = ["find", ".", "-xdev", *tests, "-printf", "%P\\0"]
        names = self._git.run(argv, accepted=(0, 1), timeout_s=TOOL_TIMEOUT_S)
        return [os.fsdecode(name) for name in names.split(b"\0")[:-1]]


def clear(*paths: str) -> None:
    """Remove files and folders: rights or no rights, and deeper than a path can name."""
    for tool in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        subprocess.run([*tool, "--", *paths], capture_output=True, check=False, timeout=TOOL_TIMEOUT_S)


def empty(folder: str) -> None:
    """Remove everything below `folder`."""
    clear(*(os.path.join(folder, name) for name in os.listdir(folder)))


def _used(folder: str) -> int:
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def _is_short(folder: str, room: int) -> bool:
    """Whether there is no room for `room` bytes, or for some hundreds of objects."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize < room or found.f_favail < ROOM_FILES
