"""The search words of a text, definition by definition; and all that can be said of a text without a grammar."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final

from coder.codemap.outline import outline
from coder.codemap.parsed import MAX_DEFINITIONS, Parsed, Postings, Status, entry
from coder.codemap.words import IDENTIFIER, identifiers, words

MAX_COUNT: Final = 3
"""A word counts at most so often in one definition, so that a table of constants does not win over the code."""
NAME_WEIGHT: Final = 3
"""A word in a definition's name counts as if it stood so many times more in the body."""

_MAX_FOLDED: Final = 100_000
_MAX_LENGTH: Final = 0xFFFF
_DIGITS: Final = b"0123456789"
_BLANKED: Final = bytes(byte if IDENTIFIER.match(bytes([byte])) or byte in _DIGITS else 0x20 for byte in range(256))
"""Blanks for all that is in no identifier: a text so translated falls into words without a search. Digits may lead one."""

Span = tuple[int, int, str]
"""Start byte, end byte (outside), name of a definition. Spans nest or are apart; outer before inner."""


def outlined(source: bytes, status: Status, path: str = "") -> Parsed:
    """What can be said of a text without a grammar."""
    text = source.decode("utf-8", "replace")
    found = outline(text, path)[:MAX_DEFINITIONS]
    starts = [0]
    for line in source.split(b"\n"):
        starts.append(starts[-1] + len(line) + 1)
    spans = [(starts[one.line - 1], starts[one.end_line], one.name) for one in found]
    return Parsed.of(status, found, postings(source, spans))


def postings(source: bytes, spans: Sequence[Span]) -> Postings:
    """The words of each span without those of spans inside it; first what lies outside all."""
    lengths: list[int] = []
    held: dict[str, list[int]] = defaultdict(list)
    names = ["", *(name for _, _, name in spans)]
    for number, (tokens, name) in enumerate(zip(_tokens(source, spans), names, strict=True)):
        length, none = 0, entry(number, 0)
        for word, count in Counter(chain.from_iterable(map(_FOLDED.__getitem__, tokens))).items():
            counted = count if count < MAX_COUNT else MAX_COUNT  # noqa: FURB136 - a call for every word takes long
            length += counted
            held[word].append(none + counted)
        for word, weight in _name_words(name).items():
            length += weight
            entries = held[word]
            in_body = entries.pop() - none if entries and entries[-1] > none else 0
            entries.append(entry(number, in_body + weight))
        lengths.append(min(length, _MAX_LENGTH))
    sizes = array("H", map(len, held.values()))
    return Postings(array("H", lengths), tuple(held), sizes, array("H", chain.from_iterable(held.values())))


def _tokens(source: bytes, spans: Sequence[Span]) -> list[list[bytes]]:
    """The identifiers outside all spans, and of each span without those of spans inside it."""
    text = source.translate(_BLANKED)
    found: list[list[bytes]] = [[] for _ in range(len(spans) + 1)]
    open_spans: list[tuple[int, int]] = []
    at = 0

    def take(until: int) -> None:
        nonlocal at
        if until > at:
            found[open_spans[-1][1] if open_spans else 0] += text[at:until].split()
            at = until

    for number, (start, end, _) in enumerate(spans, start=1):
        while open_spans and open_spans[-1][0] <= start:
            take(open_spans[-1][0])
            open_spans.pop()
        take(start)
        open_spans.append((end, number))
    while open_spans:
        take(open_spans[-1][0])
        open_spans.pop()
    take(len(source))
    return found


@lru_cache(maxsize=_MAX_FOLDED)
def _name_words(name: str) -> Mapping[str, int]:
    """What a definition is found by beside its body: its name in parts, and exactly, marked by `=`."""
    found: dict[str, int] = {}
    for word in chain.from_iterable(map(words, identifiers(name.encode("utf-8", "replace")))):
        found[word] = found.get(word, 0) + NAME_WEIGHT
    short = name.rsplit(".", 1)[-1]
    if IDENTIFIER.fullmatch(short.encode("utf-8", "replace")):
        found["=" + short.lower()] = 1
    return found


class _Folded(dict[bytes, tuple[str, ...]]):
    """The words of each token, kept: code says the same names again and again. Faster here than `lru_cache`."""

    def __missing__(self, token: bytes) -> tuple[str, ...]:
        if len(self) >= _MAX_FOLDED:
            self.clear()
        found = self[token] = words(token.lstrip(_DIGITS).decode("utf-8", "replace"))
        return found


_FOLDED: Final = _Folded()
