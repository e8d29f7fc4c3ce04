"""Which images of ours are thrown away, and what the doctor says of two test runs."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from coder.doctor import counted, flakes, named, plain, usable
from coder.sandbox.docker_shelf import StoredImage, to_remove
from coder.types import Cell, TestReport

NOW = datetime(2030, 1, 31, tzinfo=UTC)


def stored(name: str, *, days: float, own_mb: float = 100, kind: Literal["sandbox", "setup"] = "setup") -> StoredImage:
    return StoredImage(f"sha256:{name}", name, kind, NOW - timedelta(days=days), own_mb)


@pytest.mark.parametrize(
    ("keep_mb", "gone"),
    [
        (10_000, ["", "old"]),
        (350, ["", "old"]),
        (250, ["", "old", "middle"]),
        (0, ["", "old", "middle", "new", "newest"]),
    ],
)
def test_old_and_nameless_images_go_and_built_ones_stay(keep_mb: float, gone: list[str]) -> None:
    images = [
        stored("newest", days=0.1),
        stored("new", days=1),
        stored("middle", days=2),
        stored("old", days=15),
        stored("built", days=400, kind="sandbox"),
        stored("", days=0, kind="sandbox"),
    ]

    found = to_remove(images, now=NOW, older_than=timedelta(days=14), keep_mb=keep_mb)

    assert [image.reference for image in found] == gone


def cell(report: TestReport, exit_code: int | None = 0) -> Cell:
    return Cell(
        name="base", tree_sha="", command="x", exit_code=exit_code, duration_s=1, report=report, output_tail="said"
    )


def test_tests_that_differ_between_two_runs_are_flaky() -> None:
    first = TestReport(by_id=True, passed=("a", "b"), failed=("c",), skipped=("d",))
    second = TestReport(by_id=True, passed=("a", "c"), errored=("b",), skipped=("d",))

    assert flakes(first, second) == ("b", "c")
    assert flakes(first, first) == ()


@pytest.mark.parametrize(
    ("report", "exit_code", "answer"),
    [
        (TestReport(by_id=True, passed=("a",)), 0, True),
        (TestReport(by_id=True, failed=("a",)), 1, True),
        (TestReport(by_id=True), 0, False),
        (TestReport(by_id=True, passed=("a",), problem="it lies"), 0, False),
        (TestReport(by_id=False, problem="exit code only"), 0, True),
        (TestReport(by_id=False, problem="exit code only"), 1, False),
        (TestReport(by_id=False, problem="killed"), None, False),
    ],
)
def test_a_run_is_usable_when_it_tells_something(report: TestReport, exit_code: int | None, *, answer: bool) -> None:
    assert usable(cell(report, exit_code)) is answer


def test_outcomes_are_said_in_figures_and_few_names() -> None:
    report = TestReport(by_id=True, passed=("a", "b"), failed=("c",), problem="odd")

    assert counted(report) == "2 passed, 1 failed (odd)"
    assert counted(TestReport(by_id=False, problem="killed after 9 s")) == "killed after 9 s"
    assert named([str(n) for n in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"


def test_nothing_that_a_terminal_obeys_is_shown() -> None:
    assert plain("a\x1b[31mred\x1b[0m\r\x07\x9b\u202eb\tc") == "aredb\tc"
