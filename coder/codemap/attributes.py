"""What a repository says of its own files: `linguist-generated`, `-vendored` and `-documentation` in `.gitattributes`.

As GitHub reads them: https://github.com/github-linguist/linguist/blob/main/docs/overrides.md
"""

import re
from collections.abc import Iterable, Mapping
from fnmatch import translate
from typing import Final, NamedTuple

FILE: Final = ".gitattributes"
MAX_FILES: Final = 100
"""Such files that are read; the outermost come first."""

_ASPECTS: Final = frozenset({"generated", "vendored", "documentation"})
_PREFIX: Final = "linguist-"
_MAX_RULES: Final = 500
_MAX_PATTERN: Final = 300
_MAX_DEEP: Final = 3
"""`**` in one pattern: each may stand for any number of folders."""


class Rule(NamedTuple):
    """One pattern of one file, and what it says."""

    below: str
    """The folder of the file, with its slash; the pattern is of the path after it."""
    pieces: tuple[re.Pattern[str] | None, ...]
    """What each part of a path has to fit; None stands for any number of folders."""
    by_name: bool
    """The pattern is of the name alone, in any folder."""
    aspect: str
    value: bool | None

    def fits(self, path: str) -> bool:
        """Whether the pattern is of this path."""
        if not path.startswith(self.below):
            return False
        parts = path[len(self.below) :].split("/")
        return _fit(self.pieces, parts[-1:] if self.by_name else parts)


def linguist_lines(text: str) -> str:
    """The lines that say something here."""
    return "\n".join(line for line in text.splitlines() if _PREFIX in line and len(line) <= _MAX_PATTERN)


def rules(texts: Mapping[str, str]) -> tuple[Rule, ...]:
    """The rules of files by their folders (with a slash; the top is empty), those that win last."""
    inward = sorted(texts, key=lambda folder: (folder.count("/"), folder))
    found = (rule for folder in inward for line in texts[folder].splitlines() for rule in _line(folder, line))
    return tuple(rule for _, rule in zip(range(_MAX_RULES), found, strict=False))


def said(found: Iterable[Rule], path: str) -> dict[str, bool]:
    """What is said of a path, by aspect; what nothing is said about is left out."""
    values = {rule.aspect: rule.value for rule in found if rule.fits(path)}
    return {aspect: value for aspect, value in values.items() if value is not None}


def _line(folder: str, line: str) -> list[Rule]:
    pattern, *attributes = line.split() or [""]
    pieces = [piece for piece in pattern.strip('"').split("/") if piece]
    if not pieces or pattern.startswith(("#", "[attr]")) or pieces.count("**") > _MAX_DEEP:
        return []
    compiled = tuple(None if piece == "**" else re.compile(translate(piece)) for piece in pieces)
    values = [(name.lstrip("-!"), name, value) for name, _, value in (one.partition("=") for one in attributes)]
    return [
        Rule(folder, compiled, "/" not in pattern, name.removeprefix(_PREFIX), _value(sign, value))
        for name, sign, value in values
        if name.startswith(_PREFIX) and name.removeprefix(_PREFIX) in _ASPECTS
    ]


def _value(name: str, value: str) -> bool | None:
    if name.startswith("!"):
        return None
    return not name.startswith("-") and value.lower() not in {"false", "0", "no"}


def _fit(pieces: tuple[re.Pattern[str] | None, ...], parts: list[str]) -> bool:
    """Whether a pattern fits the whole path; `a/**` fits everything below `a`."""
    if not pieces:
        return not parts
    first, rest = pieces[0], pieces[1:]
    if first is None:
        return bool(parts) and (not rest or any(_fit(rest, parts[at:]) for at in range(len(parts))))
    return bool(parts) and first.match(parts[0]) is not None and _fit(rest, parts[1:])
