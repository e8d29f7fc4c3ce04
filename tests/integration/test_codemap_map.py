"""The code map over real parser processes and a real index file."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder.codemap.map import CodeMap
from coder.codemap.tokens import tokens
from coder.errors import CodeMapError
from tests.integration.codemap_tree import SHOP, MemoryTree, UnreadableTree

ROOT = Path(__file__).parents[2]


@pytest.fixture
def codemap(tmp_path: Path) -> Iterator[CodeMap]:
    with CodeMap(tmp_path / "state" / "index.db") as opened:
        yield opened


def first_path(text: str) -> str:
    return text.split("\n", 1)[0]


def test_the_code_that_the_problem_is_about_comes_first(codemap: CodeMap) -> None:
    text = codemap.map(MemoryTree(SHOP), focus="The total price of a cart ignores the discount", max_tokens=400)

    assert first_path(text) == "shop/cart.py"
    assert "  8: def total_price(self, discount)" in text.split("\n")
    assert text.index("shop/cart.py") < text.index("tests/test_cart.py")
    assert "left-pad" not in text
    assert "logo.png" not in text


def test_tests_come_first_when_they_are_the_problem(codemap: CodeMap) -> None:
    tree = MemoryTree(SHOP)

    text = codemap.map(tree, focus="Flaky test: total price with discount in the cart test", max_tokens=400)

    assert first_path(text) == "tests/test_cart.py"


@pytest.mark.parametrize(
    ("focus", "path"),
    [
        ("Something with the cart is wrong, see shop/stock.py", "shop/stock.py"),
        ('cart cart price\n  File "/srv/app/shop/payment.py", line 3, in charge_card', "shop/payment.py"),
        ("the cart total price discount, but `OutOfStock` has no message", "shop/stock.py"),
        ("cart total at web.router", "web/router.ts"),
    ],
)
def test_what_is_mentioned_outright_comes_first(codemap: CodeMap, focus: str, path: str) -> None:
    assert first_path(codemap.map(MemoryTree(SHOP), focus=focus, max_tokens=400)) == path


def test_why_a_file_is_there_can_be_asked(codemap: CodeMap) -> None:
    ranked = codemap.ranked(MemoryTree(SHOP), focus="`refund` fails, see shop/payment.py")

    assert ranked[0].path == "shop/payment.py"
    assert "defines a name that is mentioned" in ranked[0].why
    assert any(reason.startswith("mentioned by path ") for reason in ranked[0].why)


def test_nothing_is_parsed_twice_and_an_edit_costs_one_file(codemap: CodeMap) -> None:
    tree = MemoryTree(SHOP)
    codemap.map(tree, focus="cart", max_tokens=100)
    assert len(tree.reads) == len(SHOP) - 2

    tree.reads.clear()
    codemap.map(tree, focus="payment", max_tokens=100)
    edited = tree.edited("shop/stock.py", "def restock_shelf(): pass\n")
    text = codemap.map(edited, focus="restock the shelf", max_tokens=100)

    assert tree.reads == []
    assert edited.reads == ["shop/stock.py"]
    assert first_path(text) == "shop/stock.py"


def test_other_commits_in_the_index_change_no_byte(tmp_path: Path) -> None:
    tree = MemoryTree(SHOP)
    other = MemoryTree({f"old/cart{n}.py": f"def total_price_{n}(cart, discount): pass\n" for n in range(150)})

    with CodeMap(tmp_path / "alone.db") as codemap:
        alone = codemap.map(tree, focus="total price discount", max_tokens=400)
        overview = codemap.overview(tree, max_tokens=200)
    with CodeMap(tmp_path / "shared.db") as codemap:
        codemap.map(other, focus="total", max_tokens=100)
        shared = codemap.map(tree, focus="total price discount", max_tokens=400)

        assert shared == alone
        assert codemap.overview(tree, max_tokens=200) == overview


def test_equal_input_gives_equal_bytes_in_every_process(tmp_path: Path) -> None:
    def run(seed: str, index: str) -> bytes:
        return subprocess.run(
            [sys.executable, "-m", "tests.integration.codemap_process", str(tmp_path / index)],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": os.defpath},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout

    texts = {run("0", "a.db"), run("1", "a.db"), run("2", "b.db")}

    assert len(texts) == 1
    assert b"shop/cart.py" in texts.pop()


def test_two_processes_may_build_the_same_index(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.integration.codemap_process", str(tmp_path / "index.db")]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]

    results = [process.communicate(timeout=60) for process in both]

    assert [process.returncode for process in both] == [0, 0], results
    assert results[0] == results[1]
    assert results[0][0].startswith(b"shop/cart.py")


def test_an_overview_depends_on_the_files_alone(codemap: CodeMap) -> None:
    text = codemap.overview(MemoryTree(SHOP), max_tokens=300)

    assert first_path(text) == "7 files: python 4, bash 1, text 1, typescript 1"
    assert "shop/ 3" in text.split("\n")
    assert "  2: class Cart" in text.split("\n")
    assert tokens(text) <= 300
    assert codemap.overview(MemoryTree(SHOP), max_tokens=300) == text


def test_an_outline_nests(codemap: CodeMap) -> None:
    text = codemap.outline(MemoryTree(SHOP), "shop/cart.py")

    assert text.split("\n") == [
        "shop/cart.py",
        "2: class Cart",
        "  5: def add_item(self, item, quantity)",
        "  8: def total_price(self, discount)",
    ]


@pytest.mark.parametrize(("path", "reason"), [("assets/logo.png", "is not read"), ("nowhere.py", "is not in the tree")])
def test_an_outline_that_cannot_be_says_why(codemap: CodeMap, path: str, reason: str) -> None:
    with pytest.raises(CodeMapError, match=reason):
        codemap.outline(MemoryTree(SHOP), path)


def test_a_symbol_is_found_where_it_is_defined_and_used(codemap: CodeMap) -> None:
    text = codemap.places(MemoryTree(SHOP), "Cart.total_price()").text()

    assert text.split("\n") == [
        "definitions of total_price:",
        "  shop/cart.py:8-9: def total_price(self, discount)  [in Cart]",
        "references:",
        "  tests/test_cart.py:5 in test_total_price_with_discount: assert Cart().total_price(discount=3) == 0",
    ]
    assert codemap.places(MemoryTree(SHOP), "nothing_like_it").text().count("(none)") == 2
    assert codemap.places(MemoryTree(SHOP), " () ").text() == "no name given"


def test_a_name_that_is_too_common_for_the_index_is_found_all_the_same(codemap: CodeMap) -> None:
    tree = MemoryTree({"a.py": "class Box:\n    def get(self):\n        return 1\n", "b.py": "Box().get()\n"})

    text = codemap.places(tree, "get").text()

    assert "  a.py:2-3: def get(self)  [in Box]" in text.split("\n")
    assert "  b.py:1: Box().get()" in text.split("\n")


def test_a_tree_without_files_has_an_empty_map(codemap: CodeMap) -> None:
    assert codemap.map(MemoryTree({}), focus="anything", max_tokens=100) == ""
    assert codemap.overview(MemoryTree({}), max_tokens=100) == "no files"


def test_a_file_that_went_away_costs_only_itself(codemap: CodeMap) -> None:
    tree = UnreadableTree({**SHOP, "shop/gone.py": "x = 1\n"})

    assert first_path(codemap.map(tree, focus="cart price", max_tokens=100)) == "shop/cart.py"


@given(
    budget=st.integers(min_value=0, max_value=400),
    names=st.lists(st.text(min_size=1, max_size=30), max_size=8, unique=True),
    focus=st.text(max_size=200),
)
@settings(max_examples=15, deadline=None)
def test_no_budget_is_ever_exceeded(budget: int, names: list[str], focus: str) -> None:
    tree = MemoryTree({f"src/{name}/f{n}.py": f"def cart_{n}():\n    return {n}\n" for n, name in enumerate(names)})

    with tempfile.TemporaryDirectory() as folder, CodeMap(Path(folder) / "index.db") as codemap:
        text = codemap.map(tree, focus=f"cart {focus}", max_tokens=budget)
        overview = codemap.overview(tree, max_tokens=budget)

    assert text == "" or tokens(text) <= budget
    assert overview == "" or tokens(overview) <= budget
