"""What a source text says of a definition in words: the first line of its documentation, in any language."""

import re
from collections.abc import Sequence
from typing import Final

MAX_DOC: Final = 120
_MAX_LOOK: Final = 60
"""Lines above a definition that may be its comment, and below it that may be the rest of its head."""

_MARK = re.compile(r"^\s*(?:///?!?|//!|/\*+!?|\*+(?!/)|#+(?!\[|!)|--+|;;+|%+)\s?(?P<text>.*?)\s*(?:\*+/)?\s*$")
_BLOCK_END = re.compile(r"\*+/\s*$")
_ASIDE = re.compile(
    r"^\s*(?:@[\w.:]+.*|#\[.*\]|\[[\w.:(), =\"']+\]|template\s*<.*>|export\s+default|pub\s*|static\s*)\s*$"
)
"""What may stand between a comment and what it is about: decorators, annotations, attributes."""
_DOCSTRING = re.compile(r"""^\s*[rRuUbB]{0,2}(?P<quote>\"{3}|'{3}|"|')\s*(?P<text>.*)$""")
_ELIXIR = re.compile(r'^\s*@(?:module)?doc\s+(?:~[sS])?(?P<quote>"{3}|")(?P<text>.*)$')
_TAG = re.compile(r"<[^<>]{1,60}>")


def doc_line(lines: Sequence[str], line: int, *, language: str) -> str:
    """The first line of the documentation of what begins at `line` (from 1); empty when there is none. Long lines are to be cut."""
    if line > len(lines):
        return ""
    if language == "python":
        return _docstring(lines, line) or _comment_above(lines, line)
    if language == "elixir":
        return _attribute(lines, line) or _comment_above(lines, line)
    return _comment_above(lines, line)


def _docstring(lines: Sequence[str], line: int) -> str:
    """The first line of the string that a Python definition begins with."""
    for number in range(line - 1, min(len(lines), line - 1 + _MAX_LOOK)):
        if lines[number].split("#", 1)[0].rstrip().endswith(":"):
            below = [text for text in lines[number + 1 : number + 4] if text.strip()]
            found = _DOCSTRING.match(below[0]) if below else None
            if found is None:
                return ""
            text = found["text"].removesuffix(found["quote"]).strip()
            return _plain(text or (below[1] if len(below) > 1 else ""))
    return ""


def _attribute(lines: Sequence[str], line: int) -> str:
    """The first line of `@doc` above an Elixir function, of `@moduledoc` below a module's head."""
    near = range(max(0, line - 1 - _MAX_LOOK), min(len(lines), line + 2))
    is_module = "defmodule" in lines[line - 1]
    numbers = range(line, near.stop) if is_module else reversed(range(near.start, line - 1))
    for number in numbers:
        found = _ELIXIR.match(lines[number])
        if found is not None:
            below = lines[number + 1] if number + 1 < len(lines) else ""
            return _plain(found["text"].removesuffix(found["quote"]) or below)
        if re.match(r"\s*(?:def|end\b)", lines[number]) and not is_module:
            break
    return ""


def _comment_above(lines: Sequence[str], line: int) -> str:
    """The first telling line of the comment that ends right above a definition."""
    number = line - 2
    least = max(0, line - 1 - _MAX_LOOK)
    while number >= least and _ASIDE.match(lines[number]) and not lines[number].lstrip().startswith("*"):
        number -= 1
    found: list[str] = []
    is_block = number >= least and _BLOCK_END.search(lines[number]) is not None and not _opens_late(lines[number])
    while number >= least:
        mark = _MARK.match(lines[number])
        opens = "/*" in lines[number]
        if (mark is None and not is_block) or _opens_late(lines[number]):
            break
        found.append(mark["text"] if mark else lines[number])
        if is_block and opens:
            break
        number -= 1
    texts = (_plain(text) for text in reversed(found))
    return next((text for text in texts if re.search(r"[^\W\d_]{2}", text) and not text.startswith("@")), "")


def _opens_late(text: str) -> bool:
    """Whether a comment begins behind code: it is about that."""
    return "/*" in text and not text.lstrip().startswith("/*")


def _plain(text: str) -> str:
    """A line without mark-up at its ends."""
    return _TAG.sub("", text).strip(" \t*/#\"'-=").strip()[:MAX_DOC]
