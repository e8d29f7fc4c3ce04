"""The one SQLite file of the web process: a connection behind a lock; writes take well under a millisecond."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from coder.types import JsonObject
from webhooks.errors import StoreError

Values = tuple[object, ...] | Mapping[str, object]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    digest TEXT NOT NULL,
    event TEXT NOT NULL,
    guid TEXT NOT NULL,
    received_at TEXT NOT NULL,
    repo TEXT NOT NULL,
    decision TEXT NOT NULL,
    reason TEXT NOT NULL,
    run_id TEXT,
    PRIMARY KEY (digest, event)
) STRICT;
CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL,
    thread TEXT NOT NULL,
    sender TEXT NOT NULL,
    work TEXT NOT NULL,
    created_at TEXT NOT NULL,
    enqueued INTEGER NOT NULL DEFAULT 0,
    ended TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS starts (
    job_id TEXT NOT NULL PRIMARY KEY,
    length INTEGER NOT NULL,
    times INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS pulls (
    thread TEXT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS switches (
    thread TEXT NOT NULL PRIMARY KEY,
    autofix INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS waits (
    thread TEXT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL,
    sha TEXT NOT NULL,
    looks INTEGER NOT NULL DEFAULT 0,
    since_s REAL NOT NULL DEFAULT 0,
    due_s REAL NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS inbox (
    run_id TEXT NOT NULL,
    followup_id TEXT NOT NULL,
    followup TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (run_id, followup_id)
) STRICT;
CREATE TABLE IF NOT EXISTS deferred (
    digest TEXT NOT NULL,
    event TEXT NOT NULL,
    guid TEXT NOT NULL,
    repo TEXT NOT NULL,
    request TEXT NOT NULL,
    PRIMARY KEY (digest, event)
) STRICT;
CREATE TABLE IF NOT EXISTS chores (
    id TEXT NOT NULL PRIMARY KEY,
    urgency INTEGER NOT NULL,
    chore TEXT NOT NULL,
    created_at TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_s REAL NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_by_thread ON jobs (thread, created_at);
CREATE INDEX IF NOT EXISTS jobs_by_run ON jobs (run_id);
CREATE INDEX IF NOT EXISTS jobs_by_time ON jobs (created_at);
CREATE INDEX IF NOT EXISTS jobs_to_enqueue ON jobs (enqueued) WHERE enqueued = 0;
CREATE INDEX IF NOT EXISTS jobs_open ON jobs (thread) WHERE ended IS NULL;
CREATE INDEX IF NOT EXISTS deliveries_by_time ON deliveries (received_at);
CREATE INDEX IF NOT EXISTS chores_to_do ON chores (urgency) WHERE done = 0;
"""


class Database:
    """The file at `path`. Every method raises `StoreError` when it cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            # A delivery that was answered with 202 must survive a power cut: GitHub does not send it again by itself.
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_SCHEMA)
            self._grow("switches", "login", "TEXT NOT NULL DEFAULT ''")
            self._grow("pulls", "branch", "TEXT NOT NULL DEFAULT ''")
        except sqlite3.Error as exc:
            raise StoreError(f"cannot open {path}: {exc}") from exc

    def _grow(self, table: str, column: str, kind: str) -> None:
        """Give a table that an earlier version made the column that it lacks."""
        known = {row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")}
        if column not in known:
            self._connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    def rows(self, statement: str, values: Values = ()) -> list[JsonObject]:
        """What a statement gives, each row by its columns' names."""
        with self._lock:
            try:
                cursor = self._connection.execute(statement, values)
                names = [column[0] for column in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            except sqlite3.Error as exc:
                raise StoreError(f"the delivery store failed: {exc}") from exc

    @contextmanager
    def together(self) -> Iterator[None]:
        """All statements of the `with`, or none."""
        with self._lock:
            self.rows("BEGIN IMMEDIATE")
            try:
                yield
                self.rows("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._lock:
            self._connection.close()
