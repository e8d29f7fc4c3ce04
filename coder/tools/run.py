"""Running things: any command, and the repository's tests."""

import re
from collections.abc import Collection
from typing import Protocol

from pydantic import Field

from coder.sandbox.protocol import Sandbox
from coder.tools.base import Arguments
from coder.types import Cell, ToolOutput

_MAX_NAMES = 40
_GREEN_LINES = 5
_NOISE = re.compile(r"[.sxX]{2,}\s*(\[ *\d+%\])?|-+ generated xml file: .*")


class RunArguments(Arguments):
    """Arguments of `run`."""

    command: str = Field(min_length=1, description="What `bash -c` runs.")
    cwd: str = Field(default=".", description="Folder to run it in, relative to the repository root.")
    timeout_s: int = Field(default=120, ge=1, le=1_800, description="Seconds after which it is killed.")


class Run:
    """Run a shell command."""

    name = "run"
    arguments = RunArguments
    mutates = True

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def run(self, arguments: RunArguments) -> ToolOutput:
        """Its output and how it ended."""
        result = self._sandbox.exec(arguments.command, timeout_s=arguments.timeout_s, cwd=arguments.cwd)
        how = f"killed after {arguments.timeout_s} s" if result.exit_code is None else f"exit code {result.exit_code}"
        cut = f"; {result.output_bytes} bytes, the middle left out" if result.truncated else ""
        return ToolOutput(
            content=f"{result.output.rstrip()}\n[{how}{cut}]".lstrip("\n"), is_error=result.exit_code != 0
        )


class RunTestsArguments(Arguments):
    """Arguments of `run_tests`."""

    select: list[str] = Field(
        default_factory=list, description="Test files, folders or ids to run; empty runs the whole suite."
    )
    timeout_s: int = Field(default=600, ge=1, le=3_600, description="Seconds after which they are killed.")


class SuiteRunner(Protocol):
    """Runs the repository's tests in the given sandbox."""

    def __call__(self, sandbox: Sandbox, select: list[str], timeout_s: float, /) -> Cell | None:
        """How they went; None when no way to run tests is known."""
        ...


class RunTests:
    """Run the repository's tests and tell failures by test id."""

    name = "run_tests"
    arguments = RunTestsArguments
    mutates = True

    def __init__(self, sandbox: Sandbox, tests: SuiteRunner) -> None:
        self._sandbox = sandbox
        self._tests = tests
        self._failing: frozenset[str] | None = None

    def run(self, arguments: RunTestsArguments) -> ToolOutput:
        """Counts, failing ids, what changed since the last call, and the end of the output."""
        cell = self._tests(self._sandbox, arguments.select, arguments.timeout_s)
        if cell is None:
            return ToolOutput(
                content="No way to run this repository's tests was found; use `run` with a command of your own.",
                is_error=True,
            )
        report = cell.report
        failing = frozenset(report.failed) | frozenset(report.errored)
        before = self._failing if report.by_id else None
        parts = [_summary(cell), *_changes(failing, frozenset(report.passed), before), _tail(cell)]
        # What was not run this time keeps its colour.
        self._failing = ((self._failing or frozenset()) - frozenset(report.passed)) | failing if report.by_id else None
        return ToolOutput(content="\n".join(part for part in parts if part), is_error=cell.exit_code != 0)


def _summary(cell: Cell) -> str:
    report = cell.report
    how = "killed at the time-out" if cell.exit_code is None else f"exit code {cell.exit_code}"
    if not report.by_id:
        return f"{cell.command}: {how}. {report.problem or ''}".strip()
    counts = f"{len(report.passed)} passed, {len(report.failed)} failed, {len(report.errored)} errors, {len(report.skipped)} skipped"
    return "\n".join([f"{cell.command}: {how}; {counts}.", *_names("failing", (*report.failed, *report.errored))])


def _tail(cell: Cell) -> str:
    """The end of the output without what the counts say already: progress dots, and where the report went."""
    lines = [line for line in cell.output_tail.strip().splitlines() if not _NOISE.fullmatch(line)]
    return "\n".join(lines if cell.exit_code != 0 else lines[-_GREEN_LINES:])


def _changes(now: frozenset[str], passed: frozenset[str], before: frozenset[str] | None) -> list[str]:
    if before is None:
        return []
    return [*_names("newly failing since the last run", now - before), *_names("no longer failing", before & passed)]


def _names(title: str, ids: Collection[str]) -> list[str]:
    names = sorted(ids)
    if not names:
        return []
    more = [f"  … and {len(names) - _MAX_NAMES} more"] if len(names) > _MAX_NAMES else []
    return [f"{title}:", *(f"  {name}" for name in names[:_MAX_NAMES]), *more]
