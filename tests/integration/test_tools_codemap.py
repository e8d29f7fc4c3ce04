"""The tool `code_map` on a repository with a history."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from coder.codemap.map import CodeMap
from coder.codemap.together import together
from coder.tools.base import Toolbox
from coder.tools.codemap import CodeMapTool
from coder.toolset import BaseMaps
from coder.types import Remote, RepoRef, ToolCall, ToolOutput
from coder.workspace.repository import Repository
from coder.workspace.subjects import Said
from coder.workspace.workspace import Workspace
from tests.servers.github_git import create_repository, git

CART = (
    "class Cart:\n    def add_item(self, item):\n        return item\n\n    def total_price(self):\n        return 0\n"
)
FILES: Mapping[str, str | bytes] = {
    "shop/__init__.py": "",
    "shop/cart.py": CART,
    "shop/tax.py": "def vat_of(price):\n    return price\n",
    "shop/logo.png": b"\x89PNG\0",
    "shop/pages/front.py": "def front_page(): ...\n",
    "tests/test_cart.py": (
        "from shop.cart import Cart\n\n\ndef test_total():\n    assert Cart().total_price() == 0\n\n\n"
        "def test_add():\n    assert Cart().add_item(1)\n"
    ),
    "tests/test_all.py": "from shop.tax import vat_of\n\n\ndef test_vat():\n    assert vat_of(3) == 3\n",
    "tests/data.json": '{"cart": "Cart add_item total_price"}\n',
    "CHANGES.md": "# Changes\n",
}


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """Three commits after the first: two change the cart and its test, one the tax, all of them the change log."""
    folder = tmp_path / "origin"
    create_repository(folder, FILES)
    for number, paths in enumerate((("shop/cart.py", "tests/test_cart.py"), ("shop/tax.py",)) * 2):
        for path in (*paths, "CHANGES.md"):
            with (folder / path).open("a") as file:
                file.write(f"# {number}\n")
        git("add", ".", cwd=folder)
        git("commit", "-q", "-m", f"change {number}", cwd=folder)
    return folder


@pytest.fixture
def repository(tmp_path: Path, origin: Path) -> Repository:
    return Workspace(tmp_path / "ws").fetch(
        Remote(url=str(origin), local=True), RepoRef(owner="a", name="b"), head(origin)
    )


def head(folder: Path) -> str:
    return git("rev-parse", "HEAD", cwd=folder).decode().strip()


@pytest.fixture
def toolbox(tmp_path: Path, origin: Path, repository: Repository) -> Iterator[Toolbox]:
    with CodeMap(tmp_path / "index.db") as codemap:
        yield Toolbox([CodeMapTool(BaseMaps(codemap, repository, head(origin)))])


def ask(toolbox: Toolbox, **question: str) -> ToolOutput:
    return toolbox.call(ToolCall(id="1", name="code_map", arguments=json.dumps(question))).output


def test_without_a_question_the_overview_comes(toolbox: Toolbox) -> None:
    output = ask(toolbox)

    assert not output.is_error
    assert output.content.startswith("8 files: python 6, text 2")


def test_words_bring_files_and_functions(toolbox: Toolbox) -> None:
    assert ask(toolbox, words="the total price is wrong").content.startswith("shop/cart.py\n")
    assert "Nothing fits 'zzz'" in ask(toolbox, words="zzz").content


@pytest.mark.parametrize("path", ["shop", "./shop/", "/shop"])
def test_a_folder_is_outlined_file_by_file(toolbox: Toolbox, path: str) -> None:
    assert ask(toolbox, path=path).content.split("\n") == [
        "shop/ (5 files)",
        "  pages/ (1 files)",
        "  __init__.py",
        "  cart.py: Cart",
        "  logo.png: (not read: binary or generated)",
        "  tax.py: vat_of",
    ]


def test_a_folder_of_very_many_files_is_cut(tmp_path: Path) -> None:
    create_repository(tmp_path / "many", {f"lib/module_{n:04}.py": f"def function_{n}(): ...\n" for n in range(900)})
    sha = head(tmp_path / "many")
    repository = Workspace(tmp_path / "w").fetch(
        Remote(url=str(tmp_path / "many"), local=True), RepoRef(owner="a", name="m"), sha
    )

    with CodeMap(tmp_path / "many.db") as codemap:
        text = BaseMaps(codemap, repository, sha).outline("lib")

    assert "  module_0000.py: function_0" in text
    assert "  … " in text.split("\n")[-1]
    assert len(text) < 16_000


def test_a_file_is_outlined_with_its_lines(toolbox: Toolbox) -> None:
    assert "  5: def total_price(self)" in ask(toolbox, path="shop/cart.py").content.split("\n")


@pytest.mark.parametrize("way", ["path", "tests_of", "changed_with"])
def test_a_path_that_is_not_there_brings_those_that_may_be_meant(toolbox: Toolbox, way: str) -> None:
    output = ask(toolbox, **{way: "src/cart.py"})

    assert output.is_error
    assert "Did you mean shop/cart.py?" in output.content


def test_the_tests_of_a_file_are_told_function_by_function(toolbox: Toolbox) -> None:
    lines = ask(toolbox, tests_of="shop/cart.py").content.split("\n")

    assert lines[0] == "tests that touch shop/cart.py:"
    assert lines[1].startswith("tests/test_cart.py: named after it; speaks of ")
    assert "4 test_total" in lines[2]
    assert "8 test_add" in lines[2]
    assert not any("test_all" in line or "data.json" in line for line in lines)


def test_the_tests_of_a_name_are_those_that_say_it(toolbox: Toolbox) -> None:
    assert ask(toolbox, tests_of="vat_of").content.split("\n")[1:] == [
        "tests/test_all.py: speaks of vat_of",
        "  4 test_vat",
    ]
    assert ask(toolbox, tests_of="front_page").content == "no test speaks of front_page by name"


def test_what_changes_together_is_told_from_history(toolbox: Toolbox) -> None:
    lines = ask(toolbox, changed_with="shop/cart.py").content.split("\n")

    assert lines[0] == "shop/cart.py changed in 3 of the last 5 commits; with it:"
    assert lines[1].split() == ["100%", "3x", "tests/test_cart.py"]
    assert "100%  3x  CHANGES.md" in lines[2]
    assert "shop/tax.py" not in "\n".join(lines)


def test_the_history_of_a_commit_is_read_once(repository: Repository, origin: Path, tmp_path: Path) -> None:
    reads: list[str] = []
    whole = repository.tree(head(origin))

    class Counted:
        """The tree, telling how often its past is read."""

        commit, files, read = whole.commit, whole.files, whole.read

        def subjects(self) -> Sequence[Said]:
            reads.append(self.commit)
            return whole.subjects()

    tree = Counted()
    for _ in range(2):
        with CodeMap(tmp_path / "kept.db") as codemap:
            assert codemap.together(tree, "shop").changed == 5
            assert codemap.map(tree, focus="cart", max_tokens=500)

    assert reads == [head(origin)]


def test_a_commit_of_very_many_files_says_nothing() -> None:
    changes = [[f"f{n}" for n in range(10)], ["a", "b"], ["a", "b"], ["a", "gone"], ["a", "gone"]]

    found = together(changes, "a", {"a", "b", "f1"})

    assert [one.path for one in found.companions] == ["b"]
    assert found.companions[0].share == 0.5


def test_two_questions_at_once_are_answered_by_what_to_do(toolbox: Toolbox) -> None:
    output = ask(toolbox, words="a", symbol="b")

    assert output.is_error
    assert "words, symbol" in output.content


def test_merges_and_odd_names_are_read_from_history(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    create_repository(folder, {"a\nb.py": "x\n", "latin-\udce9.txt": "y\n", "-z": "z\n"})
    repository = Workspace(tmp_path / "w2").fetch(
        Remote(url=str(folder), local=True), RepoRef(owner="a", name="o"), head(folder)
    )

    (said,) = repository.tree(head(folder)).subjects()

    assert said[1] == ("-z", "a\nb.py", "latin-\udce9.txt")
