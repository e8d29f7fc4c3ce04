"""The index's words: segments that grow, runs of one repository beside another's, and answers of parsers that lie."""

import json
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder.codemap.documents import postings
from coder.codemap.index import Index, Key, document_of
from coder.codemap.parse import Answer
from coder.codemap.parse_worker import answer
from coder.codemap.parsed import MAX_COUNTED, Definition, Parsed, Postings, entry

HERE = Definition("cart", "function", 1, 2, 0, "def cart():")


def parsed(text: str) -> Parsed:
    return Parsed.of("text", [], postings(text.encode(), []))


def key(number: int) -> Key:
    return f"{number:040x}", "text"


def test_blobs_that_come_one_by_one_are_found_as_those_that_come_together(tmp_path: Path) -> None:
    texts = {key(number): parsed(f"basket word{number % 7} basket only{number}") for number in range(600)}
    together, single = Index.open(tmp_path / "a.db"), Index.open(tmp_path / "b.db")
    together.add(texts)
    for one, text in texts.items():
        single.add({one: text})
        single.add({one: text})  # another process was faster

    for index in (together, single):
        row = {one: index.rows([one])[one].id for one in texts}
        some = {row[key(number)] for number in range(0, 600, 3)}
        runs = index.runs({"basket", "word3", "only300", "only301", "none"}, some)

        assert {word: len(found) for word, found in runs.items()} == {"basket": 200, "word3": 29, "only300": 1}
        assert runs["basket"][0] == (row[key(0)], array("H", [entry(0, 2)]))
        assert index.places(["only300"], some)["only300"] == {document_of(row[key(300)], 0)}
        assert index.runs(["basket"], set()) == {}
        index.close()


def test_a_word_that_counts_often_keeps_its_document() -> None:
    assert entry(4000, 10_000) == 4000 << 4 | MAX_COUNTED < 1 << 16


def test_an_answer_is_read_as_it_was_given() -> None:
    given_ = Parsed.of("parsed", [HERE], postings(b"def cart(): price", [(0, 17, "cart")]))

    head, _, parts = answer(7, given_).partition(b"\n")
    read = Answer.of(head)

    assert (read.key, read.status, read.parsed(parts)) == (7, "parsed", given_)
    assert read.parsed(parts).definitions == (HERE,)


LIES = {
    "no head": (b"ready", b""),
    "no list": (b'{"a": 1}', b""),
    "a status of its own": (b'[1, "skipped", 2, 0, 2, 0, 0]', b"[]\0\0"),
    "a negative size": (b'[1, "text", 2, -1, 2, 0, 0]', b"[]\0\0"),
    "a size beyond memory": (b'[1, "text", 2, 0, 2, 0, 99999999999]', b"[]\0\0"),
    "a definition without a document": (
        b'[1, "text", 37, 0, 2, 0, 0]',
        b'[["a","function",1,1,0,"signature a"]]'[:37] + b"\0\0",
    ),
    "a definition of other types": (b'[1, "text", 22, 0, 4, 0, 0]', b'[["a","b","c",1,0,""]]\0\0\0\0'),
    "half a number": (b'[1, "text", 2, 0, 1, 0, 0]', b"[]\0"),
    "a word without a size": (b'[1, "text", 2, 1, 2, 0, 0]', b"[]a\0\0"),
    "fewer entries than said": (b'[1, "text", 2, 1, 2, 2, 2]', b"[]a\0\0\2\0\1\0"),
    "a document that is not there": (b'[1, "text", 2, 1, 2, 2, 2]', b"[]a\0\0\1\0\x11\0"),
    "a word that is no text": (b'[1, "text", 2, 1, 2, 2, 2]', b"[]\xff\0\0\1\0\1\0"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_that_does_not_add_up_is_refused(lie: str) -> None:
    head, parts = LIES[lie]

    with pytest.raises((ValueError, TypeError)):
        Answer.of(head).parsed(parts)


@given(parts=st.binary(max_size=60), sizes=st.lists(st.integers(0, 30), min_size=5, max_size=5))
@settings(max_examples=200, deadline=None)
def test_what_is_read_of_any_bytes_can_be_stored_and_searched(parts: bytes, sizes: list[int]) -> None:
    try:
        found = Answer.of(json.dumps([1, "text", *sizes]).encode()).parsed(parts)
    except (ValueError, TypeError):
        return

    assert all(one >> 4 < len(found.postings.lengths) for one in found.postings.entries)
    assert len(found.definitions) + 1 == len(found.postings.lengths)


def test_postings_of_nothing_have_one_empty_document() -> None:
    assert Postings() == postings(b"", [])
