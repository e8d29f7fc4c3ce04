"""Work that is not worth a pull request: where it goes, and where it never goes."""

import pytest

from coder.policy import Policy
from coder.types import PullRequest, RunResult
from tests.contract.sandbox_support import git
from tests.integration.test_run import SUBMIT, Line, does
from tests.integration.test_run import line as line  # the fixture

BROKEN = does("edit", path="bills/money.py", edits=[{"old": "total * weight // whole", "new": "0"}])
WORKFLOW = does("edit", path=".github/workflows/ci.yml", content="on: push\n")


def broken(
    line: Line, *, policy: Policy | None = None, protected: bool = False
) -> tuple[RunResult, PullRequest | None]:
    line.policy = policy or Policy(max_rounds=1)
    result = line.run([*([WORKFLOW] if protected else []), BROKEN, *SUBMIT])
    return result, result.pull_request


def test_it_is_kept_on_a_branch_of_its_own_and_the_comment_says_which(line: Line) -> None:
    result, published = broken(line)

    assert result.verdict.kind == "regressed"
    assert published is None
    assert line.branches() == [result.kept]
    assert b"[0 for weight in weights]" in git(line.folder / "bills", "show", f"{result.kept}:bills/money.py")
    status = line.forge.statuses["run-1"]
    assert f"The work so far is kept on branch `{result.kept}`." in status
    assert "handed in, round 1 → regressed" in status
    assert "`/coder continue`" in status


@pytest.mark.parametrize(
    ("policy", "protected"), [(Policy(max_rounds=1, keep_work="none"), False), (Policy(max_rounds=1), True)]
)
def test_it_is_kept_in_the_journal_only_when_told_or_when_a_push_could_do_harm(
    line: Line, policy: Policy, *, protected: bool
) -> None:
    result, _ = broken(line, policy=policy, protected=protected)

    assert result.verdict.kind == "regressed"
    assert result.kept == ""
    assert line.branches() == []
