"""What people are shown of runs, a line each."""

import json

import pytest

from coder.display import run_line, trace_lines
from coder.trace.events import Entry, Prepared, ToolFinished
from coder.trace.journal import RunLine
from coder.types import ToolOutput

STARTED = {
    "type": "run_started",
    "task": {"repo": {"owner": "octo", "name": "bills"}, "number": 7, "prompt_title": "Shares\x1b[31m"},
}


def line(first: str, newest: str) -> str:
    return run_line(RunLine(run_id="r1", started="2026-01-02T00:00:00Z", last="", events=3, first=first, newest=newest))


def test_a_run_is_listed_with_what_it_is_about_and_how_it_stands() -> None:
    finished = {"type": "finished", "result": {"verdict": {"kind": "proven"}}}

    shown = line(json.dumps(STARTED), json.dumps(finished))

    assert "octo/bills#7 Shares" in shown
    assert "proven" in shown
    assert "\x1b" not in shown
    assert "at answered" in line(json.dumps(STARTED), '{"type": "answered"}')


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_broken_line_is_listed_too(text: str) -> None:
    assert line(text, text).startswith("r1")


@pytest.mark.parametrize(
    ("name", "shown"), [("run_tests", "9 passed, 1 failed"), ("edit", "9 passed, 1 failed"), ("run", "bye")]
)
def test_of_a_result_the_line_is_shown_that_says_most(name: str, shown: str) -> None:
    output = ToolOutput(content="9 passed, 1 failed\n-----|-----\nbye\n")
    event = ToolFinished(step=1, call_id="c", name=name, output=output, duration_s=0.1)
    entry = Entry(ts="2026-01-02T00:00:00Z", seq=0, run_id="r1", prev="0", event=event, hash="a" * 64)

    assert f"{name}: ok: {shown}" in next(iter(trace_lines([entry], full=False)))


@pytest.mark.parametrize(
    ("setup_ok", "shown"), [(True, "prepared coder-setup:1: pytest -q"), (False, "prepared setup failed:")]
)
def test_the_log_of_the_setup_is_part_of_a_full_trace(*, setup_ok: bool, shown: str) -> None:
    event = Prepared(
        image="coder-setup:1",
        image_digest="d",
        setup_ok=setup_ok,
        setup_log="$ pip install x\n\x1b[31mno x\x1b[0m\n[exit code 1, 0.1 s]",
        test_command="pytest -q",
    )
    entry = Entry(ts="2026-01-02T00:00:00Z", seq=2, run_id="r1", prev="0", event=event, hash="a" * 64)

    brief, *log = trace_lines([entry], full=True)

    assert shown in brief
    assert [line.strip() for line in log] == ["$ pip install x", "[31mno x [0m", "[exit code 1, 0.1 s]"]
    assert list(trace_lines([entry], full=False)) == [brief]
