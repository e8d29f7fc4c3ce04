"""The patch format that some models were trained on: files added, updated, moved and deleted in one text.

    *** Begin Patch
    *** Update File: path
    *** Move to: other path
    @@ a line that stands above, when the context alone is not unique
     context
    -old line
    +new line
    *** Add File: path
    +line
    *** Delete File: path
    *** End Patch

Places are found by their lines, not by numbers: https://cookbook.openai.com/examples/gpt4-1_prompting_guide
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from coder.errors import CoderError
from coder.tools.edit import common_shift, places, shifted

_BEGIN, _END, _END_OF_FILE = "*** Begin Patch", "*** End Patch", "*** End of File"
_UPDATE, _ADD, _DELETE, _MOVE = "*** Update File: ", "*** Add File: ", "*** Delete File: ", "*** Move to: "
_SHOWN = 12
_MAX_COMPARISONS = 20_000_000
"""Of lines: some seconds."""


class PatchError(CoderError):
    """A patch cannot be read or does not fit; the message tells the model how to mend it."""


@dataclass(slots=True)
class Hunk:
    """One change in one file."""

    anchors: list[str] = field(default_factory=list)
    """Lines that stand above it, each below the one before."""
    lines: list[tuple[Literal[" ", "-", "+"], str]] = field(default_factory=list)
    at_end: bool = False

    @property
    def old(self) -> list[str]:
        """What must stand in the file."""
        return [text for sign, text in self.lines if sign != "+"]

    def new(self, found: Sequence[str], shift: str) -> list[str] | None:
        """What takes the place of `found`: context as the file has it, additions moved by `shift`; None if they cannot be."""
        stands, lines = iter(found), list[str]()
        for sign, text in self.lines:
            line = shifted(text, shift) if sign == "+" else next(stands)
            if line is None:
                return None
            if sign != "-":
                lines.append(line)
        return lines


@dataclass(slots=True)
class FilePatch:
    """What happens to one file."""

    path: str
    kind: Literal["add", "update", "delete"]
    move_to: str | None = None
    hunks: list[Hunk] = field(default_factory=list)


def parsed(text: str) -> list[FilePatch]:
    """The files of a patch, in its order.

    Raises:
        PatchError: It is not in the format.
    """
    lines = text.strip("\n").replace("\r\n", "\n").split("\n")
    while lines and lines[0].strip() != _BEGIN:
        lines.pop(0)
    ends = [n for n, line in enumerate(lines) if line.strip() == _END]
    if not lines or not ends:
        raise PatchError(f"The patch must begin with {_BEGIN!r} and end with {_END!r}.")
    files: list[FilePatch] = []
    for line in lines[1 : ends[-1]]:
        _take(files, line)
    if not files:
        raise PatchError("The patch names no file.")
    for hunk in (hunk for file in files for hunk in file.hunks):
        while len(hunk.lines) > 1 and hunk.lines[-1] == (" ", "") and not hunk.at_end:  # set before the next header
            hunk.lines.pop()
    for problem in _contradictions(files):
        raise PatchError(problem)
    return files


def _contradictions(files: list[FilePatch]) -> Iterator[str]:
    paths = [path for file in files for path in (file.path, file.move_to) if path is not None]
    yield from (
        f"{p} stands twice in the patch: put all its changes below one header." for p in paths if paths.count(p) > 1
    )
    for file in files:
        if file.kind == "update" and not file.hunks and file.move_to is None:
            yield f"{file.path} is to be updated, but no change follows."


def _take(files: list[FilePatch], line: str) -> None:
    """One line more of the patch."""
    for prefix, kind in _HEADERS:
        if line.startswith(prefix):
            files.append(FilePatch(line.removeprefix(prefix).strip(), kind))
            return
    if not files:
        raise PatchError(f"{line[:100]!r} stands before any file header.")
    file = files[-1]
    if line.startswith(_MOVE):
        file.move_to = line.removeprefix(_MOVE).strip()
    elif file.kind == "delete":
        if line.strip():
            raise PatchError(f"{file.path} is to be deleted, but {line[:100]!r} follows.")
    elif file.kind == "add":
        _take_added(file, line)
    else:
        _take_changed(file, line)


_HEADERS: tuple[tuple[str, Literal["add", "update", "delete"]], ...] = (
    (_UPDATE, "update"),
    (_ADD, "add"),
    (_DELETE, "delete"),
)


def _take_added(file: FilePatch, line: str) -> None:
    if not line.startswith("+"):
        raise PatchError(f"{file.path} is to be added: each of its lines begins with '+', but not {line[:100]!r}.")
    if not file.hunks:
        file.hunks.append(Hunk())
    file.hunks[0].lines.append(("+", line[1:]))


def _take_changed(file: FilePatch, line: str) -> None:
    hunk = file.hunks[-1] if file.hunks else None
    if line.startswith("@@"):
        if hunk is None or hunk.lines:
            hunk = Hunk()
            file.hunks.append(hunk)
        if anchor := line[2:].strip().removesuffix("@@").strip():
            hunk.anchors.append(anchor)
        return
    if hunk is None:
        hunk = Hunk()
        file.hunks.append(hunk)
    if line.strip() == _END_OF_FILE:
        hunk.at_end = True
    elif not line:
        hunk.lines.append((" ", ""))
    elif (sign := line[0]) in {"+", "-", " "}:
        hunk.lines.append((sign, line[1:]))  # type: ignore[arg-type] # the set above holds just the three literals
    else:
        raise PatchError(f"in {file.path}: a line must begin with ' ', '-', '+' or '@@', but not {line[:100]!r}.")


def patched(text: str, file: FilePatch) -> str:
    """`text` with the hunks of `file` made; its line ends are line feeds.

    Raises:
        PatchError: A hunk does not fit.
    """
    ended = text.endswith("\n") or not text
    lines = text.removesuffix("\n").split("\n") if text else []
    at = 0
    if len(lines) * len(file.hunks) > _MAX_COMPARISONS:
        raise PatchError(f"{file.path} is too long for {len(file.hunks)} changes at once: send fewer.")
    for number, hunk in enumerate(file.hunks, 1):
        which = f"{file.path}, hunk {number}"
        start = _below(lines, hunk.anchors, at, which)
        place, new = _place(lines, hunk, start, which)
        lines[place : place + len(hunk.old)] = new
        at = place + len(new)
    return "\n".join(lines) + ("\n" if ended and lines else "")


def added(file: FilePatch) -> str:
    """The text of a new file."""
    return "".join(f"{line}\n" for hunk in file.hunks for _, line in hunk.lines)


def _below(lines: list[str], anchors: Sequence[str], at: int, which: str) -> int:
    """The first line below all anchors; what was not found below the hunk before may stand above it."""
    for anchor in anchors:
        found = [n for n, line in enumerate(lines) if line.strip() == anchor]
        found = found or [n for n, line in enumerate(lines) if anchor in line]
        later = [n for n in found if n >= at]
        if not found:
            raise PatchError(f"{which}: there is no line {anchor!r}.")
        at = (later or found)[0] + 1
    return at


def _place(lines: list[str], hunk: Hunk, start: int, which: str) -> tuple[int, list[str]]:
    """Where the hunk goes, and its new lines. White space at line ends, then a common indentation, may be off."""
    wanted = hunk.old
    if not wanted:
        place = len(lines) if hunk.at_end or not hunk.anchors else start
        return place, hunk.new([], "") or []
    candidates = list(places(wanted, lines))
    if len(candidates) * len(wanted) > _MAX_COMPARISONS:
        raise PatchError(f"{which} repeats lines that the file is full of: take other lines, and fewer.")
    for fits in (_exactly, _but_for_line_ends, _but_for_indentation):
        found = [(n, shift) for n in candidates if (shift := fits(wanted, lines, n)) is not None]
        if hunk.at_end:
            found = [one for one in found if one[0] + len(wanted) == len(lines)] or found[-1:]
        below = [one for one in found if one[0] >= start]
        chosen = below if hunk.anchors else below or found
        if len(chosen) > 1 and not hunk.anchors:
            shown = ", ".join(str(n + 1) for n, _ in chosen[:_SHOWN])
            raise PatchError(
                f"{which} fits in {len(chosen)} places (lines {shown}): add context, or an @@ line from above."
            )
        if chosen:
            place, shift = chosen[0]
            new = hunk.new(lines[place : place + len(wanted)], shift)
            if new is not None:
                return place, new
    raise PatchError(f"{which} does not fit: these lines are not in the file as given:\n" + _quoted(wanted))


def _exactly(wanted: list[str], lines: list[str], at: int) -> str | None:
    return "" if lines[at] == wanted[0] and lines[at : at + len(wanted)] == wanted else None


def _but_for_line_ends(wanted: list[str], lines: list[str], at: int) -> str | None:
    pairs = zip(wanted, lines[at : at + len(wanted)], strict=True)
    return "" if all(a.rstrip() == b.rstrip() for a, b in pairs) else None


def _but_for_indentation(wanted: list[str], lines: list[str], at: int) -> str | None:
    return common_shift(wanted, lines, at)


def _quoted(lines: list[str]) -> str:
    shown = "\n".join(lines[:_SHOWN])
    return f"{shown}\n…" if len(lines) > _SHOWN else shown
