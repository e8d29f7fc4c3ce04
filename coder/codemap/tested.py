"""Which tests touch a file or a name: by the names that they speak of, function by function, from the index alone."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import log
from typing import Final

from coder.codemap.index import Index, blob_of, place_of
from coder.codemap.languages import TEXT
from coder.codemap.nesting import full_names
from coder.codemap.parsed import Definition
from coder.codemap.paths import is_test
from coder.codemap.render import printable
from coder.codemap.snapshot import File, Snapshot
from coder.codemap.symbols import Look, split_name
from coder.codemap.tree import Tree
from coder.codemap.words import words

_MAX_NAMES: Final = 60
_MAX_FILES: Final = 12
_MAX_TESTS: Final = 6
_MAX_SAID: Final = 4
_MIN_NAME: Final = 3
_NOWHERE: Final = 1 << 30
_MANY: Final = 0.2
"""A word in a larger share of all tests points at none of them."""
_NAMED_AFTER: Final = 6.0
"""What a test file's own name says, in the same measure as a word that one test of four hundred holds."""
_FAR_LESS: Final = 0.15
"""A test that fits so much less than the best fits by chance."""
_MAX_READ: Final = 300
_MARK = re.compile(r"^(?:tests?[_-])|(?:[._-]?(?:tests?|specs?|testcase|it))$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Touching:
    """A test file, why it is named, and its tests that speak of the code, best first."""

    path: str
    why: str
    tests: tuple[tuple[int, str], ...] = ()
    """Line and name of each."""

    def said(self) -> str:
        """The file and its tests as lines."""
        tests = ", ".join(f"{line} {printable(name)}" for line, name in self.tests)
        return f"{printable(self.path)}: {self.why}" + (f"\n  {tests}" if tests else "")


@dataclass(frozen=True, slots=True)
class Tests:
    """The test files that touch a file or a name, best first."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    target: str
    files: tuple[Touching, ...] = ()
    more: int = 0

    def text(self) -> str:
        """A line or two for each file."""
        if not self.files:
            return f"no test speaks of {printable(self.target)} by name"
        more = [f"… {self.more} more test files"] if self.more else []
        return "\n".join([f"tests that touch {printable(self.target)}:", *(one.said() for one in self.files), *more])


def tests_touching(tree: Tree, state: Snapshot, index: Index, target: str) -> Tests | None:
    """The tests that touch a file of the tree, or a name that is defined in it; None when there is no such thing."""
    file = next((file for file in state.files if file.path == target), None)
    if file is None:
        return _using(tree, state, index, target)
    tests = [one for one in state.files if is_test(one.path) and one is not file and one.language != TEXT]
    return _found(target, tests, index, names=_names(index.definitions(file.row.id)), stem=_stem(file.path))


def _using(tree: Tree, state: Snapshot, index: Index, name: str) -> Tests | None:
    """The tests in which a name stands, those that say it most often first."""
    look = Look(tree, state, index)
    _, short = split_name(name)
    if not look.defined(short):
        return None
    files = [file for file in look.holding(short) if is_test(file.path) and file.language != TEXT]
    lines = look.tests_saying(files[:_MAX_READ], short)
    best = sorted(lines, key=lambda path: (-sum(lines[path].values()), path))
    touching = [
        Touching(path, f"speaks of {short}", tuple(place for place in sorted(lines[path]) if place[1])[:_MAX_TESTS])
        for path in best[:_MAX_FILES]
    ]
    return Tests(name, tuple(touching), max(0, len(best) - _MAX_FILES))


def _found(target: str, tests: list[File], index: Index, *, names: list[str], stem: str) -> Tests:
    by_blob: dict[int, list[File]] = defaultdict(list)
    for test in tests:
        by_blob[test.row.id].append(test)
    count = sum(len(test.row.lengths) for test in tests)
    fits: dict[int, dict[int, float]] = defaultdict(dict)
    said: dict[int, dict[str, float]] = defaultdict(dict)
    for name in names:
        documents = _holding(index, name, by_blob)
        if not documents or (len(documents) > _MANY * count and len(documents) > _MAX_FILES):
            continue
        rarity = log(1 + count / len(documents))
        for document in documents:
            mine = fits[blob_of(document)]
            mine[document] = mine.get(document, 0.0) + rarity
            said[blob_of(document)][name] = rarity
    worth = {test.path: sum(said[test.row.id].values()) + _named_after(test.path, stem) for test in tests}
    best = sorted(
        (test for test in tests if worth[test.path] > 0), key=lambda one: (-round(worth[one.path], 9), one.path)
    )
    touching = (
        _touching(one.path, index, fits[one.row.id], said[one.row.id], is_named_after=_named_after(one.path, stem) > 0)
        for one in best[:_MAX_FILES]
    )
    return Tests(target, tuple(touching), max(0, len(best) - _MAX_FILES))


def _holding(index: Index, name: str, blobs: dict[int, list[File]]) -> set[int]:
    """The documents of tests that hold a name: as a whole where it has several parts, else its one word."""
    found = words(name)
    whole = [word for word in found if word == name.lower()] or list(found)
    sets = index.places(whole, blobs.keys()).values()
    return set.intersection(*sets) if sets else set()


def _touching(
    path: str, index: Index, fits: dict[int, float], said: dict[str, float], *, is_named_after: bool
) -> Touching:
    """A test file as it is told. `fits` are the documents that speak of the code, `said` the names that they say."""
    inside = sorted((one for one in fits if place_of(one)), key=lambda one: (-round(fits[one], 9), one))[:_MAX_TESTS]
    told = sorted(said, key=lambda name: (-said[name], name))[:_MAX_SAID]
    why = ["named after it"] if is_named_after else []
    why += [f"speaks of {', '.join(map(printable, told))}"] if told else []
    definitions = index.definitions(blob_of(inside[0])) if inside else []
    names = full_names(definitions)
    tests = ((definitions[place_of(one) - 1].line, names[place_of(one) - 1]) for one in inside)
    return Touching(path, "; ".join(why), tuple(tests))


def _names(definitions: Iterable[Definition]) -> list[str]:
    """The names by which others speak of a file's code: the largest definitions; none that only a function sees."""
    found: dict[str, int] = {}
    function_depth = _NOWHERE
    for one in definitions:
        function_depth = _NOWHERE if one.depth <= function_depth else function_depth
        name = one.name.rsplit(".", 1)[-1]
        is_local = one.depth > function_depth
        if one.kind in {"function", "method"} and not is_local:
            function_depth = one.depth
        if not is_local and one.kind != "heading" and len(name) >= _MIN_NAME and not name.startswith("__"):
            size = one.end_line - one.line + (1000 if one.depth == 0 else 0)
            found[name] = max(found.get(name, 0), size)
    return sorted(found, key=lambda name: (-found[name], name))[:_MAX_NAMES]


def _stem(path: str) -> str:
    """What a file is called, without its suffix and without what marks it as a test."""
    name = posixpath.basename(path).split(".", 1)[0]
    if name in {"__init__", "index", "mod", "main", "lib"}:
        name = posixpath.basename(posixpath.dirname(path))
    return _MARK.sub("", name).lower().replace("_", "").replace("-", "")


def _named_after(path: str, stem: str) -> float:
    """What it says that a test file bears the code's name."""
    return _NAMED_AFTER if stem and _stem(path) == stem else 0.0
