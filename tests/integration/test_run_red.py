"""Runs that begin with a red check: of a pull request of somebody, and of the default branch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.forge.protocol import FailedJob
from coder.trace.events import Attributed, CellRun
from coder.types import Base
from tests.integration.line_support import FILES, Killed, Line, lined_up, submits, writes

LOG = "##[group]Run sh check.sh\nE  one share is lost\n##[error]Process completed with exit code 1."
MEND = [writes("1 1 1\\n"), *submits("Mend it"), *submits("Mend it")]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with lined_up(tmp_path) as line:
        yield line


def pushed(line: Line, shares: str) -> str:
    """A commit on main whose check is red."""
    (line.repository / "shares.txt").write_text(shares)
    line.git("commit", "--quiet", "--all", "-m", "Change the shares")
    head = line.git("rev-parse", "HEAD")
    line.forge.branches["main"] = head
    line.forge.checks.failed[head] = (FailedJob(name="test", log=LOG),)
    line.more = {"kind": "check_failure", "check_sha": head, "number": None, "prompt_title": "test fails on main"}
    return head


def on_a_pull_request(line: Line, shares: str) -> str:
    """The same as pull request 1 of somebody."""
    base = line.git("rev-parse", "HEAD")
    head = pushed(line, shares)
    line.forge.branches = {"main": base, "theirs": head}
    line.git("branch", "theirs", head)
    line.forge.heads["pull/1/base"] = Base(ref="main", sha=base)
    line.more = {"kind": "check_failure", "check_sha": head, "base_ref": "theirs"}
    return head


def blamed(line: Line) -> Attributed:
    (found,) = [e for e in line.events if isinstance(e, Attributed)]
    return found


def opening(line: Line) -> str:
    return "".join(m.content or "" for m in line.model.requests[0].messages)


def test_what_a_pull_request_turned_red_is_mended_onto_its_branch(line: Line) -> None:
    on_a_pull_request(line, "0\n")

    result = line.run(MEND)

    assert blamed(line).kind == "caused"
    assert result.pull_request is not None
    assert line.forge.proposals[result.pull_request.number or 0].base_ref == "theirs"
    assert "one share is lost" in opening(line)
    assert "failed each of 3 times on head and never on base" in opening(line)


def test_a_killed_experiment_makes_no_run_twice(line: Line) -> None:
    on_a_pull_request(line, "0\n")
    with pytest.raises(Killed):
        line.run(MEND, dies_after=5)
    before = [event.key for event in line.events if isinstance(event, CellRun)]

    line.run(MEND)

    of_blame = line.events[: line.events.index(blamed(line))]
    assert 0 < len(before) < len([event for event in of_blame if isinstance(event, CellRun)]) == 6
    assert blamed(line).kind == "caused"


def test_what_is_red_on_its_base_too_is_told_and_costs_nothing(line: Line) -> None:
    pushed(line, "0\n")
    on_a_pull_request(line, "0 0\n")

    result = line.run([])

    assert blamed(line).kind == "pre_existing"
    assert (result.spent.steps, result.pull_request) == (0, None)
    assert "The failure was there before the change." in line.forge.statuses["run-1"]
    assert "fails on base too, each time" in line.forge.statuses["run-1"]


def test_what_is_green_here_is_told_and_costs_nothing(line: Line) -> None:
    on_a_pull_request(line, "1\n")

    result = line.run([])

    assert blamed(line).kind == "not_reproduced"
    assert result.spent.steps == 0
    assert "cannot be reproduced here" in line.forge.statuses["run-1"]


def test_what_the_last_commit_of_the_default_branch_broke_is_mended(line: Line) -> None:
    pushed(line, "0\n")

    result = line.run(MEND)

    assert blamed(line).kind == "caused"
    assert result.pull_request is not None


def test_what_was_broken_before_it_is_told_on_the_commit(line: Line) -> None:
    pushed(line, "0\n")
    head = pushed(line, "0 0\n")

    line.run([])

    report = line.forge.checks.reports[head]
    assert (report.conclusion, report.title) == ("neutral", "The failure was there before the change.")
    assert "fails on base too" in report.summary


def test_a_branch_that_has_moved_on_is_left_alone(line: Line) -> None:
    red = pushed(line, "0\n")
    pushed(line, "1 1 2\n")
    line.more |= {"check_sha": red}

    result = line.run([])

    assert blamed(line).lines == ("the branch has another commit by now",)
    assert (result.spent.steps, line.branches()) == (0, [])


def test_a_first_commit_has_nothing_before_it(line: Line) -> None:
    head = line.git("rev-parse", "HEAD")
    line.more = {"kind": "check_failure", "check_sha": head, "number": None, "prompt_title": "red", "prompt": "red"}

    line.run([writes("1 1 5\\n"), *submits(), *submits()])

    assert blamed(line).kind == "caused"
    assert set(FILES) == {"shares.txt", "check.sh", "README.md"}
