"""Single fields of a payload, each checked for what it should be."""

import re

from coder.types import JsonObject

MAX_TEXT = 65_536
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)
_MAX_ID = 2**63 - 1
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)


class OddFieldError(Exception):
    """A needed field is missing or of the wrong kind; never leaves the reading of payloads."""


def parent_object(parent: JsonObject, key: str) -> JsonObject:
    """The object at `key`."""
    value = parent.get(key)
    if not isinstance(value, dict):
        raise OddFieldError(f"{key} is missing")
    return value


def items(parent: JsonObject, key: str, limit: int) -> tuple[JsonObject, ...]:
    """The objects of the list at `key`, at most `limit`; none when there is no list."""
    value = parent.get(key)
    return tuple(one for one in value[:limit] if isinstance(one, dict)) if isinstance(value, list) else ()


def ident(parent: JsonObject, key: str) -> int:
    """A number that GitHub counts things with."""
    value = parent.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MAX_ID:
        raise OddFieldError(f"{key} is not a positive number")
    return value


def text(parent: JsonObject, key: str, limit: int, *, blank: bool = False) -> str:
    """The text at `key`, at most `limit` characters; `blank` allows none."""
    value = parent.get(key)
    if blank and value is None:
        return ""
    if not isinstance(value, str) or (not value and not blank):
        raise OddFieldError(f"{key} is not a text")
    return clean(value, limit)


def optional(parent: object, key: str, limit: int) -> str:
    """The text at `key` if there is one: for what is only shown or compared."""
    value = parent.get(key) if isinstance(parent, dict) else None
    return clean(value, limit) if isinstance(value, str) else ""


def time(parent: JsonObject, key: str) -> str:
    """A time as GitHub writes it."""
    value = parent.get(key)
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise OddFieldError(f"{key} is not a time")
    return value


def sha(parent: JsonObject, key: str) -> str:
    """A full commit id."""
    value = parent.get(key)
    if not isinstance(value, str) or not _SHA.fullmatch(value):
        raise OddFieldError(f"{key} is not a commit id")
    return value


def checked_name(value: str) -> None:
    """Refuse what cannot be the name of an owner or repository."""
    if not _NAME.fullmatch(value) or value in {".", ".."}:
        raise OddFieldError("repository has an impossible name")


def clean(value: str, limit: int) -> str:
    """At most `limit` characters, without the lone surrogates and NULs that no database takes."""
    return value[:limit].encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def ends_with(url: str, tail: str) -> bool:
    """Whether an address ends in `tail`, in any case."""
    return url.rstrip("/").lower().endswith(tail.lower())
