"""How each runner is told to run some of its tests only: words for its command line, by kind."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final


def files_of(tests: Sequence[str]) -> list[str]:
    """The files of ids, for runners that choose by file."""
    return _unique(_safe(test.split("::", 1)[0]) for test in tests)


def _go_selection(tests: Sequence[str]) -> list[str]:
    """Packages, and a pattern of names where each is chosen by name."""
    packages, names = [], []
    for test in tests:
        place, _, name = test.partition("::")
        if not name and re.fullmatch(r"(?:Test|Example|Fuzz)\w*(?:/.*)?", place):
            place, name = "./...", place
        names.append(name.split("/", 1)[0])
        packages.append(_go_package(place))
    words = [f"-run=^({'|'.join(_unique(map(re.escape, names)))})$"] if all(names) else []
    return [*words, *_unique(packages)]


def _go_package(place: str) -> str:
    """The package of a file, folder or import path."""
    if place.endswith(".go"):
        place = place.rpartition("/")[0] or "."
    # An import path begins with a host name; a folder of the repository must be told by ./
    outside = "." in place.split("/", 1)[0].strip(".")
    return place if outside or place.startswith(".") else f"./{place}"


def _cargo_selection(tests: Sequence[str]) -> list[str]:
    """Names of tests; a file of tests by its target."""
    targets = [match[1] for test in tests if (match := re.fullmatch(r"tests/([\w-]+)\.rs", test))]
    if len(targets) == len(tests):
        return [word for target in _unique(targets) for word in ("--test", target)]
    names = [test.split("::", 1)[1] if ":" in test.split("::", 1)[0] and "::" in test else test for test in tests]
    if any("/" in name or " " in name for name in names):
        return []
    return ["--", *_unique(map(_safe, names))]


def _maven_selection(tests: Sequence[str]) -> list[str]:
    chosen = _unique(_java_name(test, "#") for test in tests)
    return [f"-Dtest={','.join(chosen)}", "-DfailIfNoTests=false", "-Dsurefire.failIfNoSpecifiedTests=false"]


def _gradle_selection(tests: Sequence[str]) -> list[str]:
    return [word for name in _unique(_java_name(test, ".") for test in tests) for word in ("--tests", name)]


def _java_name(test: str, separator: str) -> str:
    """The class of an id or of a file, and the method of an id; a file tells its simple name only."""
    place, _, method = test.partition("::")
    if "/" in place:
        place = re.sub(r"\.(?:java|kt|groovy|scala)$", "", place.rpartition("/")[2])
    return f"{place}{separator}{method}" if method else place


def _safe(word: str) -> str:
    """A path or name that no runner takes for an option."""
    return f"./{word}" if word.startswith("-") else word


def _unique(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


SELECTIONS: Final[Mapping[str, Callable[[Sequence[str]], list[str]]]] = {
    "pytest": lambda tests: ["--", *tests],
    "go": _go_selection,
    "node": files_of,
    "jest": files_of,
    "vitest": files_of,
    "mocha": files_of,
    "rspec": files_of,
    "phpunit": lambda tests: files if len(files := files_of(tests)) == 1 else [],  # it takes one path
    "cargo": _cargo_selection,
    "maven": _maven_selection,
    "gradle": _gradle_selection,
}
