"""What we may do in a repository, and whether what happens there reaches us: read from GitHub, nothing is changed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coder.forge.github_app import AppTokens
from coder.forge.github_client import translated
from coder.forge.github_connection import GitHubConnection
from coder.forge.github_repository import checked
from coder.types import JsonObject, RepoRef

EVENTS = (
    *("issues", "issue_comment", "pull_request", "pull_request_review", "pull_request_review_comment"),
    *("check_run", "check_suite", "status", "workflow_run"),
)
"""What the service listens to."""
DELIVERIES = 30
"""How many of the last webhook deliveries are looked at."""
_LEVELS = {"read": 1, "write": 2, "admin": 3}
_WRITING = frozenset({"admin", "maintain", "write"})
_OK = 200
_HIDDEN = frozenset({403, 404})
"""What GitHub says to somebody who may not see the webhooks."""


@dataclass(frozen=True, slots=True)
class Access:
    """What was found out."""

    login: str
    """Who we are."""
    branch: str
    """The branch that runs work from."""
    closed: str | None = None
    """Why nothing can be pushed there whatever we may; None when something can."""
    missing: tuple[str, ...] = ()
    """Permissions without which no run works, as `issues: write`."""
    wanting: tuple[str, ...] = ()
    """Permissions with which more would work."""
    webhook: str = ""
    """Where webhooks go and how the last ones ended."""
    unheard: tuple[str, ...] = ()
    """Why what happens in the repository would not reach a service."""


class GitHubAccess(GitHubConnection):
    """Looks at our own rights."""

    def look(self, repo: RepoRef) -> Access:
        """Our rights in `repo`, and its webhooks.

        Raises:
            ForgeError: It cannot be read at all, or GitHub does not answer.
        """
        with translated(f"read {repo.full_name}"):
            about = self._read(repo, f"/repos/{checked(repo).full_name}")
            closed = next((f"it is {state}" for state in ("archived", "disabled") if about.get(state)), None)
            given = (self.identity().login, str(about["default_branch"]), closed)
            if isinstance(self._tokens, AppTokens):
                return self._of_app(self._tokens, repo, *given)
            return self._of_person(repo, *given)

    def _of_app(self, tokens: AppTokens, repo: RepoRef, login: str, branch: str, closed: str | None) -> Access:
        installation = tokens.asked(f"/repos/{repo.full_name}/installation")
        granted = installation.get("permissions") or {}
        url = str(tokens.asked("/app/hook/config").get("url") or "")
        # Where an answer has no such field, PyGithub puts what was asked for.
        url = "" if url.endswith("/app/hook/config") else url
        deliveries = tokens.asked(f"/app/hook/deliveries?per_page={DELIVERIES}")
        unheard = [f"the App does not listen to {name}" for name in EVENTS if name not in installation["events"]]
        failures = [one for one in deliveries if not 200 <= int(one["status_code"]) < 300]  # noqa: PLR2004 - success
        if not url:
            unheard.insert(0, "the App has no webhook address")
        if deliveries and deliveries[0] in failures:
            last = f"{deliveries[0]['event']} ended with {deliveries[0]['status_code']} ({deliveries[0]['status']})"
            unheard.insert(0, f"the last delivery, {last}")
        return Access(
            login,
            branch,
            "the installation is suspended" if installation.get("suspended_at") else closed,
            missing=_lacking(self._settings.permissions, granted),
            wanting=_lacking(self._settings.more_permissions, granted),
            webhook=f"{url or 'none'}, {len(deliveries) - len(failures)} of the last {len(deliveries)} deliveries arrived",
            unheard=tuple(unheard),
        )

    def _of_person(self, repo: RepoRef, login: str, branch: str, closed: str | None) -> Access:
        role = self._read(repo, f"/repos/{repo.full_name}/collaborators/{login}/permission")
        missing = (
            () if role.get("permission") in _WRITING else (f"a role that may write; {login} has {role['role_name']}",)
        )
        status, _, text = self._client(self._tokens.token(checked(repo))).requestJson(
            "GET", f"/repos/{repo.full_name}/hooks?per_page=100"
        )
        if status in _HIDDEN:
            return Access(
                login, branch, closed, missing, webhook="hidden from this token: look under Settings, Webhooks"
            )
        hooks = json.loads(text) if status == _OK else []
        active = [hook for hook in hooks if hook.get("active")]
        shown = [f"{hook['config'].get('url', '?')} ({_answered(hook)})" for hook in active]
        heard = {event for hook in active for event in hook["events"]}
        unheard = (
            [f"no webhook is for {name}" for name in EVENTS if not heard & {name, "*"}] if active else ["there is none"]
        )
        return Access(login, branch, closed, missing, webhook=", ".join(shown) or "none", unheard=tuple(unheard))

    def _read(self, repo: RepoRef, path: str) -> Any:
        return self._client(self._tokens.token(checked(repo))).read(path)


def _lacking(wanted: Mapping[str, str], granted: Mapping[str, str]) -> tuple[str, ...]:
    """What of `wanted` is not granted."""
    return tuple(
        f"{name}: {level}"
        for name, level in wanted.items()
        if _LEVELS.get(granted.get(name, ""), 0) < _LEVELS.get(level, 0)
    )


def _answered(hook: JsonObject) -> str:
    last = hook.get("last_response") or {}
    return f"last answer {last['code']}" if last.get("code") else "nothing was delivered yet"
