"""What is read again and again is read conditionally, whoever asks for it, and GitHub counts that against no limit."""

import pytest

from coder.errors import ForgeError
from coder.forge.github import GitHubForge
from coder.forge.github_client import MAX_KEPT, Answers
from tests.integration.github_support import issue_of, repo_of, settings, task
from tests.servers.github import Fault, GitHubServer


def looks(forge: GitHubForge, server: GitHubServer) -> list[object]:
    """What a run, its status comment and the wait for checks read over and over."""
    forge.status(task(), "working")
    forge.mark(task(), "running")
    base = forge.base(task())
    return [forge.may_write(task()), base, forge.checks.state(task(), base.sha), forge.problem(task())]


def test_what_has_not_changed_is_counted_by_no_limit(server: GitHubServer, forge: GitHubForge) -> None:
    for number in range(150):  # more than a page
        server.add_comment(issue_of(server), author="maintainer", body=f"{number}", created_at="2026-01-01T00:00:00Z")
    first = [looks(forge, server), looks(forge, server)][1]
    server.state.over_limit = True

    again = [looks(forge, server) for _ in range(5)]

    assert again == [first] * 5
    assert {path.rpartition("/")[2] for path in server.state.unchanged} >= {
        "permission",
        "comments",
        "labels",
        "statuses",
    }
    with GitHubForge(settings(server), sleep=lambda _: None) as other, pytest.raises(ForgeError, match="rate limit"):
        other.base(task())


def test_what_has_changed_is_seen(server: GitHubServer, forge: GitHubForge) -> None:
    before = looks(forge, server)
    repo_of(server).permissions["maintainer"] = "triage"
    moved = server.commit(repo_of(server), {"b.py": "1\n"})

    after = looks(forge, server)

    assert (before[0], after[0]) == (True, False)
    assert forge.base(task()).sha == moved


def test_an_answer_that_came_in_half_is_not_remembered(server: GitHubServer, forge: GitHubForge) -> None:
    server.faults.append(Fault("garbled", method="GET", path="/permission", times=2))

    assert forge.may_write(task())
    assert forge.may_write(task())


def test_only_the_last_answers_of_a_fair_size_are_remembered() -> None:
    answers = Answers()
    answers.keep("/giant", {"etag": "x"}, '"' + "a" * 300_000 + '"')
    answers.keep("/bare", {}, "{}")
    for number in range(MAX_KEPT + 1):
        answers.keep(f"/{number}", {"etag": "x"}, "{}")

    assert [answers.of(name) is None for name in ("/giant", "/bare", "/0", "/1")] == [True, True, True, False]
