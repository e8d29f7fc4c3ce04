"""What a repository's past says about a problem: where work goes on, and what was changed when the like of it was said."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import log
from typing import Final, NamedTuple

from coder.codemap.index import Index
from coder.codemap.query import Query
from coder.codemap.tree import HasPast, Tree
from coder.codemap.words import identifiers, words
from coder.errors import CoderError

_OLD: Final = 1000
"""Commits after which a file counts as not changed at all."""
_MAX_PATHS: Final = 30
"""A commit of more files is a move, a format or a first import: it says nothing about any of them."""
_RECENCY: Final = 0.13
"""For a file changed in the last commit beside one not changed in any, per power of e of commits; measured."""
_ECHO: Final = 2.2
"""For a file changed alone by a commit that said all that the problem says; measured."""
_COMMON: Final = 0.2
"""A word in a larger share of the subjects says nothing."""
_FEW: Final = 100
"""In so short a past no word is called common."""
_LENGTHY: Final = 0.05
"""A long subject says more by chance."""
_TELLING: Final = 8
"""So many of a problem's rarest words are all that a subject can be expected to say."""


class Change(NamedTuple):
    """A commit: its number, 0 the newest, the search words of its subject, the files that it changed."""

    age: int
    words: list[str]
    paths: list[str]


class Familiar(NamedTuple):
    """What the past says about a file, as parts of its score."""

    recency: float
    echo: float


def past_of(tree: Tree, index: Index) -> list[Change]:
    """The small commits of a tree's past, from the index where they were read before; none where there is none to read."""
    if not isinstance(tree, HasPast) or not tree.commit:
        return []
    key = f"past {tree.commit}"
    kept = index.kept(key)
    if kept is None:
        try:
            said = tree.subjects()
        except CoderError:  # no commit, or a history that takes too long: a map without its past is still a map
            return []
        kept = json.dumps(
            [
                [age, _folded(subject), list(paths)]
                for age, (subject, paths) in enumerate(said)
                if 0 < len(paths) <= _MAX_PATHS
            ],
            separators=(",", ":"),
        )
        index.keep(key, kept)
    return [Change(*change) for change in json.loads(kept)]


def _folded(subject: str) -> list[str]:
    """The search words of a subject, once each."""
    return sorted({word for token in identifiers(subject.encode("utf-8", "replace")) for word in words(token)})


def familiar(changes: Sequence[Change], query: Query) -> dict[str, Familiar]:
    """What each changed file gains by it."""
    counts = Counter(word for change in changes for word in change.words if word in query.words)
    total = len(changes)
    rarity = {
        word: query.words[word] * log(1 + (total - count + 0.5) / (count + 0.5))
        for word, count in counts.items()
        if total <= _FEW or count <= _COMMON * total
    }
    whole = sum(sorted(rarity.values(), reverse=True)[:_TELLING]) or 1.0
    last: dict[str, int] = {}
    echo: dict[str, float] = defaultdict(float)
    for change in changes:
        for path in change.paths:
            last.setdefault(path, change.age)
        fit = sum([rarity[word] for word in change.words if word in rarity])
        if fit:
            share = fit / whole / (1 + _LENGTHY * len(change.words)) / len(change.paths) ** 0.5
            for path in change.paths:
                echo[path] = max(echo[path], share)
    return {
        path: Familiar(_RECENCY * max(0.0, log((_OLD + 1) / (age + 1))), _ECHO * echo[path])
        for path, age in last.items()
    }
