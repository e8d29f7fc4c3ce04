"""Changing files: exact replacements, insertions, whole files. All edits of a call happen, or none does."""

import difflib
import posixpath

from pydantic import Field

from coder.errors import CoderError
from coder.sandbox.protocol import Sandbox
from coder.tools.base import Arguments
from coder.tools.files import reason
from coder.types import ToolOutput

_MAX_LINES_SHOWN = 12


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


class EditTool:
    """Change or create a file."""

    name = "edit"
    arguments = EditArguments
    mutates = True

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def run(self, arguments: EditArguments) -> ToolOutput:
        """What was changed; an error leaves the file as it was."""
        if (arguments.content is None) == (not arguments.edits):
            return ToolOutput(content="Give either `edits` or `content`; nothing was changed.", is_error=True)
        if posixpath.normpath(arguments.path).partition("/")[0].lower() == ".git":
            return ToolOutput(content="`.git` is not part of the change; nothing was changed.", is_error=True)
        try:
            if arguments.content is not None:
                return self._create(arguments.path, arguments.content)
            before = self._sandbox.read(arguments.path)
            after = edited(before, arguments.edits)
            self._sandbox.write(arguments.path, after)
        except (OSError, ValueError) as exc:
            return ToolOutput(content=f"{arguments.path}: {reason(exc)} Nothing was changed.", is_error=True)
        except EditError as exc:
            return ToolOutput(content=f"{arguments.path}: {exc} Nothing was changed.", is_error=True)
        return ToolOutput(content=_difference(arguments.path, before, after))

    def _create(self, path: str, content: str) -> ToolOutput:
        existed = path in self._sandbox.list_files()
        self._sandbox.write(path, content.encode("utf-8", "surrogateescape"))
        lines = content.count("\n") + (not content.endswith("\n") and bool(content))
        return ToolOutput(content=f"{'Overwrote' if existed else 'Created'} {path} ({lines} lines).")


class EditError(CoderError):
    """An edit does not fit the file; the message tells the model how to mend it."""


def edited(data: bytes, edits: list[Edit]) -> bytes:
    """`data` with all edits made. Encoding, byte order mark and line ends stay as they were.

    Raises:
        EditError: One edit does not fit.
    """
    # Bytes that are not UTF-8 pass through as lone surrogates and come back exactly.
    text = data.decode("utf-8", "surrogateescape")
    crlf = "\r\n" in text and text.count("\r\n") == text.count("\n")
    if crlf:
        text = text.replace("\r\n", "\n")
    for number, edit in enumerate(edits, 1):
        text = _one(text, edit, f"edit {number}" if len(edits) > 1 else "the edit")
    if crlf:
        text = text.replace("\n", "\r\n")
    return text.encode("utf-8", "surrogateescape")


def _one(text: str, edit: Edit, which: str) -> str:
    old, new = edit.old.replace("\r\n", "\n"), edit.new.replace("\r\n", "\n")
    if edit.after_line is not None:
        return _inserted(text, edit.after_line, old, new, which)
    if not old:
        raise EditError(f"{which} has neither `old` nor `after_line`.")
    if old == new:
        raise EditError(f"{which} changes nothing: `old` and `new` are equal.")
    places = text.count(old)
    if places == 1:
        return text.replace(old, new)
    if places:
        raise EditError(
            f"the text of {which} occurs {places} times (lines {_lines_of(text, old)}); add lines around it."
        )
    raise EditError(f"the text of {which} is not in the file.{_did_you_mean(text, old)}")


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
    lines, wanted = text.splitlines(), old.splitlines()
    first = next((line for line in wanted if line.strip()), "")
    near = difflib.get_close_matches(first.strip(), [line.strip() for line in lines], n=1, cutoff=0.6)
    if not near:
        return " Read the file again and copy the text exactly."
    start = next(n for n, line in enumerate(lines) if line.strip() == near[0])
    shown = lines[start : start + min(len(wanted), _MAX_LINES_SHOWN)]
    numbered = "\n".join(f"{n:>6}  {line}" for n, line in enumerate(shown, start + 1))
    return f" Did you mean this (white space counts)?\n{numbered}\n"


def _difference(path: str, before: bytes, after: bytes) -> str:
    """The change as a unified diff: what the model sees to check itself."""
    old, new = (data.decode("utf-8", "replace").splitlines() for data in (before, after))
    diff = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", n=2, lineterm="")
    return "\n".join(diff)
