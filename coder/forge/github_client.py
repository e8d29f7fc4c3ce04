"""PyGithub as we need it: no repeated POSTs, bounded waits, errors of ours without secrets."""

import base64
import json
import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar, cast
from urllib.parse import quote

import github
import requests
from github.Auth import AppAuth, Auth, Token
from github.GithubRetry import GithubRetry
from github.Issue import Issue
from github.IssueComment import IssueComment
from github.NamedUser import NamedUser
from github.Repository import Repository
from github.Requester import Requester
from typing_extensions import override
from urllib3 import HTTPResponse, Retry
from urllib3.connectionpool import ConnectionPool
from urllib3.response import BaseHTTPResponse

from coder.errors import ForgeError, ForgeRefusedError
from coder.forge.config import GitHubSettings

logger = logging.getLogger(__name__)

API_VERSION = "2022-11-28"  # 2026-03-10 drops fields that PyGithub reads
UNAUTHORIZED = 401
NOT_FOUND = 404
UNPROCESSABLE = 422
FORBIDDEN = 403
TOO_MANY = 429
SERVER_ERROR = 500
UNKNOWN = 0
REFUSALS = frozenset({FORBIDDEN, 410, 451})
"""Locked or not for us, gone, blocked by law. Not 404, which GitHub says for a moment of what was just made, nor 401: a key can be mended."""
ATTEMPTS = 3
OK = 200
NOT_MODIFIED = 304
MAX_KEPT = 256
"""Answers that are remembered with their ETags; the one that came first goes first."""
MAX_KEPT_CHARS = 262_144
MEDIA_TYPE = "application/vnd.github+json"
MOVED = frozenset({301, 302, 303, 307, 308})
T = TypeVar("T")

# PyGithub and requests raise these, and nothing else, for what GitHub or the network does …
FAILURES = (github.GithubException, requests.RequestException)
# … and PyGithub these for an answer that is not what it should be: it checks with assert and attribute access.
GARBLED = (
    AssertionError,
    KeyError,
    TypeError,
    RuntimeError,
    ValueError,
    AttributeError,
    github.BadAttributeException,
)


class TokenAuth(Token):
    """A token, and the media type that GitHub asks for; PyGithub sends none, or that of a preview long over."""

    @override
    def authentication(self, headers: dict[str, str]) -> None:
        super().authentication(headers)
        headers["Accept"] = MEDIA_TYPE


class NoAuth(Auth):
    """Nobody in particular: for what anybody may read. Only the media type is sent."""

    @property
    @override
    def token_type(self) -> str:
        return "none"

    @property
    @override
    def token(self) -> str:
        return ""

    @override
    def authentication(self, headers: dict[str, str]) -> None:
        headers["Accept"] = MEDIA_TYPE


class SignedAuth(AppAuth):
    """An App's own signature, and the media type that GitHub asks for."""

    @override
    def authentication(self, headers: dict[str, str]) -> None:
        super().authentication(headers)
        headers["Accept"] = MEDIA_TYPE


class CarefulRetry(GithubRetry):
    """Repeats reads and nothing that could be done twice; PyGithub's own also repeats POST.

    A pause that GitHub asks for is obeyed up to `max_rate_limit_wait` seconds and refused beyond.
    """

    def __init__(self, *, longest_wait_s: float = 120.0, **kwargs: Any) -> None:
        self.longest_wait_s = longest_wait_s
        kwargs.setdefault("allowed_methods", frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"}))
        kwargs.setdefault("max_rate_limit_wait", longest_wait_s)
        kwargs.setdefault("status_forcelist", [*range(500, 600), TOO_MANY])
        super().__init__(**kwargs)

    @override
    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        return status_code in MOVED or super().is_retry(method, status_code, has_retry_after)

    @override
    def increment(  # type: ignore[override]  # PyGithub narrows what urllib3 gives
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Retry:
        if response is not None and response.status in MOVED:
            # PyGithub would follow without the query, take a 307 for success, and end up in another repository.
            response.drain_conn()
            raise github.GithubException(response.status, {"message": "moved"}, dict(response.headers))
        return super().increment(method, url, cast("HTTPResponse | None", response), error, _pool, _stacktrace)

    @override
    def new(self, **kw: Any) -> Self:
        return super().new(longest_wait_s=self.longest_wait_s, **kw)

    @override
    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        wait_s = super().get_retry_after(response)
        if wait_s is not None and wait_s > self.longest_wait_s:
            message, asked = {"message": f"asked to wait {wait_s:.0f} s"}, {"retry-after": f"{wait_s:.0f}"}
            raise github.RateLimitExceededException(response.status, message, asked)
        return wait_s


def retry(settings: GitHubSettings) -> CarefulRetry:
    """How reads are repeated."""
    return CarefulRetry(
        longest_wait_s=settings.max_wait_s,
        total=settings.max_retries,
        backoff_factor=settings.retry_backoff_s,
        backoff_max=settings.max_wait_s,
        secondary_rate_wait=min(60.0, settings.max_wait_s),
    )


class Answers:
    """Answers to GET by address, with their ETags: GitHub counts reads of what has not changed against no limit.

    Safe for threads. They may be shared by credentials: whether one may read is GitHub's to check at each read.
    https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Answer] = OrderedDict()

    def of(self, address: str) -> "_Answer | None":
        """What was read there last."""
        with self._lock:
            return self._kept.get(address)

    def keep(self, address: str, headers: dict[str, Any], text: str) -> None:
        """Remember an answer, if it has an ETag, is no giant, and came whole: one that did not would come back for ever."""
        if "etag" not in headers or len(text) > MAX_KEPT_CHARS or not _is_json(text):
            return
        with self._lock:
            self._kept[address] = _Answer(headers, text)
            self._kept.move_to_end(address)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)


class _Answer(NamedTuple):
    headers: dict[str, Any]
    text: str


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


class Client(Requester):
    """GitHub as one credential sees it; whatever is read, also by PyGithub's own objects, is read conditionally."""

    def __init__(self, settings: GitHubSettings, auth: Auth, answers: Answers) -> None:
        super().__init__(
            auth=auth,
            base_url=settings.api_url,
            timeout=settings.timeout_s,
            user_agent="coder",
            per_page=100,
            verify=settings.ca_bundle or True,
            retry=retry(settings),
            pool_size=None,
            seconds_between_requests=settings.seconds_between_requests,
            seconds_between_writes=settings.seconds_between_writes,
            api_version=API_VERSION,
            lazy=True,  # objects ask GitHub only for what is looked at
        )
        self._answers = answers

    def repository(self, full_name: str) -> Repository:
        """A repository, of which nothing was read yet."""
        return Repository(self, url=f"/repos/{full_name}")

    def user(self, login: str) -> NamedUser:
        """An account, read now."""
        return NamedUser(self, url=f"/users/{quote(login)}").complete()

    def read(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """What is at `path` now, as parsed JSON."""
        return self.requestJsonAndCheck("GET", path, parameters=dict(query or {}))[1]

    @override
    def requestJson(
        self,
        verb: str,
        url: str,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        input: Any | None = None,  # PyGithub's name
        *args: Any,
        **kwargs: Any,
    ) -> tuple[int, dict[str, Any], str]:
        address = self.add_parameters_to_url(url, parameters or {})
        known = self._answers.of(address) if verb == "GET" else None
        given = (headers or {}) | ({"If-None-Match": known.headers["etag"]} if known else {})
        status, said, text = super().requestJson(verb, url, parameters, given, input, *args, **kwargs)
        if known is not None and status == NOT_MODIFIED:
            return OK, known.headers | said, known.text
        if verb == "GET" and status == OK:
            self._answers.keep(address, said, text)
        return status, said, text


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turns failures of the libraries into `ForgeError`: `what` is the clause after "cannot"."""
    try:
        yield
    except FAILURES as exc:
        refused = status_of(exc) in REFUSALS and not isinstance(exc, github.RateLimitExceededException)
        kind = ForgeRefusedError if refused else ForgeError
        raise kind(f"cannot {what}: {reason(exc)}") from None
    except GARBLED as exc:
        raise ForgeError(
            f"cannot {what}: GitHub's answer is not what its documentation says ({type(exc).__name__})"
        ) from exc


def status_of(exc: BaseException) -> int:
    """The HTTP status of a failure; `UNKNOWN` when no answer came."""
    return exc.status if isinstance(exc, github.GithubException) else UNKNOWN


def reason(exc: BaseException) -> str:
    """One line for a user's eyes, without anything that looks like a credential."""
    if isinstance(exc, github.GithubException):
        data = exc.data
        message = str(data.get("message", "")) if isinstance(data, dict) else str(data or "")
        details = [str(item.get("message") or item.get("code") or "") for item in _errors(data)]
        text = f"GitHub says {exc.status} {message}" + (
            f" ({'; '.join(filter(None, details))})" if any(details) else ""
        )
    else:
        text = f"GitHub did not answer ({type(exc).__name__})"
    text = re.sub(r"\b(?:gh[a-z]_|github_pat_)[A-Za-z0-9_.\-]+", "[redacted]", text)
    return " ".join(text.split())[:300]


def _errors(data: object) -> list[dict[str, Any]]:
    errors = data.get("errors") if isinstance(data, dict) else None
    return [item for item in errors if isinstance(item, dict)] if isinstance(errors, list) else []


def repeated(action: Callable[[], T], *, pause: Callable[[float], None], settings: GitHubSettings) -> T:
    """`action`, and again after what may pass. It must look before it writes: the answer may be all that was lost."""
    for attempt in range(1, ATTEMPTS):
        try:
            return action()
        except (*FAILURES, *GARBLED) as exc:
            wait_s = wait_before_repeating(exc, attempt, settings)
            logger.warning("GitHub failed", extra={"status": status_of(exc), "attempt": attempt, "why": reason(exc)})
            if wait_s is None:
                raise
            pause(wait_s)
    return action()


def wait_before_repeating(exc: BaseException, attempt: int, settings: GitHubSettings) -> float | None:
    """Seconds until what failed may be tried again; None when that is no use, or further off than we wait."""
    status = status_of(exc)
    backoff_s = settings.retry_backoff_s * 2 ** (attempt - 1)
    if isinstance(exc, github.RateLimitExceededException) or (
        isinstance(exc, github.GithubException) and status == TOO_MANY
    ):
        headers = {name.lower(): value for name, value in (exc.headers or {}).items()}
        asked = headers.get("retry-after", "")
        wait_s = float(asked) if asked.isdigit() else backoff_s
        return wait_s if wait_s <= settings.max_wait_s else None
    if status == UNPROCESSABLE:
        return 0.0  # what exists already is found at the next look
    return backoff_s if status == UNKNOWN or status >= SERVER_ERROR else None


def moved_to(exc: github.GithubException, api_url: str) -> tuple[int, str] | None:
    """The id of the repository that what was asked for is in now, and the rest of its path; None where GitHub points elsewhere."""
    headers = {name.lower(): value for name, value in (exc.headers or {}).items()}
    found = re.fullmatch(re.escape(api_url) + r"/repositories/(\d{1,19})(/.*)?", headers.get("location", ""))
    return None if found is None else (int(found[1]), found[2] or "")


def author(thing: Issue | IssueComment) -> NamedUser | None:
    """Who wrote it; None for an account that is gone, which PyGithub's types do not know of."""
    return cast("NamedUser | None", thing.user)


def basic(token: str) -> str:
    """The one form of credential that GitHub's git endpoint takes; it refuses Bearer."""
    return "Basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode("ascii")
