"""Reading somebody's pull request: with a credential, or as anybody."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from coder.errors import ForgeError
from coder.forge.config import GitHubSettings
from coder.forge.github_pull import read_pull
from coder.types import RepoRef
from coder.workspace.workspace import Workspace
from tests.integration.github_support import PAT, REF, repo_of, running, settings
from tests.servers.github import GitHubServer
from tests.servers.github_state import Pull


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHubServer]:
    (tmp_path / "github").mkdir()
    with running(tmp_path / "github") as server:
        user = server.state.user("coder-bot")
        repo_of(server).pulls[2] = Pull(2, 5, user, "Fix", "the body", "coder/issue-1", "main", draft=True)
        yield server


def anonymous(server: GitHubServer) -> GitHubSettings:
    return settings(server).model_copy(update={"token": None})


def test_nobody_needs_a_token_to_read_what_is_public(server: GitHubServer, tmp_path: Path) -> None:
    read = read_pull(anonymous(server), REF, 2)

    assert (read.body, read.base_ref, read.remote.authorization) == ("the body", "main", None)
    workspace = Workspace(tmp_path / "mirrors", http_hosts=frozenset({server.host}))
    workspace.fetch(read.remote, REF, read.base_sha)
    repository = workspace.fetch(read.remote, REF, read.head_sha)
    assert set(repository.files(read.base_sha)) == set(repository.files(read.head_sha)) == {"a.py"}


def test_what_is_private_is_read_with_a_token_only(server: GitHubServer) -> None:
    repo_of(server).private = True

    assert read_pull(settings(server), REF, 2).remote.authorization is not None
    for poor in (anonymous(server), settings(server, token=SecretStr("github_pat_wrong"))):
        with pytest.raises(ForgeError, match="cannot read pull request octo/calc#2") as caught:
            read_pull(poor, REF, 2)
        assert "github_pat" not in str(caught.value)
    assert PAT not in repr(read_pull(settings(server), REF, 2))


def test_what_is_not_there_or_no_name_is_refused(server: GitHubServer) -> None:
    for repo, number in ((REF, 99), (RepoRef(owner="octo", name="nope"), 2), (RepoRef(owner="..", name="x"), 2)):
        with pytest.raises(ForgeError):
            read_pull(settings(server), repo, number)
