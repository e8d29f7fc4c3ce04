"""Cells of made-up runs, for what judges them."""

from collections.abc import Sequence
from typing import Any

from coder.types import Cell, TestReport
from coder.verify.basis import Cells

OLD, NEW, RED = "t.py::old", "t.py::new", "t.py::red"


def cell(
    name: Any,
    passed: Sequence[str] = (),
    failed: Sequence[str] = (),
    *,
    skipped: Sequence[str] = (),
    errored: Sequence[str] = (),
    exit_code: int | None = None,
    problem: str | None = None,
    output: str = "",
) -> Cell:
    red = 1 if failed or errored else 0
    report = TestReport(
        by_id=True,
        passed=tuple(passed),
        failed=tuple(failed),
        skipped=tuple(skipped),
        errored=tuple(errored),
        problem=problem,
    )
    code = red if exit_code is None else exit_code
    return Cell(name=name, tree_sha="t", command="c", exit_code=code, duration_s=1, report=report, output_tail=output)


def unread(name: Any, exit_code: int | None, problem: str = "no report", output: str = "") -> Cell:
    report = TestReport(by_id=False, problem=problem)
    return Cell(
        name=name, tree_sha="t", command="c", exit_code=exit_code, duration_s=1, report=report, output_tail=output
    )


def four(**changes: Cell) -> Cells:
    values: dict[str, Any] = {
        "base": cell("base", [OLD]),
        "base_new": cell("base+new tests", [OLD], [NEW]),
        "head": cell("head", [OLD, NEW]),
        "head_old": cell("head+old tests", [OLD]),
    }
    return Cells(**{**values, **changes})
