"""What a request may say of itself besides its verb: `max=$2 steps=100 minutes=20 model=NAME base=BRANCH attempts=3`, and `+$5`. Pure."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

NAMES: Final = ("max", "steps", "minutes", "model", "base", "attempts")
"""What can be said as `name=value`."""

MAX_ATTEMPTS: Final = 8
"""As many as a task may have."""

_OPTION = re.compile(r"([A-Za-z][A-Za-z_-]{0,20})=(\S{1,200})", re.ASCII)
_DOLLARS = re.compile(r"\$?(\d{1,6}(?:\.\d{1,4})?)\$?", re.ASCII)
_MORE = re.compile(r"\+(\$?\d{1,6}(?:\.\d{1,4})?\$?)", re.ASCII)
_WHOLE = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:@[a-z]{1,20})?", re.ASCII)
_BRANCH = re.compile(r"(?![-/])(?!.*(?:\.\.|//|@\{))[A-Za-z0-9._/-]{1,200}(?<![./])", re.ASCII)


class OptionError(ValueError):
    """A `name=value` that is not understood; the message is for the person who wrote it. Never leaves `webhooks`."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for; None is what the operator set."""

    max_cost_usd: float | None = None
    max_steps: int | None = None
    max_minutes: float | None = None
    model: str | None = None
    base: str | None = None
    attempts: int | None = None
    add_cost_usd: float = 0.0
    """Of `+$5`: dollars on top of what the run had."""


@dataclass(frozen=True, slots=True)
class Split:
    """An argument, taken apart: its leading and trailing options, and the words between them."""

    words: str
    given: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    more: str = ""


def split(argument: str) -> Split:
    """`argument` as options and words; what stands inside the words, as in `revise set x=1 there`, stays a word."""
    tokens = argument.split()
    given: dict[str, str] = {}
    more = ""
    start, end = 0, len(tokens)
    while start < end and _is_option(tokens[start]):
        start += 1
    while end > start and _is_option(tokens[end - 1]):
        end -= 1
    for token in [*tokens[:start], *tokens[end:]]:
        if named := _OPTION.fullmatch(token):
            given[named[1].lower()] = named[2]
        elif added := _MORE.fullmatch(token):
            more = added[1]
    words = argument if start == 0 and end == len(tokens) else " ".join(tokens[start:end])
    return Split(words.strip(), MappingProxyType(given), more)


def understood(given: Mapping[str, str], more: str = "") -> Options:
    """The options that `given` names.

    Raises:
        OptionError: A name is not known, or its value is none.
    """
    unknown = sorted(set(given) - set(NAMES))
    if unknown:
        raise OptionError(f"there is no option `{unknown[0]}`; there are {', '.join(f'`{name}`' for name in NAMES)}")
    return Options(
        max_cost_usd=_dollars("max", given["max"]) if "max" in given else None,
        max_steps=_whole("steps", given["steps"]) if "steps" in given else None,
        max_minutes=float(_whole("minutes", given["minutes"])) if "minutes" in given else None,
        model=_matching("model", given["model"], _MODEL) if "model" in given else None,
        base=_matching("base", given["base"], _BRANCH) if "base" in given else None,
        attempts=_attempts(given["attempts"]) if "attempts" in given else None,
        add_cost_usd=_dollars("+$", more) if more else 0.0,
    )


def _is_option(token: str) -> bool:
    if _MORE.fullmatch(token):
        return True
    named = _OPTION.fullmatch(token)
    return named is not None and named[1].lower() in NAMES


def _dollars(name: str, value: str) -> float:
    found = _DOLLARS.fullmatch(value)
    amount = float(found[1]) if found else math.nan
    if not amount > 0:
        raise OptionError(f"`{name}` needs an amount of dollars above zero, as in `max=$2` or `continue +$2`")
    return amount


def _whole(name: str, value: str) -> int:
    if not _WHOLE.fullmatch(value):
        raise OptionError(f"`{name}` needs a whole number above zero")
    return int(value)


def _attempts(value: str) -> int:
    number = _whole("attempts", value)
    if number > MAX_ATTEMPTS:
        raise OptionError(f"`attempts` is {MAX_ATTEMPTS} at most")
    return number


def _matching(name: str, value: str, form: re.Pattern[str]) -> str:
    if not form.fullmatch(value):
        raise OptionError(f"`{name}` has a value that is no name")
    return value
