"""A developer's own checkout, for the command line: read it, and write to it only on request.

Whoever stands in a folder need not trust it. Git here only ever lists the index and compares stored objects; what its
configuration would start (hooks, fsmonitor, filters that run when git looks at a file's content) is off or not reached, and
files are read by ourselves, never through a link. Light to import: `coder map` should answer at once.
"""

import contextlib
import os
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from coder.errors import InputError, WorkspaceError
from coder.workspace.subjects import Said, question, subjects

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
_UNTRACKED = ("ls-files", "--others", "--exclude-standard", "-z", "--full-name")
_RECORD = re.compile(
    r"(\d{6}) ([0-9a-f]+) \d\t([^\0]+)\0"
    r"(?:  ctime: \d+:\d+\n  mtime: (\d+):(\d+)\n  dev: \d+\tino: (\d+)\n"
    r"  uid: \d+\tgid: \d+\n  size: (\d+)\tflags: ([0-9a-f]+)\n)?"
)


class _Staged(NamedTuple):
    """One record of the index, with what git last saw of the file, as git writes it."""

    mode: str
    sha: str
    path: str
    mtime_s: str
    mtime_ns: str
    ino: str
    size: str
    flags: str

    @property
    def sparse(self) -> bool:
        """The file is meant to be absent (sparse checkout)."""
        return bool(int(self.flags or "0", 16) & SKIP_WORKTREE)


class _Found(NamedTuple):
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
        questions = (("--show-toplevel",), ("--git-path", "index"), ("HEAD^{commit}",))
        said = self._ask(path, "rev-parse", *sum(questions, ()))
        top, index, head = (
            (said or b"").split(b"\n")
            if said and said.count(b"\n") == len(questions) - 1
            else [self._ask(path, "rev-parse", *question) for question in questions]
        )  # one by one where one has no answer, or a line break in it
        if top is None or index is None:
            raise InputError(
                f"{path.absolute()} is not inside a git work tree that you own: change into one, or run `git init` and commit"
            )
        self.path = Path(os.fsdecode(top))
        """The top of the work tree."""
        self._top = f"{self.path}/"
        self._index = path.absolute() / os.fsdecode(index)
        self._index_mtime_ns = 0
        """When the index was written: a file changed at or after that moment may look untouched and is not."""
        if head is None:
            raise InputError(f"{self.path} has no commit yet: commit the files that the work is to start from")
        self.head = head.decode("ascii")
        """The commit that HEAD is at."""

    @property
    def branch(self) -> str | None:
        """The branch that HEAD is on; None when it is detached."""
        name = self._ask(self.path, "symbolic-ref", "--quiet", "--short", "HEAD")
        return None if name is None else os.fsdecode(name)

    def has(self, commit_sha: str) -> bool:
        """Whether the commit is in this repository."""
        return self._ask(self.path, "rev-parse", "--verify", "--quiet", f"{commit_sha}^{{commit}}") is not None

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
        with self._started(self.path, _UNTRACKED) as listing:  # git walks the folders while we look at what it knows
            wanted: dict[str, _Staged | None] = {
                path: record for path, record in self._staged().items() if record.mode != "160000"
            }
            files = self._present(wanted)
            untracked = _listed(self._ended(self.path, _UNTRACKED, listing).stdout)
        files |= self._present({path: None for path in untracked if path not in wanted})
        return WorkTree(self, dict(sorted(files.items())))

    def subjects(self) -> Sequence[Said]:
        """What the commits up to HEAD said and changed, the newest first. Raises as `WorkTree.subjects` does."""
        return subjects(self._output(*question(self.head)))

    def _present(self, wanted: Mapping[str, _Staged | None]) -> dict[str, str]:
        """The blob ids of the regular files among `wanted`."""
        found = ((path, self._found(path, record)) for path, record in wanted.items())
        return {path: one.sha for path, one in found if one is not None and one.mode != "120000"}

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
        self._index_mtime_ns = self._index.stat().st_mtime_ns if self._index.exists() else 0
        listing = os.fsdecode(self._output("ls-files", "-s", "-z", "--debug", "--full-name"))
        return {match[2]: _Staged._make(match) for match in _RECORD.findall(listing)}

    def _untracked(self) -> list[str]:
        return _listed(self._output(*_UNTRACKED))

    def _found(self, path: str, record: _Staged | None) -> _Found | None:
        """Mode and blob id of a file: the index's word when the file was not touched since, else read."""
        try:
            if record is not None and _untouched(os.lstat(f"{self._top}{path}"), record, self._index_mtime_ns):
                return _Found(record.mode, record.sha)
            with _opened(self.path, path) as (folder, name):
                mode = _mode(os.lstat(name, dir_fd=folder))
                link = mode == "120000"
                data = os.fsencode(os.readlink(name, dir_fd=folder)) if link else _bytes_of(folder, name)
        except (OSError, ValueError):
            return None
        import hashlib  # noqa: PLC0415 - most trees are as git saw them last: no map should wait for OpenSSL

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

    def _run(self, cwd: Path, args: Sequence[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        with self._started(cwd, args) as process:
            return self._ended(cwd, args, process, stdin)

    @staticmethod
    def _started(cwd: Path, args: Sequence[str]) -> subprocess.Popen[bytes]:
        options = [part for setting in _QUIET for part in ("-c", setting)]
        argv = ["git", "--no-optional-locks", "--no-pager", *options, *args]
        pipe = subprocess.PIPE
        try:
            return subprocess.Popen(argv, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as exc:
            if exc.filename == "git":
                raise InputError("git is not installed: install the package `git`") from exc
            raise InputError(f"git cannot start in {cwd}: {exc.strerror}") from exc

    @staticmethod
    def _ended(
        cwd: Path, args: Sequence[str], process: subprocess.Popen[bytes], stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            stdout, stderr = process.communicate(stdin, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as exc:
            process.kill()
            raise WorkspaceError(f"git {args[0]} did not end within {TIMEOUT_S:.0f} s in {cwd}") from exc
        return subprocess.CompletedProcess(args, process.returncode, stdout, stderr)


class WorkTree:
    """Files on the disk: path to blob id, and bytes as they are when asked."""

    def __init__(self, checkout: Checkout, files: Mapping[str, str]) -> None:
        self._checkout = checkout
        self._root = checkout.path
        self._files = files
        self.commit = checkout.head
        """The commit that the edits are laid over."""

    def files(self) -> Mapping[str, str]:
        """Path to blob id, regular files only."""
        return self._files

    def subjects(self) -> Sequence[Said]:
        """What the commits up to HEAD said and changed, the newest first.

        Raises:
            WorkspaceError: Git failed.
        """
        return self._checkout.subjects()

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


def _untouched(found: os.stat_result, record: _Staged, index_mtime_ns: int) -> bool:
    """Whether the file is what git saw last, by the same signs that git goes by (it stores 32 bits of each)."""
    seconds, nanoseconds = divmod(found.st_mtime_ns, 1_000_000_000)
    return (
        str(found.st_ino & 0xFFFFFFFF) == record.ino
        and str(found.st_size & 0xFFFFFFFF) == record.size
        and str(nanoseconds) == record.mtime_ns
        and str(seconds & 0xFFFFFFFF) == record.mtime_s
        and _mode(found) == record.mode
        and found.st_mtime_ns < index_mtime_ns
    )


def _listed(listing: bytes) -> list[str]:
    """The files of a listing of git; a folder in it is a repository of its own."""
    return [os.fsdecode(path) for path in listing.split(b"\0") if path and not path.endswith(b"/")]


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
