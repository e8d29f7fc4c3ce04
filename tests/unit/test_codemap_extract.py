"""Definitions of every language on a sample of its corner cases, and texts that nobody wrote."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder.codemap.documents import outlined, postings
from coder.codemap.extract import Extractor
from coder.codemap.languages import LANGUAGES, TEXT, Language, language_of
from coder.codemap.masks import readable
from coder.codemap.parsed import COUNT_BITS, MAX_COUNTED, MAX_DEFINITIONS, MAX_SIGNATURE, Parsed
from coder.codemap.words import identifiers, words

DATA = Path(__file__).parents[1] / "data" / "codemap"
NAMES = [language.name for language in LANGUAGES]


def lines(source: bytes, language: str) -> list[str]:
    parsed = Extractor().extract(source, language)
    return [
        f"{'  ' * one.depth}{one.line}-{one.end_line} {one.kind} {one.name} | {one.signature}"
        for one in parsed.definitions
    ]


def held(parsed: Parsed) -> list[dict[str, int]]:
    """The words of each document, and how often they count."""
    lengths, found, sizes, entries = parsed.postings
    documents: list[dict[str, int]] = [{} for _ in lengths]
    left = iter(entries)
    for word, size in zip(found, sizes, strict=True):
        for one in (next(left) for _ in range(size)):
            documents[one >> COUNT_BITS][word] = one & MAX_COUNTED
    assert [sum(words.values()) for words in documents] == list(lengths)
    return documents


@pytest.mark.parametrize("name", NAMES)
def test_a_language_finds_the_definitions_of_its_sample(name: str) -> None:
    source = (DATA / f"{name}.sample").read_bytes()

    found = lines(source, name)

    assert found == (DATA / f"{name}.golden").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_windows_line_ends_change_no_line_number(name: str) -> None:
    source = (DATA / f"{name}.sample").read_bytes()

    unix = Extractor().extract(source, name).definitions
    windows = Extractor().extract(source.replace(b"\n", b"\r\n"), name).definitions

    assert [(one.name, one.line, one.end_line) for one in windows] == [
        (one.name, one.line, one.end_line) for one in unix
    ]


def test_a_suffix_belongs_to_one_language() -> None:
    suffixes = [suffix for language in LANGUAGES for suffix in language.suffixes]

    assert len(suffixes) == len(set(suffixes))
    assert language_of("a/B.PY") == "python"
    assert language_of("a/Makefile") == TEXT
    assert [language_of(path) for path in (".py", "a/.py", "a.py/b", "a.d/.x.py", "py", "")] == [
        *(TEXT, TEXT, TEXT, "python", TEXT, TEXT)
    ]


def test_a_word_counts_for_the_innermost_definition() -> None:
    source = b"class Outer:\n    apple = 1\n    def inner(self):\n        banana()\ncherry()\n"

    outside, outer, inner = held(Extractor().extract(source, "python"))

    assert words("cherry")[0] in outside
    assert words("apple")[0] in outer
    assert "banana" in inner
    assert "banana" not in outer
    assert "=inner" in inner


def test_a_word_repeated_in_a_table_counts_three_times() -> None:
    source = b"def table():\n    return [" + b"apple, " * 500 + b"]\n"

    _, table = held(Extractor().extract(source, "python"))

    assert table[words("apple")[0]] == 3


def test_a_definitions_name_counts_for_it_beside_its_body() -> None:
    source = b"def cart_price():\n    return price\n"

    _, price = held(Extractor().extract(source, "python"))

    assert price == {"cart": 4, "pric": 5, "cart_price": 4, "=cart_price": 1}


@given(source=st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_words_are_what_the_search_for_identifiers_finds(source: bytes) -> None:
    (outside,) = held(Parsed.of("text", [], postings(source, [])))
    counts = Counter(word for token in identifiers(source) for word in words(token))

    assert outside == {word: min(count, 3) for word, count in counts.items()}


def test_a_parse_that_takes_too_long_is_given_up() -> None:
    ticks = iter(range(0, 10_000, 100))
    extractor = Extractor(clock=lambda: next(ticks))

    parsed = extractor.extract(b"def late():\n    pass\n" + b"x = 1\n" * 50_000, "python")

    assert parsed.status == "unparsed"
    assert [one.name for one in parsed.definitions] == ["late"]
    ticks = iter([0] * 10_000)
    assert extractor.extract(b"def next(): pass\n", "python").status == "parsed"


def test_a_file_of_countless_definitions_keeps_the_first() -> None:
    source = b"".join(b"def f%d(): pass\n" % number for number in range(MAX_DEFINITIONS + 100))

    parsed = Extractor().extract(source, "python")

    assert len(parsed.definitions) == MAX_DEFINITIONS
    assert len(parsed.postings.lengths) == MAX_DEFINITIONS + 1
    assert all(len(one.signature) <= MAX_SIGNATURE for one in parsed.definitions)


def test_text_without_a_grammar_is_outlined() -> None:
    shell = outlined(b"start_server() {\n  exec x\n}\nfunction stop {\n}\n", "text", "run.sh")
    swift = outlined(b"public final class View {\n  override func draw(x: Int) {}\n}\n", "text", "v.swift")
    prose = outlined(b"# Title\n\nclass of service\n\n## Part\n", "text", "a.md")

    assert [(one.kind, one.name, one.line, one.end_line) for one in shell.definitions] == [
        ("function", "start_server", 1, 3),
        ("function", "stop", 4, 6),
    ]
    assert [(one.kind, one.name) for one in swift.definitions] == [("class", "View"), ("function", "draw")]
    assert [(one.kind, one.name) for one in prose.definitions] == [("heading", "Title"), ("heading", "Part")]


def test_a_notebook_is_outlined_by_the_lines_of_its_cells() -> None:
    source = b'{"cells": [{"source": [\n  "import os\\n",\n  "def load(path):\\n",\n  "    return 1\\n",\n  "class Model:"\n ]}]}\n'

    parsed = outlined(source, "text", "a.ipynb")

    assert [(one.kind, one.name, one.line, one.signature) for one in parsed.definitions] == [
        ("function", "load", 3, "def load(path):"),
        ("class", "Model", 5, "class Model:"),
    ]


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda one: one.name)
@given(source=st.one_of(st.binary(max_size=500), st.from_regex(rb"(<script>|</script|>|LIB_API|class |\n|a){1,40}")))
@settings(max_examples=40, deadline=None)
def test_what_a_grammar_cannot_read_is_blanked_in_its_place(language: Language, source: bytes) -> None:
    read = readable(source, language)

    assert len(read) == len(source)
    assert all(now in {before, 32} for now, before in zip(read, source, strict=True))
    assert [at for at, byte in enumerate(read) if byte == 10] == [at for at, byte in enumerate(source) if byte == 10]


@given(source=st.binary(max_size=2000), name=st.sampled_from(NAMES))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_definitions_that_fit_the_file(source: bytes, name: str) -> None:
    parsed = Extractor().extract(source, name)

    assert len(parsed.postings.lengths) == len(parsed.definitions) + 1
    for one in parsed.definitions:
        assert 1 <= one.line <= one.end_line <= source.count(b"\n") + 1


@given(source=st.binary(max_size=2000))
@settings(max_examples=100, deadline=None)
def test_any_bytes_can_be_outlined(source: bytes) -> None:
    parsed = outlined(source, "text", "x.md")

    assert len(parsed.postings.lengths) == len(parsed.definitions) + 1
    assert all(1 <= one.line <= one.end_line for one in parsed.definitions)
