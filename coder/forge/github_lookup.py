"""What the service asks GitHub about repositories beside any run: who they are, and which issues have a label."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from coder.errors import ForgeError
from coder.forge.config import GitHubSettings
from coder.forge.github_app import Tokens
from coder.forge.github_client import UNPROCESSABLE, repeated, translated
from coder.forge.github_connection import GitHubConnection
from coder.forge.github_repository import checked
from coder.types import JsonObject, RepoRef

_MAX_EVENT_PAGES = 5


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
        return dict(self._get(repo, f"/repos/{checked(repo).full_name}"))

    def labelled(self, repo: RepoRef, label: str, *, limit: int) -> tuple[JsonObject, ...]:
        """The open issues and pull requests with `label`, the latest changed first; unchanged, they cost nothing.

        Raises:
            ForgeError: The repository cannot be read.
        """
        query = {"state": "open", "sort": "updated", "direction": "desc", "per_page": str(limit), "labels": label}
        found = self._get(repo, f"/repos/{checked(repo).full_name}/issues", query)
        return tuple(one for one in found if isinstance(one, dict))[:limit]

    def labelling(self, repo: RepoRef, number: int, label: str) -> JsonObject | None:
        """The last event that put `label` on an issue, with its `id`, `actor` and `created_at`; None when there is none.

        Raises:
            ForgeError: The issue cannot be read.
        """
        found: JsonObject | None = None
        for page in range(1, _MAX_EVENT_PAGES + 1):
            path = f"/repos/{checked(repo).full_name}/issues/{number}/events"
            events = self._get(repo, path, {"per_page": "100", "page": str(page)})
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
            status, _, _ = self._client(self._tokens.token(checked(repo))).requestJson(
                "POST", f"/repos/{repo.full_name}/labels", input=body
            )
        if status == UNPROCESSABLE:  # as far as GitHub tells: it exists
            return False
        if status >= 400:  # noqa: PLR2004 - a failure of HTTP
            raise ForgeError(f"cannot {what}: GitHub says {status}")
        return True

    def _get(self, repo: RepoRef, path: str, query: Mapping[str, str] | None = None) -> Any:
        def read() -> Any:
            return self._client(self._tokens.token(checked(repo))).read(path, query)

        with translated(f"read {path}"):
            return repeated(read, pause=self.pause, settings=self._settings)
