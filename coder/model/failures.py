"""Why an attempt failed, read from what came over the wire rather than from a library's idea of it. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from coder.types import JsonObject

Kind = Literal[
    "rate", "overload", "server", "network", "context", "auth", "quota", "missing", "policy", "params", "deadline"
]

RETRYABLE: frozenset[Kind] = frozenset({"rate", "overload", "server", "network"})

_DETAIL_CHARS = 300

_CONTEXT = re.compile(
    r"context_length_exceeded|maximum context length|model'?s context length|context window|context limit"
    r"|exceeded model token limit|input token length too long|total message size \d+ exceeds limit"
    r"|prompt is too long|input is too long|reduce the length of the (?:messages|prompt|input)"
    r"|exceeds? the (?:maximum|max) (?:number of )?(?:input )?tokens|request_too_large|max_prompt_tokens",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"exceeded_current_quota|insufficient_quota|insufficient[ _]balance|credit balance is too low|exceeded your current"
    r" quota|billing|account .{0,40}suspended|out of credits|recharge",
    re.IGNORECASE,
)
_POLICY = re.compile(r"content_filter|content_policy|content policy|considered high risk|safety policy", re.IGNORECASE)
_MISSING = re.compile(
    r"model_not_found|not found the model|model .{0,120}(?:does not exist|not found|not exist)|no such model|unknown model",
    re.IGNORECASE,
)
_OVERLOAD = re.compile(r"overload|no available (?:channel|server|capacity)|at capacity", re.IGNORECASE)
_AGAIN_AFTER = re.compile(
    r"(?:try again|retry) (?:after|in) (\d+(?:\.\d+)?) ?(ms|milliseconds?|s|seconds?)?\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One attempt's failure."""

    kind: Kind
    detail: str
    """The provider's own words, on one line and short."""
    status: int | None = None
    retry_after_s: float | None = None

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.kind in RETRYABLE


def classify(status: int, headers: Mapping[str, str], body: str, *, now: datetime | None = None) -> Failure:
    """What an error response means. `headers` has lower-case names; `now` is for a Retry-After that is a date."""
    return Failure(
        kind=_kind(status, body),
        detail=_detail(body) or "no text",
        status=status,
        retry_after_s=_retry_after(headers, body, now or datetime.now(UTC)),
    )


def classify_event(event: JsonObject) -> Failure:
    """What an error inside a stream that began well means: its code where that is a status, else its words."""
    error = event.get("error")
    error = error if isinstance(error, dict) else {"message": str(error or "unnamed error")}
    code = error.get("code", error.get("status"))
    text = json.dumps(event, ensure_ascii=False)
    status = int(code) if isinstance(code, int | str) and re.fullmatch(r"[45]\d\d", str(code)) else 500
    if status == 500 and "rate_limit" in text:  # noqa: PLR2004 -- HTTP's own numbers
        status = 429
    return Failure(_kind(status, text), _detail(text), status, _retry_after({}, text, datetime.now(UTC)))


def _kind(status: int, body: str) -> Kind:
    if status in {400, 413, 422} and _CONTEXT.search(body):
        return "context"
    if status == 402 or (400 <= status < 500 and _QUOTA.search(body)):  # noqa: PLR2004 -- HTTP's own numbers
        return "quota"
    return _client_kind(status, body) if status < 500 else _server_kind(status, body)  # noqa: PLR2004 -- the same


def _client_kind(status: int, body: str) -> Kind:
    if status == 429:  # noqa: PLR2004 -- HTTP's own numbers
        return "overload" if _OVERLOAD.search(body) else "rate"
    if status in {408, 409, 425}:
        return "server"
    if status == 404 or _MISSING.search(body):  # noqa: PLR2004 -- the same
        return "missing"
    if status in {401, 403}:
        return "auth"
    if status == 413:  # noqa: PLR2004 -- the same
        return "context"
    return "policy" if _POLICY.search(body) else "params"


def _server_kind(status: int, body: str) -> Kind:
    return "overload" if status in {503, 529} or _OVERLOAD.search(body) else "server"


def _retry_after(headers: Mapping[str, str], body: str, now: datetime) -> float | None:
    """Seconds to wait as the provider asks, in any of the ways they ask."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "").strip()
    seconds = _number(value)
    if seconds is not None:
        return seconds
    if value:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now.timestamp())
    found = _AGAIN_AFTER.search(body)
    if found is None:
        return None
    return float(found[1]) / (1000 if (found[2] or "s").startswith("m") else 1)


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text.strip()) else None


def _detail(body: str) -> str:
    """The message inside an error body, or the body's beginning, tags and line breaks removed."""
    text = _message(body) or re.sub(r"<[^<>]{0,200}>", " ", body[:4000])
    return " ".join(text.split())[:_DETAIL_CHARS]


def _message(body: str) -> str:
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for key in ("error", "message", "detail"):
        if isinstance(value, dict) and key in value:
            value = value[key]
    return value if isinstance(value, str) else ""
