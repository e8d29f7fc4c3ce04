"""How many, and which: names of tests in a sentence, no more of them than anybody reads."""

from collections.abc import Collection

_MAX_NAMED = 10


def count(names: Collection[str], noun: str) -> str:
    """`2 tests`."""
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}"


def listed(names: Collection[str]) -> str:
    """The names in a line."""
    shown = list(names)[:_MAX_NAMED]
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"{', '.join(shown)}{more}"


def bulleted(names: Collection[str]) -> str:
    """The names, a line each."""
    more = [f"- … and {len(names) - _MAX_NAMED} more"] if len(names) > _MAX_NAMED else []
    return "\n".join([*(f"- {name}" for name in list(names)[:_MAX_NAMED]), *more])
