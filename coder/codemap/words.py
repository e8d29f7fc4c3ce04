"""Text as search words: identifiers whole and in their parts, folded the same way for code and for problems."""

import re
from functools import lru_cache
from typing import Final

IDENTIFIER: Final = re.compile(rb"[A-Za-z_$\x80-\xff][A-Za-z0-9_$\x80-\xff]*")
"""What counts as one identifier, over bytes, because parsers count bytes."""

MAX_WORD: Final = 48
"""Characters; longer ones are data (hashes, base64), not names."""

_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+[0-9]*|[A-Z]+[0-9]*|[0-9]+|[^\x00-\x7f]+")

# Words that say nothing about which code is meant: keywords that several languages share, and English glue.
STOP: Final = frozenset(
    """
    self this return import from def class function func fn let var const if else elif for while in is not and or none null
    true false new try except catch finally raise throw with as pass break continue public private protected static void
    int str bool string the of to be it that on an at by are was were can will would should could has have had do does did
    there here when then than so but we you they he she my our your its if no yes also just only any all some more very
    use used using get gets got
    """.split()  # noqa: SIM905 - sixty quoted words would be harder to read
)

# Endings that differ between a problem's prose and the code's names; the first that leaves enough goes, once.
_ENDINGS: Final = (
    *("ations", "ation", "ators", "ator", "ating", "ated", "ates", "ate"),
    *("ions", "ion", "ings", "ing", "ies", "ied", "ers", "ed", "es", "er", "s", "e", "y"),
)
_MIN_STEM: Final = 3
_MIN_LONG_STEM: Final = 4  # `create` is not `cre`
_DOUBLED: Final = re.compile(r"([bdgmnprt])\1$")


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """A lower-case word without its ending: `skip`, `skips`, `skipped` and `skipping` are one word."""
    for ending in _ENDINGS:
        least = _MIN_LONG_STEM if ending.startswith("at") else _MIN_STEM
        if word.endswith(ending) and len(word) - len(ending) >= least:
            return _DOUBLED.sub(r"\1", word[: -len(ending)])
    return word


def parts(identifier: str) -> tuple[str, ...]:
    """The stems of an identifier's parts: `parseHTTPHeader_v2` → `pars`, `http`, `head`, `v2`."""
    found = (piece.lower() for piece in _PART.findall(identifier))
    return tuple(stem(piece) for piece in found if 1 < len(piece) <= MAX_WORD and piece not in STOP)


@lru_cache(maxsize=100_000)
def words(identifier: str) -> tuple[str, ...]:
    """What an identifier is found by: its parts' stems and, when it has several parts, itself in lower case."""
    pieces = parts(identifier)
    whole = identifier.lower()
    if len(whole) > MAX_WORD or len(whole) < 2 or whole in STOP or stem(whole) in pieces:  # noqa: PLR2004 - a letter says nothing
        return pieces
    return (*pieces, whole)


def identifiers(text: bytes) -> list[str]:
    """Every identifier of a text, in order, with repeats."""
    return [found.decode("utf-8", "replace") for found in IDENTIFIER.findall(text)]
