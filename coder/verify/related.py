"""Which test files have to do with a change: by what they import, then by name. Pure; a guess that only orders work."""

import posixpath
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from coder.verify.tests_of import is_test

Read = Callable[[str], bytes | None]
Touching = Callable[[str], Sequence[str]]
"""The test files that speak of a file's functions."""

MAX_RELATED: Final = 40
"""Test files that are named on one command line."""
_MAX_FILES: Final = 6_000
"""Files whose imports are read; beyond them names decide."""
_MAX_BYTES: Final = 300_000
_MAX_ASKED: Final = 20
"""Changed files that the code map is asked about."""
_MAX_STEPS: Final = 3
"""From a test to the change over so many imports at most: further away everything has to do with everything."""

_PYTHON: Final = re.compile(rb"(?m)^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+([^\n#;]+)|import[ \t]+([\w., \t]+))")
_JAVASCRIPT: Final = re.compile(rb"""(?:\bfrom|\bimport|\brequire\s*\(|\bimport\s*\()\s*["'](\.{1,2}/[^"'\n]+)["']""")
_JVM: Final = re.compile(rb"(?m)^[ \t]*import[ \t]+(?:static[ \t]+)?([\w.]+)")
_RUBY: Final = re.compile(rb"""(?m)^[ \t]*require(?:_relative)?[ \t(]+["']([^"'\n]+)["']""")
_INCLUDE: Final = re.compile(rb"""(?m)^[ \t]*#[ \t]*include[ \t]+["<]([^">\n]+)[">]""")
_PATTERNS: Final[Mapping[str, re.Pattern[bytes]]] = {
    ".py": _PYTHON,
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".vue", ".svelte"), _JAVASCRIPT),
    **dict.fromkeys((".java", ".kt", ".scala", ".groovy"), _JVM),
    ".rb": _RUBY,
    **dict.fromkeys((".c", ".cc", ".cpp", ".cxx", ".h", ".hpp"), _INCLUDE),
}
_TEST_NAME: Final = re.compile(r"^test|^Test[A-Z]|[._-](?:test|tests|spec|it)$|(?:Test|Tests|TestCase|IT|Spec)$")
_TEST_MARK: Final = re.compile(r"^(?:test_?|tests_?)|(?:[._-]?(?:test|tests|spec|testcase|it))$", re.IGNORECASE)


def related_tests(
    changed: Iterable[str], files: Collection[str], read: Read, touching: Touching = lambda _: ()
) -> tuple[str, ...]:
    """Test files among `files` that have to do with the `changed` paths, the closest first, at most `MAX_RELATED`.

    First changed tests themselves, then those that import what was changed over the fewest steps, then those that speak of
    it by the code map (`touching`) or are named after it, then those in its folder (in Go that is the package).
    """
    changes = set(changed)
    code = sorted(path for path in files if posixpath.splitext(path)[1] in _PATTERNS)[:_MAX_FILES]
    steps = _distances(changes, _importers(code, read))
    stems = {_stem(path) for path in changes if not is_test(path)} - {"__init__", "index", "mod", "main", "utils"}
    folders = {posixpath.dirname(path) for path in changes if not is_test(path)}
    named = {test for path in sorted(changes)[:_MAX_ASKED] if not is_test(path) for test in touching(path)}
    ranked: list[tuple[int, str]] = []
    for path in files:
        if not is_test_file(path):
            continue
        if path in changes:
            rank = 0
        elif path in steps:
            rank = steps[path]
        elif path in named or _stem(path) in stems:
            rank = _MAX_STEPS + 1
        elif posixpath.dirname(path) in folders:
            rank = _MAX_STEPS + 2
        else:
            continue
        ranked.append((rank, path))
    return tuple(path for _, path in sorted(ranked)[:MAX_RELATED])


def is_test_file(path: str) -> bool:
    """Whether a runner can be told this file: no helper, no data."""
    name = posixpath.basename(path)
    stem, suffix = posixpath.splitext(name)
    return is_test(path) and suffix in {*_PATTERNS, ".go", ".rs", ".php", ".cs"} and bool(_TEST_NAME.search(stem))


def _stem(path: str) -> str:
    """A file's name without its ending and without what marks it as a test: `test_cart.py` and `cart.spec.ts` are `cart`."""
    stem = posixpath.basename(path).split(".", 1)[0]
    whole = posixpath.splitext(posixpath.basename(path))[0]
    return (_TEST_MARK.sub("", stem if "." in whole else whole) or stem).lower()


def _distances(changes: Collection[str], importers: Mapping[str, Collection[str]]) -> dict[str, int]:
    """From the changes against the direction of imports: each file with its number of steps."""
    found = dict.fromkeys(changes, 0)
    queue = deque(sorted(changes))
    while queue:
        path = queue.popleft()
        if found[path] == _MAX_STEPS:
            continue
        for importer in sorted(importers.get(path, ())):
            if importer not in found:
                found[importer] = found[path] + 1
                queue.append(importer)
    return found


def _importers(code: Collection[str], read: Read) -> dict[str, set[str]]:
    """For each file the files that import it."""
    by_ending = _endings(code)
    found: dict[str, set[str]] = {}
    for path in code:
        data = (read(path) or b"")[:_MAX_BYTES]
        for target in _targets(path, data):
            for imported in by_ending.get(target, ()):
                if imported != path:
                    found.setdefault(imported, set()).add(path)
    return found


def _endings(code: Collection[str]) -> dict[str, list[str]]:
    """Files by each way to name them: their path without ending, and its tails (`src/shop/cart.py`: `shop/cart`, `cart`)."""
    found: dict[str, list[str]] = {}
    for path in code:
        stem = posixpath.splitext(path)[0]
        whole = [stem, posixpath.dirname(stem)] if posixpath.basename(stem) in {"__init__", "index"} else [stem]
        for name in whole:
            parts = name.split("/")
            for at in range(len(parts)):
                found.setdefault("/".join(parts[at:]), []).append(path)
    # A name that stands for many files tells nothing.
    return {name: paths for name, paths in found.items() if name and len(paths) <= 5}  # noqa: PLR2004


def _targets(path: str, data: bytes) -> set[str]:
    """What a file imports, as paths without ending."""
    suffix = posixpath.splitext(path)[1]
    folder = posixpath.dirname(path)
    found: set[str] = set()
    for match in _PATTERNS[suffix].finditer(data):
        words = [(group or b"").decode("utf-8", "replace") for group in match.groups()]
        if suffix == ".py":
            found.update(_python_targets(folder, *words))
        elif suffix in {".rb", ".c", ".cc", ".cpp", ".cxx", ".h", ".hpp"}:
            found.add(posixpath.splitext(posixpath.normpath(words[0]).lstrip("./"))[0])
        elif words[0].startswith("."):
            joined = posixpath.normpath(posixpath.join(folder, words[0]))
            found |= {joined, posixpath.splitext(joined)[0]}
        else:
            found.add(words[0].replace(".", "/"))
    return found


def _python_targets(folder: str, module: str, names: str, plain: str) -> set[str]:
    if plain:
        return {part.split()[0].replace(".", "/") for part in plain.split(",") if part.split()}
    dots = len(module) - len(module.lstrip("."))
    rest = module.lstrip(".").replace(".", "/")
    if dots:
        parts = folder.split("/") if folder else []
        rest = "/".join([*parts[: len(parts) - dots + 1], *([rest] if rest else [])])
    inner = [name.strip(" ()").split(" ", 1)[0] for name in names.split(",")]
    return {rest, *(f"{rest}/{name}" if rest else name for name in inner if name.isidentifier())} - {""}
