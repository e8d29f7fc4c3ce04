"""What the service asks GitHub about repositories beside any run: who they are, and which issues have a label."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from coder.errors import ForgeError
from coder.forge.config import GitHubSettings
from coder.forge.github_app import Tokens
from coder.forge.github_client import UNPROCESSABLE, repeated, translated
from coder.forge.github_connection import GitHubConnection
from coder.forge.github_repository import checked
from coder.types import JsonObject, RepoRef

_MAX_EVENT_PAGES = 5


@dataclass(frozen=True, slots=True)
class Listing:
    """Open issues with a label, as GitHub writes them; `issues` is None when nothing changed since the one with `etag`."""

    issues: tuple[JsonObject, ...] | None
    etag: str


class GitHubLookup(GitHubConnection):
    """Reads, each one request; and labels, which are made where they are missing."""

    def __init__(
        self, settings: GitHubSettings, *, tokens: Tokens | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(settings, tokens=tokens, sleep=sleep)

    def repository(self, repo: RepoRef) -> JsonObject:
        """A repository as GitHub writes it.

        Raises:
            ForgeError: There is none that we may read, or GitHub does not answer.
        """
        return dict(self._get(repo, f"/repos/{checked(repo).full_name}").data)

    def labelled(self, repo: RepoRef, label: str, *, limit: int, etag: str = "") -> Listing:
        """The open issues and pull requests with `label`, the latest changed first; what `etag` knows costs nothing.

        Raises:
            ForgeError: The repository cannot be read.
        """
        query = f"state=open&sort=updated&direction=desc&per_page={limit}&labels={quote(label, safe='')}"
        got = self._get(repo, f"/repos/{checked(repo).full_name}/issues?{query}", etag=etag)
        if got.data is None:
            return Listing(None, etag)
        return Listing(tuple(one for one in got.data if isinstance(one, dict))[:limit], got.etag)

    def labelling(self, repo: RepoRef, number: int, label: str) -> JsonObject | None:
        """The last event that put `label` on an issue, with its `id`, `actor` and `created_at`; None when there is none.

        Raises:
            ForgeError: The issue cannot be read.
        """
        found: JsonObject | None = None
        for page in range(1, _MAX_EVENT_PAGES + 1):
            path = f"/repos/{checked(repo).full_name}/issues/{number}/events?per_page=100&page={page}"
            events = self._get(repo, path).data
            for event in events:
                given = event.get("label") if isinstance(event, dict) else None
                if isinstance(given, dict) and event.get("event") == "labeled" and given.get("name") == label:
                    found = event
            if len(events) < 100:  # noqa: PLR2004 - the page was not full
                break
        return found

    def make_label(self, repo: RepoRef, name: str, *, color: str, description: str) -> bool:
        """Make a label; False when it is there already.

        Raises:
            ForgeError: We may not.
        """
        what = f"make the label {name!r} in {repo.full_name}"
        body = {"name": name, "color": color, "description": description}
        with translated(what):
            status, _, _ = self._client(self._tokens.token(checked(repo))).requester.requestJson(
                "POST", f"/repos/{repo.full_name}/labels", input=body
            )
        if status == UNPROCESSABLE:  # as far as GitHub tells: it exists
            return False
        if status >= 400:  # noqa: PLR2004 - a failure of HTTP
            raise ForgeError(f"cannot {what}: GitHub says {status}")
        return True

    def _get(self, repo: RepoRef, path: str, *, etag: str = "") -> "_Got":
        def ask() -> tuple[JsonObject, Any]:
            requester = self._client(self._tokens.token(checked(repo))).requester
            return requester.requestJsonAndCheck("GET", path, headers={"If-None-Match": etag} if etag else {})

        with translated(f"read {path.partition('?')[0]}"):
            headers, data = repeated(ask, pause=self.pause, settings=self._settings)
        # 304 has no body.
        return _Got(data, str(headers.get("etag", "")) if data is not None else etag)


@dataclass(frozen=True, slots=True)
class _Got:
    """Parsed JSON, None when it has not changed."""

    data: Any
    etag: str
