"""How many tokens a text may cost, without any model's tokenizer: an upper estimate that is fast and the same everywhere."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

# As byte-pair tokenizers of 100,000 words and more cut a text before they look up words: one mark may lead a word.
_RUN: Final = re.compile(r"[^\nA-Za-z0-9]?[A-Za-z]+|[0-9]{1,3}| ?[^\sA-Za-z0-9]+|\s")
_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

# Hundredths of a token, fitted on lines of maps of eighteen repositories to the larger count of the vocabularies cl100k and
# o200k, and then raised until no map of 373 bug fixes in 24 repositories cost more than it says (docs/decisions/0031).
_LINE: Final = 170
_SPACE: Final = 45
_DIGITS: Final = 115
_MARK: Final = 93
_MORE_MARKS: Final = 40
_BYTE: Final = 75
"""Outside ASCII."""
_FIRST: Final = 94
_INNER: Final = 106
_MERGED: Final = 113
"""A word behind a mark that tokenizers hold together with it, as in `_name`;"""
_MARKED: Final = 153
"""and one that they do not."""
_PIECE: Final = 80
"""The second piece of a word that is not known. Often it is half of that; but a repository's own name is such a word, and
stands in every path."""
_NEXT_PIECE: Final = 47
"""Each further one: long words are less often strange ones,"""
_MORE_PIECES: Final = 85
"""but a word of so many is hardly one."""
_FEW_PIECES: Final = 3
_LONGEST: Final = 14


class _Vocabulary(NamedTuple):
    """Words that the vocabularies hold whole, small or capitalised; `merging` also together with a mark before them."""

    words: frozenset[str]
    merging: frozenset[str]


@lru_cache(maxsize=1)
def _vocabulary() -> _Vocabulary:
    """The parts of names and paths that stand in at least two of sixty repositories, and are one token of both vocabularies."""
    text = Path(__file__).with_name("whole_words.txt").read_text(encoding="ascii")
    merging, others = (frozenset(block.split()) for block in text.split("\n\n"))
    return _Vocabulary(merging | others, merging)


def tokens(text: str) -> int:
    """An upper estimate of the tokens of code and paths for byte-pair tokenizers of 100,000 words and more.

    Each line counts by itself and ends in a line break: the sum over lines is the whole. Not a proof: letters by chance can
    cost up to a third more than it says.
    """
    return -(-sum(line_cost(line) for line in text.split("\n")) // 100)


def line_cost(line: str) -> int:
    """An upper estimate of one line and its line break, in hundredths of a token."""
    cost = _LINE
    for run in _RUN.findall(line):
        first, last = run[0], run[-1]
        if last.isascii() and last.isalpha():
            is_led = not (first.isascii() and first.isalpha())
            cost += _name_cost(run[1:] if is_led else run, is_led and first != " ")
            if not first.isascii():
                cost += _BYTE * len(first.encode("utf-8", "replace"))
        elif run.isspace():
            cost += _SPACE
        elif first.isdigit() and first.isascii():
            cost += _DIGITS
        elif run.isascii():
            cost += _MARK + _MORE_MARKS * (len(run.strip()) - 1)
        else:
            cost += _BYTE * len(run.strip().encode("utf-8", "replace"))
    return cost


@lru_cache(maxsize=20_000)
def _name_cost(name: str, is_marked: bool) -> int:  # noqa: FBT001 - `lru_cache` is faster by position
    """The cost of letters in a row, part by part (`parseHTTPHeader` has three); `is_marked` with a mark before, as in `_name`."""
    words, merging = _vocabulary()
    cost = 0
    for number, part in enumerate(_PART.findall(name)):
        word = part.lower()
        marked = is_marked and not number
        if word in words:
            cost += _INNER if number else _FIRST if not marked else _MERGED if word in merging else _MARKED
        elif part.isupper():
            cost += _INNER * ((len(part) + 1) // 2) + _PIECE * marked
        else:
            more = _pieces(word, words) - 1
            cost += _INNER + _PIECE * (min(more, 1) + marked)
            cost += _NEXT_PIECE * max(0, min(more, _FEW_PIECES) - 1) + _MORE_PIECES * max(0, more - _FEW_PIECES)
    return cost


def _pieces(word: str, words: frozenset[str]) -> int:
    """Into how many of our words a word can be cut, the longest first; what starts with none of them gives up two letters."""
    count = at = 0
    while at < len(word):
        ends = range(min(len(word), at + _LONGEST), at + 2, -1)
        at = next((end for end in ends if word[at:end] in words), at + 2)
        count += 1
    return count
