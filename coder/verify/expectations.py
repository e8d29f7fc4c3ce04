"""What a patch makes existing tests expect instead of what they expected: shown to people, since no run can tell who is right."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from coder.verify.basis import Finding

Read = Callable[[str], bytes | None]

_MAX_SHOWN: Final = 12
_MAX_CHARS: Final = 120
_MAX_LINES: Final = 8_000
"""difflib is quadratic in the worst case."""
_NEAR: Final = 6
"""Changed lines in a row that are taken as one changed check."""
_LITERAL: Final = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|(?<![\w.])(\d[\w.]*)")
_MAX_LITERALS: Final = 20
_MAX_LINE: Final = 1_000
_SAYS: Final = {
    (True, False): "the issue's text has the new value, not the old",
    (False, True): "the issue's text has the old value, not the new",
    (True, True): "the issue's text has both values",
    (False, False): "the issue's text has neither value",
}
"""What is new and what is old of a line, looked for in the issue."""


def changed_lines(tests: Iterable[str], before: Read, after: Read, *, asked: str = "") -> tuple[Finding, ...]:
    """The lines of tests that the patch replaces, each with what stood there; what it only adds is no change of a test.

    With `asked`, the issue's text, also whether the values stand in it: a hint for people, since strangers write issues.
    docs/decisions/0035-values-that-the-issue-names.md
    """
    found: list[Finding] = []
    for path in tests:
        old, new = before(path), after(path)
        if old is not None and new is not None and b"\0" not in old + new:
            found.extend(islice(_replaced(path, _lines(old), _lines(new), asked), _MAX_SHOWN - len(found)))
    return tuple(found)


def _replaced(path: str, old: list[str], new: list[str], asked: str) -> Iterator[Finding]:
    if len(old) + len(new) > _MAX_LINES:
        return
    for tag, i1, i2, j1, _ in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "replace" and i2 - i1 <= _NEAR:
            # Of lines in a row, those that were exchanged come first; what follows them was added.
            now = new[j1 : j1 + (i2 - i1)]
            said = _said(old[i1:i2], now, asked) if asked.strip() else ""
            yield Finding(path, j1 + 1, f"`{_shown(now)}` was `{_shown(old[i1:i2])}` on base{said}")
        elif tag == "replace":
            yield Finding(path, j1 + 1, f"{i2 - i1} lines of tests were rewritten")


def _said(old: list[str], new: list[str], asked: str) -> str:
    """Whether the issue has what a change puts in the place of another value; nothing where it does not exchange values."""
    was, now = _values(old), _values(new)
    if not was - now or not now - was:
        return ""
    return f"; {_SAYS[_stands(now - was, asked), _stands(was - now, asked)]}"


def _values(lines: list[str]) -> frozenset[str]:
    found = (next(filter(None, groups), "") for line in lines for groups in _LITERAL.findall(line[:_MAX_LINE]))
    return frozenset(value for value in found if value.strip())


def _stands(values: frozenset[str], asked: str) -> bool:
    """Whether each of a few values stands in the text, not as a part of another word or number."""
    return len(values) <= _MAX_LITERALS and all(
        re.search(rf"(?<!\w){re.escape(value)}(?!\w|\.\d)", asked) is not None for value in values
    )


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").splitlines()


def _shown(lines: list[str]) -> str:
    text = re.sub(r"\s+", " ", " ".join(line.strip() for line in lines)).replace("`", "'").strip()
    return text if len(text) <= _MAX_CHARS else f"{text[: _MAX_CHARS - 1]}…"
