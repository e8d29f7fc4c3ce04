"""The map as text: the best files with their best definitions, then bare paths, never over the budget."""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from math import exp, log
from typing import Final

from coder.codemap.parsed import Definition
from coder.codemap.rank import Ranked
from coder.codemap.tokens import line_cost

HEAD_SHARE: Final = 0.7
"""The part of the budget for files with definitions; the rest is for bare paths."""
MAX_LINE: Final = 90
"""Characters of a signature that a map shows; symbol look-up shows all."""
_MAX_NAME: Final = 60


_FULL: Final = (1, 1)
"""How many definitions of the first and the second file stand as lines with their signatures; all others by name alone, for
a third of the tokens."""
_LINED_FILES: Final = 3
_LINED: Final = 6
"""So many definitions of so many files stand with their lines: the others are seldom looked at, and a line costs as much as a name."""
_MAX_SECTIONS: Final = 60
_MAX_NAMES: Final = 80

# How likely it is that a problem's fix changes what stands at a place of the ranking, fitted on the bug fixes of eleven
# repositories (docs/decisions/0022). Only ratios matter.
_TRUST: Final = 1.5
"""A file's odds fall by this power of e for each point of score below the first one's,"""
_FLAT: Final = 0.3
"""but this share of them falls with the place alone,"""
_FALL: Final = 1.3
"""by this power of it."""
_DEFINITION_FALL: Final = 1.0
"""The same of a definition's place in its file."""
_FILE_WORTH: Final = 0.5
"""What a path alone is worth beside its best definition."""
_SIZE_PRIOR: Final = 0.12
"""What a definition's size says beside its words, per power of e of its lines: long functions are changed more often; measured."""


class Page:
    """Lines within a budget of tokens."""

    def __init__(self, max_tokens: int) -> None:
        self._limit = 100 * max_tokens
        self._used = 0
        self.lines: list[str] = []

    def add(self, *lines: str, limit: int | None = None) -> bool:
        """Add all of `lines`, or none when they do not fit; whether they did."""
        cost = sum(line_cost(line) for line in lines)
        if self._used + cost > (self._limit if limit is None else 100 * limit):
            return False
        self.lines.extend(lines)
        self._used += cost
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
    shown = 0
    for section in _filled(ranked, definitions, int(100 * max_tokens * HEAD_SHARE)):
        if not page.add(*section.lines()):
            break
        shown += 1
    for file in ranked[shown:]:
        if not page.add(printable(file.path)):
            break
    return page.text()


def _filled(
    ranked: Sequence[Ranked], definitions: Callable[[int], Sequence[Definition]], limit: int
) -> list["_Section"]:
    """The first files with their definitions: always the next one, of an open file or of the next file, that is likeliest per token."""
    sections: list[_Section] = []
    left = limit
    waiting: list[tuple[float, int]] = []
    following = _next_section(ranked, definitions, 0)
    while True:
        best = waiting[0] if waiting else (0.0, -1)
        if following is not None and -best[0] <= following.promise:
            section = following
            if section.cost > left:
                break
            sections.append(section)
            following = _next_section(ranked, definitions, len(sections))
        elif waiting:
            section = sections[heappop(waiting)[1]]
            if section.cost > left:
                continue
        else:
            break
        left -= section.cost
        section.grow()
        if section.cost:
            heappush(waiting, (-section.promise, section.place))
    return sections


def _next_section(
    ranked: Sequence[Ranked], definitions: Callable[[int], Sequence[Definition]], place: int
) -> "_Section | None":
    if place >= min(len(ranked), _MAX_SECTIONS):
        return None
    file = ranked[place]
    likely = exp(_TRUST * (file.score - ranked[0].score)) * (1 - _FLAT) + _FLAT / (1 + place) ** _FALL
    return _Section(place, file.path, _chosen(file, definitions(file.blob), _MAX_NAMES), likely)


class _Section:
    """A file of the map that grows by one definition at a time."""

    def __init__(self, place: int, path: str, chosen: list[Definition], likely: float) -> None:
        """`likely` is that the file is meant, beside the first one; `chosen` are its definitions, best first."""
        self.place = place
        self._path = printable(path)
        self._chosen = chosen
        self._likely = likely
        self._full = _FULL[place] if place < len(_FULL) else 0
        self._shown = -1
        self.cost = 0
        """Hundredths of a token that the next step costs; 0 when there is none."""
        self.promise = 0.0
        """How much of what is wanted the next step may show, per token."""
        self._look_ahead()

    def grow(self) -> None:
        """Take the next step."""
        self._shown = 1 if self._shown < 0 and self._chosen else self._shown + 1
        self._look_ahead()

    def _look_ahead(self) -> None:
        number = max(0, self._shown)
        self.cost, self.promise = 0, 0.0
        if self._shown < 0:
            self.cost = line_cost(self._path)
            self.promise = _FILE_WORTH
        if number < len(self._chosen):
            one = self._chosen[number]
            self.promise += (number + 1) ** -_DEFINITION_FALL
            if number < self._full:
                self.cost += line_cost(line_of(one))
            else:
                start = _also(self._full) if number == self._full else ""
                self.cost += line_cost(f"{start} {self._brief(number)}") - (0 if start else line_cost(""))
        self.promise = round(self.promise * self._likely / max(1, self.cost), 12)

    def lines(self) -> list[str]:
        """The file as it is shown."""
        count = max(0, self._shown)
        lines = [line_of(one) for one in sorted(self._chosen[: min(self._full, count)], key=_order)]
        names = [
            self._brief(number)
            for number in sorted(range(self._full, count), key=lambda number: _order(self._chosen[number]))
        ]
        if names:
            lines.append(" ".join([_also(self._full), *names]))
        return [self._path, *lines]

    def _brief(self, number: int) -> str:
        """A definition by name; with its line while it is likely to be looked at."""
        one = self._chosen[number]
        name = printable(one.name)[:_MAX_NAME]
        return f"{name}:{one.line}" if self.place < _LINED_FILES and number < _LINED else name


def _also(full: int) -> str:
    return "  also:" if full else " "


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


def _order(one: Definition) -> tuple[int, str]:
    return one.line, one.name
