"""A process that is killed while the tests run leaves the runs that ended to the next one."""

from pathlib import Path

import pytest

from coder.trace.events import CellRun, Verified
from tests.integration.line_support import Killed, Line, lined_up, said, submits, writes

TURNS = [writes("1 1 2\\n"), *submits("Add what is lost"), *submits("Add what is lost")]


def cells(line: Line) -> list[str]:
    return [event.cell for event in line.events if isinstance(event, CellRun)]


def kept(line: Line) -> list[tuple[str, bool]]:
    last = next(event for event in reversed(line.events) if isinstance(event, Verified))
    return [(cell.name, bool(cell.kept_as)) for cell in last.evidence.cells]


def test_no_run_of_the_tests_is_made_twice(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    with lined_up(tmp_path / "whole") as whole:
        whole.run(TURNS)
        at = next(n for n, event in enumerate(whole.events) if isinstance(event, CellRun) and event.cell == "head")

    with lined_up(tmp_path / "killed") as line:
        with pytest.raises(Killed):
            line.run(TURNS, dies_after=at)
        line.run([])

        assert cells(line) == ["base", "head"]
        assert kept(line) == [("base", True), ("head", True)]


def test_base_is_not_run_again_for_what_is_added_later(tmp_path: Path) -> None:
    with lined_up(tmp_path) as line:
        line.run(TURNS)
        first = kept(line)

        line.run([writes("1 1 3\\n"), *submits("More"), *submits("More")], said("revise"))

        assert first == [("base", True), ("head", False)]  # base ran before the work began
        assert cells(line) == ["base", "head", "head"]
        assert kept(line) == [("base", True), ("head", False)]
