"""The first line of a definition's documentation, in the ways in which languages write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.codemap.docs import MAX_DOC, doc_line


@pytest.mark.parametrize(
    ("language", "source", "line", "doc"),
    [
        ("python", 'def f(a):\n    """Sum up.\n\n    More.\n    """\n', 1, "Sum up."),
        ("python", "def f(\n    a: int = 1,  # one\n) -> int:\n    r'''\n    Sum up.\n    '''\n", 1, "Sum up."),
        ("python", "# Sum up.\n@cached\ndef f(a): return 1\n", 3, "Sum up."),
        ("python", 'def f(a):\n    return "no doc"\n', 1, ""),
        ("go", "// Read fills p.\n// It may fail.\nfunc (f *File) Read(p []byte) error {\n", 3, "Read fills p."),
        ("rust", "/// Adds.\n///\n#[inline]\npub fn add() {}\n", 4, "Adds."),
        (
            "java",
            "  /**\n   * Adds <b>numbers</b>.\n   *\n   * @param a one\n   */\n  @Override\n  int add(int a) {\n",
            7,
            "Adds numbers.",
        ),
        ("java", "  /** @return nothing */\n  int add(int a) {\n", 2, ""),
        ("csharp", "/// <summary>\n/// Adds.\n/// </summary>\n[Obsolete]\npublic int Add() => 1;\n", 5, "Adds."),
        ("c", "/*\n  Adds without stars.\n*/\nint add(void) {}\n", 4, "Adds without stars."),
        ("cpp", "// Adds.\ntemplate <typename T>\nT add(T a);\n", 3, "Adds."),
        ("ruby", "# Adds.\n#\n# @return [Integer]\ndef add; end\n", 4, "Adds."),
        ("lua", "--- Adds.\n-- @param a\nfunction add(a) end\n", 3, "Adds."),
        ("bash", "#!/bin/sh\n\n# Adds.\nadd() {\n", 4, "Adds."),
        ("elixir", '  @doc """\n  Adds.\n  """\n  @spec add(integer) :: integer\n  def add(a), do: a\n', 5, "Adds."),
        ("elixir", 'defmodule A do\n  @moduledoc "All of A."\nend\n', 1, "All of A."),
        ("elixir", '  @doc "Other."\n  def other, do: 1\n\n  def add(a), do: a\n', 4, ""),
        ("php", "    // ---------\n    // Adds.\n    function add() {}\n", 3, "Adds."),
        ("go", "func other() {}\n\nfunc add() {}\n", 3, ""),
        ("typescript", "const a = 1 /* no */\nexport function f() {}\n", 2, ""),
    ],
)
def test_the_first_line_is_found(language: str, source: str, line: int, doc: str) -> None:
    assert doc_line(source.split("\n"), line, language=language) == doc


@given(
    lines=st.lists(
        st.sampled_from(["/*", "*/", "# a", "// b", '"""', "@x", "def f():", "", '@doc "', "x */"]), max_size=80
    ),
    line=st.integers(1, 90),
    language=st.sampled_from(["python", "elixir", "go"]),
)
def test_any_lines_give_a_short_line(lines: list[str], line: int, language: str) -> None:
    assert len(doc_line(lines, line, language=language)) <= MAX_DOC
