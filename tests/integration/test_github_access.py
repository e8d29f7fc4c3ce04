"""What we may do in a repository, and whether its webhooks arrive, as `coder doctor OWNER/NAME` tells it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from coder.errors import ForgeError
from coder.forge.config import GitHubSettings
from coder.forge.github_access import EVENTS, GitHubAccess
from coder.types import RepoRef
from tests.integration.github_support import REF, repo_of, running, settings
from tests.servers.github import GitHubServer
from tests.servers.github_state import Delivery, Hook

HOOK = "https://coder.example/webhooks/github"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHubServer]:
    with running(tmp_path / "github") as server:
        yield server


def app_settings(server: GitHubServer) -> GitHubSettings:
    return settings(server, token=None, app_id=server.state.app_id, private_key=SecretStr(server.add_app()))


def test_an_app_that_has_everything(server: GitHubServer) -> None:
    state = server.state
    state.app_hook, state.app_events = HOOK, EVENTS
    state.deliveries = [Delivery(2, "issues", 200), Delivery(1, "ping", 502)]

    with GitHubAccess(app_settings(server)) as github:
        access = github.look(REF)

    assert (access.login, access.branch, access.closed) == ("coder-app[bot]", "main", None)
    assert (access.missing, access.wanting, access.unheard) == ((), (), ())
    assert access.webhook == f"{HOOK}, 1 of the last 2 deliveries arrived"
    assert server.writes("/repos/") == []


def test_an_app_that_lacks_rights_events_and_an_address(server: GitHubServer) -> None:
    server.state.granted = frozenset({"contents", "pull_requests", "issues", "metadata"})
    server.state.app_events = EVENTS[:-1]
    server.state.deliveries = [Delivery(1, "issues", 502)]

    with GitHubAccess(app_settings(server)) as github:
        access = github.look(REF)

    assert access.missing == ()
    assert {"checks: write", "actions: read"} <= set(access.wanting)
    assert access.unheard == (
        "the last delivery, issues ended with 502 (Invalid HTTP Response)",
        "the App has no webhook address",
        "the App does not listen to workflow_run",
    )


def test_a_person_who_may_see_the_webhooks(server: GitHubServer) -> None:
    repo = repo_of(server)
    repo.permissions["coder-bot"] = "admin"
    repo.hooks = [Hook(HOOK, EVENTS[:-1], last_code=404), Hook("https://old.example", ("*",), active=False)]

    with GitHubAccess(settings(server)) as github:
        access = github.look(REF)
        repo.hooks = []
        none = github.look(REF)

    assert (access.login, access.missing) == ("coder-bot", ())
    assert access.webhook == f"{HOOK} (last answer 404)"
    assert access.unheard == ("no webhook is for workflow_run",)
    assert (none.webhook, none.unheard) == ("none", ("there is none",))


def test_a_person_who_may_only_read_an_archived_repository(server: GitHubServer) -> None:
    repo = repo_of(server)
    repo.permissions["coder-bot"], repo.archived = "triage", True

    with GitHubAccess(settings(server)) as github:
        access = github.look(REF)

    assert access.closed == "it is archived"
    assert access.missing == ("a role that may write; coder-bot has triage",)
    assert access.webhook.startswith("hidden from this token")


def test_no_repository_is_an_error_that_names_it(server: GitHubServer) -> None:
    with GitHubAccess(settings(server)) as github, pytest.raises(ForgeError, match="octo/none"):
        github.look(RepoRef(owner="octo", name="none"))
