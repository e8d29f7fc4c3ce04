"""Ordinary edits of tests, as histories are full of them: made from small test files of several languages.

None of them weakens anything, so none may raise an alarm. `EDITS` has a few hundred, each a file (or several) before and after.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

Files = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Edit:
    """One commit's worth of change to tests and what stands beside them."""

    name: str
    before: Files
    after: Files


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a family of test files is about: a function, two calls of it and what they give."""

    function: str
    first: tuple[str, str]
    second: tuple[str, str]
    third: tuple[str, str]


_SUBJECTS: Final = (
    _Subject("slug", ('"Two Words"', '"two-words"'), ('"One"', '"one"'), ('" a b "', '"a-b"')),
    _Subject("total", ("[1, 2]", "3"), ("[]", "0"), ("[5, 5, 5]", "15")),
    _Subject(
        "parse_date",
        ('"2026-01-02"', "(2026, 1, 2)"),
        ('"1999-12-31"', "(1999, 12, 31)"),
        ('"2000-02-29"', "(2000, 2, 29)"),
    ),
    _Subject("is_prime", ("7", "True"), ("8", "False"), ("97", "True")),
    _Subject("wrap", ('"a b c", 3', '["a b", "c"]'), ('"", 3', "[]"), ('"abc", 1', '["abc"]')),
    _Subject("discount", ("100, 15", "85"), ("50, 0", "50"), ("80, 50", "40")),
    _Subject("median", ("[3, 1, 2]", "2"), ("[1, 2]", "1.5"), ("[9]", "9")),
    _Subject("roman", ("4", '"IV"'), ("1990", '"MCMXC"'), ("2026", '"MMXXVI"')),
)


# --- Python, pytest ------------------------------------------------------------------------------------------------------


def _pytest(s: _Subject) -> str:
    return (
        f"import pytest\n\nfrom lib import {s.function}\n\n\ndef test_first():\n    assert {s.function}({s.first[0]}) == {s.first[1]}\n\n\n"
        f"def test_second():\n    assert {s.function}({s.second[0]}) == {s.second[1]}\n\n\n"
        f"def test_wrong():\n    with pytest.raises(TypeError):\n        {s.function}(None)\n"
    )


def _python_edits(s: _Subject) -> Iterator[tuple[str, Files, Files]]:
    f, old = s.function, _pytest(s)
    path = f"tests/test_{f}.py"
    third = f"\n\ndef test_third():\n    assert {f}({s.third[0]}) == {s.third[1]}\n"
    first, second = (
        f"    assert {f}({s.first[0]}) == {s.first[1]}\n",
        f"    assert {f}({s.second[0]}) == {s.second[1]}\n",
    )

    def one(name: str, new: str) -> tuple[str, Files, Files]:
        return name, {path: old}, {path: new}

    yield one("a test is added", old + third)
    yield one("a test is renamed", old.replace("test_first", f"test_{f}_of_the_usual"))
    yield one("a test gets a docstring", old.replace(first, f'    """As the documentation says."""\n{first}'))
    yield one("a check is added", old.replace(first, f"{first}    assert {f}({s.third[0]}) == {s.third[1]}\n"))
    yield one(
        "a check is made stricter",
        old.replace("pytest.raises(TypeError)", 'pytest.raises(TypeError, match="NoneType")'),
    )
    yield one(
        "a value gets a name", old.replace(first, f"    given = {f}({s.first[0]})\n    assert given == {s.first[1]}\n")
    )
    yield one(
        "an expectation gets a name",
        old.replace(first, f"    expected = {s.first[1]}\n    assert {f}({s.first[0]}) == expected\n"),
    )
    yield one("sides are swapped", old.replace(first, f"    assert {s.first[1]} == {f}({s.first[0]})\n"))
    yield one(
        "a message is added", old.replace(first, f'    assert {f}({s.first[0]}) == {s.first[1]}, "as documented"\n')
    )
    yield one(
        "quotes and spaces",
        old.replace("\n\n\ndef", "\n\n\n\ndef").replace("import pytest\n", "import pytest  # the runner\n"),
    )
    yield one("type hints", old.replace("():", "() -> None:"))
    yield one(
        "tests change places",
        old.replace(first, "@@")
        .replace(second, first)
        .replace("@@", second)
        .replace("test_first", "@@")
        .replace("test_second", "test_first")
        .replace("@@", "test_second"),
    )
    yield one(
        "two tests become rows",
        f'import pytest\n\nfrom lib import {f}\n\n\n@pytest.mark.parametrize(\n    ("given", "expected"),\n    [\n        (({s.first[0]},), {s.first[1]}),\n'
        f"        (({s.second[0]},), {s.second[1]}),\n    ],\n)\ndef test_values(given, expected):\n    assert {f}(*given) == expected\n\n\n"
        f"def test_wrong():\n    with pytest.raises(TypeError):\n        {f}(None)\n",
    )
    yield one(
        "rows come from a table above",
        f"import pytest\n\nfrom lib import {f}\n\nROWS = [(({s.first[0]},), {s.first[1]}), (({s.second[0]},), {s.second[1]}), (({s.third[0]},), {s.third[1]})]\n\n\n"
        f'@pytest.mark.parametrize(("given", "expected"), ROWS)\ndef test_values(given, expected):\n    assert {f}(*given) == expected\n\n\n'
        f"def test_wrong():\n    with pytest.raises(TypeError):\n        {f}(None)\n",
    )
    yield one(
        "tests go into a class",
        f"import pytest\n\nfrom lib import {f}\n\n\nclass Test{f.title().replace('_', '')}:\n    def test_first(self):\n    {first}\n    def test_second(self):\n    {second}\n"
        f"    def test_wrong(self):\n        with pytest.raises(TypeError):\n            {f}(None)\n",
    )
    yield one(
        "a helper holds the check",
        old.replace(
            "\n\n\ndef test_first",
            f"\n\n\ndef check(given, expected):\n    assert {f}(*given) == expected\n\n\ndef test_first",
            1,
        ).replace(first, f"    check(({s.first[0]},), {s.first[1]})\n"),
    )
    yield one(
        "a fixture gives the value",
        old.replace(
            "\n\n\ndef test_first():",
            f"\n\n\n@pytest.fixture\ndef expected():\n    return {s.first[1]}\n\n\ndef test_first(expected):",
            1,
        ).replace(first, f"    assert {f}({s.first[0]}) == expected\n"),
    )
    yield one(
        "a known failure is added for later",
        old + f'\n\n@pytest.mark.xfail(reason="next release")\ndef test_later():\n    assert {f}() == 1\n',
    )
    yield one(
        "a test learns to work in a folder of its own",
        old.replace("def test_first():\n", 'def test_first(tmp_path):\n    (tmp_path / "a").write_text("x")\n'),
    )
    yield (
        "a test moves to a file of its own",
        {path: old},
        {
            path: old.replace(f"def test_second():\n{second}\n\n", ""),
            f"tests/test_{f}_more.py": f"from lib import {f}\n\n\ndef test_second():\n{second}",
        },
    )
    yield ("a file of tests is renamed", {path: old}, {f"tests/unit/test_{f}.py": old})
    fixture = "@pytest.fixture\ndef sample():\n    return [1, 2, 3]\n"
    using = old + "\n\ndef test_sample(sample):\n    assert len(sample) == 3\n"
    with_fixture = using.replace("\n\n\ndef test_first", f"\n\n\n{fixture}\n\ndef test_first", 1)
    yield (
        "a fixture moves to conftest",
        {path: with_fixture, "tests/conftest.py": "import pytest\n"},
        {path: using, "tests/conftest.py": f"import pytest\n\n\n{fixture}"},
    )
    yield (
        "a fixture comes home from conftest",
        {path: using, "tests/conftest.py": f"import pytest\n\n\n{fixture}"},
        {path: with_fixture, "tests/conftest.py": "import pytest\n"},
    )
    yield (
        "a first conftest with a fixture",
        {path: old},
        {path: using, "tests/conftest.py": f"import pytest\n\n\n{fixture}"},
    )
    yield (
        "a dependency for tests is added",
        {
            "pyproject.toml": "[project]\nname = 'a'\n[dependency-groups]\ntest = ['pytest']\n[tool.pytest.ini_options]\naddopts = '-q'\n",
            path: old,
        },
        {
            "pyproject.toml": "[project]\nname = 'a'\n[dependency-groups]\ntest = ['pytest', 'pytest-mock']\n[tool.pytest.ini_options]\naddopts = '-q'\n",
            path: old + third,
        },
    )
    yield (
        "the coverage threshold is raised",
        {"pyproject.toml": "[tool.coverage.report]\nfail_under = 80\n", path: old},
        {"pyproject.toml": "[tool.coverage.report]\nfail_under = 85\n", path: old + third},
    )


def _unittest_edits(s: _Subject) -> Iterator[tuple[str, Files, Files]]:
    f = s.function
    path = f"tests/test_{f}_unit.py"
    first = f"        self.assertEqual({f}({s.first[0]}), {s.first[1]})\n"
    second = f"        self.assertEqual({f}({s.second[0]}), {s.second[1]})\n"
    old = f"import unittest\n\nfrom lib import {f}\n\n\nclass {f.title().replace('_', '')}Test(unittest.TestCase):\n    def test_first(self):\n{first}\n    def test_second(self):\n{second}"

    def one(name: str, new: str) -> tuple[str, Files, Files]:
        return name, {path: old}, {path: new}

    yield one(
        "a unittest is added",
        f"{old}\n    def test_third(self):\n        self.assertEqual({f}({s.third[0]}), {s.third[1]})\n",
    )
    yield one(
        "a unittest becomes a pytest",
        f"from lib import {f}\n\n\ndef test_first():\n    assert {f}({s.first[0]}) == {s.first[1]}\n\n\ndef test_second():\n    assert {f}({s.second[0]}) == {s.second[1]}\n",
    )
    yield one(
        "sub-tests",
        f"import unittest\n\nfrom lib import {f}\n\n\nclass {f.title().replace('_', '')}Test(unittest.TestCase):\n    def test_all(self):\n        rows = [(({s.first[0]},), {s.first[1]}), (({s.second[0]},), {s.second[1]})]\n        for given, expected in rows:\n            with self.subTest(given=given):\n                self.assertEqual({f}(*given), expected)\n",
    )
    yield one(
        "set-up is added",
        old.replace("    def test_first", "    def setUp(self):\n        self.made = []\n\n    def test_first", 1),
    )
    yield one("the class is renamed", old.replace("Test(unittest", "Tests(unittest"))
    yield one(
        "a truth becomes a comparison",
        old.replace(
            first,
            f"        self.assertEqual({f}({s.first[0]}), {s.first[1]})\n        self.assertIsNotNone({f}({s.third[0]}))\n",
        ),
    )


# --- other languages -------------------------------------------------------------------------------------------------------


def _go_edits(s: _Subject) -> Iterator[tuple[str, Files, Files]]:
    name = s.function.title().replace("_", "")
    path = f"lib/{s.function}_test.go"

    def test(title: str, pair: tuple[str, str]) -> str:
        return f'func Test{title}(t *testing.T) {{\n\tif got := {name}({pair[0]}); got != {pair[1]} {{\n\t\tt.Errorf("got %v", got)\n\t}}\n}}\n'

    old = f'package lib\n\nimport "testing"\n\n{test("First", s.first)}\n{test("Second", s.second)}'
    yield "go: a test is added", {path: old}, {path: f"{old}\n{test('Third', s.third)}"}
    yield "go: a test is renamed", {path: old}, {path: old.replace("TestFirst", f"Test{name}")}
    yield (
        "go: a helper is marked",
        {path: old},
        {path: old.replace("func TestFirst(t *testing.T) {\n", "func TestFirst(t *testing.T) {\n\tt.Parallel()\n")},
    )
    yield (
        "go: tests become a table",
        {path: old},
        {
            path: f'package lib\n\nimport "testing"\n\nfunc Test{name}(t *testing.T) {{\n\trows := []struct{{ got, want any }}{{\n\t\t{{{name}({s.first[0]}), {s.first[1]}}},\n\t\t{{{name}({s.second[0]}), {s.second[1]}}},\n\t}}\n\tfor _, row := range rows {{\n\t\tif row.got != row.want {{\n\t\t\tt.Errorf("got %v, want %v", row.got, row.want)\n\t\t}}\n\t}}\n}}\n'
        },
    )
    yield (
        "go: a message says more",
        {path: old},
        {path: old.replace('t.Errorf("got %v", got)', f't.Errorf("got %v", got, "{name}")')},
    )
    yield (
        "go: a test moves",
        {path: old},
        {
            path: f'package lib\n\nimport "testing"\n\n{test("First", s.first)}',
            f"lib/{s.function}_more_test.go": f'package lib\n\nimport "testing"\n\n{test("Second", s.second)}',
        },
    )


def _javascript_edits(s: _Subject) -> Iterator[tuple[str, Files, Files]]:
    f = s.function
    path = f"test/{f}.test.js"

    def test(title: str, pair: tuple[str, str], word: str = "it") -> str:
        return f"  {word}('{title}', () => {{\n    expect({f}({pair[0]})).toEqual({pair[1]});\n  }});\n"

    old = f"const {{ {f} }} = require('../lib');\n\ndescribe('{f}', () => {{\n{test('first', s.first)}{test('second', s.second)}}});\n"
    yield "js: a test is added", {path: old}, {path: old.replace("});\n});\n", f"}});\n{test('third', s.third)}}});\n")}
    yield "js: a test is renamed", {path: old}, {path: old.replace("'first'", "'does the usual'")}
    yield "js: it becomes test", {path: old}, {path: old.replace("  it(", "  test(")}
    yield "js: a check is made stricter", {path: old}, {path: old.replace("toEqual", "toStrictEqual")}
    yield (
        "js: tests become async",
        {path: old},
        {path: old.replace(", () => {\n    expect", ", async () => {\n    expect")},
    )
    yield (
        "js: tests become rows",
        {path: old},
        {
            path: f"const {{ {f} }} = require('../lib');\n\ndescribe('{f}', () => {{\n  const rows = [\n    [{s.first[0]}, {s.first[1]}],\n    [{s.second[0]}, {s.second[1]}],\n  ];\n  it('gives what it should', () => {{\n    for (const [given, expected] of rows) {{\n      expect({f}(given)).toEqual(expected);\n    }}\n  }});\n}});\n"
        },
    )
    yield (
        "js: modules are imported",
        {path: old},
        {path: old.replace(f"const {{ {f} }} = require('../lib');", f"import {{ {f} }} from '../lib.js';")},
    )


def _rust_edits(s: _Subject) -> Iterator[tuple[str, Files, Files]]:
    f, path = s.function, f"tests/{s.function}.rs"

    def test(title: str, pair: tuple[str, str]) -> str:
        return f"#[test]\nfn {title}() {{\n    assert_eq!({f}({pair[0]}), {pair[1]});\n}}\n"

    old = f"use lib::{f};\n\n{test('first', s.first)}\n{test('second', s.second)}"
    yield "rust: a test is added", {path: old}, {path: f"{old}\n{test('third', s.third)}"}
    yield "rust: a test is renamed", {path: old}, {path: old.replace("fn first", f"fn {f}_of_the_usual")}
    yield "rust: a message is added", {path: old}, {path: old.replace(");\n}", ', "as documented");\n}', 1)}
    yield "rust: a slow test is added and left out", {path: old}, {path: f"{old}\n#[ignore]\n{test('slow', s.third)}"}


def _java_edits(s: _Subject) -> Iterator[tuple[str, Files, Files]]:
    name = s.function.title().replace("_", "")
    path = f"src/test/java/lib/{name}Test.java"

    def test(title: str, pair: tuple[str, str]) -> str:
        return f"  @Test\n  void {title}() {{\n    assertEquals({pair[1]}, Lib.{s.function}({pair[0]}));\n  }}\n"

    old = f"package lib;\n\nclass {name}Test {{\n{test('first', s.first)}\n{test('second', s.second)}}}\n"
    yield "java: a test is added", {path: old}, {path: old.replace("  }\n}\n", f"  }}\n\n{test('third', s.third)}}}\n")}
    yield "java: a test is renamed", {path: old}, {path: old.replace("void first", "void doesTheUsual")}
    yield (
        "java: a name for people",
        {path: old},
        {path: old.replace("  @Test\n  void first", '  @Test\n  @DisplayName("the usual")\n  void first')},
    )
    yield "java: visibility", {path: old}, {path: old.replace("  void ", "  public void ")}


_MAKERS: Final[tuple[Callable[[_Subject], Iterator[tuple[str, Files, Files]]], ...]] = (
    _python_edits,
    _unittest_edits,
    _go_edits,
    _javascript_edits,
    _rust_edits,
    _java_edits,
)

EDITS: Final = tuple(
    Edit(f"{name} ({subject.function})", before, after)
    for subject in _SUBJECTS
    for make in _MAKERS
    for name, before, after in make(subject)
)
