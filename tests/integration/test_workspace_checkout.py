import os
import subprocess
import sys
from pathlib import Path

import pytest

from coder.errors import InputError, WorkspaceError
from coder.workspace.checkout import Checkout
from tests.servers.github_git import create_repository, git


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_repository(
        tmp_path / "repo",
        {
            "a.py": "one\n",
            "run.sh*": "#!/bin/sh\n",
            "link@": "/etc/passwd",
            "sub/ü.txt": "x\n",
            ".gitignore": "*.log\n",
        },
    )
    return tmp_path / "repo"


def blob(folder: Path, path: str) -> str:
    return git("hash-object", "--", path, cwd=folder).decode().strip()


def test_a_clean_checkout_is_clean_from_any_folder_in_it(folder: Path) -> None:
    checkout = Checkout(folder / "sub")

    assert checkout.path == folder
    assert checkout.branch == "main"
    assert checkout.head == git("rev-parse", "HEAD", cwd=folder).decode().strip()
    assert not checkout.is_dirty()


@pytest.mark.parametrize(
    "change", ["edit", "same size", "delete", "untracked", "staged", "exec bit", "link", "staged and reverted"]
)
def test_every_kind_of_change_makes_it_dirty(folder: Path, change: str) -> None:
    match change:
        case "edit":
            (folder / "a.py").write_text("three\n")
        case "same size":
            (folder / "a.py").write_text("two\n")
        case "delete":
            (folder / "a.py").unlink()
        case "untracked":
            (folder / "new.py").write_text("")
        case "staged" | "staged and reverted":
            (folder / "a.py").write_text("three\n")
            git("add", "a.py", cwd=folder)
            if change != "staged":
                (folder / "a.py").write_text("one\n")
        case "exec bit":
            (folder / "a.py").chmod(0o755)
        case _:
            (folder / "link").unlink()
            (folder / "link").symlink_to("a.py")

    assert Checkout(folder).is_dirty()


def test_ignored_files_and_a_rewrite_of_the_same_bytes_are_clean(folder: Path) -> None:
    (folder / "x.log").write_text("noise")
    (folder / "a.py").write_text("one\n")

    assert not Checkout(folder).is_dirty()


def test_a_sparse_checkout_is_clean(folder: Path) -> None:
    git("update-index", "--skip-worktree", "a.py", cwd=folder)
    (folder / "a.py").unlink()

    checkout = Checkout(folder)

    assert not checkout.is_dirty()
    assert "a.py" not in checkout.tree().files()


def test_a_linked_work_tree_is_a_checkout(folder: Path, tmp_path: Path) -> None:
    git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"), cwd=folder)

    checkout = Checkout(tmp_path / "linked")

    assert (checkout.path, checkout.branch, checkout.is_dirty()) == (tmp_path / "linked", "side", False)


def test_the_tree_is_the_disk_and_not_the_index(folder: Path) -> None:
    (folder / "a.py").write_text("dirty\n")
    (folder / "run.sh").unlink()
    (folder / "new.py").write_text("new\n")
    (folder / "x.log").write_text("noise")

    tree = Checkout(folder).tree()

    assert tree.files() == {path: blob(folder, path) for path in (".gitignore", "a.py", "new.py", "sub/ü.txt")}
    assert tree.read("a.py") == b"dirty\n"


def test_nothing_is_read_through_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/ü.txt").write_text("secret")
    checkout = Checkout(folder)
    tree = checkout.tree()
    (folder / "sub/ü.txt").unlink()
    (folder / "sub").rmdir()
    (folder / "sub").symlink_to(tmp_path / "secret")
    (folder / "a.py").unlink()
    (folder / "a.py").symlink_to("/etc/passwd")

    for path in ("sub/ü.txt", "a.py", "../secret/ü.txt", "link"):
        with pytest.raises(WorkspaceError, match="cannot read"):
            tree.read(path)

    assert set(checkout.tree().files()) == {".gitignore", "run.sh"}


def test_a_pipe_does_not_hang_it(folder: Path) -> None:
    (folder / "a.py").unlink()
    os.mkfifo(folder / "a.py")

    assert "a.py" not in Checkout(folder).tree().files()


def test_looking_runs_nothing_that_the_folder_asks_for(folder: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\necho $0 >> {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "core.editor",
        "diff.external",
        "filter.trap.clean",
        "filter.trap.smudge",
        "filter.trap.process",
        "diff.trap.textconv",
        "diff.trap.command",
        "credential.helper",
    ):
        git("config", key, str(trap), cwd=folder)
    (folder / ".gitattributes").write_text("* filter=trap diff=trap\n")
    (folder / ".git/hooks").mkdir(exist_ok=True)
    for name in ("post-index-change", "fsmonitor-watchman", "post-checkout"):
        (folder / ".git/hooks" / name).symlink_to(trap)
    (folder / "a.py").write_text("two\n")

    checkout = Checkout(folder)

    assert checkout.is_dirty()
    assert "a.py" in checkout.tree().files()
    assert checkout.branch == "main"
    assert not (tmp_path / "sprung").exists()


def test_apply_changes_files_but_not_the_index_or_nothing_at_all(folder: Path) -> None:
    (folder / "a.py").write_text("two\n")
    (folder / "b.py").write_text("b\n")
    git("add", "-A", cwd=folder)
    diff = git("diff", "--cached", "--binary", "--full-index", "--no-renames", cwd=folder).decode()
    git("reset", "-q", "--hard", cwd=folder)
    checkout = Checkout(folder)

    checkout.apply(diff)

    assert (folder / "b.py").read_text() == "b\n"
    assert (folder / "a.py").read_text() == "two\n"
    with pytest.raises(WorkspaceError, match="does not apply"):
        checkout.apply(diff)
    checkout.apply("")


def test_what_is_no_checkout_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(InputError, match="git init"):
        Checkout(tmp_path / "plain")
    with pytest.raises(InputError, match="not a folder"):
        Checkout(tmp_path / "missing")
    (tmp_path / "fresh").mkdir()
    git("init", "-q", cwd=tmp_path / "fresh")
    with pytest.raises(InputError, match="no commit yet"):
        Checkout(tmp_path / "fresh")


def test_a_detached_head_has_no_branch(folder: Path) -> None:
    git("checkout", "-q", "--detach", cwd=folder)

    assert Checkout(folder).branch is None


def test_the_command_line_path_imports_no_heavy_library() -> None:
    code = (
        "import sys, coder.workspace.checkout\n"
        "print(sorted({'git', 'pydantic', 'github', 'docker', 'litellm', 'requests'} & sys.modules.keys()))"
    )

    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, cwd=Path(__file__).parents[2]
    )

    assert output.stdout.strip() == b"[]"
