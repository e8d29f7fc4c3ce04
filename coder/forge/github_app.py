"""Who we are at GitHub: a personal token, or an App whose tokens are minted for one repository and last an hour."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import github

from coder.errors import ConfigError, ForgeError
from coder.forge.config import GitHubSettings
from coder.forge.github_client import (
    API_VERSION,
    MOVED,
    UNPROCESSABLE,
    Answers,
    Client,
    NoAuth,
    SignedAuth,
    moved_to,
    repeated,
    retry,
    translated,
)
from coder.types import JsonObject, RepoRef

logger = logging.getLogger(__name__)

JWT_LIFETIME_S = 540  # GitHub allows 600 and clocks differ
JWT_BACKDATE_S = -60
REFRESH_BEFORE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Identity:
    """Our own account: what a comment must be from to be ours."""

    login: str
    id: int


class Tokens(Protocol):
    """Where tokens come from."""

    def token(self, repo: RepoRef) -> str:
        """A token that is valid now and for the next minutes, for this repository."""
        ...

    def identity(self) -> Identity:
        """Our own account."""
        ...


class PersonalToken:
    """One token for all repositories."""

    def __init__(
        self,
        settings: GitHubSettings,
        connect: Callable[[str], Client],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if settings.token is None:
            raise ConfigError(
                "GitHub needs a token or an App: set github.token, or github.app_id and github.private_key"
            )
        self._token = settings.token.get_secret_value()
        self._settings = settings
        self._connect, self._sleep = connect, sleep
        self._identity: Identity | None = None

    def token(self, repo: RepoRef) -> str:  # noqa: ARG002 - one token fits all
        """The token."""
        return self._token

    def identity(self) -> Identity:
        """Our own account, asked of GitHub once."""
        if self._identity is None:
            if self._settings.bot_login is not None and self._settings.bot_id is not None:
                self._identity = Identity(self._settings.bot_login, self._settings.bot_id)
            else:
                with translated("find out whose token it is"):
                    self._identity = repeated(self._asked, pause=self._sleep, settings=self._settings)
        return self._identity

    def _asked(self) -> Identity:
        user = self._connect(self._token).read("/user")
        return Identity(str(user["login"]), int(user["id"]))


class AppTokens:
    """Installation tokens, narrowed to one repository and few permissions, kept until shortly before they end."""

    def __init__(
        self,
        settings: GitHubSettings,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if settings.app_id is None or settings.private_key is None:
            raise ConfigError("a GitHub App needs github.app_id and github.private_key")
        self._settings = settings
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[str, datetime]] = {}
        self._identity: Identity | None = None
        auth = SignedAuth(
            settings.app_id,
            settings.private_key.get_secret_value(),
            jwt_expiry=JWT_LIFETIME_S,
            jwt_issued_at=JWT_BACKDATE_S,
        )
        self._integration = github.GithubIntegration(
            auth=auth,
            base_url=settings.api_url,
            timeout=settings.timeout_s,
            user_agent="coder",
            verify=settings.ca_bundle or True,
            retry=retry(settings),
            seconds_between_requests=settings.seconds_between_requests,
            seconds_between_writes=settings.seconds_between_writes,
            api_version=API_VERSION,
        )

    def token(self, repo: RepoRef) -> str:
        """A token for `repo`, minted anew when the last one ends soon.

        Raises:
            ForgeError: The App is not installed there, its key is wrong, or GitHub does not answer.
        """
        with self._lock:
            known = self._cache.get(repo.full_name)
            if known is None or known[1] - REFRESH_BEFORE <= self._now():
                known = self._mint(repo)
                self._cache[repo.full_name] = known
            return known[0]

    def renewed(self, repo: RepoRef) -> str:
        """Another token: GitHub takes the last one no more.

        Raises:
            ForgeError: As for `token`.
        """
        with self._lock:
            self._cache.pop(repo.full_name, None)
        return self.token(repo)

    def identity(self) -> Identity:
        """The App's bot account, asked of GitHub once."""
        if self._identity is None:
            if self._settings.bot_login is not None and self._settings.bot_id is not None:
                self._identity = Identity(self._settings.bot_login, self._settings.bot_id)
            else:
                with translated("find out which App it is"):
                    self._identity = repeated(self._bot, pause=self._sleep, settings=self._settings)
        return self._identity

    def close(self) -> None:
        """Close the connections."""
        self._integration.close()

    def _mint(self, repo: RepoRef) -> tuple[str, datetime]:
        with translated(f"get an installation token for {repo.full_name}"):
            # A token need not exist once only: after a lost answer another one is asked for, and the first one expires.
            data = repeated(lambda: self._narrowed(repo), pause=self._sleep, settings=self._settings)
            token, expires = str(data["token"]), datetime.fromisoformat(str(data["expires_at"]))
        if not token:
            raise ForgeError(f"GitHub gave an empty installation token for {repo.full_name}")
        return token, expires

    def _bot(self) -> Identity:
        slug = str(self._get("/app")["slug"])
        return Identity(f"{slug}[bot]", int(self._get_public(f"/users/{slug}%5Bbot%5D")["id"]))

    def _narrowed(self, repo: RepoRef) -> JsonObject:
        """A token for one repository; what the installation does not grant is done without."""
        try:
            installation = self._get(f"/repos/{repo.full_name}/installation")
            which: JsonObject = {"repositories": [repo.name]}
        except github.GithubException as exc:
            place = moved_to(exc, self._settings.api_url) if exc.status in MOVED else None
            if place is None:
                raise
            # Renamed: whether it is the one that the run is about is found out before anything is done there.
            installation, which = self._get(f"/repositories/{place[0]}/installation"), {"repository_ids": [place[0]]}
        path = f"/app/installations/{int(installation['id'])}/access_tokens"
        least, more = self._settings.permissions, list(self._settings.more_permissions.items())
        while True:
            try:
                return self._post(path, {**which, "permissions": {**least, **dict(more)}})
            except github.GithubException as exc:
                if exc.status != UNPROCESSABLE or not more:
                    raise
            logger.info("a permission is not granted", extra={"repo": repo.full_name, "permission": more[-1][0]})
            more.pop()

    def asked(self, path: str) -> Any:
        """What GitHub answers the App itself, as parsed JSON; PyGithub's own errors."""
        _, data = self._integration.requester.requestJsonAndCheck("GET", path)
        return data

    def _get(self, path: str) -> JsonObject:
        return dict(self.asked(path))

    def _post(self, path: str, body: JsonObject) -> JsonObject:
        _, data = self._integration.requester.requestJsonAndCheck("POST", path, input=body)
        return dict(data)

    def _get_public(self, path: str) -> JsonObject:
        """`/users/…` takes no JWT; some account of the App's own does, and so does nobody at all."""
        with closing(Client(self._settings, NoAuth(), Answers())) as anonymous:
            return dict(anonymous.read(path))
