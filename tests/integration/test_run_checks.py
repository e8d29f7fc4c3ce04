"""What a run makes of the repository's own checks: a proven change is a draft until they are green."""

from typing import Literal

import pytest

from coder.policy import Policy
from tests.contract.sandbox_support import git
from tests.integration.test_run import Line, recorded
from tests.integration.test_run import line as line  # the fixture


@pytest.mark.parametrize(
    ("ready", "checked", "draft", "awaits"),
    [
        ("checks", True, True, True),
        ("checks", False, False, False),
        ("verdict", True, False, False),
        ("never", True, True, False),
    ],
)
def test_a_proven_change_waits_for_the_checks_that_there_are(
    line: Line, ready: Literal["checks", "verdict", "never"], *, checked: bool, draft: bool, awaits: bool
) -> None:
    base = git(line.folder / "bills", "rev-parse", "HEAD").decode().strip()
    line.policy = Policy(ready=ready)
    if checked:
        line.forge.checks.started.add(base)

    result = line.run(recorded())

    assert result.verdict.kind == "proven"
    assert result.pull_request is not None
    assert (result.pull_request.draft, result.pull_request.awaits_checks) == (draft, awaits)
    assert ("stays a draft until" in line.forge.statuses["run-1"]) is awaits
