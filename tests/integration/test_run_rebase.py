"""Taking the base branch in: a merge commit on the same branch, verified; the model is asked where changes meet."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.trace.events import Reopened, Told, Verified
from tests.integration.line_support import Killed, Line, lined_up, said, submits, writes

FIRST = [writes("1 1 2\\n"), *submits("Add what is lost"), *submits("Add what is lost")]
RESOLVE = [writes("1 1 12\\n"), *submits("Both"), *submits("Both")]
REBASE = said("rebase", "rebase", key="comment-7")


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with lined_up(tmp_path) as line:
        line.run(FIRST)
        yield line


def moves_on(line: Line, name: str, text: str) -> str:
    """A commit of somebody on main."""
    (line.repository / name).write_text(text)
    line.git("add", "--all")
    line.git("commit", "--quiet", "-m", "On main")
    line.forge.branches["main"] = line.git("rev-parse", "HEAD")
    return line.forge.branches["main"]


def parents(line: Line) -> list[str]:
    return line.git("rev-list", "--parents", "-1", line.branches()[0]).split()[1:]


def test_a_base_that_moved_on_is_merged_in_without_a_model(line: Line) -> None:
    (before,) = line.log()
    main = moves_on(line, "README.md", "Shares, on main\n")

    result = line.run([], REBASE)

    branch = line.branches()[0]
    assert result.verdict.kind == "passing"
    assert parents(line) == [before, main]
    assert line.git("show", f"{branch}:shares.txt") == "1 1 2"
    assert line.git("show", f"{branch}:README.md") == "Shares, on main"
    assert line.git("log", "-1", "--format=%s", branch) == f"Merge main ({main[:12]})"
    assert next(e for e in reversed(line.events) if isinstance(e, Verified)).evidence.base_sha == main
    assert [p.number for p in line.forge.pull_requests] == [result.pull_request.number if result.pull_request else 0]
    assert len(line.model.requests) == 0


def test_where_both_changes_meet_the_model_resolves_them(line: Line) -> None:
    (before,) = line.log()
    main = moves_on(line, "shares.txt", "1 1 9\n")

    line.run(RESOLVE, REBASE)

    told = next(e.message.content or "" for e in reversed(line.events) if isinstance(e, Told))
    assert parents(line) == [before, main]
    assert line.git("show", f"{line.branches()[0]}:shares.txt") == "1 1 12"
    assert "Resolve every conflict" in told
    assert "shares.txt" in told


def test_a_merge_that_turns_the_tests_red_goes_to_the_model(line: Line) -> None:
    line.policy = line.policy.model_copy(update={"max_rounds": 2})
    main = moves_on(line, "check.sh", "grep -q '1 1 1' shares.txt\n")

    line.run([writes("1 1 1 2\\n"), *submits(), *submits()], REBASE)

    assert parents(line)[1] == main
    assert line.git("show", f"{line.branches()[0]}:shares.txt") == "1 1 1 2"


def test_a_branch_that_has_it_all_is_left_alone(line: Line) -> None:
    before = line.log()

    first = line.run([], REBASE)
    moves_on(line, "README.md", "Shares, on main\n")
    line.run([], said("rebase", key="comment-8"))
    again = line.run([], said("rebase", key="comment-9"))

    assert first.verdict.reasons == again.verdict.reasons == ("the branch has all of its base already",)
    assert len(line.git("rev-list", line.branches()[0], "^main").split()) == len(before) + 1


def test_work_goes_on_from_the_merge(line: Line) -> None:
    main = moves_on(line, "README.md", "Shares, on main\n")
    line.run([], REBASE)
    merge = line.git("rev-parse", line.branches()[0])

    line.run([writes("1 1 3\\n"), *submits("Three"), *submits("Three")], said("revise", "three", key="comment-8"))

    assert parents(line) == [merge]
    assert main in line.git("rev-list", line.branches()[0]).split()
    (proposal,) = line.forge.proposals.values()
    assert "README.md" not in proposal.body.partition("## What changed")[2].partition("## Proof")[0]


@pytest.mark.parametrize("dies_at", [1, 3, 5, 6])
def test_a_merge_that_dies_anywhere_ends_as_if_it_had_not(line: Line, dies_at: int) -> None:
    main = moves_on(line, "README.md", "Shares, on main\n")
    lines = len(line.events)

    with contextlib.suppress(Killed):
        line.run([], REBASE, dies_after=lines + dies_at + 1)
    line.run([*submits(), *submits()], REBASE)

    assert parents(line)[1] == main
    assert len(line.git("rev-list", line.branches()[0], "^main").split()) == 2
    assert len([e for e in line.events if isinstance(e, Reopened)]) == 1
