"""Reading one pull request as anybody may: with the credential that is set, or without one if it is public."""

from contextlib import closing
from dataclasses import dataclass

from coder.forge.config import GitHubSettings
from coder.forge.github_app import AppTokens
from coder.forge.github_client import Answers, Client, NoAuth, TokenAuth, basic, translated
from coder.forge.github_repository import checked
from coder.types import Remote, RepoRef


@dataclass(frozen=True, slots=True)
class ReadPull:
    """A pull request as it stands now."""

    body: str
    head_sha: str
    base_sha: str
    """Tip of the branch that it would be merged into."""
    base_ref: str
    remote: Remote
    """Where both commits can be fetched."""


def read_pull(settings: GitHubSettings, repo: RepoRef, number: int) -> ReadPull:
    """The pull request `number` of `repo`.

    Raises:
        ForgeError: It cannot be read: there is none, or this credential (or nobody without one) may not.
    """
    token = _token(settings, checked(repo))
    client = Client(settings, TokenAuth(token) if token else NoAuth(), Answers())
    try:
        with translated(f"read pull request {repo.full_name}#{number}"):
            pull = client.repository(repo.full_name).get_pull(number).complete()
            url = f"{settings.git_url}/{repo.full_name}.git"
            return ReadPull(
                body=pull.body or "",
                head_sha=pull.head.sha,
                base_sha=pull.base.sha,
                base_ref=pull.base.ref,
                remote=Remote(url=url, authorization=basic(token) if token else None),
            )
    finally:
        client.close()


def _token(settings: GitHubSettings, repo: RepoRef) -> str:
    if settings.app_id is not None:
        with closing(AppTokens(settings)) as tokens:
            return tokens.token(repo)
    return settings.token.get_secret_value() if settings.token else ""
