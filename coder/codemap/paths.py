"""What a path alone says: whether its file is worth reading, whether it is a test, what it is about."""

import re
from functools import lru_cache

from coder.codemap.languages import TEXT, language_of
from coder.codemap.words import words

_VENDORED = re.compile(
    r"(?:^|/)(?:node_modules|bower_components|third_party|vendor|vendored|_vendor|site-packages|dist-packages|\.git|\.tox|\.venv|"
    r"__pycache__|\.yarn|\.next|Pods|Carthage|testdata/vendor)/"
)
_GENERATED = re.compile(
    r"(?:[.-]min\.(?:js|css|mjs)|\.bundle\.js|\.map|_pb2(?:_grpc)?\.pyi?|\.pb\.(?:go|cc|h|gw\.go)|\.generated\.\w+|\.g\.dart|"
    r"\.lock|\.sum|\.snap|-lock\.(?:json|yaml)|npm-shrinkwrap\.json|/gradlew|\.designer\.cs)$",
    re.IGNORECASE,
)
_BINARY = re.compile(
    r"\.(?:png|jpe?g|gif|ico|webp|bmp|tiff?|svg|pdf|zip|gz|bz2|xz|7z|tar|tgz|whl|jar|war|class|pyc|so|dll|dylib|exe|o|a|lib|"
    r"wasm|woff2?|ttf|otf|eot|mp[34]|m4a|mov|avi|wav|ogg|flac|db|sqlite3?|bin|dat|pkl|npy|npz|parquet|h5|onnx|pt|mo|po|pot|"
    r"csv|tsv|pem|crt|key|der|p12|jks)$",
    re.IGNORECASE,
)
_TEST = re.compile(
    r"(?:^|/)(?:tests?|testing|__tests__|specs?|testdata|testutils?|fixtures|e2e|mocks?|__mocks__|integration[-_]tests?)/"
    r"|(?:^|/)(?:test_[^/]*|conftest)\.\w+$|[^/]*(?:_test|_tests|\.test|\.spec|-test|-spec|_spec)\.\w+$|"
    r"(?:^|/)[^/]*(?:Tests?|IT|TestCase|Spec)\.(?:java|kt|scala|cs|groovy|php|swift)$|(?:^|/)src/(?:[a-z]+Test|test[A-Z][a-zA-Z]*)/"
)
_ASIDE = re.compile(
    r"(?:^|/)(?:docs?|documentation|examples?|samples?|benchmarks?|bench|demos?|website|tutorials?|\.github)/"
)
_LOG = re.compile(
    r"(?:^|/)(?:changelog|changes|history|news|releases?|authors|contributors|license)[^/]*$", re.IGNORECASE
)


@lru_cache(maxsize=200_000)
def is_worth_reading(path: str) -> bool:
    """Whether a file can hold text that somebody wrote in this repository."""
    return not (_VENDORED.search(path) or _BINARY.search(path) or _GENERATED.search(path))


@lru_cache(maxsize=200_000)
def is_test(path: str) -> bool:
    """Whether a path is that of a test or of what only tests use."""
    return _TEST.search(path) is not None


@lru_cache(maxsize=200_000)
def weight(path: str) -> float:
    """How likely a file of this kind is what has to change, code being 1, tests judged apart."""
    if _LOG.search(path):
        return 0.1
    factor = 0.4 if _ASIDE.search(path) else 1.0
    return factor * (0.35 if language_of(path) == TEXT else 1.0)


@lru_cache(maxsize=200_000)
def path_words(path: str) -> frozenset[str]:
    """The search words of a path: of its folders, and of its file name without the suffix."""
    stem = path.rsplit(".", 1)[0] if "." in path.rsplit("/", 1)[-1] else path
    return frozenset(word for piece in re.split(r"[/.\-\s]+", stem) for word in words(piece))
