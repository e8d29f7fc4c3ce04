"""One run of the tests in one sandbox, and how much of what it claims is believed."""

import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from coder.errors import SandboxError
from coder.sandbox.protocol import Sandbox
from coder.types import Cell, ExecResult, TestReport
from coder.verify.junit import read_reports, read_trx
from coder.verify.lines import read_cargo, read_minitest, read_nextest, read_tap, read_unittest
from coder.verify.outcomes import MAX_REPORT_BYTES, Reading, unreadable
from coder.verify.reports import Reader, read_go, read_jest, read_mocha, read_node, read_rspec
from coder.verify.runners import Kind, TestCommand

CellName = Literal["base", "base+new tests", "head", "head+old tests"]
"""What is run: the commit as it was or with the patch, with the tests of the one or the other."""

OUTPUT_TAIL_CHARS = 8_000
"""How much of the output's end a cell keeps."""

EXIT_CODE_ONLY: Final = "this command tells an exit code only"

_NO_TESTS = 5
"""pytest's exit code when it collected nothing: https://docs.pytest.org/en/stable/reference/exit-codes.html"""

_SIGNAL: Final = 128
"""From here on a shell's exit code tells a signal: the process crashed, or was killed."""

_LAST_WORDS_S: Final = 3.0
_MAX_FILES = 2_000
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*[mK]")

_READERS: Final[Mapping[Kind, Reader]] = {
    "go": read_go,
    "node": read_node,
    "jest": read_jest,
    "vitest": read_jest,
    "mocha": read_mocha,
    "rspec": read_rspec,
    "cargo": read_cargo,
    "minitest": read_minitest,
    "unittest": read_unittest,
    "nextest": read_nextest,
    "tap": read_tap,
}
"""Every other kind that tells test ids writes JUnit."""

_SCATTERED: Final[Mapping[Kind, str]] = {
    "maven": "-path '*/target/surefire-reports/TEST-*.xml'",
    "gradle": "-path '*/build/test-results/*/TEST-*.xml'",
    "dotnet": "-path '*/TestResults/*.trx'",
}
"""Where a runner leaves a report per class; as `find` is told."""

ENVIRONMENT: Final = {
    "CI": "1",
    "NO_COLOR": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTEST_ADDOPTS": "--rootdir=.",
}
"""Set for every run of tests. Pytest's ids begin at its root, which it would choose by what it is told to run: with a
`tests/pytest.ini` the whole suite's `test_x.py::test_y` could not be found again to be run alone."""


def run_cell(sandbox: Sandbox, name: CellName, tree_sha: str, command: TestCommand, timeout_s: float) -> Cell:
    """Run the tests and read their report; a red, hanging or lying suite is a result.

    The report goes to a path that did not exist a moment before, so that no file of the repository can pass for it. A
    sandbox that dies while the tests run is a result too, and says so; one that was dead before raises.

    Raises:
        SandboxError: The sandbox does not even carry out a trivial command.
    """
    path = command.report_path or f".coder-report-{secrets.token_hex(12)}.xml"
    root = _cleared(sandbox, path, command)
    output = ""
    try:
        result = _executed(sandbox, command, path, timeout_s)
        reading = (
            Reading(unreadable(f"killed after {timeout_s:g} s"))
            if result.exit_code is None
            else _read(sandbox, path, command, result, root)
        )
        report, output = reading.report, _printed(result.output, reading.output)
        if result.exit_code is None and command.progress:
            output = f"{output}\n{sandbox.exec(command.progress, timeout_s=30).output}".strip()
        # The agent's own sandbox goes on after this: a report left behind would become part of the change.
        sandbox.exec(f"rm -rf -- {shlex.quote(path)}", timeout_s=30)
    except SandboxError as exc:
        result = ExecResult(exit_code=None, output=str(exc), duration_s=0.0)
        report, output = unreadable(f"the sandbox died while the tests ran: {exc}"), str(exc)
    return Cell(
        name=name,
        tree_sha=tree_sha,
        command=command.shown,
        exit_code=result.exit_code,
        duration_s=round(result.duration_s, 3),
        report=report,
        output_tail=output[-OUTPUT_TAIL_CHARS:].replace(path, "report.xml"),
    )


def _executed(sandbox: Sandbox, command: TestCommand, path: str, timeout_s: float) -> ExecResult:
    """The run itself. pytest is not killed at once: when it is aborted, it tells what each thread was doing.

    Whatever a program makes of that, a run that came to its time limit was killed.
    """
    if command.kind != "pytest":
        return sandbox.exec(command.line(path), timeout_s=timeout_s, env=ENVIRONMENT)
    line = f"timeout -s ABRT {timeout_s:g} bash -c {shlex.quote(command.line(path))}"
    result = sandbox.exec(line, timeout_s=timeout_s + _LAST_WORDS_S, env=ENVIRONMENT)
    return result.model_copy(update={"exit_code": None}) if result.duration_s >= timeout_s else result


def _cleared(sandbox: Sandbox, path: str, command: TestCommand) -> str:
    """Take away what could pass for this run's report; the repository's root inside the sandbox."""
    old = _SCATTERED.get(command.kind)
    also = f" && find . {old} -type f -delete" if old else ""
    cleared = sandbox.exec(f"rm -rf -- {shlex.quote(path)}{also} && pwd -P", timeout_s=60)
    if cleared.exit_code != 0:
        raise SandboxError(f"cannot clear {path} in the sandbox: {cleared.output[-200:].strip()}")
    return cleared.output.strip()


def _printed(output: str, told: str) -> str:
    """What people are shown: what was printed, and what the report holds of failures; no colours, which hide titles."""
    output, told = _COLOUR.sub("", output), _COLOUR.sub("", told)
    if not told:
        return output
    return f"{output[-OUTPUT_TAIL_CHARS // 4 :].rstrip()}\n{told[: OUTPUT_TAIL_CHARS * 3 // 4].rstrip()}".strip()


def _read(sandbox: Sandbox, path: str, command: TestCommand, result: ExecResult, root: str) -> Reading:
    """The report of a run as far as its exit code bears it out."""
    if command.kind == "exit_code" or result.exit_code is None:
        return Reading(unreadable(EXIT_CODE_ONLY))
    where = _SCATTERED.get(command.kind)
    try:
        parts = _parts(sandbox, _found(sandbox, where) if where else [path])
    except (OSError, ValueError) as exc:
        return Reading(unreadable(f"the test report is no plain file: {' '.join(str(exc).split())[:200]}"))
    if not parts:
        lines = result.output.strip().splitlines()
        end = lines[-1][:160] if lines else "(none)"
        return Reading(unreadable(f"exit code {result.exit_code} and no test report; the output ends: {end}"))
    reader = _READERS.get(command.kind)
    many = read_trx if command.kind == "dotnet" else read_reports
    reading = reader(parts[0], root) if reader else many(parts, root)
    return replace(reading, report=believed(reading.report, result.exit_code, command.kind))


def _found(sandbox: Sandbox, where: str) -> list[str]:
    """The reports that lie about in the folders of several modules."""
    listed = sandbox.exec(f"find . {where} -type f | LC_ALL=C sort | head -n {_MAX_FILES + 1}", timeout_s=60)
    paths = [line.removeprefix("./") for line in listed.output.split("\n") if line.startswith("./")]
    if len(paths) > _MAX_FILES or listed.truncated:
        raise ValueError(f"more than {_MAX_FILES} files of test reports")
    return paths


def _parts(sandbox: Sandbox, paths: Sequence[str]) -> list[bytes]:
    """The bytes of the reports that exist, together no larger than one may be."""
    parts: list[bytes] = []
    left = MAX_REPORT_BYTES
    for path in paths:
        try:
            data = sandbox.read(path, max_bytes=left)
        except FileNotFoundError:
            continue
        parts.append(data)
        left -= len(data)
    return parts


def is_unclear(cell: Cell) -> bool:
    """Whether the run says nothing that another might not: it crashed, its sandbox or report was lost, or it contradicts itself.

    A run that was killed for its time is none of these, nor one that tells by its exit code that it could not begin.
    """
    code = cell.exit_code
    if code is None:
        return cell.duration_s == 0
    if cell.report.by_id:
        return cell.report.problem is not None
    return code >= _SIGNAL or (code == 0 and cell.report.problem != EXIT_CODE_ONLY)


def believed(report: TestReport, exit_code: int, kind: Kind = "pytest") -> TestReport:
    """`report`, with a problem noted when `exit_code` contradicts it."""
    if not report.by_id or report.problem is not None:
        return report
    red, count = bool(report.failed or report.errored), len(report.passed) + len(report.skipped)
    if not red and not count:
        # Most runners take a suite without tests for a success.
        if exit_code == (_NO_TESTS if kind == "pytest" else 0):
            return report
        return unreadable(f"exit code {exit_code} and a test report without tests")
    if red and exit_code == 0:
        return report.model_copy(update={"problem": "the report lists failures, but the exit code is 0"})
    if not red and exit_code != 0:
        return report.model_copy(update={"problem": f"the report lists no failure, but the exit code is {exit_code}"})
    return report
