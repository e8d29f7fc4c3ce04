"""Reads trees and blobs of a bare repository in bulk."""

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from coder.errors import WorkspaceError
from coder.workspace.git import Git, checked_sha
from coder.workspace.subjects import Said, question, subjects

REMEMBERED_TREES = 8  # base, head and what is laid over them
MAX_LISTING_BYTES = 128 << 20
"""A million files. A few objects can make a tree of billions of them."""
SUBJECTS_TIMEOUT_S = 20.0
READ_AHEAD_FILES = 512
READ_AHEAD_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a tree. `size` is bytes, None for a submodule."""

    mode: Literal["100644", "100755", "120000", "160000"]
    blob_sha: str
    size: int | None = None

    @property
    def regular(self) -> bool:
        """Whether it is a plain or executable file, no link and no submodule."""
        return self.mode in {"100644", "100755"}


class Objects:
    """The objects of one bare repository. Paths are str with surrogate escapes where they are not UTF-8."""

    def __init__(self, git_dir: Path, git: Git) -> None:
        self._git_dir = git_dir
        self._git = git
        self._lock = threading.Lock()
        self._trees: dict[str, Mapping[str, Entry]] = {}

    def entries(self, tree_ish: str) -> Mapping[str, Entry]:
        """Every file below `tree_ish` (a full id of a commit or tree), in git's order; the last few are remembered.

        Raises:
            WorkspaceError: There is no such tree.
        """
        with self._lock:
            known = self._trees.get(tree_ish)
        if known is None:
            known = MappingProxyType(self._listed(tree_ish))
            with self._lock:
                self._trees[tree_ish] = known
                while len(self._trees) > REMEMBERED_TREES:
                    del self._trees[next(iter(self._trees))]
        return known

    def subjects(self, commit: str) -> Sequence[Said]:
        """What the commits up to `commit` said and changed, the newest first.

        Raises:
            WorkspaceError: There is no such commit.
        """
        answer = self._git.output(question(checked_sha(commit)), git_dir=self._git_dir, timeout_s=SUBJECTS_TIMEOUT_S)
        return subjects(answer)

    def _listed(self, tree_ish: str) -> dict[str, Entry]:
        args = ["ls-tree", "-r", "-z", "-l", "--full-tree", checked_sha(tree_ish)]
        found: dict[str, Entry] = {}
        for record in self._git.output(args, git_dir=self._git_dir, max_bytes=MAX_LISTING_BYTES).split(b"\0"):
            if record:
                meta, _, path = record.partition(b"\t")
                mode, _kind, sha, size = meta.decode("ascii").split()
                # `-`: a submodule; `BAD`: a blob that a partial clone lacks.
                found[os.fsdecode(path)] = Entry(_mode(mode), sha, int(size) if size.isdigit() else None)
        return found

    def blobs(self, shas: Iterable[str]) -> dict[str, bytes]:
        """The contents of these blobs, by id.

        Raises:
            WorkspaceError: One of them is missing or no blob.
        """
        wanted = [checked_sha(sha) for sha in dict.fromkeys(shas)]
        if not wanted:
            return {}
        out = self._git.output(["cat-file", "--batch"], git_dir=self._git_dir, stdin=_lines(wanted))
        found: dict[str, bytes] = {}
        at = 0
        for sha in wanted:
            end = out.find(b"\n", at)
            size = _blob_size(sha, out[at:end] if end >= 0 else b"")
            found[sha] = out[end + 1 : end + 1 + size]
            at = end + size + 2
        return found

    def sizes(self, shas: Iterable[str]) -> dict[str, int]:
        """The sizes of these blobs in bytes, by id, without reading them.

        Raises:
            WorkspaceError: One of them is missing.
        """
        wanted = [checked_sha(sha) for sha in dict.fromkeys(shas)]
        if not wanted:
            return {}
        args = ["cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)"]
        lines = self._git.output(args, git_dir=self._git_dir, stdin=_lines(wanted)).splitlines()
        return {sha: _blob_size(sha, line) for sha, line in zip(wanted, lines, strict=True)}


class CommitTree:
    """The files of one tree for the code map: path to blob id, regular files up to `READ_AHEAD_BYTES` only, and their bytes.

    Reading in the order of `files()` is fast: the files that follow are read along, twice as many each time. Safe for
    threads; holds at most `READ_AHEAD_BYTES` in memory.
    """

    def __init__(self, objects: Objects, tree_ish: str) -> None:
        self.commit = tree_ish
        """The commit whose files they are, or a tree without any past."""
        self._objects = objects
        self._entries = {
            path: entry
            for path, entry in objects.entries(tree_ish).items()
            if entry.regular and (entry.size or 0) <= READ_AHEAD_BYTES
        }
        self._order = list(self._entries)
        self._position = {path: index for index, path in enumerate(self._order)}
        self._ahead: dict[str, bytes] = {}
        self._window = 1
        self._expected = -1
        self._lock = threading.Lock()

    def files(self) -> Mapping[str, str]:
        """Path to blob id."""
        return {path: entry.blob_sha for path, entry in self._entries.items()}

    def subjects(self) -> Sequence[Said]:
        """What the commits up to this one said and changed, the newest first.

        Raises:
            WorkspaceError: It is a tree, or git failed.
        """
        return self._objects.subjects(self.commit)

    def read(self, path: str) -> bytes:
        """The bytes of one file.

        Raises:
            WorkspaceError: There is no such file in the tree.
        """
        with self._lock:
            if path not in self._entries:
                raise WorkspaceError(f"no such file in the tree: {path!r}")
            sha = self._entries[path].blob_sha
            if sha not in self._ahead:
                self._ahead = self._objects.blobs(self._following(self._position[path]))
            return self._ahead[sha]

    def read_ahead(self, paths: Sequence[str]) -> None:
        """Read these files in one go, as many of the first as `READ_AHEAD_BYTES` hold, because they will be asked for next.

        Raises:
            WorkspaceError: One of them is missing from the repository.
        """
        room = READ_AHEAD_BYTES
        wanted: list[str] = []
        for path in paths:
            entry = self._entries.get(path)
            room -= (entry.size or 0) if entry else 0
            if room < 0:
                break
            wanted += [entry.blob_sha] if entry else []
        with self._lock:
            self._ahead = {sha: data for sha in wanted if (data := self._ahead.get(sha)) is not None}
            self._ahead |= self._objects.blobs(sha for sha in wanted if sha not in self._ahead)

    def _following(self, index: int) -> Sequence[str]:
        """Blob ids to read in one go, from `index` on; more of them while the reader goes forward in order."""
        self._window = min(self._window * 2, READ_AHEAD_FILES) if index >= self._expected >= 0 else 1
        room = READ_AHEAD_BYTES
        wanted: list[str] = []
        at = index
        while at < len(self._order) and len(wanted) < self._window:
            entry = self._entries[self._order[at]]
            room -= entry.size or 0
            if wanted and room < 0:
                break
            wanted.append(entry.blob_sha)
            at += 1
        self._expected = at
        return wanted


def _blob_size(sha: str, header: bytes) -> int:
    """The size that a line `<id> blob <size>` of `git cat-file` tells."""
    match header.split():
        case [_, b"blob", size]:
            return int(size)
        case _:
            raise WorkspaceError(f"blob {sha[:12]} is missing from the repository")


def _lines(shas: Sequence[str]) -> bytes:
    return ("\n".join(shas) + "\n").encode("ascii")


def _mode(text: str) -> Literal["100644", "100755", "120000", "160000"]:
    match text:
        case "100755":
            return "100755"
        case "120000":
            return "120000"
        case "160000":
            return "160000"
        case _:  # 100664 and the like, which old tools wrote
            return "100644"
