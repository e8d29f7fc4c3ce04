"""The map as text: the best files with their best definitions, then bare paths, never over the budget."""

from collections.abc import Callable, Iterator, Sequence
from math import log
from typing import Final, NamedTuple

from coder.codemap.parsed import Definition
from coder.codemap.rank import Ranked
from coder.codemap.tokens import line_tokens

HEAD_SHARE: Final = 0.9
"""The part of the budget for files with definitions; the rest is for bare paths."""
MAX_LINE: Final = 90
"""Characters of a signature that a map shows; symbol look-up shows all."""
_MAX_NAME: Final = 60


class Quota(NamedTuple):
    """How many definitions a file may show: as lines, and after those by name alone (a third of the tokens)."""

    lines: int
    names: int


QUOTAS: Final = ((1, Quota(2, 20)), (3, Quota(1, 12)), (6, Quota(0, 6)), (12, Quota(0, 4)), (20, Quota(0, 1)))
"""By place in the ranking (up to which, outside), for `_USUAL_TOKENS`; measured on the bug fixes of nine repositories."""
_USUAL_TOKENS: Final = 1000
_LEAST_SCALE: Final = 0.5
_MOST_SCALE: Final = 3.0
_SIZE_PRIOR: Final = 0.12
"""What a definition's size says beside its words, per power of e of its lines: long functions are changed more often; measured."""


class Page:
    """Lines within a budget of tokens."""

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.lines: list[str] = []
        self.used = 0

    def add(self, *lines: str, limit: int | None = None) -> bool:
        """Add all of `lines`, or none when they do not fit; whether they did."""
        cost = sum(line_tokens(line) for line in lines)
        if self.used + cost > (self.max_tokens if limit is None else limit):
            return False
        self.lines.extend(lines)
        self.used += cost
        return True

    def text(self) -> str:
        """The page, its last line without a line break."""
        return "\n".join(self.lines)


def printable(text: str) -> str:
    """`text` with everything that could steer a terminal, a line or an eye written as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def line_of(one: Definition) -> str:
    """A definition as a line: where it begins and how it is declared, cut where only parameters' types would follow."""
    text = one.signature or one.name
    if len(text) > MAX_LINE:
        text = text[: MAX_LINE - 1].rstrip() + "…"
    return f"  {one.line}: {printable(text)}"


def rendered(ranked: Sequence[Ranked], definitions: Callable[[int], Sequence[Definition]], *, max_tokens: int) -> str:
    """Files in their order, the first ones with definitions in line order; `tokens(text) ≤ max_tokens`.

    Below the budget of a single path the map is empty.
    """
    page = Page(max_tokens)
    limit = int(max_tokens * HEAD_SHARE)
    shown = 0
    for file, quota in zip(ranked, _quotas(max_tokens), strict=False):
        chosen = _chosen(file, definitions(file.blob), quota.lines + quota.names)
        if not _add_file(page, file.path, chosen, quota.lines, limit):
            break
        shown += 1
    for file in ranked[shown:]:
        if not page.add(printable(file.path)):
            break
    return page.text()


def _quotas(max_tokens: int) -> Iterator[Quota]:
    """What the first, the second, … file may show: more of more files in a larger budget."""
    scale = min(_MOST_SCALE, max(_LEAST_SCALE, max_tokens / _USUAL_TOKENS))
    number = 0
    for until, quota in QUOTAS:
        lines = max(1, round(quota.lines * scale)) if quota.lines else 0
        while number < until * max(1.0, scale):
            yield Quota(lines, max(1, round(quota.names * scale)))
            number += 1


def _chosen(file: Ranked, definitions: Sequence[Definition], count: int) -> list[Definition]:
    """The definitions that fit best or are large, one of each name, best first."""
    fits = dict(zip(file.places, file.fits, strict=False))

    def worth(place: int) -> float:
        one = definitions[place]
        return fits.get(place, 0.0) + _SIZE_PRIOR * log(1 + one.end_line - one.line)

    by_name: dict[str, Definition] = {}
    for place in sorted(range(len(definitions)), key=lambda place: (-round(worth(place), 9), place)):
        by_name.setdefault(definitions[place].name, definitions[place])
        if len(by_name) == count:
            break
    return list(by_name.values())


def _add_file(page: Page, path: str, chosen: list[Definition], full: int, limit: int) -> bool:
    """Add a file with as many of its definitions as fit, `full` of them as lines; False when not even one does."""
    for count in range(len(chosen), 0, -1):
        lines = [line_of(one) for one in _in_order(chosen[: min(full, count)])]
        names = [f"{one.line} {printable(one.name)[:_MAX_NAME]}" for one in _in_order(chosen[full:count])]
        if names:
            lines.append(("  also: " if lines else "  ") + ", ".join(names))
        if page.add(printable(path), *lines, limit=limit):
            return True
    return not chosen and page.add(printable(path), limit=limit)


def _in_order(definitions: Sequence[Definition]) -> list[Definition]:
    return sorted(definitions, key=lambda one: (one.line, one.name))
