"""Logging to standard error: one JSON object per line for operators, secrets cut out; one line of words at a terminal."""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from typing_extensions import override

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; what came by `extra` stands beside the message."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._redact = redact

    @override
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_beside(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return self._redact(json.dumps(line, default=str, ensure_ascii=False))


class PlainFormatter(logging.Formatter):
    """A record as a line for who sits in front of it; what came by `extra` stands behind the message."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._redact = redact

    @override
    def format(self, record: logging.LogRecord) -> str:
        more = ", ".join(f"{name}: {value}" for name, value in _beside(record).items())
        line = f"coder: {record.levelname.lower()}: {record.getMessage()}" + (f" ({more})" if more else "")
        return self._redact(line)


def _beside(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def for_people(redact: Callable[[str], str]) -> None:
    """Show warnings of this program as lines of words, until `configure` says otherwise."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter(redact))
    logging.getLogger().handlers[:] = [handler]


def configure(level: Literal["debug", "info", "warning", "error"], redact: Callable[[str], str]) -> None:
    """Send this program's log lines to standard error. Called once, by the process's edge."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(redact))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("coder", "webhooks"):
        logging.getLogger(name).setLevel(level.upper())
