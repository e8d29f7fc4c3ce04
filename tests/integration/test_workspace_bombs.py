"""Repositories of a few objects that stand for more than any disk holds."""

from pathlib import Path

import pytest

from coder.errors import WorkspaceError
from coder.types import Remote, RepoRef
from coder.workspace.git import Git
from coder.workspace.workspace import Workspace
from tests.servers.github_git import create_repository, git


def test_a_tree_of_billions_of_files_is_refused_and_fills_no_memory(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    create_repository(origin, {"a": "1\n"})
    entry = git("ls-tree", "main", cwd=origin).split()[2].decode()
    kind = "100644 blob"
    for _ in range(9):
        lines = "".join(f"{kind} {entry}\t{'name' * 50}{number}\n" for number in range(10))
        entry = git("mktree", cwd=origin, stdin=lines.encode()).decode().strip()
        kind = "040000 tree"
    sha = git("commit-tree", entry, cwd=origin, stdin=b"Bomb").decode().strip()
    git("update-ref", "refs/heads/main", sha, cwd=origin)
    repository = Workspace(tmp_path / "ws").fetch(
        Remote(url=str(origin), local=True), RepoRef(owner="o", name="bomb"), sha
    )

    with pytest.raises(WorkspaceError, match="ls-tree prints more than"):
        repository.files(sha)


def test_a_call_ends_where_it_prints_too_much(tmp_path: Path) -> None:
    create_repository(tmp_path / "origin", {f"file-{number}": "1\n" for number in range(100)})
    args, folder = ["ls-tree", "-r", "main"], tmp_path / "origin" / ".git"
    whole = Git().output(args, git_dir=folder)

    assert Git().output(args, git_dir=folder, max_bytes=len(whole)) == whole
    with pytest.raises(WorkspaceError, match="more than 1000 bytes"):
        Git().output(args, git_dir=folder, max_bytes=1_000)
