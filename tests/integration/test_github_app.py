"""The forge as a GitHub App."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from coder.errors import ForgeError
from coder.forge.config import GitHubSettings
from coder.forge.github import GitHubForge
from coder.forge.github_app import AppTokens
from coder.workspace.workspace import Workspace
from tests.integration.github_support import (
    PROPOSAL,
    REF,
    issue_of,
    repo_of,
    running,
    settings,
    task,
    work,
)
from tests.servers.github import Fault, GitHubServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHubServer]:
    with running(tmp_path / "github") as server:
        yield server


def app_settings(server: GitHubServer) -> GitHubSettings:
    return settings(server, token=None, app_id=server.state.app_id, private_key=SecretStr(server.add_app()))


def test_an_app_gets_a_narrow_token_keeps_it_and_renews_it(server: GitHubServer) -> None:
    clock = [datetime.now(UTC)]
    config = app_settings(server)
    tokens = AppTokens(config, now=lambda: clock[0])
    with GitHubForge(config, tokens=tokens, sleep=lambda _: None) as forge:
        first = forge.remote(task())
        assert forge.remote(task()) == first

        clock[0] += timedelta(minutes=51)
        second = forge.remote(task())

        assert second.authorization != first.authorization
        mints = [made for made in server.requests if made.path.endswith("/access_tokens")]
        assert len(mints) == 2
        assert mints[0].body == {"repositories": ["calc"], "permissions": config.permissions | config.more_permissions}
        assert "workflows" not in mints[0].body["permissions"]
        assert server.complaints == []


def test_an_installation_that_grants_no_checks_does_without(server: GitHubServer) -> None:
    server.state.granted = frozenset({"contents", "pull_requests", "issues", "metadata"})
    with GitHubForge(app_settings(server), sleep=lambda _: None) as forge:
        assert forge.base(task()).ref == "main"

    mints = [made for made in server.requests if made.path.endswith("/access_tokens")]
    assert [made.status for made in mints] == [422, 422, 422, 201]
    assert [list(made.body["permissions"])[-1] for made in mints] == ["statuses", "actions", "checks", "metadata"]


def test_an_app_does_the_whole_line(server: GitHubServer, tmp_path: Path) -> None:
    with GitHubForge(app_settings(server), sleep=lambda _: None) as forge:
        forge.acknowledge(task())
        forge.status(task(), "working")
        base = forge.base(task())
        repository = Workspace(tmp_path / "ws", http_hosts=frozenset({server.host})).fetch(
            forge.remote(task()), REF, base.sha
        )
        repository.push(forge.remote(task()), base.sha, "coder/new")
        pull = forge.publish(task(), PROPOSAL, work(server))
        forge.status(task(), "done")

        assert forge.problem(task()).body.body == "text"

    assert repo_of(server).branch("coder/new") == base.sha
    assert repo_of(server).pulls[pull.number or 0].user.login == "coder-app[bot]"
    assert [comment.user.login for comment in issue_of(server).comments] == ["coder-app[bot]"]
    assert server.complaints == []


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "status"])
def test_a_token_whose_minting_fails_once_is_asked_for_again(server: GitHubServer, kind: str) -> None:
    server.faults.append(Fault(kind, path="/access_tokens", status=502))

    with GitHubForge(app_settings(server), sleep=lambda _: None) as forge:
        assert forge.base(task()).ref == "main"


def test_an_app_that_is_not_installed_says_so(server: GitHubServer) -> None:
    config = app_settings(server)
    repo_of(server).installation = None

    with GitHubForge(config) as forge, pytest.raises(ForgeError, match="installation token for octo/calc"):
        forge.base(task())


def test_git_whose_token_is_over_early_gets_another_one(server: GitHubServer, tmp_path: Path) -> None:
    place = Workspace(tmp_path / "ws", http_hosts=frozenset({server.host}))
    repo_of(server).private = True
    with GitHubForge(app_settings(server), sleep=lambda _: None) as forge:
        base, old = forge.base(task()), forge.remote(task())
        server.state.tokens.clear()

        place.fetch(old, REF, base.sha).push(forge.remote(task()), base.sha, "coder/new")

    assert repo_of(server).branch("coder/new") == base.sha
    assert len([made for made in server.requests if made.path.endswith("/access_tokens")]) == 2
