"""The job engine's database: SQLite as it must be opened, or Postgres by URL."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event

BUSY_TIMEOUT_MS = 30_000
# `unixepoch('subsec')` came with 3.42; Debian 12 has 3.40. https://sqlite.org/releaselog/3_42_0.html
_NATIVE_SUBSEC = (3, 42, 0)

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


def sqlite_url(path: Path) -> str:
    """The URL of a database file."""
    return f"sqlite:///{path.absolute()}"


def sqlite_engine(path: Path, *, clock: Clock = utc_now) -> sa.Engine:
    """A pool of connections to the file at `path`: WAL, immediate transactions, and `unixepoch('subsec')` everywhere.

    Without WAL, four jobs and three readers took 135 s instead of 4 s, with "database is locked" on the way.
    """
    engine = sa.create_engine(sqlite_url(path), pool_size=10, max_overflow=20, pool_timeout=30)

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        if sqlite3.sqlite_version_info < _NATIVE_SUBSEC:
            add_unixepoch(connection, clock)

    event.listen(engine, "connect", prepare)
    return engine


def add_unixepoch(connection: sqlite3.Connection, clock: Clock) -> None:
    """Give `connection` the `unixepoch()` and `unixepoch('subsec')` that newer versions of SQLite have."""

    def unixepoch(*args: object) -> float | int:
        now = clock().timestamp()
        return round(now, 3) if args else int(now)

    connection.create_function("unixepoch", -1, unixepoch)
