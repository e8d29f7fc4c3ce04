"""Definitions by regular expression: for files that no grammar reads, and for those that killed their parser."""

import re
from typing import Final

from coder.codemap.parsed import MAX_SIGNATURE, Definition

_MAX_LINE: Final = 400
"""Characters of a line that are looked at; a longer one holds data."""

_MODIFIERS = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|pub|sealed|open|"
    r"override|virtual|inline|unsafe|local|data|partial|extern)(?:\([a-z]{1,12}\))?[ \t]+){0,6}"
)
_KEYWORDS = (
    "class|interface|struct|enum|trait|impl|module|namespace|protocol|object|record|union|extension|"
    "def|defp|defmodule|function|func|fun|fn|sub|proc|macro|type|message|service|rpc"
)
_DEFINITION = re.compile(
    rf"^[ \t]{{0,40}}{_MODIFIERS}({_KEYWORDS})[ \t]+(?:\([^()]{{0,80}}\)[ \t]*)?([A-Za-z_$][\w$.]{{0,99}})"
)
_SHELL = re.compile(r"^([A-Za-z_][\w-]{0,99})[ \t]{0,4}\(\)[ \t]{0,4}\{?")
_HEADING = re.compile(r"^(#{1,4})[ \t]+(\S.{0,99})")

_KIND: Final = {"def": "function", "defp": "function", "func": "function", "fun": "function", "fn": "function"}

_HEADED: Final = (".md", ".markdown", ".mdx")


def outline(text: str, path: str = "") -> list[Definition]:
    """The definitions that lines of `text` look like; in Markdown its headings. Spans end where the next one begins."""
    is_prose = path.lower().endswith(_HEADED)
    is_notebook = path.lower().endswith(".ipynb")
    found: list[tuple[int, str, str, str]] = []
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        code = _cell_line(line[:_MAX_LINE]) if is_notebook else line[:_MAX_LINE]
        match = _match(code, is_prose=is_prose)
        if match is not None:
            found.append((number, *match, code.strip()[:MAX_SIGNATURE]))
    ends = [number - 1 for number, *_ in found[1:]] + [len(lines)]
    return [
        Definition(name=name, kind=kind, line=number, end_line=max(number, end), depth=0, signature=signature)
        for (number, kind, name, signature), end in zip(found, ends, strict=False)
    ]


def _cell_line(line: str) -> str:
    """A line of code as the JSON of a notebook holds it: in quotes, with its line break written out."""
    quoted = line.strip().removesuffix(",")
    return quoted[1:-1].removesuffix("\\n") if quoted[:1] == '"' == quoted[-1:] else ""


def _match(line: str, *, is_prose: bool) -> tuple[str, str] | None:
    """Kind and name of the definition on a line."""
    if is_prose:
        heading = _HEADING.match(line)
        return ("heading", heading[2].strip()) if heading else None
    definition = _DEFINITION.match(line)
    if definition:
        return _KIND.get(definition[1], definition[1]), definition[2]
    shell = _SHELL.match(line)
    return ("function", shell[1]) if shell else None
