"""What a patch makes existing tests expect instead of what they expected: shown to people, since no run can tell who is right."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from coder.verify.basis import Finding

Read = Callable[[str], bytes | None]

_MAX_SHOWN: Final = 12
_MAX_CHARS: Final = 120
_MAX_LINES: Final = 8_000
"""difflib is quadratic in the worst case."""
_NEAR: Final = 6
"""Changed lines in a row that are taken as one changed check."""


def changed_lines(tests: Iterable[str], before: Read, after: Read) -> tuple[Finding, ...]:
    """The lines of tests that the patch replaces, each with what stood there; what it only adds is no change of a test."""
    found: list[Finding] = []
    for path in tests:
        old, new = before(path), after(path)
        if old is not None and new is not None and b"\0" not in old + new:
            found.extend(_replaced(path, _lines(old), _lines(new)))
    return tuple(found[:_MAX_SHOWN])


def _replaced(path: str, old: list[str], new: list[str]) -> Iterator[Finding]:
    if len(old) + len(new) > _MAX_LINES:
        return
    for tag, i1, i2, j1, _ in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "replace" and i2 - i1 <= _NEAR:
            # Of lines in a row, those that were exchanged come first; what follows them was added.
            now = new[j1 : j1 + (i2 - i1)]
            yield Finding(path, j1 + 1, f"`{_shown(now)}` was `{_shown(old[i1:i2])}` on base")
        elif tag == "replace":
            yield Finding(path, j1 + 1, f"{i2 - i1} lines of tests were rewritten")


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").splitlines()


def _shown(lines: list[str]) -> str:
    text = re.sub(r"\s+", " ", " ".join(line.strip() for line in lines)).replace("`", "'").strip()
    return text if len(text) <= _MAX_CHARS else f"{text[: _MAX_CHARS - 1]}…"
