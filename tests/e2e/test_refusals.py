"""What GitHub says no to for good: a conversation that is locked, what is deleted, what is blocked. One try, and an end."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stage import Stage
from tests.servers.github import Fault

TIMES = 99
REFUSALS = {
    403: "Unable to create comment because issue is locked.",
    410: "This issue was deleted",
    451: "Repository access blocked",
}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as stage:
        yield stage


def refusing(stage: Stage, status: int, path: str, *, method: str = "POST") -> Fault:
    fault = Fault("status", method=method, path=path, status=status, message=REFUSALS[status], times=TIMES)
    stage.github.faults.append(fault)
    return fault


@pytest.mark.parametrize("status", REFUSALS)
def test_an_answer_that_github_refuses_is_tried_once_and_logged(
    stage: Stage, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    fault = refusing(stage, status, "/comments$")

    with caplog.at_level(logging.ERROR):
        stage.comment("/coder help")
        stage.settle()

    assert TIMES - fault.times == 1
    (given_up,) = [one for one in caplog.records if one.message == "a chore at GitHub is given up"]
    assert REFUSALS[status] in str(vars(given_up)["why"])


@pytest.mark.parametrize("status", REFUSALS)
def test_a_run_that_failed_where_nothing_may_be_said_is_labelled_and_over(stage: Stage, status: int) -> None:
    fault = refusing(stage, status, "/comments$")
    stage.dies = True
    stage.label()
    stage.settle()

    for _ in range(3):
        stage.desk.watch()
        stage.settle()

    assert TIMES - fault.times == 1
    assert "coder:failed" in stage.issue.labels


@pytest.mark.parametrize("status", REFUSALS)
def test_a_word_to_a_run_reaches_it_though_no_reaction_may_be_left(stage: Stage, status: int) -> None:
    stage.free.clear()
    run = str(stage.label()["run"])
    refusing(stage, status, "/reactions$")

    stage.comment("@coder use whole cents")
    stage.free.set()
    stage.settle()

    assert [said.note.body for said in stage.inbox.of(run)] == ["@coder use whole cents"]
    assert stage.ran() == ["run", "steer"]


def test_what_is_not_there_yet_for_github_is_tried_again(stage: Stage) -> None:
    stage.github.faults.append(Fault("status", path="/comments$", status=404, message="Not Found", times=2))

    stage.comment("/coder help")
    stage.settle()

    assert len(stage.answers()) == 1
