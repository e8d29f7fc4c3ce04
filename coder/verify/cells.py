"""One run of the tests in one sandbox, and how much of what it claims is believed."""

import secrets
import shlex
from typing import Literal

from coder.errors import SandboxError
from coder.sandbox.protocol import Sandbox
from coder.types import Cell, ExecResult, TestReport
from coder.verify.commands import REPORT, TestCommand
from coder.verify.junit import MAX_REPORT_BYTES, read_report, unreadable

CellName = Literal["base", "base+new tests", "head", "head+old tests"]
"""What is run: the commit as it was or with the patch, with the tests of the one or the other."""

OUTPUT_TAIL_CHARS = 8_000
"""How much of the output's end a cell keeps."""

_NO_TESTS = 5
"""pytest's exit code when it collected nothing: https://docs.pytest.org/en/stable/reference/exit-codes.html"""

_ENVIRONMENT = {
    "CI": "1",
    "NO_COLOR": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTEST_ADDOPTS": "",
}


def run_cell(sandbox: Sandbox, name: CellName, tree_sha: str, command: TestCommand, timeout_s: float) -> Cell:
    """Run the tests and read their report; a red, hanging or lying suite is a result.

    The report goes to a path that did not exist a moment before, so that no file of the repository can pass for it. A
    sandbox that dies while the tests run is a result too, and says so; one that was dead before raises.

    Raises:
        SandboxError: The sandbox does not even carry out a trivial command.
    """
    path = command.report_path or f".coder-report-{secrets.token_hex(12)}.xml"
    cleared = sandbox.exec(f"rm -rf -- {shlex.quote(path)}", timeout_s=30)
    if cleared.exit_code != 0:
        raise SandboxError(f"cannot clear {path} in the sandbox: {cleared.output[-200:].strip()}")
    line = command.command.replace(REPORT, path)
    try:
        result = sandbox.exec(line, timeout_s=timeout_s, env=_ENVIRONMENT)
        report = (
            _report(sandbox, path, result, timeout_s)
            if command.kind == "pytest"
            else _exit_code_only(result, timeout_s)
        )
        # The agent's own sandbox goes on after this: a report left behind would become part of the change.
        sandbox.exec(f"rm -rf -- {shlex.quote(path)}", timeout_s=30)
    except SandboxError as exc:
        result = ExecResult(exit_code=None, output=str(exc), duration_s=0.0)
        report = unreadable(f"the sandbox died while the tests ran: {exc}")
    return Cell(
        name=name,
        tree_sha=tree_sha,
        command=command.shown,
        exit_code=result.exit_code,
        duration_s=round(result.duration_s, 3),
        report=report,
        output_tail=result.output[-OUTPUT_TAIL_CHARS:].replace(path, "report.xml"),
    )


def _exit_code_only(result: ExecResult, timeout_s: float) -> TestReport:
    return unreadable(
        f"killed after {timeout_s:g} s" if result.exit_code is None else "this command tells an exit code only"
    )


def _report(sandbox: Sandbox, path: str, result: ExecResult, timeout_s: float) -> TestReport:
    """The report as far as the exit code bears it out."""
    if result.exit_code is None:
        return unreadable(f"killed after {timeout_s:g} s")
    try:
        data = sandbox.read(path, max_bytes=MAX_REPORT_BYTES)
    except FileNotFoundError:
        lines = result.output.strip().splitlines()
        return unreadable(
            f"exit code {result.exit_code} and no test report; the output ends: {lines[-1][:160] if lines else '(none)'}"
        )
    except (OSError, ValueError) as exc:
        return unreadable(f"the test report is no plain file: {' '.join(str(exc).split())[:200]}")
    return believed(read_report(data), result.exit_code)


def believed(report: TestReport, exit_code: int) -> TestReport:
    """`report`, with a problem noted when `exit_code` contradicts it."""
    if not report.by_id:
        return report
    red, count = bool(report.failed or report.errored), len(report.passed) + len(report.skipped)
    if not red and not count:
        if exit_code == _NO_TESTS:
            return report
        return unreadable(f"exit code {exit_code} and a test report without tests")
    if red and exit_code == 0:
        return report.model_copy(update={"problem": "the report lists failures, but the exit code is 0"})
    if not red and exit_code != 0:
        return report.model_copy(update={"problem": f"the report lists no failure, but the exit code is {exit_code}"})
    return report
