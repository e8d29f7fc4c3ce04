"""What single checks of a commit say together."""

import pytest

from coder.forge.github_checks import has_workflows, together


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ([], "none"),
        (["", ""], "none"),
        (["success"], "green"),
        (["success", "skipped", "neutral", ""], "green"),
        (["success", "pending"], "pending"),
        (["success", "cancelled"], "green"),
        (["cancelled"], "pending"),
        (["success", "failure"], "red"),
        (["pending", "error"], "red"),
        (["success", "timed_out"], "red"),
        (["success", "a conclusion that GitHub makes up one day"], "pending"),
    ],
)
def test_together(said: list[str], state: str) -> None:
    assert together(said) == state


def test_only_files_that_run_are_workflows() -> None:
    assert has_workflows([".github/workflows/ci.yml"])
    assert not has_workflows([".github/workflows/README.md", "workflows/ci.yml", ".github/dependabot.yml"])
