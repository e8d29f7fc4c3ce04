"""A developer's own checkout, for the command line: read it, and write to it only on request.

Whoever stands in a folder need not trust it. Git here only ever lists the index and compares stored objects; what its
configuration would start (hooks, fsmonitor, filters that run when git looks at a file's content) is off or not reached, and
files are read by ourselves, never through a link. Light to import: `coder map` should answer at once.
"""

import contextlib
import hashlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coder.errors import InputError, WorkspaceError

TIMEOUT_S = 120.0
MAX_FILE_BYTES = 64 * 1024 * 1024
SHA1_DIGITS = 40
SKIP_WORKTREE = 1 << 30  # of the flags in git's index
_QUIET = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "core.pager=cat",
    "core.sshCommand=false",
    "core.alternateRefsCommand=:",
    "submodule.recurse=false",
    "protocol.allow=never",
)
_RECORD = re.compile(
    rb"(?P<mode>\d{6}) (?P<sha>[0-9a-f]+) (?P<stage>\d)\t(?P<path>[^\0]+)\0"
    rb"(?:  ctime: \d+:\d+\n  mtime: (?P<s>\d+):(?P<ns>\d+)\n  dev: \d+\tino: (?P<ino>\d+)\n"
    rb"  uid: \d+\tgid: \d+\n  size: (?P<size>\d+)\tflags: (?P<flags>[0-9a-f]+)\n)?"
)


@dataclass(frozen=True, slots=True)
class _Staged:
    """One record of the index, with what git last saw of the file."""

    mode: str
    sha: str
    mtime: tuple[int, int]
    ino: int
    size: int
    sparse: bool
    """The file is meant to be absent (sparse checkout)."""
    index_mtime_ns: int
    """When the index was written: a file changed at or after that moment may look untouched and is not."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A file as it is on the disk."""

    mode: str
    sha: str


class Checkout:
    """The git work tree that `path` is in.

    Raises:
        InputError: No git, no git folder, no work tree, or no commit yet; says what to do.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise InputError(f"{path} is not a folder")
        top = self._ask(path, "rev-parse", "--show-toplevel")
        if top is None:
            raise InputError(
                f"{path.absolute()} is not inside a git work tree that you own: change into one, or run `git init` and commit"
            )
        self.path = Path(os.fsdecode(top))
        """The top of the work tree."""
        head = self._ask(self.path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if head is None:
            raise InputError(f"{self.path} has no commit yet: commit the files that the work is to start from")
        self.head = head.decode("ascii")
        """The commit that HEAD is at."""

    @property
    def branch(self) -> str | None:
        """The branch that HEAD is on; None when it is detached."""
        name = self._ask(self.path, "symbolic-ref", "--quiet", "--short", "HEAD")
        return None if name is None else os.fsdecode(name)

    def is_dirty(self) -> bool:
        """Whether the work tree differs from HEAD: staged, changed, deleted or untracked (but not ignored) files.

        A file that git stores converted (line endings, LFS) counts as changed once it was written to since git looked last:
        no filter is run to find out.
        """
        args = [
            "diff-index",
            "--cached",
            "--raw",
            "-z",
            "--no-renames",
            "--no-ext-diff",
            "--ignore-submodules=all",
            self.head,
        ]
        if self._output(*args) or self._untracked():
            return True
        staged = self._staged()
        for path, record in staged.items():
            if record.mode == "160000":
                continue
            found = self._found(path, record)
            if found is None and record.sparse:
                continue
            if found is None or (found.mode, found.sha) != (record.mode, record.sha):
                return True
        return False

    def tree(self) -> "WorkTree":
        """The files as they are on the disk now, changed and untracked ones included, for the code map."""
        wanted: dict[str, _Staged | None] = dict.fromkeys(self._untracked())
        wanted |= {path: record for path, record in self._staged().items() if record.mode != "160000"}
        files: dict[str, str] = {}
        for path in sorted(wanted):
            found = self._found(path, wanted[path])
            if found is not None and found.mode != "120000":
                files[path] = found.sha
        return WorkTree(self.path, files)

    def apply(self, diff: str) -> None:
        """Apply `diff` to the work tree, all of it or nothing; the index stays as it is.

        Raises:
            WorkspaceError: It does not fit the files as they are now; nothing was changed.
        """
        if not diff.strip():
            return
        result = self._run(
            self.path, ["apply", "--whitespace=nowarn", "-p1", "-"], diff.encode("utf-8", "surrogateescape")
        )
        if result.returncode != 0:
            reason = result.stderr.decode("utf-8", "replace").strip().splitlines()[:1]
            raise WorkspaceError(f"the change does not apply to {self.path}: {''.join(reason)[:300]}")

    def _staged(self) -> dict[str, _Staged]:
        index = self._ask(self.path, "rev-parse", "--git-path", "index") or b".git/index"
        file = self.path / os.fsdecode(index)
        index_mtime_ns = file.stat().st_mtime_ns if file.exists() else 0
        found: dict[str, _Staged] = {}
        for match in _RECORD.finditer(self._output("ls-files", "-s", "-z", "--debug", "--full-name")):
            number = {key: int(match[key] or b"-1") for key in ("s", "ns", "ino", "size")}
            record = _Staged(
                mode=match["mode"].decode(),
                sha=match["sha"].decode(),
                mtime=(number["s"], number["ns"]),
                ino=number["ino"] & 0xFFFFFFFF,
                size=number["size"],
                sparse=bool(int(match["flags"] or b"0", 16) & SKIP_WORKTREE),
                index_mtime_ns=index_mtime_ns,
            )
            found[os.fsdecode(match["path"])] = record
        return found

    def _untracked(self) -> list[str]:
        listing = self._output("ls-files", "--others", "--exclude-standard", "-z", "--full-name")
        return [os.fsdecode(path) for path in listing.split(b"\0") if path and not path.endswith(b"/")]

    def _found(self, path: str, record: _Staged | None) -> _Found | None:
        """Mode and blob id of a file: the index's word when the file was not touched since, else read."""
        try:
            with _opened(self.path, path) as (folder, name):
                seen = os.lstat(name, dir_fd=folder)
                mode = _mode(seen)
                if record is not None and _untouched(seen, record):
                    return _Found(mode, record.sha)
                link = mode == "120000"
                data = os.fsencode(os.readlink(name, dir_fd=folder)) if link else _bytes_of(folder, name)
        except (OSError, ValueError):
            return None
        algorithm = hashlib.sha1 if len(self.head) == SHA1_DIGITS else hashlib.sha256
        return _Found(mode, algorithm(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest())

    def _ask(self, cwd: Path, *args: str) -> bytes | None:
        """One line of output without its line feed; None when git says no."""
        result = self._run(cwd, args)
        return result.stdout.rstrip(b"\n") if result.returncode == 0 and result.stdout.strip() else None

    def _output(self, *args: str) -> bytes:
        result = self._run(self.path, args)
        if result.returncode != 0:
            reason = result.stderr.decode("utf-8", "replace").strip()
            raise WorkspaceError(f"git {args[0]} failed in {self.path}: {reason[:300]}")
        return result.stdout

    @staticmethod
    def _run(cwd: Path, args: Sequence[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        binary = shutil.which("git")
        if binary is None:
            raise InputError("git is not installed: install the package `git`")
        options = [part for setting in _QUIET for part in ("-c", setting)]
        argv = [binary, "--no-optional-locks", "--no-pager", *options, *args]
        try:
            return subprocess.run(argv, cwd=cwd, input=stdin, capture_output=True, check=False, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as exc:
            raise WorkspaceError(f"git {args[0]} did not end within {TIMEOUT_S:.0f} s in {cwd}") from exc


class WorkTree:
    """Files on the disk: path to blob id, and bytes as they are when asked."""

    def __init__(self, root: Path, files: Mapping[str, str]) -> None:
        self._root = root
        self._files = files

    def files(self) -> Mapping[str, str]:
        """Path to blob id, regular files only."""
        return self._files

    def read(self, path: str) -> bytes:
        """The bytes of one file of `files()`.

        Raises:
            WorkspaceError: It is gone, no regular file any more, or behind a link.
        """
        try:
            with _opened(self._root, path) as (folder, name):
                return _bytes_of(folder, name)
        except (OSError, ValueError) as exc:
            raise WorkspaceError(f"cannot read {path!r}: {exc}") from exc


def _mode(found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return "120000"
    return "100755" if found.st_mode & stat.S_IXUSR else "100644"


def _untouched(found: os.stat_result, record: _Staged) -> bool:
    """Whether the file is what git saw last, by the same signs that git goes by (it stores 32 bits of each)."""
    seconds, nanoseconds = divmod(found.st_mtime_ns, 1_000_000_000)
    return (
        (seconds & 0xFFFFFFFF, nanoseconds) == record.mtime
        and found.st_ino & 0xFFFFFFFF == record.ino
        and found.st_size & 0xFFFFFFFF == record.size
        and _mode(found) == record.mode
        and found.st_mtime_ns < record.index_mtime_ns
    )


@contextlib.contextmanager
def _opened(root: Path, path: str) -> Iterator[tuple[int, str]]:
    """A descriptor of the folder of `path` and its last name; no part of the way is a link."""
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"not a path inside the checkout: {path!r}")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    folder = os.open(root, flags)
    try:
        for part in parts[:-1]:
            inner = os.open(part, flags | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder, parts[-1]
    finally:
        os.close(folder)


def _bytes_of(folder: int, name: str) -> bytes:
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_BYTES:
            raise ValueError("not a regular file, or too large")
        return file.read(MAX_FILE_BYTES)
