"""Whether the new tests failed on base as the model said they would: a hint for people, no part of the verdict."""

import re
from typing import Final

from coder.types import Evidence
from coder.verify.excerpt import excerpt

_KINDS: Final = re.compile(r"\b\w*(?:Error|Exception|Panic|panic)\b")
_QUOTED: Final = re.compile(r"`([^`\n]{2,80})`|\"([^\"\n]{2,80})\"|'([^'\n]{2,80})'")
_WORDS: Final = re.compile(r"[A-Za-z_][\w.]{3,}|\d+")
_PLAIN: Final = frozenset(
    [
        "test",
        "tests",
        "with",
        "that",
        "this",
        "because",
        "fails",
        "failing",
        "failed",
        "fail",
        "from",
        "will",
        "would",
        "should",
        "when",
        "instead",
        "expected",
        "actual",
        "base",
        "commit",
        "before",
        "after",
        "value",
        "error",
        "which",
        "returns",
        "return",
        "does",
        "have",
        "been",
        "were",
        "they",
        "there",
    ]
)
_SHARE = 0.5
"""Of the telling words of a prediction so many must occur in what was printed."""


def as_predicted(expected: str, evidence: Evidence) -> bool | None:
    """Whether what the new tests printed on base bears out `expected`; None where nothing can be compared.

    A kind of error that is named must occur; else half of what is quoted, or of the telling words.
    """
    cells = {cell.name: cell for cell in evidence.cells}
    cell, base = cells.get("base+new tests"), cells.get("base")
    if cell is None or not cell.exit_code or not expected.strip():  # what was killed did not come to speak
        return None
    if base is not None and base.exit_code != 0 and not cell.report.by_id:  # what base prints without the new tests
        return None
    # What fails on base anyway is not what was predicted.
    told = excerpt(cell.output_tail, evidence.proving_tests) if evidence.proving_tests else cell.output_tail
    names = evidence.proving_tests or cell.report.red
    printed = " ".join([told, *names]).lower()
    kinds = {kind.lower() for kind in _KINDS.findall(expected[:2_000])} - {"error"}
    if kinds and not any(kind in printed for kind in kinds):
        return False
    quoted = ["".join(groups).lower() for groups in _QUOTED.findall(expected[:2_000])]
    words = quoted or [word.lower() for word in _WORDS.findall(expected[:2_000]) if word.lower() not in _PLAIN]
    if not words:
        return True if kinds else None
    hits = sum(word in printed for word in dict.fromkeys(words))
    return bool(kinds) or hits >= _SHARE * len(dict.fromkeys(words))
