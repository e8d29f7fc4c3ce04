"""What GitHub needs to be told."""

import re
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from coder.types import Value


class GitHubSettings(Value):
    """Where GitHub is and who we are there: a GitHub App (`app_id` and `private_key`) or a token, not both."""

    api_url: str = "https://api.github.com"
    """REST root; GitHub Enterprise: `https://HOST/api/v3`."""
    git_url: str = "https://github.com"
    """What `/OWNER/NAME.git` is put behind."""
    http_hosts: frozenset[str] = frozenset()
    """`host` or `host:port` that may be spoken to without TLS: test servers."""
    app_id: int | None = None
    private_key: SecretStr | None = None
    """PEM text of the App's key."""
    token: SecretStr | None = None
    """A fine-grained personal access token; with one, check runs are not possible."""
    bot_login: str | None = None
    """Our own login (`NAME[bot]` for an App); asked of GitHub when not given."""
    bot_id: int | None = None
    permissions: dict[str, str] = Field(
        default_factory=lambda: {"contents": "write", "pull_requests": "write", "issues": "write", "metadata": "read"}
    )
    """What an installation token asks for; never `workflows`."""
    more_permissions: dict[str, str] = Field(
        default_factory=lambda: {"checks": "write", "actions": "read", "statuses": "read"}
    )
    """What it asks for on top, the last ones given up first where the installation does not grant them: our check run, logs
    of failed jobs, what CI outside of GitHub says.
    """
    seconds_between_requests: float = Field(default=0.25, ge=0)
    seconds_between_writes: float = Field(default=1.0, ge=0)
    """GitHub asks for a second between writes: https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api"""
    timeout_s: int = Field(default=30, ge=1)
    max_wait_s: float = Field(default=120.0, ge=0)
    """Longest pause that GitHub may ask for (rate limits, Retry-After); a longer one is an error."""
    max_retries: int = Field(default=5, ge=0)
    retry_backoff_s: float = Field(default=1.0, ge=0)
    allowed_bots: tuple[int, ...] = ()
    """Account ids of bots whose word counts as that of a person with write permission; the name alone proves nothing."""
    trigger_labels: tuple[str, ...] = ("coder",)
    """Taken off when a run begins, so that putting one on again is a retry."""
    state_label: str = Field(default="coder:{state}", pattern=r"^[^{}]{0,30}\{state\}[^{}]{0,10}$")
    """Name of the labels that show where a run stands (queued, running, needs-info, needs-human, pr-open, failed)."""
    max_comments: int = Field(default=200, ge=0)
    """Newest comments before the request that are read; older ones are withheld and counted."""
    max_people: int = Field(default=30, ge=1)
    """Commenters whose permission is looked up in one run; text of further ones is withheld."""
    ca_bundle: str | None = None
    """PEM file for HTTPS."""

    @field_validator("api_url", "git_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or "@" in parts.netloc
            or re.search(r"\s", value)
        ):
            raise ValueError("an http(s) URL without a credential is needed")
        return value.rstrip("/")

    @field_validator("permissions")
    @classmethod
    def _no_workflows(cls, value: dict[str, str]) -> dict[str, str]:
        if "workflows" in value:
            raise ValueError("the permission `workflows` is never asked for: agent-written code could change CI")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.token is not None and self.app_id is not None:
            raise ValueError("give either a token or a GitHub App, not both")
        if (self.app_id is None) != (self.private_key is None):
            raise ValueError("a GitHub App needs both app_id and private_key")
        for url in (self.api_url, self.git_url):
            parts = urlsplit(url)
            if parts.scheme == "http" and not {parts.netloc, parts.hostname} & self.http_hosts:
                raise ValueError(f"{parts.netloc} is not listed in http_hosts: a token would travel in the clear")
        return self
