"""The map as text: the best files with their best definitions, then bare paths, never over the budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from coder.codemap.parsed import Definition
from coder.codemap.rank import Ranked
from coder.codemap.tokens import line_tokens

HEAD_SHARE: Final = 0.7
"""The part of the budget for files with definitions; the rest is for bare paths."""
MAX_LINE: Final = 90
"""Characters of a signature that a map shows; symbol look-up shows all."""
_QUOTAS: Final = ((1, 10), (3, 6))
_LEAST: Final = 4
_HEAD_FILES: Final = 24


@dataclass(slots=True)
class Page:
    """Lines within a budget of tokens."""

    max_tokens: int
    lines: list[str] = field(default_factory=list)
    used: int = 0

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
    for number, file in enumerate(ranked[:_HEAD_FILES]):
        chosen = _chosen(file, definitions(file.blob), _quota(number))
        if not _add_file(page, file.path, chosen, limit):
            break
        shown += 1
    for file in ranked[shown:]:
        if not page.add(printable(file.path)):
            break
    return page.text()


def _quota(number: int) -> int:
    """How many definitions the file at this place may show."""
    return next((quota for until, quota in _QUOTAS if number < until), _LEAST)


def _chosen(file: Ranked, definitions: Sequence[Definition], quota: int) -> list[Definition]:
    """The best-fitting definitions, one of each name, best first."""
    by_name: dict[str, Definition] = {}
    for place in file.places:
        one = definitions[place]
        by_name.setdefault(one.name, one)
        if len(by_name) == quota:
            break
    return list(by_name.values())


def _add_file(page: Page, path: str, chosen: list[Definition], limit: int) -> bool:
    """Add a file with as many of its definitions as fit; False when not even one does."""
    for count in range(len(chosen), 0, -1):
        lines = [line_of(one) for one in sorted(chosen[:count], key=lambda one: (one.line, one.name))]
        if page.add(printable(path), *lines, limit=limit):
            return True
    return not chosen and page.add(printable(path), limit=limit)
