"""Which definitions lie inside which: their full names, and what is round a line."""

from collections.abc import Sequence

from coder.codemap.parsed import Definition


def full_names(definitions: Sequence[Definition]) -> list[str]:
    """For each definition of a file, in their order, its name behind those of what it lies in: `Cart.total_price`."""
    found: list[str] = []
    outer: list[str] = []
    for one in definitions:
        del outer[one.depth :]
        outer.append(one.name)
        found.append(".".join(outer))
    return found


def around(definitions: Sequence[Definition], line: int) -> int | None:
    """The index of the innermost definition that a line lies in."""
    found = None
    for number, one in enumerate(definitions):
        if one.line > line:
            break
        if line <= one.end_line and (found is None or one.depth >= definitions[found].depth):
            found = number
    return found
