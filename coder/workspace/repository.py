"""One bare repository of ours: reads commits, builds trees and commits, pushes."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from coder.errors import WorkspaceError
from coder.types import Patch, Remote, TreePack
from coder.workspace.git import PLUMBING_TIMEOUT_S, RECEIVE_PACK, Git, checked_branch, checked_sha
from coder.workspace.history import History
from coder.workspace.objects import CommitTree, Entry, Objects
from coder.workspace.patch import PatchWorkshop
from coder.workspace.policy import PatchRules

READ_LIMIT_BYTES = 64 * 1024 * 1024
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/@-]{0,99}")
"""Names of tags that go into a sandbox: git allows more, no version needs it."""


class Repository:
    """A mirror of one remote. Everything that is named is named by a full object id; nothing is ever checked out."""

    def __init__(self, git_dir: Path, *, git: Git) -> None:
        self._git_dir = git_dir
        self._git = git
        self._objects = Objects(git_dir, git)
        self._workshop = PatchWorkshop(git_dir, git, self._objects)
        self.history = History(git_dir, git)
        """What lies between its commits."""
        self.modules: dict[str, TreePack] = {}
        """Submodules that were fetched, by their commit: they are packed with every tree that has them."""

    def pack(self, commit_sha: str, *, depth: int = 50) -> TreePack:
        """The commit, its tree and up to `depth` commits of its history as one packfile.

        Raises:
            WorkspaceError: There is no such commit here.
        """
        args = [
            "rev-list",
            "--parents",
            "--topo-order",
            f"--max-count={max(depth, 1)}",
            "--end-of-options",
            checked_sha(commit_sha),
        ]
        lines = [line.split() for line in self._git.output(args, git_dir=self._git_dir).decode("ascii").splitlines()]
        inside = {line[0] for line in lines}
        cut = self._cut_commits()
        shallow = tuple(line[0] for line in lines if line[0] in cut or any(parent not in inside for parent in line[1:]))
        stdin = "".join(f"--shallow {sha}\n" for sha in shallow) + f"{commit_sha}\n"
        pack_args = [
            "--shallow-file",
            "",
            "pack-objects",
            "--revs",
            "--stdout",
            "--shallow",
            "-q",
            "--delta-base-offset",
        ]
        pack = self._git.output(
            pack_args, git_dir=self._git_dir, stdin=stdin.encode("ascii"), timeout_s=4 * PLUMBING_TIMEOUT_S
        )
        tags = self._tags(commit_sha, [line[0] for line in lines], cut=bool(shallow))
        inner = tuple(
            (path, self.modules[entry.blob_sha])
            for path, entry in (self.files(commit_sha) if self.modules else {}).items()
            if entry.mode == "160000" and entry.blob_sha in self.modules
        )
        return TreePack(commit_sha=commit_sha, pack=pack, shallow=shallow, tags=tags, inner=inner)

    def _tags(self, commit_sha: str, commits: Sequence[str], *, cut: bool) -> tuple[tuple[str, str], ...]:
        """The tags of `commits`. Where a cut leaves none, the one before them, at the oldest of the first parents.

        setuptools-scm, hatch-vcs, versioneer and the like ask `git describe` for a version, and without a tag make a
        project 0.0 or 0.1, which then is too old for its own plug-ins.
        """
        inside, shown = frozenset(commits), "--format=%(objectname) %(*objectname) %(refname:strip=2)"
        listed = self._git.output(["for-each-ref", shown, "refs/tags"], git_dir=self._git_dir)
        found = []
        for line in listed.decode("utf-8", "replace").splitlines():
            sha, peeled, name = line.split(" ", 2)
            if (peeled or sha) in inside and _TAG.fullmatch(name):
                found.append((name, peeled or sha))
        if found or not cut:
            return tuple(found)
        described = self._git.run(
            ["describe", "--tags", "--abbrev=0", "--match=*[0-9]*", commit_sha], git_dir=self._git_dir
        )
        name = described.stdout.decode("utf-8", "replace").strip()
        if described.exit_code != 0 or not _TAG.fullmatch(name):
            return ()
        args = ["rev-list", "--first-parent", f"--max-count={len(commits)}", commit_sha]
        first = self._git.output(args, git_dir=self._git_dir).decode("ascii").split()
        return ((name, [sha for sha in first if sha in inside][-1]),)

    def files(self, tree_ish: str) -> Mapping[str, Entry]:
        """Every file of a commit or tree by path.

        Raises:
            WorkspaceError: There is no such tree here.
        """
        return self._objects.entries(tree_ish)

    def read(self, tree_ish: str, path: str) -> bytes:
        """The bytes of one file (of a link: its target).

        Raises:
            WorkspaceError: There is no such file, or it is larger than `READ_LIMIT_BYTES`.
        """
        entry = self._objects.entries(tree_ish).get(path)
        if entry is None or entry.size is None:
            raise WorkspaceError(f"no file {path!r} in {tree_ish[:12]}")
        if entry.size > READ_LIMIT_BYTES:
            raise WorkspaceError(f"{path!r} is too large to read: {entry.size} bytes")
        return self._objects.blobs([entry.blob_sha])[entry.blob_sha]

    def tree(self, tree_ish: str) -> CommitTree:
        """The regular files of a commit or tree, for the code map.

        Raises:
            WorkspaceError: There is no such tree here.
        """
        return CommitTree(self._objects, tree_ish)

    def tree_sha(self, commit_sha: str) -> str:
        """The id of a commit's tree.

        Raises:
            WorkspaceError: There is no such commit here.
        """
        args = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{checked_sha(commit_sha)}^{{tree}}"]
        finished = self._git.run(args, git_dir=self._git_dir)
        if finished.exit_code != 0:
            raise WorkspaceError(f"no commit {commit_sha[:12]} in the mirror")
        return finished.stdout.decode("ascii").strip()

    def subjects(self, commit_sha: str, *, limit: int = 50) -> tuple[str, ...]:
        """The subjects of a commit and those before it, the newest first, merges left out.

        Raises:
            WorkspaceError: There is no such commit here.
        """
        args = ["log", "--format=%s", "--no-merges", f"--max-count={limit}", checked_sha(commit_sha), "--"]
        return tuple(self._git.output(args, git_dir=self._git_dir).decode("utf-8", "replace").splitlines())

    def merge_base(self, one_sha: str, other_sha: str) -> str:
        """The commit from which two branches went apart.

        Raises:
            WorkspaceError: They have none in common, or one of them is not here.
        """
        args = ["merge-base", checked_sha(one_sha), checked_sha(other_sha)]
        finished = self._git.run(args, git_dir=self._git_dir)
        if finished.exit_code != 0:
            raise WorkspaceError(f"{one_sha[:12]} and {other_sha[:12]} have no commit in common here")
        return finished.stdout.decode("ascii").strip()

    def apply(self, base_sha: str, diff: str, rules: PatchRules) -> Patch:
        """What `diff` (`git diff --cached --binary --full-index --no-renames`) makes of the commit `base_sha`.

        Raises:
            PatchRefusedError: It breaks a rule, or does not apply.
            WorkspaceError: Git failed.
        """
        return self._workshop.apply(base_sha, diff, rules)

    def overlay(self, tree_sha: str, *, source_tree: str, paths: Sequence[str]) -> str:
        """A tree like `tree_sha` in which `paths` are as in `source_tree`: its files, or nothing where it has none.

        Raises:
            WorkspaceError: Git failed.
        """
        return self._workshop.overlay(tree_sha, source_tree=source_tree, paths=paths)

    def commit_tree(
        self,
        tree_sha: str,
        *,
        parents: Sequence[str],
        message: str,
        author_name: str,
        author_email: str,
        timestamp: int,
    ) -> str:
        """Store a commit; the same arguments always give the same id. `timestamp` is seconds since 1970, in UTC.

        Raises:
            WorkspaceError: A parent or the tree is missing.
        """
        args = ["commit-tree", checked_sha(tree_sha)]
        for parent in parents:
            args += ["-p", checked_sha(parent)]
        name = _identity(author_name, "coder")
        email = _identity(author_email, "coder@localhost")
        env = {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
            "GIT_AUTHOR_DATE": f"@{timestamp} +0000",
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": email,
            "GIT_COMMITTER_DATE": f"@{timestamp} +0000",
        }
        text = message.replace("\0", "").strip() + "\n"
        out = self._git.output(args, git_dir=self._git_dir, env=env, stdin=text.encode("utf-8", "replace"))
        return out.decode("ascii").strip()

    def push(self, remote: Remote, commit_sha: str, branch: str, *, replaces: str | None = None) -> None:
        """Create `branch` at `commit_sha` on the remote, or move it there from `replaces`; never by force.

        A branch that is there already is success.

        Raises:
            WorkspaceError: The branch is at another commit, the move would lose commits, or the remote refuses.
        """
        checked_sha(commit_sha)
        there = self.branch_sha(remote, branch)
        if there in {None, replaces} and there != commit_sha:
            if there is not None and not self.history.is_ancestor(there, commit_sha):
                raise WorkspaceError(
                    f"{commit_sha[:12]} does not follow {there[:12]}: {branch!r} is not moved by force"
                )
            # Git refuses to move a branch to what does not follow it. The lease says that a new one must not exist:
            # two runs that race cannot move each other's work.
            lease = [f"--force-with-lease=refs/heads/{branch}:"] if there is None else []
            args = ["push", "--quiet", "--no-verify", "--no-follow-tags", *lease]
            if remote.local:
                args.append(RECEIVE_PACK)
            args += ["--end-of-options", remote.url, f"{commit_sha}:refs/heads/{branch}"]
            finished = self._git.talk(args, remote, git_dir=self._git_dir)
            if finished.exit_code == 0:
                return
            now = self.branch_sha(remote, branch)  # the answer may have been lost after the work was done
            if now == there:
                raise finished.error(f"cannot push branch {branch!r}")
            there = now
        if there != commit_sha:
            raise WorkspaceError(
                f"branch {branch!r} already exists at {(there or '')[:12]}, not at {commit_sha[:12]}: delete or rename it there"
            )

    def _cut_commits(self) -> frozenset[str]:
        """Where the mirror's own history ends because its remote's does."""
        try:
            return frozenset((self._git_dir / "shallow").read_text("ascii").split())
        except FileNotFoundError:
            return frozenset()

    def branch_sha(self, remote: Remote, branch: str) -> str | None:
        """The commit that `branch` is at on the remote, asked now; None when there is no such branch.

        Raises:
            WorkspaceError: The remote cannot be read.
        """
        ref = f"refs/heads/{checked_branch(branch)}"
        args = ["ls-remote", "--quiet", "--heads", "--end-of-options", remote.url, ref]
        finished = self._git.talk(args, remote, timeout_s=PLUMBING_TIMEOUT_S)
        if finished.exit_code != 0:
            raise finished.error("cannot read the branches of the remote")
        for line in finished.stdout.decode("utf-8", "replace").splitlines():
            sha, _, name = line.partition("\t")
            if name == ref:
                return checked_sha(sha)
        return None


def _identity(text: str, default: str) -> str:
    """A name or address as git takes it: one line without angle brackets."""
    return re.sub(r"[<>\x00-\x1f\x7f]+", " ", text).strip(" .,:;\"'\\")[:200] or default
