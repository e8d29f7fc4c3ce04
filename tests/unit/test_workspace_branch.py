import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.types import RepoRef, Task
from coder.workspace.branch import branch_name
from coder.workspace.git import checked_branch

HOSTILE = [
    "",
    "   ",
    "../../etc/passwd",
    "--force",
    "-c core.hooksPath=x",
    "a..b",
    "a.lock",
    "HEAD",
    "refs/heads/main",
    "@{-1}",
    "x\ny\0z",
    "$(touch pwned)`id`;rm -rf /",
    "\u202egnp.exe",
    "日本語のタイトル",
    "🚀🚀🚀",
    "a" * 5000,
    "~^:?*[\\",
    "Ünïcödé — “quotes”",
    "/leading/and/trailing/",
    "word " * 500,
]


def task(**changes: object) -> Task:
    fields: dict[str, object] = {
        "run_id": "01JX-run",
        "repo": RepoRef(owner="ada", name="calc"),
        "kind": "issue",
        "number": 12,
        "requested_by": "ada",
        "requested_at": "2026-01-01T00:00:00Z",
        "model": "m",
    }
    return Task.model_validate(fields | changes)


def test_a_title_becomes_a_slug() -> None:
    assert branch_name(task(), "Fix the add() function!") == "coder/issue-12-fix-the-add-function"
    assert branch_name(task(kind="prompt", number=None), "Größe") == "coder/run-01jx-run-groe"


@pytest.mark.parametrize("title", HOSTILE)
def test_hostile_titles_give_safe_names(title: str) -> None:
    name = branch_name(task(), title)

    assert re.fullmatch(r"coder/issue-12(-[a-z0-9]+)*", name)
    assert checked_branch(name) == name
    assert len(name) < 80


@given(st.text(), st.text())
def test_any_text_gives_a_safe_name(title: str, run_id: str) -> None:
    name = branch_name(task(kind="prompt", number=None, run_id=run_id), title)

    assert checked_branch(name) == name
