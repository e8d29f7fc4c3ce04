"""Looking a name up: what defines it, what extends it, and who uses it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.codemap.map import CodeMap
from coder.codemap.symbols import Symbol
from tests.integration.codemap_tree import MemoryTree

FILES = {
    "shop/base.py": 'class Store:\n    """Keeps things."""\n\n    def put(self, thing):\n        raise NotImplementedError\n',
    "shop/disk.py": (
        "from shop.base import Store\n\n\n"
        "class DiskStore(\n    Store,\n):\n    def put(self, thing):\n        Store.put(self, thing)\n\n\n"
        "# Store is an old word.\nSTORE = DiskStore()\n\n\ndef storeroom(put): ...\n"
    ),
    "shop/order.py": "class Order:\n    def put(self): ...\n\n    def total_price(self): ...\n",
    "tests/test_disk.py": "from shop.disk import DiskStore\n\n\ndef test_put():\n    DiskStore().put(Store)\n",
    "web/shape.ts": (
        "export interface Shape { area(): number }\n"
        "export class Square implements Shape {\n  area() { return 1 }\n}\n"
        "export const unit: Shape = new Square()\n"
    ),
    "money/money.rs": (
        "pub trait Show {\n    fn show(&self) -> String;\n}\n\npub struct Money;\n\n"
        "impl Show for Money {\n    fn show(&self) -> String { String::new() }\n}\n"
    ),
    "net/net.go": (
        "package net\n\ntype Conn interface {\n\tRead(n int) error\n\tClose() error\n}\n\n"
        "type File struct{}\n\nfunc (f *File) Read(n int) error { return nil }\n\nfunc (f *File) Close() error { return nil }\n\n"
        "type Half struct{}\n\nfunc (h Half) Read(n int) error { return nil }\n"
    ),
    "docs/store.md": "# Store\n\nA Store keeps things.\n",
}


@pytest.fixture
def codemap(tmp_path: Path) -> Iterator[CodeMap]:
    with CodeMap(tmp_path / "index.db") as opened:
        yield opened


def look(codemap: CodeMap, name: str) -> Symbol:
    return codemap.places(MemoryTree(FILES), name)


def lines(symbol: Symbol, part: str) -> list[str]:
    return [f"{one.path}:{one.line} {one.inside}".strip() for one in getattr(symbol, part)]


def test_a_class_is_told_with_what_extends_and_imports_it(codemap: CodeMap) -> None:
    found = look(codemap, "Store")

    assert lines(found, "definitions") == ["shop/base.py:1", "docs/store.md:1"]
    assert lines(found, "implementations") == ["shop/disk.py:4"]
    assert found.importers == ("shop/disk.py",)


def test_a_use_is_told_with_what_it_lies_in_and_code_before_remarks(codemap: CodeMap) -> None:
    found = look(codemap, "Store")

    assert lines(found, "references") == [
        "shop/disk.py:8 DiskStore.put",
        "tests/test_disk.py:5 test_put",
        "shop/disk.py:11",
        "docs/store.md:3 Store",
    ]


def test_a_qualified_name_is_that_of_its_class_alone(codemap: CodeMap) -> None:
    for name in ("Order.put", "Order::put", "shop.order.Order#put()"):
        found = look(codemap, name)

        assert lines(found, "definitions") == ["shop/order.py:2 Order"]
        assert found.elsewhere == 2
        assert "(2 more of this name elsewhere" in found.text()


def test_a_qualifier_that_fits_nothing_hides_nothing(codemap: CodeMap) -> None:
    assert len(look(codemap, "Nobody.put").definitions) == 3


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("Shape", ["web/shape.ts:2"]),
        ("Show", ["money/money.rs:7"]),
        ("Conn", ["net/net.go:10"]),
    ],
)
def test_interfaces_name_what_implements_them(codemap: CodeMap, name: str, who: list[str]) -> None:
    assert lines(look(codemap, name), "implementations") == who


def test_a_name_that_is_not_there_brings_its_likes(codemap: CodeMap) -> None:
    found = look(codemap, "totalPrice")

    assert found.definitions == ()
    assert found.near == ("total_price",)
    assert "names like it:\n  total_price" in found.text()


def test_a_kind_that_the_line_says_is_not_said_twice(codemap: CodeMap) -> None:
    text = look(codemap, "DiskStore").text()

    assert "  shop/disk.py:4-8: class DiskStore(Store)" in text.split("\n")
    assert "class class" not in text


def test_a_definition_is_told_with_what_its_file_says_of_it(codemap: CodeMap) -> None:
    assert "  shop/base.py:1-5: class Store\n      Keeps things.\n" in look(codemap, "Store").text()


def test_parts_of_longer_names_are_no_uses(codemap: CodeMap) -> None:
    tree = MemoryTree({"a.py": "cart = 1\ncarts = cart_id = $cart = décart = cart\nmy_cart(cart)\n"})

    found = codemap.places(tree, "cart")

    assert [one.line for one in found.definitions] == [1]
    assert [one.line for one in found.references] == [2, 3]


@pytest.mark.parametrize(
    ("path", "source", "line"),
    [
        ("a.go", 'package a\n\ntype T struct {\n\tOther int\n\tTimeout time.Duration `json:"t"`\n}\n', 5),
        ("a.java", "class A {\n  private final int Timeout;\n  int f() { return Timeout; }\n}\n", 2),
        ("A.java", "enum A {\n  First,\n  Timeout(3),\n}\n", 3),
        ("a.ts", "interface A {\n  readonly Timeout?: number\n}\nfunction f(Timeout: A) {}\n", 2),
        ("a.rs", "pub enum A {\n    Timeout { s: u8 },\n}\n\nfn f() -> A {\n    A::Timeout { s: 1 }\n}\n", 2),
        (
            "a.py",
            "class A:\n    def __init__(self):\n        self.Timeout: int = 3\n\n    def f(self):\n        self.Timeout = 4\n",
            3,
        ),
        ("a.rb", "class A\n  def initialize\n    @Timeout = 1\n  end\n\n  def f\n    @Timeout\n  end\nend\n", 3),
        ("a.php", "<?php\nclass A {\n  protected int $Timeout = 1;\n  function f() { return $this->Timeout; }\n}\n", 3),
        ("a.c", "struct a {\n  int other;\n  long *Timeout;\n};\nvoid f(struct a *x) { x->Timeout = 0; }\n", 3),
        ("a.cs", "class A {\n  private int Timeout;\n  int F() { return Timeout; }\n}\n", 2),
    ],
)
def test_a_field_or_enumerator_is_found_where_it_is_declared(
    codemap: CodeMap, path: str, source: str, line: int
) -> None:
    found = codemap.places(MemoryTree({path: source}), "Timeout")

    assert [(one.line, one.kind) for one in found.definitions] == [(line, "member")]
