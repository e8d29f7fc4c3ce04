"""Running things: any command, and the repository's tests."""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from pydantic import Field

from coder.codemap.languages import TEXT, language_of
from coder.sandbox.protocol import Process, Sandbox
from coder.tools.base import Arguments
from coder.tools.files import near_paths
from coder.types import Cell, ExecResult, TestCounts, ToolOutput

_MAX_NAMES = 40
_GREEN_LINES = 5
_NOISE = re.compile(r"[.sxX]{2,}\s*(\[ *\d+%\])?|-+ generated xml file: .*")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[mK]")
"""Colours, which some programs print without a terminal when CI is set: to a model they are noise in every line."""


class RunArguments(Arguments):
    """Arguments of `run`."""

    command: str = Field(min_length=1, description="What `bash -c` runs.")
    cwd: str = Field(default=".", description="Folder to run it in, relative to the repository root.")
    timeout_s: int = Field(default=120, ge=1, le=1_800, description="Seconds after which it is killed.")
    background: str = Field(
        default="", max_length=64, description="Name for a process that is to go on, e.g. 'server'; not waited for."
    )


class Run:
    """Run a shell command."""

    name = "run"
    arguments = RunArguments
    mutates = True

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def run(self, arguments: RunArguments) -> ToolOutput:
        """Its output and how it ended."""
        if arguments.background:
            return self._started(arguments)
        result = self._sandbox.exec(arguments.command, timeout_s=arguments.timeout_s, cwd=arguments.cwd)
        how = f"killed after {arguments.timeout_s} s" if result.exit_code is None else f"exit code {result.exit_code}"
        return ToolOutput(content=_shown(result, how), is_error=result.exit_code != 0)

    def _started(self, arguments: RunArguments) -> ToolOutput:
        name = arguments.background
        try:
            self._sandbox.background.spawn(arguments.command, name=name, cwd=arguments.cwd)
        except (OSError, ValueError) as exc:
            return ToolOutput(content=f"{name!r} was not started: {exc}", is_error=True)
        return ToolOutput(content=f"{name!r} is running; `processes` with name={name!r} shows what it prints.")


class ProcessesArguments(Arguments):
    """Arguments of `processes`."""

    name: str = Field(default="", description="A background process: what it printed. Empty lists all.")
    end: bool = Field(default=False, description="End it, after a last look at its output.")


class Processes:
    """Look at background processes, and end them."""

    name = "processes"
    arguments = ProcessesArguments
    mutates = True  # what they do between the calls is seen with this one

    def __init__(self, sandbox: Sandbox) -> None:
        self._background = sandbox.background

    def run(self, arguments: ProcessesArguments) -> ToolOutput:
        """All of them, or the output of one."""
        if not arguments.name:
            if arguments.end:
                return ToolOutput(content="Name the process that is to end.", is_error=True)
            return ToolOutput(content="\n".join(map(_line, self._background.processes())) or "There are none.")
        try:
            result = self._background.logs(arguments.name)
            running = any(p.running for p in self._background.processes() if p.name == arguments.name)
            if arguments.end:
                self._background.kill(arguments.name)
        except ValueError as exc:
            return ToolOutput(content=str(exc), is_error=True)
        ended = "killed" if result.exit_code is None else f"exit code {result.exit_code}"
        how = ended if not running else "ended now" if arguments.end else "running"
        return ToolOutput(content=_shown(result, how))


def _shown(result: ExecResult, how: str) -> str:
    cut = f"; {result.output_bytes} bytes, the middle left out" if result.truncated else ""
    return f"{_COLOUR.sub('', result.output).rstrip()}\n[{how}{cut}]".lstrip("\n")


def _line(process: Process) -> str:
    how = "running" if process.running else "killed" if process.exit_code is None else f"exit code {process.exit_code}"
    return f"{process.name}: {how}, {process.duration_s:.0f} s, {process.output_bytes} bytes printed: {process.command[:200]}"


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

    def __init__(
        self,
        sandbox: Sandbox,
        tests: SuiteRunner,
        *,
        selects: Callable[[Sequence[str]], bool] = bool,
        red_on_base: Collection[str] = (),
    ) -> None:
        """`selects` says whether a selection narrows what is run; `red_on_base` are the tests that failed before any change."""
        self._sandbox, self._tests, self._selects = sandbox, tests, selects
        self._red_on_base = frozenset(red_on_base)
        self._green: dict[str, bool] = {}
        """How each test that was run went the last time."""

    def run(self, arguments: RunTestsArguments) -> ToolOutput:
        """Counts, failing ids, what changed since each test's last run, and the end of the output."""
        if missing := [name for name in arguments.select if self._is_missing(name)]:
            told = [f"There is no file {name!r}.{near_paths(self._sandbox, _file_of(name))}" for name in missing]
            return ToolOutput(content="\n".join(["No test was run.", *told]), is_error=True)
        cell = self._tests(self._sandbox, arguments.select, arguments.timeout_s)
        if cell is None:
            return ToolOutput(
                content="No way to run this repository's tests was found; use `run` with a command of your own.",
                is_error=True,
            )
        failing, passed = frozenset((*cell.report.failed, *cell.report.errored)), frozenset(cell.report.passed)
        parts = [
            *self._selected(cell, arguments.select),
            self._summary(cell),
            *self._changes(failing, passed),
            _tail(cell),
        ]
        self._green |= dict.fromkeys(passed, True) | dict.fromkeys(failing, False)
        return ToolOutput(
            content="\n".join(part for part in parts if part),
            is_error=cell.exit_code != 0,
            tests=_counts(cell, arguments.select),
        )

    def _is_missing(self, name: str) -> bool:
        """Whether it is a path of source code, and there is no such file: runners say that late, at length, or not at all."""
        path = _file_of(name)
        if language_of(path) == TEXT:
            return False
        try:
            self._sandbox.read(path)
        except FileNotFoundError:
            return True
        except (OSError, ValueError):  # the runner's own words are better
            return False
        return False

    def _selected(self, cell: Cell, select: list[str]) -> list[str]:
        """What became of a selection, where that is not what was asked for."""
        report = cell.report
        if not select:
            return []
        if not self._selects(select):
            return ["`select` had no effect: it is not known how to select with this command, so all of it was run."]
        if report.by_id and not (report.passed or report.failed or report.errored or report.skipped):
            return [f"No test was found for {', '.join(select[:_MAX_NAMES])}."]
        return []

    def _summary(self, cell: Cell) -> str:
        report = cell.report
        how = "killed at the time-out" if cell.exit_code is None else f"exit code {cell.exit_code}"
        if not report.by_id:
            return f"{cell.command}: {how}. {report.problem or ''}".strip()
        counts = f"{len(report.passed)} passed, {len(report.failed)} failed, {len(report.errored)} errors, {len(report.skipped)} skipped"
        red = frozenset((*report.failed, *report.errored))
        return "\n".join(
            [
                f"{cell.command}: {how}; {counts}.",
                *_names("failing", red - self._red_on_base),
                *_names("failing, as they did before any change", red & self._red_on_base),
            ]
        )

    def _changes(self, failing: frozenset[str], passed: frozenset[str]) -> list[str]:
        broken = {test for test in failing if self._green.get(test) is True}
        mended = {test for test in passed if self._green.get(test) is False}
        return [*_names("newly failing since their last run", broken), *_names("passing now, failed before", mended)]


def _file_of(selection: str) -> str:
    """The file that a selection names: `a/b_test.py::Case::test[1]` and `a/b_spec.rb:12` are tests in one."""
    return re.sub(r":\d+$", "", selection.split("::", 1)[0])


def _counts(cell: Cell, select: list[str]) -> TestCounts | None:
    report = cell.report
    if not report.by_id:
        return None
    return TestCounts(
        passed=len(report.passed),
        failed=len(report.failed),
        errored=len(report.errored),
        selection=tuple(sorted(select)),
    )


def _tail(cell: Cell) -> str:
    """The end of the output without what the counts say already: progress dots, and where the report went."""
    lines = [line for line in _COLOUR.sub("", cell.output_tail).strip().splitlines() if not _NOISE.fullmatch(line)]
    return "\n".join(lines if cell.exit_code != 0 else lines[-_GREEN_LINES:])


def _names(title: str, ids: Collection[str]) -> list[str]:
    names = sorted(ids)
    if not names:
        return []
    more = [f"  … and {len(names) - _MAX_NAMES} more"] if len(names) > _MAX_NAMES else []
    return [f"{title}:", *(f"  {name}" for name in names[:_MAX_NAMES]), *more]
