"""What a model is told of a red run: the failures that matter, each cut to its first assertion and the lines of our files."""

import re
from collections.abc import Iterable
from typing import Final

MAX_CHARS: Final = 6_000
"""About 1,500 tokens: enough for a handful of failures."""
_MAX_FAILURE_CHARS: Final = 2_000
"""One failure must not push out the others."""
_HEAD_LINES: Final = 12
"""Of a failure that is too long so many first lines stay: its title, and where it began."""

_MAX_TITLE: Final = 500
"""A title is looked for in so much of a line: what tests print may be there to make patterns slow."""
_PYTEST_TITLE: Final = re.compile(r"^_{3,} (.+?) _{3,}$")
_TITLES: Final = (
    _PYTEST_TITLE,
    re.compile(r"^\s*---\s+FAIL:\s+(\S+)"),  # go
    re.compile(r"^---- (\S+) stdout ----$"),  # cargo
    re.compile(r"^\s*● (.+)$"),  # Jest
    re.compile(r"^\s*(?:FAIL|ERROR): (\w+ \([\w.]+\))"),  # unittest
    re.compile(r"^\s*\d+\) (?!.*\bfailed\b)(\S.*)$"),  # RSpec, Mocha, PHPUnit, minitest
    re.compile(r"^(\S+#\S+)(?: \[.*\])?:$"),  # minitest
    re.compile(r"^\s*(?:FAIL|\u00d7)\s+\S+ > (.+)$"),  # Vitest
    re.compile(r"^\s*\u2716 (.+?) \([\d.]+ms\)$"),  # node:test
    re.compile(r"^\s*\d+/\d+ Test\s+#\d+: (\S+) .*\*\*\*"),  # ctest
    re.compile(r"^not ok \d+ - (.+)$"),  # TAP
    re.compile(r"^(?:\[ERROR\] +)?([\w.$]+(?:\([\w.$]+\))?)\s+(?:Time elapsed|--).*<<< (?:FAILURE|ERROR)!"),  # surefire
)
_END: Final = re.compile(
    r"^(?:=== |={5,}|-+ generated xml file|\[INFO\]|failures:$|test result:|Ran \d+|FAILED \(|Finished in |Failed examples:)"
)
_TELLING: Final = re.compile(
    r"^E\s|^>\s|\b\w*(?:Error|Exception|Panic)\b|\bpanicked at\b|\bassert|\b[Ee]xpected\b|\b[Gg]ot\b|\bactual\b|[\w./-]+\.\w{1,5}:\d+"
)
_FOREIGN: Final = re.compile(
    r"(?:site-packages|dist-packages|node_modules|/usr/lib|/usr/share|/usr/local|/rustc/|node:internal|vendor/|gems/|\(internal/)"
)
_FRAME: Final = re.compile(rf'(?m)^  File "[^"\n]{{0,300}}{_FOREIGN.pattern}[^\n]{{0,300}}\n')
"""Where the stack of a program that was aborted is in other people's code: https://docs.python.org/3/library/faulthandler.html"""

_GREEN: Final = re.compile(r":PASS$|\bPASSED$|^\s*(?:ok \d+|--- PASS:|[\u2713\u2714] )|^\[ +(?:OK|RUN) +\]")
"""Tests that passed, in a program that runs several and is one test to ctest."""


def excerpt(output: str, names: Iterable[str] = (), *, max_chars: int = MAX_CHARS) -> str:
    """The part of a test run's output that tells why it failed, some `max_chars` characters at most.

    The failures of `names` come first, or are all where they can be told apart; of each that is long, what is left are its
    beginning, its assertion and the lines that name files of the repository. What cannot be told apart is cut in the middle.
    """
    found = _failures(output)
    wanted = {_short(name) for name in names}
    chosen = [text for title, text in found if not wanted or _named(title, wanted)] or [text for _, text in found]
    if not chosen:
        return _cut(_FRAME.sub("", output[_start(output) :]).strip(), max_chars)
    kept: list[str] = []
    left = max_chars
    for text in chosen:
        trimmed = _trimmed(text)
        if kept and len(trimmed) > left:
            kept.append(f"[… {len(chosen) - len(kept)} more failures]")
            break
        kept.append(trimmed)
        left -= len(trimmed)
    return "\n".join(kept).strip()


def _short(name: str) -> str:
    """A test id as runners print it: without its file, with dots."""
    return name.split("::", 1)[-1].replace("::", ".")


def _named(title: str, wanted: set[str]) -> bool:
    """Whether a failure's title is that of a wanted test, however its runner writes it."""
    # Older versions of surefire write `test(package.Class)`.
    title = re.sub(r"^(\w+)\(([\w.$]+)\)$", r"\2.\1", title)
    plain = f" {_words(title)}"
    return any(plain.endswith(f" {_words(name)}") for name in wanted)


def _words(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip()


def _failures(output: str) -> list[tuple[str, str]]:
    """The sections on single failures with their titles, in the order in which they were printed."""
    found: list[tuple[str, list[str]]] = []
    current: list[str] | None = None
    for line in output[_start(output) :].split("\n"):
        title = next((match[1].strip() for pattern in _TITLES if (match := pattern.match(line[:_MAX_TITLE]))), None)
        if title is not None:
            current = []
            found.append((title, current))
        elif _END.match(line):
            current = None
        if current is not None:
            current.append(line)
    return [(title, "\n".join(lines).rstrip()) for title, lines in found]


def _trimmed(text: str) -> str:
    """A failure, without the frames of other people's code when it is long."""
    if len(text) <= _MAX_FAILURE_CHARS:
        return text
    lines = [line for line in text.split("\n") if not _GREEN.search(line)]
    kept = [
        line
        for at, line in enumerate(lines)
        if at < _HEAD_LINES or (_TELLING.search(line) and not _FOREIGN.search(line))
    ]
    short = "\n".join(line[:400] for line in kept)
    if len(short) <= _MAX_FAILURE_CHARS:
        return short
    half = _MAX_FAILURE_CHARS // 2
    return f"{short[:half].rstrip()}\n[…]\n{short[-half:].lstrip()}"


def _start(output: str) -> int:
    """Where pytest begins to tell errors or failures, or 0."""
    places = [at for title in ("= ERRORS =", "= FAILURES =") if (at := output.find(title)) >= 0]
    return output.rfind("\n", 0, min(places)) + 1 if places else 0


def _cut(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    half = max_chars // 2
    return f"{text[:half].strip()}\n[…]\n{text[-half:].strip()}"
