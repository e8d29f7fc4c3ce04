"""What a code map is made from: the files of one state of a repository."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

READ_LIMIT = 1_000_001
"""Bytes: larger files are never parsed, so a `Tree.read` may stop here (10 MB of one generated file costs nothing)."""


class Tree(Protocol):
    """One state of a repository: a commit, or a work tree with its edits."""

    def files(self) -> Mapping[str, str]:
        """Path → git blob id of every regular file: no links, no submodules.

        A path that is not UTF-8 carries its odd bytes as surrogate escapes (`os.fsdecode`).
        """
        ...

    def read(self, path: str) -> bytes:
        """The file's bytes, or at least its first `READ_LIMIT` bytes.

        Raises:
            OSError: It cannot be read (gone, no permission); the map goes on without it.
        """
        ...


@runtime_checkable
class HasPast(Protocol):
    """A tree that commits led to."""

    @property
    def commit(self) -> str:
        """The last one's id: what came before it never changes."""
        ...

    def subjects(self) -> Sequence[tuple[str, Sequence[str]]]:
        """Subject and changed files of the last commits, the newest first, merges left out.

        Raises:
            CoderError: They cannot be read.
        """
        ...


@runtime_checkable
class ReadsAhead(Protocol):
    """A tree for which many reads at once are much cheaper than one by one."""

    def read_ahead(self, paths: Sequence[str]) -> None:
        """Get ready for a `read` of each of these, in this order.

        Raises:
            CoderError: One of them is missing; single reads may still work.
        """
        ...
