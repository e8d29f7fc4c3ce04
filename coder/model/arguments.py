"""Tool arguments as models really write them, read leniently and without guessing."""

import json

from coder.types import JsonObject

_SHOWN_CHARS = 500


def parse_arguments(text: str) -> JsonObject | None:
    """The object that `text` stands for, or None when it stands for none.

    Read as well: nothing at all (no arguments), raw newlines and tabs inside strings, and JSON encoded twice. A text that
    was cut short is never completed, so truncated arguments do not run.
    """
    if not text.strip():
        return {}
    value = _loads(text)
    if isinstance(value, str):
        value = _loads(value)
    return value if isinstance(value, dict) else None


def valid_arguments(text: str) -> str:
    """JSON text of an object for the history: `text` itself where it is one, else what it means, else a marker."""
    try:
        if isinstance(json.loads(text), dict):
            return text
    except (ValueError, RecursionError):
        pass
    value = parse_arguments(text)
    if value is None:
        value = {"malformed_arguments": text[:_SHOWN_CHARS]}
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _loads(text: str) -> object:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
