"""Syntax errors of every language, from a process that hostile text may kill."""

import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from coder.codemap.languages import LANGUAGES
from coder.codemap.syntax import MAX_BYTES, SyntaxChecker

GOOD = {
    "python": "def f(a):\n    return a\n",
    "javascript": "function f(a) { return a; }\n",
    "typescript": "const f = (a: number): number => a;\n",
    "tsx": "const a = <div className='b'>{c}</div>;\n",
    "go": "package a\n\nfunc f(a int) int { return a }\n",
    "rust": "fn f(a: u8) -> u8 { a }\n",
    "java": "class A { int f(int a) { return a; } }\n",
    "c": "int f(int a) { return a; }\n",
    "cpp": "template <typename T> T f(T a) { return a; }\n",
    "csharp": "class A { int F(int a) { return a; } }\n",
    "ruby": "def f(a)\n  a\nend\n",
    "php": "<?php function f($a) { return $a; }\n",
    "kotlin": "fun f(a: Int): Int { return a }\n",
    "swift": "func f(a: Int) -> Int { return a }\n",
    "scala": "object A { def f(a: Int): Int = { a } }\n",
    "bash": 'f() {\n  echo "$1"\n}\n',
    "lua": "function f(a)\n  return a\nend\n",
    "elixir": "defmodule A do\n  def f(a), do: a\nend\n",
    "dart": "int f(int a) { return a; }\n",
    "vue": "<template>{{ a < b }} (</template>\n<script>\nconst f = (a) => a;\n</script>\n",
    "svelte": '<script lang="ts">\nconst f = (a: number) => a;\n</script>\n<p>{f(1)} (</p>\n',
}
BROKEN = dict.fromkeys(("vue", "svelte"), "\n<script>\nx((1\n</script>\n")
PATHS = {language.name: f"src/a{language.suffixes[0]}" for language in LANGUAGES}


@pytest.fixture(scope="module")
def checker() -> Iterator[SyntaxChecker]:
    with closing(SyntaxChecker()) as one:
        yield one


@pytest.mark.parametrize("language", PATHS)
def test_a_bracket_too_few_is_found_in_every_language(checker: SyntaxChecker, language: str) -> None:
    good = GOOD[language].encode()
    bad = good + BROKEN.get(language, "\nx((1\n").encode() + good

    assert checker.faults(PATHS[language], good) == ()
    assert checker.new_faults(PATHS[language], good, bad)
    assert checker.new_faults(PATHS[language], bad, bad) == ()


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (b"def f():\nreturn 1\n", 2),
        (b"def f():\n    a = 1\n  b = 2\n", 3),
        (b"if a:\n    b\n\tc\n", 3),
        (b"x = 'abc\n", 1),
    ],
)
def test_pythons_indentation_and_strings_are_checked(checker: SyntaxChecker, source: bytes, line: int) -> None:
    assert [fault.line for fault in checker.faults("a.py", source)] == [line]


@pytest.mark.parametrize("source", [b"print 'a'\n", b"type X = int\n", b"def f[T](a: T) -> T: ...\n"])
def test_other_pythons_than_ours_are_no_mistake(checker: SyntaxChecker, source: bytes) -> None:
    assert checker.faults("a.py", source) == ()


def test_a_file_may_stay_as_broken_as_it_was(checker: SyntaxChecker) -> None:
    before = b"package a\n\nfunc f( {\n}\n"

    assert checker.new_faults("a.go", before, before + b"\nfunc g() {}\n") == ()
    assert [f.text for f in checker.new_faults("a.go", before, before + b"\nfunc g( {}\n")] == ["func g( {}"]


@pytest.mark.parametrize("path", ["a.cpp", "a.c", "a.hpp"])
def test_macros_are_no_mistake(checker: SyntaxChecker, path: str) -> None:
    case = b'TEST_CASE("%s", "[x]") {\n  CHECK(1);\n}\n'

    assert checker.faults(path, case % b"one")
    assert checker.new_faults(path, b"", case % b"one") == ()
    assert checker.new_faults(path, case % b"one", case % b"one" + case % b"two") == ()


@pytest.mark.parametrize("path", ["README.md", "notes.txt", "Makefile", "a.unknown", ".py"])
def test_what_has_no_grammar_has_no_errors(checker: SyntaxChecker, path: str) -> None:
    assert checker.faults(path, b"((((\n") == ()


def test_a_file_that_kills_the_parser_costs_its_own_answer(checker: SyntaxChecker) -> None:
    assert checker.faults("Bomb.java", b"a<" * 50_000) == ()
    assert checker.faults("big.py", b"(" * (MAX_BYTES + 1)) == ()
    assert checker.faults("deep.py", b"-" * 200_000 + b"1\n") == ()
    assert checker.faults("deep.json", b"[" * 200_000) == ()
    assert [fault.line for fault in checker.faults("a.py", b"x = (\n")] == [1]


@pytest.mark.parametrize(
    "program",
    [
        "import time; time.sleep(60)",
        "import sys; sys.exit(3)",
        "import socket, time; s = socket.socket(fileno=0); s.sendall(b'ready\\n'); s.recv(9); time.sleep(60)",
        "import socket; s = socket.socket(fileno=0); s.sendall(b'ready\\n'); s.recv(9); s.sendall(b'what\\n')",
        "import socket; s = socket.socket(fileno=0); s.sendall(b'ready\\n'); s.recv(9); s.sendall(b'[[1]]\\n')",
        "import socket; s = socket.socket(fileno=0); s.sendall(b'ready\\n'); s.recv(9)\nwhile True: s.sendall(b'x' * 999)",
    ],
)
def test_a_parser_that_misbehaves_is_no_answer(program: str) -> None:
    checker = SyntaxChecker(command=lambda: [sys.executable, "-c", program], timeout_s=0.2, start_timeout_s=1.0)

    with closing(checker):
        assert checker.faults("a.py", b"x = (\n") == ()
        assert checker.faults("a.py", b"x = (\n") == ()
