"""Looking at files: read, list, search."""

import difflib
import fnmatch
import posixpath
import shlex
from collections import Counter

from pydantic import Field

from coder.sandbox.protocol import Sandbox
from coder.tools.base import Arguments
from coder.types import ToolOutput

_LINE_CHARS = 2_000
_MAX_LINES = 2_000
_MAX_CONTEXT = 20
_SEARCH_TIMEOUT_S = 30
_BINARY_PROBE_BYTES = 8_000


class ReadArguments(Arguments):
    """Arguments of `read`."""

    path: str = Field(description="File, relative to the repository root.")
    start: int = Field(default=1, ge=1, description="First line, counted from 1.")
    lines: int = Field(default=400, ge=1, description="How many lines.")


class Read:
    """Show lines of a file, numbered."""

    name = "read"
    arguments = ReadArguments
    mutates = False

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def run(self, arguments: ReadArguments) -> ToolOutput:
        """The numbered lines; an error when there is no such text file."""
        try:
            data = self._sandbox.read(arguments.path)
        except (OSError, ValueError) as exc:
            near = near_paths(self._sandbox, arguments.path) if isinstance(exc, FileNotFoundError) else ""
            return ToolOutput(content=f"Cannot read {arguments.path!r}: {reason(exc)}{near}", is_error=True)
        if b"\0" in data[:_BINARY_PROBE_BYTES]:
            return ToolOutput(content=f"{arguments.path} is a binary file of {len(data)} bytes.", is_error=True)
        lines = data.decode("utf-8", "replace").splitlines()
        if arguments.start > max(len(lines), 1):
            return ToolOutput(content=f"{arguments.path} has only {len(lines)} lines.", is_error=True)
        end = min(len(lines), arguments.start - 1 + min(arguments.lines, _MAX_LINES))
        shown = lines[arguments.start - 1 : end]
        numbered = [f"{n:>6}  {line[:_LINE_CHARS]}" for n, line in enumerate(shown, arguments.start)]
        more = f"\n({len(lines) - end} more lines; go on with start={end + 1})" if end < len(lines) else ""
        return ToolOutput(content="\n".join(numbered) + more or "(empty file)")


class ListArguments(Arguments):
    """Arguments of `list`."""

    path: str = Field(default=".", description="Folder, relative to the repository root.")
    pattern: str = Field(
        default="", max_length=500, description="Only files whose path matches this glob, e.g. '*_test.go'."
    )
    depth: int = Field(default=2, ge=1, le=50, description="How many levels to show; deeper folders are counted.")


class List:
    """Show the files of a folder."""

    name = "list"
    arguments = ListArguments
    mutates = False

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def run(self, arguments: ListArguments) -> ToolOutput:
        """The paths, folders below `depth` with their number of files."""
        root = arguments.path.strip("/").removeprefix("./").rstrip("/")
        prefix = "" if root in {"", "."} else root + "/"
        below = [p[len(prefix) :] for p in self._sandbox.list_files() if p.startswith(prefix)]
        if arguments.pattern:
            hits = [
                p
                for p in below
                if fnmatch.fnmatch(p, arguments.pattern) or fnmatch.fnmatch(_leaf(p), arguments.pattern)
            ]
            return ToolOutput(content="\n".join(prefix + p for p in hits) or f"No file matches {arguments.pattern!r}.")
        if not below:
            return ToolOutput(content=f"There is no folder {arguments.path!r} with files in it.", is_error=True)
        return ToolOutput(content="\n".join(_levels(below, arguments.depth)))


class SearchArguments(Arguments):
    """Arguments of `search`."""

    pattern: str = Field(min_length=1, description="Regular expression (ripgrep's syntax).")
    path: str = Field(default=".", description="File or folder to search.")
    glob: str = Field(default="", description="Only files that match this glob, e.g. '*.py'.")
    context: int = Field(default=0, ge=0, description="Lines to show around each hit.")


class Search:
    """Find lines by a regular expression."""

    name = "search"
    arguments = SearchArguments
    mutates = False

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def run(self, arguments: SearchArguments) -> ToolOutput:
        """The hits as `path:line:text`."""
        command = [
            "rg",
            "--line-number",
            "--no-heading",
            "--with-filename",  # also of a single file that is named
            "--color=never",
            "--max-columns=400",
            "--sort=path",
            "--hidden",
        ]
        command += ["--glob=!.git", f"--context={min(arguments.context, _MAX_CONTEXT)}"]
        if arguments.glob:
            command.append(f"--glob={arguments.glob}")
        command += ["--regexp", arguments.pattern, "--"]
        if (path := posixpath.normpath(arguments.path)) != ".":  # named, it would stand before every hit
            command.append(path)
        result = self._sandbox.exec(shlex.join(command), timeout_s=_SEARCH_TIMEOUT_S)
        if result.exit_code is None:
            return ToolOutput(content="The search took too long; name a narrower path or glob.", is_error=True)
        if result.exit_code == 1 and not result.output:
            return ToolOutput(content=f"No line matches {arguments.pattern!r}.")
        return ToolOutput(content=result.output, is_error=result.exit_code > 1)


def near_paths(sandbox: Sandbox, path: str) -> str:
    """Files that somebody who wrote `path` may have meant, as a sentence; empty when none is near."""
    files = sandbox.list_files()
    same_name = [name for name in files if _leaf(name) == _leaf(path)][:3]
    near = same_name or difflib.get_close_matches(path, files, n=3, cutoff=0.7)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def reason(exc: Exception) -> str:
    """Why a file cannot be used, in a few words."""
    match exc:
        case FileNotFoundError():
            return "there is no such file."
        case IsADirectoryError():
            return "it is a folder."
        case PermissionError():
            return "permission denied."
        case _:
            return str(exc)


def _leaf(path: str) -> str:
    return path.rpartition("/")[2]


def _levels(paths: list[str], depth: int) -> list[str]:
    shown = {p for p in paths if p.count("/") < depth}
    deeper = Counter("/".join(p.split("/")[:depth]) for p in paths if p.count("/") >= depth)
    return sorted(shown | {f"{folder}/ ({count} files)" for folder, count in deeper.items()})
