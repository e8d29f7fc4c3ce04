"""What to do after a failed attempt, and how to say it. Pure."""

from typing import Literal
from urllib.parse import urlsplit

from coder.model.failures import Failure, Kind
from coder.model.profile import ModelProfile

MAX_TRIES = 6
_FIRST_BACKOFF_S = 1.0
_MAX_BACKOFF_S = 60.0
_MAX_RETRY_AFTER_S = 300.0
"""A provider that asks for a longer pause than this is out of service for our purposes."""

_WHAT: dict[Kind, str] = {
    "rate": "too many requests",
    "overload": "overloaded",
    "server": "the server failed",
    "network": "the connection failed",
    "context": "the conversation is too long",
    "auth": "the key was refused",
    "quota": "no credit left",
    "missing": "no such model or address",
    "policy": "refused by the provider's content policy",
    "params": "the request was refused",
    "deadline": "took too long",
}

_ADVICE: dict[Kind, str] = {
    "rate": "; run fewer at once or raise the account's limits",
    "overload": "; try again later",
    "server": "; try again later",
    "network": "; check the address, the proxy and the network",
    "context": "",
    "auth": "; check the key in {profile.api_key_env} and that it belongs to this host",
    "quota": "; top up the account or choose another profile",
    "missing": "; the model may be retired: choose another profile, or set the profile's model and api_base",
    "policy": "",
    "params": "; the profile may not fit this host: check its fields",
    "deadline": "; allow more time or choose a faster model",
}


def pause_s(failure: Failure, tries: int, *, jitter: float, left_s: float) -> float | Literal["give up"]:
    """Seconds to wait before try number `tries` + 1, or that there is none. `jitter` is from 0 to 1.

    A Retry-After is kept, and overstayed by a tenth at most; without one the pause doubles from one second to a minute.
    """
    if not failure.is_retryable or tries >= MAX_TRIES:
        return "give up"
    if failure.retry_after_s is not None:
        pause = failure.retry_after_s * (1 + 0.1 * jitter)
    else:
        ceiling: float = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2.0 ** (tries - 1))
        pause = ceiling * (0.5 + 0.5 * jitter)
    return pause if pause < left_s and pause <= _MAX_RETRY_AFTER_S else "give up"


def describe(failure: Failure, profile: ModelProfile, tries: int, *, secret: str) -> str:
    """One line for a user: which model, where, what happened, what to do. `secret` is struck out."""
    detail = failure.detail if failure.status is None else f"{failure.status}: {failure.detail}"
    text = (
        f"model profile {profile.name!r} ({profile.model} at {urlsplit(profile.api_base).netloc.rpartition('@')[2]}):"
        f" {_WHAT[failure.kind]} ({detail}){_ADVICE[failure.kind].format(profile=profile)}"
    )
    if failure.retry_after_s is not None and failure.is_retryable:
        text += f"; the provider asks to wait {failure.retry_after_s:.0f} s"
    if tries > 1:
        text += f"; tried {tries} times"
    text = " ".join(text.split())
    return text.replace(secret, "[key]") if secret else text
