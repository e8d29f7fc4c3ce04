"""Changing files: exact replacements, insertions, whole files. All edits of a call happen, or none does."""

import codecs
import difflib
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Protocol

from pydantic import Field

from coder.codemap.syntax import SyntaxFault
from coder.errors import CoderError
from coder.sandbox.protocol import Sandbox
from coder.tools.base import Arguments
from coder.tools.files import near_paths, reason
from coder.types import ToolOutput

_MAX_LINES_SHOWN = 12
_NUMBERED = re.compile(r" *\d+  ")
"""How `read` shows a line."""
_HUNK = re.compile(r"\A@@ -(\S+) \+(\S+) @@\Z")
_CONTEXT = 2
_MAX_FAULTS = 5
_MAX_COMPARED = 2_000
"""Lines that a misquoted one is compared with, characters of each, and lines of a change that is shown: all three cost
their square."""


class Edit(Arguments):
    """One change inside a file."""

    old: str = Field(default="", description="Text to replace, exactly as it stands in the file; it must occur once.")
    new: str = Field(description="Text that takes its place (may be empty), or the text to insert.")
    after_line: int | None = Field(
        default=None,
        ge=0,
        description="Insert `new` as lines after this line instead (0: at the top); leave `old` out.",
    )


class EditArguments(Arguments):
    """Arguments of `edit`."""

    path: str = Field(description="File, relative to the repository root.")
    edits: list[Edit] = Field(default_factory=list, description="Changes, carried out in order.")
    content: str | None = Field(default=None, description="The whole new content: creates or overwrites the file.")


class Syntax(Protocol):
    """Whatever knows syntax errors."""

    def new_faults(self, path: str, before: bytes, after: bytes) -> Sequence[SyntaxFault]:
        """The syntax errors that `after` has and `before` has not."""
        ...


class EditTool:
    """Change or create a file."""

    name = "edit"
    arguments = EditArguments
    mutates = True

    def __init__(self, sandbox: Sandbox, syntax: Syntax) -> None:
        self._sandbox, self._syntax = sandbox, syntax

    def run(self, arguments: EditArguments) -> ToolOutput:
        """What was changed; an error leaves the file as it was."""
        path = arguments.path
        if (arguments.content is None) == (not arguments.edits):
            return ToolOutput(content="Give either `edits` or `content`; nothing was changed.", is_error=True)
        if posixpath.normpath(path).partition("/")[0].lower() == ".git":
            return ToolOutput(content="`.git` is not part of the change; nothing was changed.", is_error=True)
        try:
            if arguments.content is not None:
                return self._whole(path, arguments.content)
            before = self._sandbox.read(path)
            after = edited(before, arguments.edits)
            self._sandbox.write(path, after)
        except (OSError, ValueError) as exc:
            near = near_paths(self._sandbox, path) if isinstance(exc, FileNotFoundError) else ""
            return ToolOutput(content=f"{path}: {reason(exc)}{near} Nothing was changed.", is_error=True)
        except EditError as exc:
            return ToolOutput(content=f"{path}: {exc} Nothing was changed.", is_error=True)
        return ToolOutput(content=_difference(path, before, after) + self._complaint(path, before, after))

    def _whole(self, path: str, content: str) -> ToolOutput:
        """Create the file, or put `content` in the place of all that it held."""
        before, done = b"", "Created"
        try:
            before, done = self._sandbox.read(path), "Overwrote"
        except FileNotFoundError:
            pass
        except ValueError:  # too large to be read; what may not be touched is refused by `write`
            done = "Overwrote"
        after = like(before, content)
        self._sandbox.write(path, after)
        lines = content.count("\n") + (not content.endswith("\n") and bool(content))
        return ToolOutput(content=f"{done} {path} ({lines} lines)." + self._complaint(path, before, after))

    def _complaint(self, path: str, before: bytes, after: bytes) -> str:
        """The syntax errors that this change brought; empty when there are none, or none can be known."""
        return complaint(self._syntax.new_faults(path, before, after))


class EditError(CoderError):
    """An edit does not fit the file; the message tells the model how to mend it."""


def complaint(faults: Sequence[SyntaxFault]) -> str:
    """The errors as the model is told them, with a line break before; empty when there are none."""
    if not faults:
        return ""
    shown = "".join(f"\n{fault.line:>6}  {fault.text}   <- {fault.what}" for fault in faults[:_MAX_FAULTS])
    more = f"\n({len(faults) - _MAX_FAULTS} more)" if len(faults) > _MAX_FAULTS else ""
    return f"\n\nThe change was made, but the file does not parse there any more:{shown}{more}"


def like(before: bytes, content: str) -> bytes:
    """`content` as bytes, with the byte order mark and the line ends of what stood there before."""
    if is_crlf(before):
        content = content.replace("\r\n", "\n").replace("\n", "\r\n")
    data = content.encode("utf-8", "surrogateescape")
    marked = before.startswith(codecs.BOM_UTF8) and not data.startswith(codecs.BOM_UTF8)
    return codecs.BOM_UTF8 + data if marked else data


def is_crlf(data: bytes) -> bool:
    """Whether all lines of `data` end as on Windows."""
    return b"\r\n" in data and data.count(b"\r\n") == data.count(b"\n")


def edited(data: bytes, edits: list[Edit]) -> bytes:
    """`data` with all edits made. Encoding, byte order mark and line ends stay as they were.

    Raises:
        EditError: One edit does not fit.
    """
    # Bytes that are not UTF-8 pass through as lone surrogates and come back exactly.
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    text = data[len(mark) :].decode("utf-8", "surrogateescape")
    crlf = is_crlf(data)
    if crlf:
        text = text.replace("\r\n", "\n")
    for number, edit in enumerate(edits, 1):
        text = _one(text, edit, f"edit {number}" if len(edits) > 1 else "the edit")
    if crlf:
        text = text.replace("\n", "\r\n")
    return mark + text.encode("utf-8", "surrogateescape")


def _one(text: str, edit: Edit, which: str) -> str:
    old, new = edit.old.replace("\r\n", "\n"), edit.new.replace("\r\n", "\n")
    if edit.after_line is not None:
        return _inserted(text, edit.after_line, old, new, which)
    if not old:
        raise EditError(f"{which} has neither `old` nor `after_line`.")
    if old == new:
        raise EditError(f"{which} changes nothing: `old` and `new` are equal.")
    places = text.count(old)
    if places == 1 and not _begins_inside_indentation(text, old):
        return text.replace(old, new)
    if places > 1:
        lines = _lines_of(text, old)
        raise EditError(f"the text of {which} occurs {places} times (lines {lines}); add lines around it.")
    if (moved := reindented(text, old, new)) is not None:
        return moved
    if new.strip() and text.count(new) == 1:
        raise EditError(f"the text of {which} is not in the file, but its new text is (line {_lines_of(text, new)}).")
    raise EditError(f"the text of {which} is not in the file.{_did_you_mean(text, old)}")


def _begins_inside_indentation(text: str, old: str) -> bool:
    """Whether `old` was copied with too little indentation: replaced as it is, all its lines but the first would be off."""
    at = text.index(old)
    before = text[text.rfind("\n", 0, at) + 1 : at]
    return bool(before) and not before.strip() and old[0] in " \t"


def reindented(text: str, old: str, new: str) -> str | None:
    """`text` with the one place changed that is `old` but for a common indentation; None when there is no such place.

    The new lines get the same shift. Nothing else is forgiven: a guess about content would be a wrong edit.
    """
    lines, wanted = text.splitlines(keepends=True), old.strip("\n").splitlines()
    shifts = ((n, common_shift(wanted, lines, n)) for n in places(wanted, lines))
    # A second one is enough to know that there is not just one.
    found = list(islice(((n, shift) for n, shift in shifts if shift is not None), 2))
    if len(found) != 1:
        return None
    (start, shift), end = found[0], found[0][0] + len(wanted)
    fresh = [shifted(line, shift) for line in new.strip("\n").splitlines()] if new.strip() else []
    if None in fresh:
        return None
    text_of = "".join(f"{line}\n" for line in fresh)
    return "".join([*lines[:start], text_of if lines[end - 1].endswith("\n") else text_of.rstrip("\n"), *lines[end:]])


def places(wanted: list[str], lines: list[str]) -> Iterator[int]:
    """Where `wanted` may stand in `lines`, white space apart: all places at which its rarest line does."""
    if not wanted:
        return
    counts = Counter(line.strip() for line in lines)
    rarest = min(range(len(wanted)), key=lambda k: counts[wanted[k].strip()])
    text = wanted[rarest].strip()
    for n in range(len(lines) - len(wanted) + 1):
        if lines[n + rarest].strip() == text:
            yield n


def common_shift(wanted: list[str], lines: list[str], at: int) -> str | None:
    """What stands before `lines` from `at` on and not of `wanted` (or, after a `-`, the other way round); None: no match."""
    shifts = set[str | None]()
    for want, have in zip(wanted, islice(lines, at, at + len(wanted)), strict=True):
        if want.strip() != have.strip():
            return None
        if want.strip():
            shifts.add(_indent_shift(_indent(want), _indent(have)))
    return shifts.pop() if len(shifts) == 1 else None


def _indent_shift(want: str, have: str) -> str | None:
    if have.endswith(want):
        return have[: len(have) - len(want)]
    return f"-{want[: len(want) - len(have)]}" if want.endswith(have) else None


def shifted(line: str, shift: str) -> str | None:
    """`line` with the shift; None when what should be taken away is not there."""
    if not line.strip():
        return line
    if not shift.startswith("-"):
        return shift + line
    return line[len(shift) - 1 :] if line.startswith(shift[1:]) else None


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _inserted(text: str, after: int, old: str, new: str, which: str) -> str:
    lines = text.splitlines(keepends=True)
    if old:
        raise EditError(f"{which} gives both `old` and `after_line`.")
    if after > len(lines):
        raise EditError(f"{which} inserts after line {after}, but the file has {len(lines)} lines.")
    if after and not lines[after - 1].endswith("\n"):
        lines[after - 1] += "\n"
    lines.insert(after, new if new.endswith("\n") else new + "\n")
    return "".join(lines)


def _lines_of(text: str, part: str) -> str:
    found, at = list[int](), text.find(part)
    while at >= 0 and len(found) < _MAX_LINES_SHOWN:
        found.append(text.count("\n", 0, at) + 1)
        at = text.find(part, at + 1)
    return ", ".join(map(str, found))


def _did_you_mean(text: str, old: str) -> str:
    """The place in the file that looks most like `old`, with its line numbers."""
    if all(_NUMBERED.match(line) for line in old.splitlines()):
        return " It has the line numbers of `read` in it, which are not part of the file."
    lines, wanted = text.splitlines(), old.splitlines()
    first = next((line for line in wanted if line.strip()), "")
    unique = list(islice(dict.fromkeys(line.strip() for line in lines if len(line) <= _MAX_COMPARED), _MAX_COMPARED))
    near = difflib.get_close_matches(first.strip()[:_MAX_COMPARED], unique, n=1, cutoff=0.6)
    if not near:
        return " Read the file again and copy the text exactly."
    start = next(n for n, line in enumerate(lines) if line.strip() == near[0])
    shown = lines[start : start + min(len(wanted), _MAX_LINES_SHOWN)]
    numbered = "\n".join(f"{n:>6}  {line}" for n, line in enumerate(shown, start + 1))
    return f" Did you mean this (white space counts)?\n{numbered}\n"


def _difference(path: str, before: bytes, after: bytes) -> str:
    """The change as a unified diff: what the model sees to check itself."""
    old, new = (data.decode("utf-8", "replace").splitlines() for data in (before, after))
    # What is the same at both ends is left out by hand: comparing costs the square of the lines that repeat.
    most = min(len(old), len(new))
    head = next((n for n in range(most) if old[n] != new[n]), most)
    tail = next((n for n in range(most - head) if old[-1 - n] != new[-1 - n]), most - head)
    start = max(head - _CONTEXT, 0)
    old, new = (lines[start : len(lines) - max(tail - _CONTEXT, 0)] for lines in (old, new))
    if max(len(old), len(new)) > _MAX_COMPARED:
        return f"Changed {path}: lines {start + 1} to {start + len(old)} are now {len(new)} lines."
    diff = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", n=_CONTEXT, lineterm="")
    return "\n".join(_HUNK.sub(lambda m: f"@@ -{_moved(m[1], start)} +{_moved(m[2], start)} @@", line) for line in diff)


def _moved(span: str, by: int) -> str:
    """A span of lines, as a hunk's header names it, further down."""
    first, comma, count = span.partition(",")
    return f"{int(first) + by}{comma}{count}"
