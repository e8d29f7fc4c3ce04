"""The search words of a text, definition by definition; and all that can be said of a text without a grammar."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Final

from coder.codemap.outline import outline
from coder.codemap.parsed import MAX_DEFINITIONS, Parsed, Status
from coder.codemap.words import IDENTIFIER, words

MAX_COUNT: Final = 3
"""A word counts at most so often in one definition, so that a table of constants does not win over the code."""
NAME_WEIGHT: Final = 3
"""A word in a definition's name counts as if it stood so many times more in the body."""

_MAX_FOLDED: Final = 100_000

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
    return Parsed(status, tuple(found), documents(source, spans))


def documents(source: bytes, spans: Sequence[Span]) -> tuple[str, ...]:
    """The words of each span without those of spans inside it; first what lies outside all."""
    found: list[list[bytes]] = [[] for _ in range(len(spans) + 1)]
    open_spans: list[tuple[int, int]] = []
    at = 0

    def take(until: int) -> None:
        nonlocal at
        if until > at:
            found[open_spans[-1][1] if open_spans else 0].extend(IDENTIFIER.findall(source, at, until))
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
    names = ["", *(name for _, _, name in spans)]
    return tuple(_document(tokens, name) for tokens, name in zip(found, names, strict=True))


def _document(tokens: list[bytes], name: str) -> str:
    """Words by how often they count, the defined name (exact, marked by `=`) among them."""
    counts = Counter(chain.from_iterable(map(_FOLDED.__getitem__, tokens))).items()
    found = [word for word, _ in counts]
    for times in range(1, MAX_COUNT):
        found += [word for word, count in counts if count > times]
    found += words(name) * NAME_WEIGHT
    short = name.rsplit(".", 1)[-1]
    if IDENTIFIER.fullmatch(short.encode("utf-8", "replace")):
        found.append("=" + short.lower())
    return " ".join(found)


class _Folded(dict[bytes, tuple[str, ...]]):
    """The words of each token, kept: code says the same names again and again. Faster here than `lru_cache`."""

    def __missing__(self, token: bytes) -> tuple[str, ...]:
        if len(self) >= _MAX_FOLDED:
            self.clear()
        found = self[token] = words(token.decode("utf-8", "replace"))
        return found


_FOLDED: Final = _Folded()
