"""A disk that is full, and work trees with what no reader should follow or load."""

import os
import subprocess
from pathlib import Path

import pytest

from coder.codemap.documents import postings
from coder.codemap.index import Index
from coder.codemap.map import CodeMap
from coder.codemap.parsed import Parsed
from coder.codemap.worktrees import work_tree
from coder.errors import CodeMapError


def git(folder: Path, *args: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *args], cwd=folder, capture_output=True, check=True)


def test_a_full_disk_is_a_clear_error_and_what_was_stored_stays(tmp_path: Path) -> None:
    index = Index.open(tmp_path / "index.db")
    stored, lost = ("a" * 40, "python"), ("b" * 40, "python")
    index.add({stored: Parsed.of("parsed", [], postings(b"cart price", []))})
    (pages,) = index._connection.execute("PRAGMA page_count").fetchone()
    index._connection.execute(f"PRAGMA max_page_count = {pages}")

    many = " ".join(f"word{number}" for number in range(200_000)).encode()
    with pytest.raises(CodeMapError, match="full"):
        index.add({lost: Parsed.of("parsed", [], postings(many, []))})

    assert set(index.rows([stored, lost])) == {stored}
    blobs = {row.id for row in index.rows([stored]).values()}
    assert len(index.places(["cart"], blobs)["cart"]) == 1
    index.close()


def test_loops_of_links_huge_files_and_repositories_inside_are_passed_by(tmp_path: Path) -> None:
    root, inner = tmp_path / "shop", tmp_path / "shop" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner, root):
        git(folder, "init", "-q")
        (folder / "cart.py").write_text("def cart_price(): pass\n")
        git(folder, "add", "cart.py")
        git(folder, "commit", "-qm", "x")
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},inner")
    (root / "loop").symlink_to(root)
    (root / "round.py").symlink_to("round.py")
    os.mkfifo(root / "pipe.py")
    (root / "long.py").write_bytes(b"x = 1 " * 3_000_000)
    with (root / "huge.py").open("wb") as huge:
        huge.truncate(2 << 30)

    tree = work_tree(root)
    with CodeMap(tmp_path / "index.db") as codemap:
        text = codemap.map(tree, focus="cart price", max_tokens=300)

    assert set(tree.files()) == {"cart.py", "long.py"}
    assert text.split("\n")[0] == "cart.py"
    assert "long.py" not in text
