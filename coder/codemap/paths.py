"""What a path alone says: whether its file is worth reading, whether it is a test, what it is about."""

import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final

from coder.codemap.languages import TEXT, language_of
from coder.codemap.words import words

# Of folders, once each, and of names: a tree has tens of thousands of paths, and few folders.
_VENDORED = re.compile(
    r"(?:^|/)(?:node_modules|bower_components|third_party|vendor|vendored|_vendor|site-packages|dist-packages|\.git|\.tox|\.venv|"
    r"__pycache__|\.yarn|\.next|Pods|Carthage|testdata/vendor)/"
)
_GENERATED = re.compile(
    r"(?:[.-]min\.(?:js|css|mjs)|\.bundle\.js|_pb2(?:_grpc)?\.pyi?|\.pb\.(?:go|cc|h|gw\.go)|\.generated\.\w+|\.g\.dart|"
    r"-lock\.(?:json|yaml)|npm-shrinkwrap\.json|^gradlew|\.designer\.cs)$",
    re.IGNORECASE,
)
_NO_TEXT: Final = frozenset(
    """
    png jpg jpeg gif ico webp bmp tif tiff svg pdf zip gz bz2 xz 7z tar tgz whl jar war class pyc so dll dylib exe o a lib
    wasm woff woff2 ttf otf eot mp3 mp4 m4a mov avi wav ogg flac db sqlite sqlite3 bin dat pkl npy npz parquet h5 onnx pt mo
    po pot csv tsv pem crt key der p12 jks map lock sum snap
    """.split()  # noqa: SIM905 - seventy quoted words would be harder to read
)
"""Suffixes of what is binary, data, or made by a tool."""
_TEST_FOLDER = re.compile(
    r"(?:^|/)(?:tests?|testing|__tests__|specs?|testdata|testutils?|fixtures|e2e|mocks?|__mocks__|integration[-_]tests?)/"
    r"|(?:^|/)src/(?:[a-z]+Test|test[A-Z][a-zA-Z]*)/"
)
_TEST_NAME = re.compile(
    r"^(?:test_.*|conftest)\.\w+$|^tests?\.rs$|(?:_test|_tests|\.test|\.spec|-test|-spec|_spec)\.\w+$|"
    r"(?:Tests?|IT|TestCase|Spec)\.(?:java|kt|scala|cs|groovy|php|swift)$"
)
_ASIDE = re.compile(
    r"(?:^|/)(?:docs?|documentation|examples?|samples?|benchmarks?|bench|demos?|website|tutorials?|\.github)/"
)
_BUILD = re.compile(
    r"^(?:setup|noxfile|fabfile)\.py$|^build\.(?:rs|zig|sbt)$|\.gradle(?:\.kts)?$|^(?:gulpfile|gruntfile|karma\.conf)\.\w+$|"
    r"\.config\.[cm]?[jt]s$|^\.\w+rc\.[cm]?js$|^Package\.swift$|^mix\.exs$|^Rakefile$",
    re.IGNORECASE,
)
_LOG = re.compile(r"^(?:changelog|changes|history|news|releases?|authors|contributors|license)", re.IGNORECASE)
_PROSE_HANDICAP: Final = 2.5
"""In points of a file's score, as `_ASIDE_HANDICAP`; both fitted with the parts of that score (docs/decisions/0036)."""
_ASIDE_HANDICAP: Final = 1.0


def is_worth_reading(path: str) -> bool:
    """Whether a file can hold text that somebody wrote in this repository."""
    folder, slash, name = path.rpartition("/")
    if _holds(_VENDORED, folder + slash):
        return False
    stem, _, suffix = name.rpartition(".")
    if suffix.lower() in _NO_TEXT:
        return False
    is_plain = stem.isalnum()  # most are, and a search in every name takes long
    return is_plain or not _GENERATED.search(name)


def is_test(path: str) -> bool:
    """Whether a path is that of a test or of what only tests use."""
    folder, slash, name = path.rpartition("/")
    return _holds(_TEST_FOLDER, folder + slash) or _TEST_NAME.search(name) is not None


def handicap(path: str, *, is_documentation: bool = False) -> float:
    """How much a file of this kind has to fit better than code to be as likely what has to change; 0 for code, tests judged apart."""
    folder, slash, name = path.rpartition("/")
    is_prose = language_of(path) == TEXT
    is_aside = is_documentation or _holds(_ASIDE, folder + slash) or (_LOG if is_prose else _BUILD).search(name)
    return _PROSE_HANDICAP * is_prose + _ASIDE_HANDICAP * bool(is_aside)


@lru_cache(maxsize=50_000)
def _holds(pattern: re.Pattern[str], folder: str) -> bool:
    return pattern.search(folder) is not None


def words_in_paths(paths: Sequence[str], wanted: Collection[str]) -> dict[int, frozenset[str]]:
    """Which of `wanted` each path holds, by the path's number; those that hold none are left out."""
    parts = [path.rpartition("/") for path in paths]
    folders = list(dict.fromkeys(folder for folder, _, _ in parts))
    in_folder = {folders[number]: _words(folders[number]).intersection(wanted) for number in _holding(folders, wanted)}
    in_name = dict.fromkeys(_holding([name for _, _, name in parts], wanted), frozenset[str]())
    for number in in_name:
        name = parts[number][2]
        in_name[number] = _words(name.rpartition(".")[0] or name).intersection(wanted)
    none = frozenset[str]()
    found = ((number, in_folder.get(part[0], none) | in_name.get(number, none)) for number, part in enumerate(parts))
    return {number: held for number, held in found if held}


def _words(text: str) -> frozenset[str]:
    return frozenset(word for piece in re.split(r"[/.\-\s]+", text) for word in words(piece))


def _holding(texts: Sequence[str], wanted: Collection[str]) -> set[int]:
    """The texts that may hold one of the words: a word stands in a text in lower case, if only as the start of a part.

    One search through all texts for each word: taking every path to pieces costs a hundred times as much.
    """
    lowered = [text.lower() for text in texts]
    starts = [0, *accumulate(len(text) + 1 for text in lowered)]
    joined = "\0".join(lowered)
    found: set[int] = set()
    for word in wanted:
        at = joined.find(word)
        while at >= 0:
            number = bisect_right(starts, at) - 1
            found.add(number)
            at = joined.find(word, starts[number + 1])
    return found
