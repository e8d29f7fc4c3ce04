"""Turns the diff that came out of a sandbox into a tree of ours, or refuses it.

The text is only applied to a private index of a bare repository. What counts is the tree that results: every path, mode,
link and size in which it differs from base is checked, whatever the text claimed.
"""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from coder.errors import PatchRefusedError
from coder.types import FileChange, Patch
from coder.workspace.git import Git, checked_sha
from coder.workspace.objects import Objects
from coder.workspace.policy import (
    Change,
    PatchRules,
    collisions,
    escaping_links,
    is_git_name,
    matches,
    path_problem,
    shown,
)

# A delta of a few bytes may copy megabytes out of its base, again and again: git itself gets no more than this.
APPLY_MEMORY_MB = 2048
APPLY_TIMEOUT_S = 60.0
MAX_LINK_BYTES = 4096  # Linux's PATH_MAX
_MAX_DIGITS = 12
_NULL = re.compile(r"0+\Z")
_MODE = re.compile(rb"^new (?:file )?mode ([^\r\n]*)\r?$", re.MULTILINE)
_LITERAL = re.compile(rb"^literal (\d+)\r?$", re.MULTILINE)


class PatchWorkshop:
    """Applies diffs and builds trees in one bare repository, each in an index of its own."""

    def __init__(self, git_dir: Path, git: Git, objects: Objects) -> None:
        self._git_dir = git_dir
        self._git = git
        self._objects = objects

    def apply(self, base_sha: str, diff: str, rules: PatchRules) -> Patch:
        """The patch that `diff` makes on the commit `base_sha`.

        Raises:
            PatchRefusedError: It breaks a rule, or does not apply.
            WorkspaceError: Git failed.
        """
        base_tree = self._tree_of(checked_sha(base_sha))
        data = diff.encode("utf-8", "surrogateescape")
        if not data.strip():
            return Patch(base_sha=base_sha, tree_sha=base_tree, diff="", files=())
        _check_text(data, rules)
        tree_sha = self._applied(base_tree, data)
        changes = self._changes(base_tree, tree_sha)
        _check_changes(changes, rules)
        self._check_sizes(changes, rules)
        self._check_neighbours(changes, base_tree, tree_sha, rules)
        flagged = tuple(sorted({shown(change.path) for change in changes if matches(rules.protected, _text(change))}))
        return Patch(
            base_sha=base_sha,
            tree_sha=tree_sha,
            diff=self._printable(diff, base_tree, tree_sha, changes),
            files=self._files(changes, base_tree, tree_sha),
            flagged=flagged,
        )

    def overlay(self, tree_sha: str, *, source_tree: str, paths: Sequence[str]) -> str:
        """A tree like `tree_sha` in which `paths` are as in `source_tree`: its files, or nothing where it has none.

        Raises:
            WorkspaceError: Git failed, or a path of the source collides with a folder of the target.
        """
        source = self._objects.entries(source_tree)
        lines = [f"0 {'0' * len(tree_sha)}\t".encode("ascii") + _bytes(path) for path in paths]
        for path in paths:
            entry = source.get(path)
            if entry is not None:
                lines.append(f"{entry.mode} {entry.blob_sha} 0\t".encode("ascii") + _bytes(path))
        with tempfile.TemporaryDirectory(prefix="coder-index-") as folder:
            env = {"GIT_INDEX_FILE": f"{folder}/index"}
            self._git.output(["read-tree", checked_sha(tree_sha)], git_dir=self._git_dir, env=env)
            args = ["update-index", "--replace", "-z", "--index-info"]
            stdin = b"".join(line + b"\0" for line in lines)
            self._git.output(args, git_dir=self._git_dir, env=env, stdin=stdin)
            return self._git.output(["write-tree"], git_dir=self._git_dir, env=env).decode("ascii").strip()

    def _tree_of(self, commit_sha: str) -> str:
        args = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit_sha}^{{tree}}"]
        return self._git.output(args, git_dir=self._git_dir).decode("ascii").strip()

    def _applied(self, base_tree: str, data: bytes) -> str:
        with tempfile.TemporaryDirectory(prefix="coder-index-") as folder:
            env = {"GIT_INDEX_FILE": f"{folder}/index"}
            self._git.output(["read-tree", base_tree], git_dir=self._git_dir, env=env)
            finished = self._git.run(
                ["apply", "--cached", "--whitespace=nowarn", "-p1", "-"],
                git_dir=self._git_dir,
                stdin=data,
                env=env,
                timeout_s=APPLY_TIMEOUT_S,
                memory_mb=APPLY_MEMORY_MB,
            )
            if finished.exit_code != 0:
                raise PatchRefusedError(f"the diff does not apply to its base: {finished.reason}")
            return self._git.output(["write-tree"], git_dir=self._git_dir, env=env).decode("ascii").strip()

    def _changes(self, base_tree: str, tree_sha: str) -> list[Change]:
        args = ["diff-tree", "-r", "-z", "--raw", "--full-index", "--no-renames", base_tree, tree_sha]
        fields = self._git.output(args, git_dir=self._git_dir).split(b"\0")
        changes: list[Change] = []
        for meta, path in zip(fields[0::2], fields[1::2], strict=False):
            old_mode, new_mode, old_sha, new_sha, status = meta.decode("ascii").lstrip(":").split()
            changes.append(Change(path, old_mode, new_mode, old_sha, new_sha, status[0]))
        return changes

    def _check_sizes(self, changes: Sequence[Change], rules: PatchRules) -> None:
        kept = [change for change in changes if not change.deleted and change.new_mode != "160000"]
        sizes = self._objects.sizes(change.new_sha for change in kept)
        for change in kept:
            if sizes[change.new_sha] > rules.max_file_bytes:
                raise PatchRefusedError(
                    f"{shown(change.path)}: {sizes[change.new_sha]} bytes, more than the {rules.max_file_bytes} allowed"
                )
        total = sum(sizes[change.new_sha] for change in kept)
        if total > rules.max_total_bytes:
            raise PatchRefusedError(
                f"the changed files are {total} bytes, more than the {rules.max_total_bytes} allowed"
            )

    def _check_neighbours(self, changes: Sequence[Change], base_tree: str, tree_sha: str, rules: PatchRules) -> None:
        """Rules that need the whole tree: names that are one file elsewhere, and links, also old ones that now lead out."""
        after = self._objects.entries(tree_sha)
        added = [change.path for change in changes if change.added]
        pairs = collisions(added, map(_bytes, after))
        if pairs:
            raise PatchRefusedError(f"names that differ only in case or Unicode form: {pairs[0]}")
        links_after = {path: entry.blob_sha for path, entry in after.items() if entry.mode == "120000"}
        if not links_after:
            return
        if not rules.allow_symlinks and any(change.new_mode == "120000" for change in changes):
            raise PatchRefusedError("the patch adds or changes a symbolic link, which the rules do not allow")
        before = self._objects.entries(base_tree)
        links_before = {path: entry.blob_sha for path, entry in before.items() if entry.mode == "120000"}
        if any(
            after[path].size is None or (after[path].size or 0) > MAX_LINK_BYTES
            for path in links_after.keys() - links_before
        ):
            raise PatchRefusedError("the target of a symbolic link is too long")
        contents = self._objects.blobs([*links_after.values(), *links_before.values()])
        old = escaping_links({_bytes(path): contents[sha] for path, sha in links_before.items()})
        new = escaping_links({_bytes(path): contents[sha] for path, sha in links_after.items()})
        for path in sorted(new):
            unchanged = links_before.get(_str(path)) == links_after[_str(path)]
            if path not in old or not unchanged:
                raise PatchRefusedError(f"{shown(path)}: the symbolic link leads out of the repository")

    def _files(self, changes: Sequence[Change], base_tree: str, tree_sha: str) -> tuple[FileChange, ...]:
        args = [
            "diff-tree",
            "-r",
            "-z",
            "--numstat",
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
            base_tree,
            tree_sha,
        ]
        counts: dict[bytes, tuple[bytes, bytes]] = {}
        for record in self._git.output(args, git_dir=self._git_dir).split(b"\0"):
            if record:
                plus, minus, path = record.split(b"\t", 2)
                counts[path] = (plus, minus)
        found: list[FileChange] = []
        for change in changes:
            plus, minus = counts.get(change.path, (b"0", b"0"))
            status = "added" if change.added else "deleted" if change.deleted else "modified"
            found.append(
                FileChange.model_validate(
                    {
                        "path": shown(change.path),
                        "status": status,
                        "additions": None if plus == b"-" else int(plus),
                        "deletions": None if minus == b"-" else int(minus),
                    }
                )
            )
        return tuple(found)

    def _printable(self, diff: str, base_tree: str, tree_sha: str, changes: Sequence[Change]) -> str:
        """The diff as text that fits into JSON: files that are not UTF-8 become binary hunks, and nothing else changes."""
        try:
            diff.encode("utf-8")
        except UnicodeEncodeError:
            pass
        else:
            return diff
        parts: list[str] = []
        with tempfile.TemporaryDirectory(prefix="coder-attributes-") as folder:
            attributes = Path(folder) / "attributes"
            attributes.write_text("* -diff\n", encoding="ascii")
            for change in changes:
                text = self._one_diff(change.path, base_tree, tree_sha, None)
                try:
                    parts.append(text.decode("utf-8"))
                except UnicodeDecodeError:
                    parts.append(
                        self._one_diff(change.path, base_tree, tree_sha, attributes).decode("utf-8", "replace")
                    )
        return "".join(parts)

    def _one_diff(self, path: bytes, base_tree: str, tree_sha: str, attributes: Path | None) -> bytes:
        args = ["-c", f"core.attributesFile={attributes}"] if attributes else []
        args += ["diff-tree", "-r", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv"]
        args += [
            "--no-color",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            base_tree,
            tree_sha,
            "--",
            f":(literal,top){_str(path)}",
        ]
        return self._git.output(args, git_dir=self._git_dir)


def _check_text(data: bytes, rules: PatchRules) -> None:
    """Cheap limits first, so that git never sees what it could choke on."""
    if len(data) > rules.max_diff_bytes:
        raise PatchRefusedError(f"the diff is {len(data)} bytes, more than the {rules.max_diff_bytes} allowed")
    if b"\0" in data:
        raise PatchRefusedError("the diff holds a NUL byte")
    files = data.count(b"\ndiff --git ") + data.startswith(b"diff --git ")
    if files == 0:
        raise PatchRefusedError("the diff names no file")
    if files > rules.max_files:
        raise PatchRefusedError(f"the diff changes {files} files, more than the {rules.max_files} allowed")
    _check_headers(data, rules)


def _check_headers(data: bytes, rules: PatchRules) -> None:
    # Lines of a text hunk start with a blank, `+` or `-`, so this matches only what git reads as a binary hunk.
    for match in _MODE.finditer(data):
        if match[1] not in {b"100644", b"100755", b"120000"}:
            raise PatchRefusedError(f"mode {shown(match[1])[:20]} is not allowed in a patch")
    for match in _LITERAL.finditer(data):
        # Each binary hunk also carries the old content for the way back, so the limit for new files is not doubled here.
        if len(match[1]) > _MAX_DIGITS or int(match[1]) > 20 * rules.max_file_bytes:
            raise PatchRefusedError(f"a binary file of {match[1][:20].decode()} bytes is larger than allowed")


def _check_changes(changes: Sequence[Change], rules: PatchRules) -> None:
    if len(changes) > rules.max_files:
        raise PatchRefusedError(f"the patch changes {len(changes)} files, more than the {rules.max_files} allowed")
    for change in changes:
        name = shown(change.path)
        problem = path_problem(change.path) if change.added else None
        if problem is None and any(is_git_name(part) for part in _text(change).split("/")):
            problem = "the path belongs to git itself"
        if problem is None:
            problem = _mode_problem(change)
        if problem is not None:
            raise PatchRefusedError(f"{name}: {problem}")
        if matches(rules.blocked, _text(change)):
            raise PatchRefusedError(f"{name}: the repository's rules block changes of this path")


def _mode_problem(change: Change) -> str | None:
    if change.deleted:
        return None
    if change.new_mode == "160000":
        return "submodules may not be added or moved"
    if change.new_mode not in {"100644", "100755", "120000"}:
        return f"mode {change.new_mode} is not allowed"
    if _NULL.match(change.new_sha):
        return "the new content is missing"
    return None


def _text(change: Change) -> str:
    return _str(change.path)


def _str(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
