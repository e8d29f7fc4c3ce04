"""Git inside the sandbox: base, checkpoints and diffs live in a repository apart from the work tree's own `.git`.

What a command does to `/workspace/.git` (delete it, mark files unchanged, exclude them, set hooks) does not touch this
one: it has its own configuration, excludes, attributes and index files. Its folder belongs to the same user, so a
hostile command can still spoil it; that only spoils the diff, which is a proposal that the host checks as text.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from coder.sandbox.inside.git import Git, RepositoryError
from coder.sandbox.inside.staging import Staging, clear, empty

CONFIG = """[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
"""
OWN_CONFIG = CONFIG + "[user]\n\tname = coder\n\temail = coder@localhost\n"
DIFF = (
    "diff-tree",
    "-r",
    "-p",
    "--binary",
    "--full-index",
    "--no-renames",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
ATTRIBUTES = "* -text -ident -filter\n"
"""Files are what the commit holds, byte for byte. A conversion of line ends makes changes that nobody made."""
ARTEFACTS = "artefacts.tar"
EXCLUDES = "artefacts.exclude"


class Modules:
    """Submodules: files of other repositories' commits. Whatever changes there is in no checkpoint and no diff."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._filled: list[tuple[Git, str]] = []

    def load(self, path: str, commit: str) -> None:
        """Check the incoming pack's `commit` out at `path`."""
        self.mend(commit)
        self._filled.append((Git(os.path.join(self._git.root, path), self._git.inside("")), commit))
        self.refill(len(self._filled) - 1)

    def mend(self, commit: str) -> None:
        """Take the objects of the incoming pack's `commit` in."""
        self._git("index-pack", self._git.incoming_pack(commit))

    def refill(self, start: int = 0) -> None:
        """Bring their files, from the one with number `start` on, back to what the commits hold."""
        for number, (git, commit) in enumerate(self._filled[start:], start):
            os.makedirs(git.root, exist_ok=True)
            git("read-tree", "--reset", "-u", commit, index=f"index.module-{number}")


class Repository:
    """The loaded commit in the work tree of `git`."""

    def __init__(self, git: Git) -> None:
        self._root = git.root
        self._git = git
        self._staging = Staging(self._git)
        self._base = ""
        self._tags: list[list[str]] = []
        self._artefacts = ""
        self.modules = Modules(self._git)
        os.makedirs(git.inside(""), mode=0o700, exist_ok=True)

    def load(self, commit: str, shallow: list[str], tags: list[list[str]]) -> str:
        """Check the incoming pack's `commit` out; its tree id. `tags` are names and commits, for the model's `.git`."""
        self._take_in(commit, shallow)
        tree = self._git("rev-parse", "--verify", f"{commit}^{{tree}}").decode().strip()
        self._git("read-tree", "--reset", "-u", commit)
        self._base = commit
        self._staging.begin(commit)
        self._tags = tags
        self._make_own(shallow)
        return tree

    def mend(self, commit: str, shallow: list[str]) -> None:
        """Make this repository anew from the incoming pack, after a command spoilt it; the work tree stays as it is."""
        self._take_in(commit, shallow)
        self._git("read-tree", commit)
        with suppress(FileNotFoundError):
            shutil.copyfile(os.path.join(self._artefacts, EXCLUDES), self._git.inside("info/exclude"))

    def _take_in(self, commit: str, shallow: list[str]) -> None:
        """A repository with the incoming pack's objects."""
        os.makedirs(self._git.inside("refs/heads"), exist_ok=True)
        os.makedirs(self._git.inside("info"), exist_ok=True)
        _put(self._git.inside("HEAD"), "ref: refs/heads/none\n")
        _put(self._git.inside("config"), CONFIG)
        _put(self._git.inside("info/attributes"), ATTRIBUTES)
        if shallow:
            _put(self._git.inside("shallow"), "".join(f"{sha}\n" for sha in shallow))
        self._git("index-pack", self._git.incoming_pack(commit))

    def _make_own(self, shallow: list[str]) -> None:
        """The work tree's own `.git`, for the model's `git log`: it borrows the objects."""
        own = os.path.join(self._root, ".git")
        for folder in ("objects/info", "refs/heads", "refs/tags", "info"):
            os.makedirs(os.path.join(own, folder), exist_ok=True)
        _put(os.path.join(own, "objects/info/alternates"), self._git.inside("objects") + "\n")
        _put(os.path.join(own, "config"), OWN_CONFIG)
        _put(os.path.join(own, "info/attributes"), ATTRIBUTES)
        _put(os.path.join(own, "refs/heads/base"), self._base + "\n")
        # One file, whatever the names are.
        _put(os.path.join(own, "packed-refs"), "".join(f"{sha} refs/tags/{name}\n" for name, sha in self._tags))
        if shallow:
            _put(os.path.join(own, "shallow"), "".join(f"{sha}\n" for sha in shallow))
        shutil.copyfile(self._git.inside("index"), os.path.join(own, "index"))
        _put(os.path.join(own, "HEAD"), "ref: refs/heads/base\n")

    def checkpoint(self) -> str:
        """The tree id of the work tree as it stands."""
        self._staging.add("index")
        return self._git("write-tree").decode().strip()

    def files(self) -> bytes:
        """Names of all files that are not ignored, NUL-terminated."""
        self._staging.add("index")
        return self._git("ls-files", "-z")

    def snapshot(self, known_tree: str, max_bytes: int) -> tuple[str, bytes, list[str]]:
        """The tree id of the work tree, the change against the base unless it is still the known tree, and what was left out."""
        tree = self.checkpoint()
        changed = b"" if tree == known_tree else self._changed(tree, max_bytes)
        return tree, changed, self._staging.left_out()

    def diff(self, max_bytes: int) -> bytes:
        """The change of the work tree against the base as UTF-8 text."""
        return self._changed(self.checkpoint(), max_bytes)

    def _changed(self, tree: str, max_bytes: int) -> bytes:
        """The way from the base to `tree` as text."""
        text = self._diff_text(tree, max_bytes)
        if not _is_text(text):
            self._mark_binary(tree, max_bytes)
            text = self._diff_text(tree, max_bytes)
            _put(self._git.inside("info/attributes"), ATTRIBUTES)
            if not _is_text(text):
                raise RepositoryError("the diff is not UTF-8 text")
        return text

    def _diff_text(self, tree: str, max_bytes: int, *paths: str) -> bytes:
        target = self._git.inside("diff.out")
        self._git(*DIFF, f"--output={target}", self._base, tree, "--", *paths)
        try:
            size = os.stat(target).st_size
            if size > max_bytes:
                raise ValueError(f"the diff has {size} bytes, more than {max_bytes}")
            with open(target, "rb") as file:
                return file.read()
        finally:
            self._git.forget("diff.out")

    def _mark_binary(self, tree: str, max_bytes: int) -> None:
        """Have files whose text is not UTF-8 shown as binary patches: a diff travels as text and must not lose a byte."""
        names = self._git("diff-tree", "-r", "--no-renames", "--name-only", "-z", self._base, tree)
        lines = [
            b'"/' + _attribute_pattern(raw) + b'" -diff\n'
            for raw in names.split(b"\0")[:-1]
            if not _is_text(self._diff_text(tree, max_bytes, raw.decode("utf-8", "surrogateescape")))
        ]
        with open(self._git.inside("info/attributes"), "wb") as file:
            file.writelines([ATTRIBUTES.encode(), *lines])

    def restore(self, diff: bytes) -> None:
        """Bring the work tree to the base with `diff` applied. Ignored files stay."""
        tree = self._base
        if diff:
            index = "index.apply"
            self._git.forget(index)
            self._git("read-tree", self._base, index=index)
            self._git("apply", "--cached", "--whitespace=nowarn", "-", index=index, stdin=diff)
            tree = self._git("write-tree", index=index).decode().strip()
            self._git.forget(index)
        try:
            self._staging.add("index")
            for name in self._staging.left_out():
                # In no index, so git would leave a new one; a changed one it brings back.
                clear(os.path.join(self._root, name))
            self._clear_nested(tree)
            self._git("read-tree", "--reset", "-u", tree)
        except RepositoryError:
            # Something is in the way (a folder without rights, a spoilt index): clear the place and fill it anew.
            empty(self._root)
            self._git.forget("index")
            self._git("read-tree", "--reset", "-u", tree)
        self.modules.refill()
        if not os.path.isfile(os.path.join(self._root, ".git", "HEAD")):
            clear(os.path.join(self._root, ".git"))
            self._make_own(_lines(self._git.inside("shallow")))
            self.unpack_artefacts(self._artefacts)

    def _clear_nested(self, tree: str) -> None:
        """Remove repositories that a command made in the work tree: git takes them for submodules and lets them stand."""
        changes = self._git("diff-index", "--cached", "--raw", "-z", "--no-renames", tree).split(b"\0")
        made = [name for meta, name in zip(changes[::2], changes[1::2], strict=False) if b" 160000 " in meta]
        if made:
            clear(*(os.path.join(self._root, os.fsdecode(name)) for name in made))

    def keep_artefacts(self, folder: str) -> int:
        """Put what a setup phase left in the work tree besides the commit's files into `folder`; its size."""
        names = self._git("ls-files", "--others", "--directory", "--no-empty-directory", "-z")
        if not names:
            return 0
        listing = self._git.inside("artefacts.list")
        with open(listing, "wb") as file:
            file.write(names)
        target = os.path.join(folder, ARTEFACTS)
        self._git.run(["tar", "-C", self._root, "--null", "--no-unquote", "-T", listing, "-cf", target])
        with open(os.path.join(folder, EXCLUDES), "wb") as file:
            file.writelines(b"/" + _exclude_pattern(raw) + b"\n" for raw in names.split(b"\0")[:-1])
        return os.stat(target).st_size

    def unpack_artefacts(self, folder: str) -> None:
        """The reverse, where `folder` has any; they are excluded from checkpoints and diffs."""
        self._artefacts = folder
        source = os.path.join(folder, ARTEFACTS)
        if not os.path.isfile(source):
            return
        self._git.run(["tar", "-C", self._root, "--skip-old-files", "-xf", source])
        shutil.copyfile(os.path.join(folder, EXCLUDES), self._git.inside("info/exclude"))
        own = os.path.join(self._root, ".git", "info", "exclude")
        shutil.copyfile(os.path.join(folder, EXCLUDES), own)


def _put(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _lines(path: str) -> list[str]:
    """The lines of the file; none where there is none."""
    with suppress(OSError), open(path) as file:
        return file.read().split()
    return []


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in data


def _exclude_pattern(raw: bytes) -> bytes:
    """`raw` as a line of an exclude file that means exactly this path."""
    escaped = b"".join(b"\\" + bytes([byte]) if byte in b"\\*?[ !#" else bytes([byte]) for byte in raw)
    return escaped.replace(b"\n", b"?")


def _attribute_pattern(raw: bytes) -> bytes:
    """`raw` as a quoted pattern of an attributes file that means exactly this path."""
    return b"".join(_attribute_byte(byte) for byte in raw)


def _attribute_byte(byte: int) -> bytes:
    if byte in b"\\*?[":
        # Once for the pattern, and again for the quotes around it.
        return b"\\\\" + (b"\\\\" if byte == ord("\\") else bytes([byte]))
    if byte == ord('"') or byte < ord(" ") or byte > ord("~"):
        return b"\\%03o" % byte
    return bytes([byte])
