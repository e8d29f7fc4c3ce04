"""What a repository's past does for its map: real git, a hostile configuration, and pasts that cannot be read."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from coder.codemap.map import CodeMap
from coder.codemap.past import Change, familiar
from coder.codemap.query import Query
from coder.codemap.trees import tree_at
from coder.codemap.worktrees import work_tree
from coder.errors import WorkspaceError
from tests.integration.codemap_tree import MemoryTree

TWINS = {f"lib/{name}.py": f"def {name}(order):\n    return order.total\n" for name in ("alpha", "beta", "gamma")}


class PastTree(MemoryTree):
    """A tree with commits before it; counts how often they are asked for."""

    def __init__(self, files: Mapping[str, bytes | str], said: Sequence[tuple[str, Sequence[str]]] | None) -> None:
        super().__init__(files)
        self.commit = "c" * 40
        self.said = said
        self.asked = 0

    def subjects(self) -> Sequence[tuple[str, Sequence[str]]]:
        self.asked += 1
        if self.said is None:
            raise WorkspaceError("git failed")
        return self.said


@pytest.fixture
def codemap(tmp_path: Path) -> Iterator[CodeMap]:
    with CodeMap(tmp_path / "index.db") as opened:
        yield opened


def git(folder: Path, *args: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *args], cwd=folder, capture_output=True, check=True)


def paths(codemap: CodeMap, tree: MemoryTree, focus: str) -> list[str]:
    return [one.path for one in codemap.ranked(tree, focus=focus)]


def test_equal_files_stand_by_when_they_were_changed(codemap: CodeMap) -> None:
    said = [("Tidy", ["lib/gamma.py"]), *[("Chore", ["other.py"])] * 20, ("Tidy", ["lib/beta.py"])]

    found = paths(codemap, PastTree(TWINS, said), "order total is wrong")

    assert found == ["lib/gamma.py", "lib/beta.py", "lib/alpha.py"]


def test_a_file_that_was_changed_when_the_like_was_said_comes_first(codemap: CodeMap) -> None:
    said = [("Tidy", ["lib/gamma.py"]), ("Stop hydration mismatch of totals", ["lib/beta.py"]), ("Chore", ["x.py"])] * 3

    tree = PastTree(TWINS, said)
    best = codemap.ranked(tree, focus="hydration mismatch: order total is wrong")[0]

    assert best.path == "lib/beta.py"
    assert any(reason.startswith("changed when the like was said ") for reason in best.why)


def test_a_problem_that_fits_nothing_is_not_filled_with_what_is_new(codemap: CodeMap) -> None:
    assert paths(codemap, PastTree(TWINS, [("Tidy", ["lib/gamma.py"])]), "zzz") == []


def test_a_past_is_read_once_for_a_commit(codemap: CodeMap) -> None:
    tree = PastTree(TWINS, [("Tidy", ["lib/gamma.py"])])

    first = codemap.map(tree, focus="order total", max_tokens=200)
    second = codemap.map(tree, focus="order total", max_tokens=200)

    assert first == second
    assert tree.asked == 1


def test_a_past_that_cannot_be_read_costs_nothing_but_itself(codemap: CodeMap) -> None:
    without = paths(codemap, MemoryTree(TWINS), "order total")

    assert paths(codemap, PastTree(TWINS, None), "order total") == without


def test_a_commit_of_everything_says_nothing(codemap: CodeMap) -> None:
    said = [("Order total of everything", [*TWINS, *(f"x{number}" for number in range(40))])]

    assert paths(codemap, PastTree(TWINS, said), "order total") == sorted(TWINS)


def test_a_gain_never_falls_below_none() -> None:
    gains = familiar([Change(5_000, ["order"], ["a.py"])], Query.of("order total"))

    assert all(gain >= 0 for gain in gains["a.py"])


@pytest.mark.parametrize("rev", ["", "HEAD"])
def test_commits_tell_their_subjects_and_files(tmp_path: Path, rev: str) -> None:
    root = tmp_path / "repo"
    (root / "lib").mkdir(parents=True)
    git(tmp_path, "init", "-q", str(root))
    for number, name in enumerate(("plain.py", "with space\tand tab.py", "ünï.py")):
        (root / "lib" / name).write_text(f"x = {number}\n")
        git(root, "add", ".")
        git(root, "commit", "-qm", f"Add number {number}\n\nBody")

    tree = tree_at(root / "lib", rev)

    assert list(getattr(tree, "subjects")()) == [  # noqa: B009 - the capability is optional
        ("Add number 2", ("lib/ünï.py",)),
        ("Add number 1", ("lib/with space\tand tab.py",)),
        ("Add number 0", ("lib/plain.py",)),
    ]


def test_a_checkouts_configuration_starts_nothing(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q")
    (root / "a.py").write_text("def total(): pass\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Add total")
    witness = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {witness}\n")
    program.chmod(0o755)
    for key in ("gpg.program", "diff.external", "core.pager", "core.fsmonitor"):
        git(root, "config", key, str(program))
    git(root, "config", "log.showSignature", "true")

    with CodeMap(tmp_path / "index.db") as codemap:
        text = codemap.map(work_tree(root), focus="total", max_tokens=100)

    assert text.startswith("a.py")
    assert not witness.exists()
