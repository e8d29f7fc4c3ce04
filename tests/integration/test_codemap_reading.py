"""What of a tree is read, in which order, and what is shown before all of it is."""

import io
from pathlib import Path

from coder.codemap.build import build
from coder.codemap.map import CodeMap
from coder.codemap.maps import Maps
from coder.codemap.tree import Tree
from coder.local_map import Watch
from tests.integration.codemap_tree import MemoryTree


def indexed(folder: Path, tree: Tree) -> str:
    with CodeMap(folder / "index.db") as codemap:
        return codemap.map(tree, focus="compute the shared price", max_tokens=500)


def test_what_the_repository_calls_generated_or_vendored_is_not_read(tmp_path: Path) -> None:
    source = "def compute_price():\n    return 1\n"
    tree = MemoryTree(
        {
            ".gitattributes": "made/** linguist-generated\nextern/* linguist-vendored\nvendor/own/** -linguist-vendored\n",
            **dict.fromkeys(("made/deep/a.py", "extern/b.py", "vendor/own/c.py", "vendor/d.py", "src/e.py"), source),
            "src/.gitattributes": "f.py linguist-generated\n",
            "src/f.py": source,
        }
    )

    text = indexed(tmp_path, tree)
    tree.reads.clear()
    again = indexed(tmp_path, tree)

    assert {line for line in text.split("\n") if line.endswith(".py")} == {"src/e.py", "vendor/own/c.py"}
    assert again == text
    assert tree.reads == []


def test_what_the_repository_calls_documentation_comes_later(tmp_path: Path) -> None:
    tree = MemoryTree(
        {
            ".gitattributes": "a/** linguist-documentation\n",
            "a/price.py": "def compute_price():\n    return 1\n",
            "b/price.py": "def compute_price():\n    return 2\n",
        }
    )

    assert indexed(tmp_path, tree).split("\n")[0] == "b/price.py"


def test_a_map_can_be_had_before_all_is_read_and_the_next_one_goes_on(tmp_path: Path) -> None:
    files = {f"lib/part{number:04}.py": f"def part_{number}(): return {number}\n" for number in range(2100)}
    tree = MemoryTree({**files, "zoo/price.py": "def compute_price(): return 1\n"})
    times = iter([0.0, *[9.0] * 100])
    told: list[str] = []
    terminal = io.StringIO()
    hasty = Watch(5.0, terminal, lambda: next(times))

    with Maps(tmp_path / "index.db", hasty.build, told.append) as maps:
        first = maps.map(tree, focus="compute price", max_tokens=300)
    with Maps(tmp_path / "index.db", build, told.append) as maps:
        second = maps.map(tree, focus="compute price", max_tokens=300)

    assert first.startswith("zoo/price.py\n")
    assert second.startswith("zoo/price.py\n")
    assert len(told) == 1
    assert "of 2101 files are not read yet" in told[0]
    assert terminal.getvalue().endswith("\r")


def test_progress_is_shown_and_wiped_away() -> None:
    terminal = io.StringIO()
    watch = Watch(None, terminal)

    assert watch(50, 200)
    assert not watch(200, 200)
    assert "reading 200 files: 25 %" in terminal.getvalue()
    assert terminal.getvalue().endswith(" \r")
