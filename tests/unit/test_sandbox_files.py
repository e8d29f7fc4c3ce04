"""Files below a root, with the kernel's help and without."""

import os
from pathlib import Path

import pytest

from coder.sandbox.inside.files import Tree


@pytest.fixture(params=["openat2", "walking"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    root = tmp_path / "root"
    (root / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "outside").write_bytes(b"secret")
    (root / "folder" / "file").write_bytes(b"content")
    (root / "shortcut").symlink_to("folder/deep/../file")
    (root / "folder" / "deep" / "up").symlink_to("../../folder/file")
    (root / "here").symlink_to(".")
    (root / "escape").symlink_to("../outside")
    (root / "folder" / "climb").symlink_to("../../..")
    (root / "absolute").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("folder/new")
    (root / "magic").symlink_to("/proc/self/cwd/x")
    os.mkfifo(root / "fifo")
    made = Tree(str(root))
    if request.param == "walking":
        made._openat2 = False
    return made


@pytest.mark.parametrize(
    "path",
    ["folder/file", "./folder//file", "folder/../folder/file", "shortcut", "folder/deep/up", "here/here/shortcut"],
)
def test_what_is_inside_is_read(tree: Tree, path: str) -> None:
    assert tree.read(path, 100) == b"content"


def test_an_absolute_path_below_the_root_is_understood(tree: Tree) -> None:
    assert tree.read(f"{tree.root}/folder/file", 100) == b"content"
    with pytest.raises(ValueError, match="outside"):
        tree.read(f"{tree.root}/../outside", 100)


@pytest.mark.parametrize(
    "path",
    ["../outside", "escape", "folder/climb/etc/passwd", "absolute", "magic", "folder/../../outside", "/x", "", "a\0"],
)
def test_what_is_outside_is_refused(tree: Tree, path: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"outside|relative|not a path"):
        tree.read(path, 100)
    with pytest.raises(ValueError, match=r"outside|relative|not a path"):
        tree.write(path, b"x")
    assert (tmp_path / "outside").read_bytes() == b"secret"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("folder", IsADirectoryError),
        ("fifo", ValueError),
        ("loop", OSError),
        ("none", FileNotFoundError),
        ("dangling", FileNotFoundError),
        ("folder/file/below", NotADirectoryError),
    ],
)
def test_what_is_no_file_says_so(tree: Tree, path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        tree.read(path, 100)


def test_too_large_is_refused(tree: Tree) -> None:
    assert tree.read("folder/file", 7) == b"content"
    with pytest.raises(ValueError, match="more than 6"):
        tree.read("folder/file", 6)


def test_writing_goes_through_links_inside_and_makes_folders(tree: Tree) -> None:
    tree.write("shortcut", b"longer than it was")
    tree.write("folder/file", b"short")
    tree.write("a/b/c/file", b"x")
    tree.write("empty", b"")

    assert tree.read("folder/file", 100) == b"short"
    assert tree.read("a/b/c/file", 100) == b"x"
    assert tree.read("empty", 100) == b""


def test_a_mode_is_kept(tree: Tree) -> None:
    script = Path(tree.root) / "script"
    script.write_bytes(b"#!/bin/sh\n")
    script.chmod(0o751)

    tree.write("script", b"#!/bin/sh\necho\n")

    assert script.stat().st_mode & 0o777 == 0o751
