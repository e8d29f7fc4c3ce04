"""Changing files by a patch text, for models that were trained on one: all files of a patch change, or none does."""

import posixpath
import shlex
from collections.abc import Mapping

from pydantic import Field

from coder.sandbox.protocol import Sandbox
from coder.tools.base import Arguments
from coder.tools.edit import Syntax, complaint, is_crlf, like
from coder.tools.files import near_paths, reason
from coder.tools.v4a import FilePatch, PatchError, added, parsed, patched
from coder.types import ToolOutput

_COMMAND_TIMEOUT_S = 30


class ApplyPatchArguments(Arguments):
    """Arguments of `apply_patch`."""

    input: str = Field(min_length=1, description="The patch, from '*** Begin Patch' to '*** End Patch'.")


class ApplyPatch:
    """Add, update, move and delete files."""

    name = "apply_patch"
    arguments = ApplyPatchArguments
    mutates = True

    def __init__(self, sandbox: Sandbox, syntax: Syntax) -> None:
        self._sandbox, self._syntax = sandbox, syntax

    def run(self, arguments: ApplyPatchArguments) -> ToolOutput:
        """What was changed; an error leaves all files as they were."""
        try:
            files = parsed(arguments.input)
            before = self._before(files)
            after = _after(files, before)
            self._write(before, after, {f.move_to: f.path for f in files if f.move_to})
        except PatchError as exc:
            return ToolOutput(content=f"{exc} Nothing was changed.", is_error=True)
        marks = {"add": "A", "update": "M", "delete": "D"}
        done = "\n".join(f"{marks[f.kind]} {f.path}{f' -> {f.move_to}' if f.move_to else ''}" for f in files)
        faults = "".join(
            f"\n\n{path}:{text}"
            for path, data in after.items()
            if data is not None and (text := complaint(self._syntax.new_faults(path, before.get(path) or b"", data)))
        )
        return ToolOutput(content=f"Done:\n{done}{faults}")

    def _before(self, files: list[FilePatch]) -> dict[str, bytes | None]:
        """All files that the patch names, None for those that are not there.

        Raises:
            PatchError: A path cannot be used, or is (not) there against what the patch says.
        """
        found: dict[str, bytes | None] = {}
        for file in files:
            found[file.path] = self._read(file.path)
            if file.kind == "add" and found[file.path] is not None:
                raise PatchError(f"{file.path} is to be added, but it exists: update it.")
            if file.kind != "add" and found[file.path] is None:
                raise PatchError(f"{file.path}: there is no such file.{near_paths(self._sandbox, file.path)}")
            if file.move_to is not None:
                found[file.move_to] = self._read(file.move_to)
                if found[file.move_to] is not None:
                    raise PatchError(f"{file.path} cannot move to {file.move_to}: that exists.")
        return found

    def _read(self, path: str) -> bytes | None:
        if posixpath.normpath(path).partition("/")[0].lower() == ".git":
            raise PatchError("`.git` is not part of the change.")
        try:
            return self._sandbox.read(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            raise PatchError(f"{path}: {reason(exc)}") from exc

    def _write(
        self, before: Mapping[str, bytes | None], after: Mapping[str, bytes | None], moved: Mapping[str, str]
    ) -> None:
        """Make the change; when a file refuses, those that were written get their old content back."""
        done: list[str] = []
        try:
            for path, data in after.items():
                done.append(path)
                self._put(path, data)
                if path in moved:  # a program stays one
                    self._do("chmod", f"--reference={moved[path]}", "--", path)
        except (OSError, ValueError) as exc:
            for path in done[:-1]:
                self._put(path, before[path])
            raise PatchError(f"{done[-1]}: {reason(exc)}") from exc

    def _put(self, path: str, data: bytes | None) -> None:
        if data is None:
            self._do("rm", "-f", "--", path)
        else:
            self._sandbox.write(path, data)

    def _do(self, *command: str) -> None:
        result = self._sandbox.exec(shlex.join(command), timeout_s=_COMMAND_TIMEOUT_S)
        if result.exit_code != 0:
            raise OSError(result.output.strip()[:300] or f"{command[0]} failed")


def _after(files: list[FilePatch], before: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    """What each path holds afterwards; None is gone."""
    after: dict[str, bytes | None] = {}
    for file in files:
        data = before[file.path] or b""
        if file.kind == "update":
            fresh = _updated(data, file)
            after[file.move_to or file.path] = fresh
            if file.move_to is not None:
                after[file.path] = None
        else:
            after[file.path] = added(file).encode("utf-8", "surrogateescape") if file.kind == "add" else None
    return after


def _updated(data: bytes, file: FilePatch) -> bytes:
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    if is_crlf(data):
        text = text.replace("\r\n", "\n")
    return like(data, patched(text, file))
