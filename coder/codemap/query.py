"""A problem's text as a query: its words by weight, and what it names outright."""

import re
from collections import Counter
from math import log
from typing import Final, NamedTuple

from coder.codemap.boilerplate import without_boilerplate
from coder.codemap.words import STOP, identifiers, stem, words

MAX_FOCUS: Final = 40_000
"""Characters of a problem that are read: the start, where the problem is said."""

_NOISE_WEIGHT: Final = 0.3
"""Of words that say that something is wrong, not what; measured. Code has few of them, so that they would look telling."""
_NOISE: Final = frozenset(
    stem(word)
    for word in """
    fix fixes bug issue problem broken wrong wrongly incorrect incorrectly correct correctly proper properly improper fail
    fails failing failed failure cause regression allow ensure sometimes always never possible
    when after before which such well instead because since while may might must their them these those what how why who
    where other another into over under about between through during up down out off same own too once again still already
    however though although make makes made now currently previously dont doesn isn won didn doing done due via eg ie etc
    please see without not like
    """.split()  # noqa: SIM905 - a hundred quoted words would be harder to read
)

_TITLE_WEIGHT: Final = 1.0
_COMPOUND_WEIGHT: Final = 1.0
_MAX_COMPOUNDS: Final = 400
_MAX_NAMES: Final = 60
_MIN_NAME: Final = 3

_CODE = re.compile(r"`([^`\n]{1,200})`")
_CALLED = re.compile(r"([A-Za-z_$][\w$]{2,79})\(")
_SHAPED = re.compile(r"\b(?=\w{0,79}(?:_[a-zA-Z0-9]|[a-z0-9][A-Z]))([A-Za-z_$][\w$]{3,79})\b")
_FRAME = re.compile(r"(?:\bin |\bat |::)([A-Za-z_][\w.$]{2,119})")
_PATH = re.compile(r"[\w@.+-]*(?:[/\\][\w@.+-]+)*[/\\]?[\w@+-]+\.[A-Za-z]\w{0,7}\b")
_DOTTED = re.compile(r"\b[A-Za-z_]\w+(?:\.[A-Za-z_]\w+){1,8}\b")
_NEIGHBOURS = re.compile(r"\b([A-Za-z]{2,20})(?=[ -]([A-Za-z]{2,20})\b)")
_TESTS = re.compile(r"\b(?:tests?|testing|test suite|flak[ye]|unit ?tests?)\b", re.IGNORECASE)


class Query(NamedTuple):
    """What to look for. `words` are folded as the index's are."""

    words: dict[str, float]
    names: tuple[str, ...] = ()
    """Identifiers that the text names as such: quoted, called, or shaped like nothing but code."""
    paths: tuple[str, ...] = ()
    """Paths and dotted modules that the text names, in its order."""
    is_about_tests: bool = False

    @classmethod
    def of(cls, text: str) -> "Query":
        """The query in a problem's text; its first line is its title."""
        text = without_boilerplate(text[:MAX_FOCUS])
        title = text.strip().split("\n", 1)[0]
        counts = Counter(word for token in identifiers(text.encode("utf-8", "replace")) for word in words(token))
        weights = {word: 1.0 + log(count) for word, count in counts.items()}
        for word in {word for token in identifiers(title.encode("utf-8", "replace")) for word in words(token)}:
            weights[word] = weights.get(word, 1.0) + _TITLE_WEIGHT
        for joined in _compounds(text):
            weights.setdefault(joined, _COMPOUND_WEIGHT)
        for word in _NOISE & weights.keys():
            weights[word] *= _NOISE_WEIGHT
        return cls(weights, _names(text), _paths(text), _TESTS.search(title) is not None)


def _compounds(text: str) -> tuple[str, ...]:
    """Neighbouring words of prose joined as names join them: `keep alive` → `keepalive`, `keep_alive`."""
    found: dict[str, None] = {}
    for match in _NEIGHBOURS.finditer(text):
        left, right = match[1].lower(), match[2].lower()
        if left not in STOP and right not in STOP:
            found[left + right] = found[f"{left}_{right}"] = None
    return tuple(found)[:_MAX_COMPOUNDS]


def _names(text: str) -> tuple[str, ...]:
    """Identifiers named as such, in order, once each."""
    found: dict[str, None] = {}
    for match in _CODE.finditer(text):
        quoted = identifiers(match[1].encode("utf-8", "replace"))
        found.update(dict.fromkeys(token for token in quoted if len(token) >= _MIN_NAME))
    for pattern in (_CALLED, _SHAPED):
        found.update(dict.fromkeys(match[1] for match in pattern.finditer(text)))
    for match in _FRAME.finditer(text):
        found[match[1].rsplit(".", 1)[-1]] = None
    return tuple(found)[:_MAX_NAMES]


def _paths(text: str) -> tuple[str, ...]:
    """Whatever could be the end of a path, in order, once each; dotted names as module paths too."""
    found: dict[str, None] = {}
    for match in _PATH.finditer(text):
        found[match[0].replace("\\", "/").lstrip("./")] = None
    for match in _DOTTED.finditer(text):
        found[match[0].replace(".", "/")] = None
    return tuple(path for path in found if path)[:_MAX_NAMES]
