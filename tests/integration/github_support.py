"""What tests of the GitHub forge share: a server with one repository and one issue, and settings for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from coder.forge.config import GitHubSettings
from coder.types import Proposal, RepoRef, Task
from tests.servers.github import GitHubServer
from tests.servers.github_state import Issue, Repo

ASKED = "2026-01-02T00:00:00Z"
LATER = "2026-01-03T00:00:00Z"
PAT = "github_pat_0123456789abcdef"
REF = RepoRef(owner="octo", name="calc")


@contextmanager
def running(folder: Path) -> Iterator[GitHubServer]:
    """The server."""
    with GitHubServer(folder) as running:
        repo = running.add_repository("octo/calc", {"a.py": "1\n"}, installation=77)
        running.add_user("maintainer", repo=repo, permission="write")
        running.add_user("coder-bot", repo=repo, permission="write")
        running.add_token(PAT, "coder-bot")
        running.add_issue(repo, title="Wrong", body="text", author="maintainer")
        running.commit(repo, {"a.py": "2\n"}, branch="coder/issue-1")
        running.state.now = LATER
        yield running


def settings(server: GitHubServer, **changes: object) -> GitHubSettings:
    fields: dict[str, object] = {
        "api_url": server.url,
        "git_url": server.url,
        "http_hosts": frozenset({server.host}),
        "token": SecretStr(PAT),
        "seconds_between_requests": 0,
        "seconds_between_writes": 0,
        "retry_backoff_s": 0,
        "max_wait_s": 0.2,
        "max_retries": 2,
    }
    return GitHubSettings.model_validate(fields | changes)


def repo_of(server: GitHubServer) -> Repo:
    return server.state.repos["octo/calc"]


def issue_of(server: GitHubServer) -> Issue:
    return repo_of(server).issues[1]


def task(**changes: object) -> Task:
    fields: dict[str, object] = {
        "run_id": "run-1",
        "repo": REF,
        "kind": "issue",
        "number": 1,
        "requested_by": "maintainer",
        "requested_at": ASKED,
        "model": "m",
    }
    return Task.model_validate(fields | changes)


PROPOSAL = Proposal(branch="coder/issue-1", base_ref="main", title="Fix", body="Because", draft=True)


def work(server: GitHubServer) -> str:
    sha = repo_of(server).branch("coder/issue-1")
    assert sha is not None
    return sha
