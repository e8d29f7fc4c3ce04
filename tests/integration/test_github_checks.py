"""The checks of a commit at GitHub, and a draft that becomes ready by them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.forge.github import GitHubForge
from coder.forge.protocol import CHECK_NAME, CheckReport
from tests.contract.test_forge import BRANCH, proposal, settings, task
from tests.servers.github import Fault, GitHubServer
from tests.servers.github_state import CheckRun, Repo, Status


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHubServer]:
    with GitHubServer(tmp_path) as server:
        repo = server.add_repository("octo/calc", {"a.py": "1\n"})
        server.add_user("maintainer", repo=repo, permission="write")
        server.add_user("coder-bot", repo=repo, permission="write")
        server.add_token("pat", "coder-bot")
        yield server


@pytest.fixture
def forge(server: GitHubServer) -> Iterator[GitHubForge]:
    with GitHubForge(settings(server), sleep=lambda _: None) as forge:
        yield forge


def the_repo(server: GitHubServer) -> Repo:
    return server.state.repos["octo/calc"]


def test_what_suites_and_statuses_say_together(server: GitHubServer, forge: GitHubForge) -> None:
    repo = the_repo(server)
    sha = server.commit(repo, {"a.py": "2\n"}, branch=BRANCH)
    seen = [forge.checks.state(task(), sha)]

    repo.suites[sha] = ["an-app-that-never-begins"]
    seen.append(forge.checks.state(task(), sha))
    repo.checks.append(CheckRun(1, "tests", sha, "github-actions", status="in_progress"))
    seen.append(forge.checks.state(task(), sha))
    repo.concluded[sha] = "success"
    seen.append(forge.checks.state(task(), sha))
    bot = server.state.user("coder-bot")
    repo.statuses += [Status(9, sha, "pending", "", "ci/other", bot), Status(8, sha, "failure", "", "ci/other", bot)]
    seen.append(forge.checks.state(task(), sha))
    repo.statuses = [Status(7, sha, "failure", "", "coder / verification", bot), *repo.statuses[1:]]
    seen.append(forge.checks.state(task(), sha))

    assert seen == ["none", "none", "pending", "green", "pending", "red"]


def test_checks_that_have_not_changed_are_read_for_nothing(server: GitHubServer, forge: GitHubForge) -> None:
    repo = the_repo(server)
    sha = server.commit(repo, {"a.py": "2\n"}, branch=BRANCH)
    repo.checks.append(CheckRun(1, "tests", sha, "github-actions", status="in_progress"))

    first, again = forge.checks.state(task(), sha), forge.checks.state(task(), sha)
    unchanged = list(server.state.unchanged)
    repo.concluded[sha] = "success"

    assert (first, again, forge.checks.state(task(), sha)) == ("pending", "pending", "green")
    assert unchanged == [f"/repos/octo/calc/commits/{sha}/{what}" for what in ("check-suites", "statuses")]


def test_red_checks_and_statuses_are_told_ours_left_out(server: GitHubServer, forge: GitHubForge) -> None:
    repo = the_repo(server)
    sha = server.commit(repo, {"a.py": "2\n"}, branch=BRANCH)
    bot = server.state.user("coder-bot")
    repo.statuses = [
        Status(9, sha, "failure", "ours", CHECK_NAME, bot),
        Status(8, sha, "error", "2 tests failed", "ci/other", bot),
        Status(7, sha, "success", "", "ci/slow", bot),
        Status(6, sha, "failure", "", "ci/slow", bot),
    ]
    repo.checks.append(CheckRun(1, "lint", sha, "linter", "completed", "failure", {"title": "1 line"}))

    assert [(one.name, one.log) for one in forge.checks.failures(task(), sha)] == [
        ("lint", "1 line"),
        ("ci/other", "2 tests failed"),
    ]


def test_checks_are_expected_where_base_has_some_or_its_files_ask_for_them(
    server: GitHubServer, forge: GitHubForge
) -> None:
    sha = the_repo(server).branch("main") or ""

    assert not forge.checks.expected(task(), sha, ["a.py"])
    assert forge.checks.expected(task(), sha, ["a.py", ".github/workflows/ci.yml"])
    the_repo(server).suites[sha] = ["github-actions"]
    assert forge.checks.expected(task(), sha, ["a.py"])


@pytest.mark.parametrize("fault", [None, Fault("drop_after", path="/graphql", method="POST")])
def test_a_draft_is_released_once_and_only_at_its_commit(
    server: GitHubServer, forge: GitHubForge, fault: Fault | None
) -> None:
    repo = the_repo(server)
    sha = server.commit(repo, {"a.py": "2\n"}, branch=BRANCH)
    pull = forge.publish(task(), proposal(awaits_checks=True), sha)
    number = pull.number or 0
    if fault is not None:
        server.faults.append(fault)

    forge.checks.release(task(), number, "a" * 40)
    before = repo.pulls[number].draft
    forge.checks.release(task(), number, sha)
    forge.checks.release(task(), number, sha)

    assert pull.awaits_checks
    assert (before, repo.pulls[number].draft) == (True, False)
    assert len([made for made in server.requests if made.path == "/graphql"]) == 1


def test_what_a_person_made_ready_stays_so_while_checks_run(server: GitHubServer, forge: GitHubForge) -> None:
    repo = the_repo(server)
    sha = server.commit(repo, {"a.py": "2\n"}, branch=BRANCH)
    number = forge.publish(task(), proposal(awaits_checks=True), sha).number or 0
    repo.pulls[number].draft = False

    ready = forge.publish(task(), proposal(awaits_checks=True, body="More"), sha)
    draft = forge.publish(task(), proposal(), sha)

    assert not ready.draft
    assert not ready.awaits_checks
    assert draft.draft


def test_of_hundreds_of_checks_none_is_overlooked(server: GitHubServer, forge: GitHubForge) -> None:
    repo = the_repo(server)
    sha = server.commit(repo, {"a.py": "2\n"}, branch=BRANCH)
    bot = server.state.user("coder-bot")
    repo.checks += [CheckRun(n, f"job {n}", sha, f"app-{n:03}", "completed", "success") for n in range(1, 131)]
    repo.checks.append(CheckRun(200, "the last", sha, "zz-app", "completed", "failure", {"title": "red"}))
    repo.concluded[sha] = "success"
    repo.statuses += [Status(500 - n, sha, "success", "", f"ci/{n}", bot) for n in range(130)]
    repo.statuses.append(Status(9, sha, "success", "proven", CHECK_NAME, bot))
    green = forge.checks.state(task(), sha)
    repo.statuses.append(Status(8, sha, "failure", "", "ci/the-oldest", bot))

    red = forge.checks.state(task(), sha)
    forge.checks.report(task(), sha, CheckReport("success", "proven", "all of it"))

    assert (green, red) == ("green", "red")
    assert [one.name for one in forge.checks.failures(task(), sha)] == ["the last", "ci/the-oldest"]
    assert len([one for one in repo.statuses if one.context == CHECK_NAME]) == 1
