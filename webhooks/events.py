"""What a delivery says: the few fields that are needed, read defensively.

Payloads are not validated against a schema on purpose: a third of GitHub's own published examples fail the official one.
What is missing or odd in a field that we need makes the event `Malformed`, with the field's name.
"""

import hashlib
import json
import re
from dataclasses import dataclass

from coder.types import JsonObject

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)
_MAX_ID = 2**63 - 1
_MAX_TEXT = 65_536
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Actor:
    """An account. `is_bot` is what GitHub says of its type; the login's suffix proves nothing."""

    id: int
    login: str
    is_bot: bool


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository that an event belongs to."""

    id: int
    owner: str
    name: str

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True)
class IssueFacts:
    """An issue as it stood when the event was made."""

    number: int
    is_open: bool
    locked: bool
    is_pull_request: bool
    updated_at: str
    snapshot: str
    """sha256 of all that the payload says of the issue: the label event's own identity, as it has no id."""


@dataclass(frozen=True, slots=True)
class Labeled:
    """Somebody put a label on an issue."""

    repository: Repository
    issue: IssueFacts
    sender: Actor
    label: str


@dataclass(frozen=True, slots=True)
class Commented:
    """Somebody wrote a comment on an issue."""

    repository: Repository
    issue: IssueFacts
    sender: Actor
    author: Actor
    comment_id: int
    body: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Ping:
    """GitHub asks whether we are there."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """An event that nothing here reacts to."""

    what: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A signed body that is not what its event should look like."""

    reason: str


Event = Labeled | Commented | Ping | Unsupported | Malformed


class _OddFieldError(Exception):
    """A needed field is missing or of the wrong kind; never leaves this module."""


def read(name: str, payload: object) -> Event:
    """The event called `name` in GitHub's header, from its parsed body.

    The header is not signed, so a body that does not look like `name` is malformed, whatever the header says.
    """
    if not isinstance(payload, dict):
        return Malformed("the body is not a JSON object")
    try:
        return _read(name, payload)
    except _OddFieldError as exc:
        return Malformed(str(exc))
    except RecursionError:
        return Malformed("the body is nested too deep")


def _read(name: str, payload: JsonObject) -> Event:
    if name == "ping":
        return Ping()
    action = payload.get("action")
    if name == "issues" and action == "labeled":
        return _labeled(payload)
    if name == "issue_comment" and action == "created":
        return _commented(payload)
    shown = f".{_clean(action, 40)}" if isinstance(action, str) else ""
    return Unsupported(f"{_clean(name, 60)}{shown}")


def _labeled(payload: JsonObject) -> Labeled:
    if "comment" in payload or "pull_request" in payload:
        raise _OddFieldError("the body is not of an issues event")
    repository = _repository(payload)
    return Labeled(
        repository=repository,
        issue=_issue(payload, repository),
        sender=_actor(payload, "sender"),
        label=_text(_object(payload, "label"), "name", 200),
    )


def _commented(payload: JsonObject) -> Commented:
    if "label" in payload or "pull_request" in payload:
        raise _OddFieldError("the body is not of an issue_comment event")
    repository = _repository(payload)
    issue = _issue(payload, repository)
    comment = _object(payload, "comment")
    parent = comment.get("issue_url")
    if isinstance(parent, str) and not _ends_with(parent, f"/repos/{repository.full_name}/issues/{issue.number}"):
        raise _OddFieldError("the comment belongs to another issue")
    return Commented(
        repository=repository,
        issue=issue,
        sender=_actor(payload, "sender"),
        author=_actor(comment, "user"),
        comment_id=_id(comment, "id"),
        body=_text(comment, "body", _MAX_TEXT, blank=True),
        created_at=_time(comment, "created_at"),
    )


def _repository(payload: JsonObject) -> Repository:
    repository = _object(payload, "repository")
    owner, name = _text(_object(repository, "owner"), "login", 100), _text(repository, "name", 100)
    for part in (owner, name):
        if not _NAME.fullmatch(part) or part in {".", ".."}:
            raise _OddFieldError("repository has an impossible name")
    full_name = repository.get("full_name", f"{owner}/{name}")
    if not isinstance(full_name, str) or full_name.lower() != f"{owner}/{name}".lower():
        raise _OddFieldError("repository.full_name is not its owner and name")
    return Repository(id=_id(repository, "id"), owner=owner, name=name)


def _issue(payload: JsonObject, repository: Repository) -> IssueFacts:
    issue = _object(payload, "issue")
    home = issue.get("repository_url")
    if isinstance(home, str) and not _ends_with(home, f"/repos/{repository.full_name}"):
        raise _OddFieldError("the issue belongs to another repository")
    whole = json.dumps(issue, sort_keys=True, separators=(",", ":"))
    return IssueFacts(
        number=_id(issue, "number"),
        is_open=issue.get("state") == "open",
        locked=issue.get("locked") is not False and issue.get("locked") is not None,
        is_pull_request=issue.get("pull_request") is not None,
        updated_at=_time(issue, "updated_at"),
        snapshot=hashlib.sha256(whole.encode()).hexdigest(),
    )


def _actor(payload: JsonObject, key: str) -> Actor:
    account = _object(payload, key)
    return Actor(id=_id(account, "id"), login=_text(account, "login", 100), is_bot=account.get("type") != "User")


def _object(parent: JsonObject, key: str) -> JsonObject:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise _OddFieldError(f"{key} is missing")
    return value


def _id(parent: JsonObject, key: str) -> int:
    value = parent.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MAX_ID:
        raise _OddFieldError(f"{key} is not a positive number")
    return value


def _text(parent: JsonObject, key: str, limit: int, *, blank: bool = False) -> str:
    value = parent.get(key)
    if blank and value is None:
        return ""
    if not isinstance(value, str) or (not value and not blank):
        raise _OddFieldError(f"{key} is not a text")
    return _clean(value, limit)


def _time(parent: JsonObject, key: str) -> str:
    value = parent.get(key)
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise _OddFieldError(f"{key} is not a time")
    return value


def _clean(text: str, limit: int) -> str:
    """At most `limit` characters, without the lone surrogates and NULs that no database takes."""
    return text[:limit].encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _ends_with(url: str, tail: str) -> bool:
    return url.rstrip("/").lower().endswith(tail.lower())
