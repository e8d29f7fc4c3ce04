"""What came in and what was decided: one SQLite file, written once per delivery, before the answer."""

import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Literal

from coder.types import JsonObject, Task, Value
from webhooks.errors import StoreError

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
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT NOT NULL PRIMARY KEY,
    thread TEXT NOT NULL,
    task TEXT NOT NULL,
    created_at TEXT NOT NULL,
    enqueued INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS runs_by_thread ON runs (thread, created_at);
CREATE INDEX IF NOT EXISTS runs_by_time ON runs (created_at);
CREATE INDEX IF NOT EXISTS deliveries_by_time ON deliveries (received_at);
CREATE INDEX IF NOT EXISTS runs_to_enqueue ON runs (enqueued) WHERE enqueued = 0;
"""


class Delivery(Value):
    """One webhook and what was decided. `digest` is the sha256 of its signed body, `guid` GitHub's unsigned id of it."""

    digest: str
    event: str
    guid: str
    received_at: str
    repo: str
    decision: Literal["run", "refused"]
    reason: str = ""
    run_id: str | None = None


class Store:
    """The file at `path`. One connection behind a lock: writes take well under a millisecond.

    A delivery is keyed by digest **and** event name: the name is not signed, so a body replayed under another name
    must not stand in the way of the real one. Runs are keyed by what is signed alone.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            # A delivery that was answered with 202 must survive a power cut: GitHub does not send it again by itself.
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as exc:
            raise StoreError(f"cannot open {path}: {exc}") from exc

    def delivery(self, digest: str, event: str) -> Delivery | None:
        """What was decided of this body under this event name before."""
        rows = self._rows("SELECT * FROM deliveries WHERE digest = ? AND event = ?", (digest, event))
        return _delivery(rows[0]) if rows else None

    def deliveries(self, *, limit: int = 50) -> tuple[Delivery, ...]:
        """The newest deliveries, newest first."""
        return tuple(
            _delivery(row) for row in self._rows("SELECT * FROM deliveries ORDER BY rowid DESC LIMIT ?", (limit,))
        )

    def add(self, delivery: Delivery, task: Task | None) -> None:
        """Keep a decision, and the task it led to, in one transaction.

        A refusal may be decided anew; a run stays what it is.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._insert(delivery, task)
                self._connection.execute("COMMIT")
            except sqlite3.Error as exc:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise StoreError(f"cannot store delivery {delivery.digest[:12]}: {exc}") from exc

    def _insert(self, delivery: Delivery, task: Task | None) -> None:
        values = delivery.model_dump()
        self._connection.execute(
            "INSERT INTO deliveries (digest, event, guid, received_at, repo, decision, reason, run_id)"
            " VALUES (:digest, :event, :guid, :received_at, :repo, :decision, :reason, :run_id)"
            " ON CONFLICT (digest, event) DO UPDATE SET guid = :guid, received_at = :received_at, repo = :repo,"
            " decision = :decision, reason = :reason, run_id = :run_id WHERE decision = 'refused'",
            values,
        )
        if task is not None:
            self._connection.execute(
                "INSERT OR IGNORE INTO runs (run_id, thread, task, created_at) VALUES (?, ?, ?, ?)",
                (task.run_id, thread_of(task), task.model_dump_json(), delivery.received_at),
            )

    def to_enqueue(self) -> tuple[Task, ...]:
        """Tasks that the engine has not confirmed yet: the process died, or the engine failed, in between."""
        rows = self._rows("SELECT task FROM runs WHERE enqueued = 0 ORDER BY rowid", ())
        return tuple(Task.model_validate_json(row["task"]) for row in rows)

    def mark_enqueued(self, run_id: str) -> None:
        """The engine has the task."""
        self._rows("UPDATE runs SET enqueued = 1 WHERE run_id = ?", (run_id,))

    def latest_run(self, thread: str) -> str | None:
        """The newest run of an issue (`thread_of`)."""
        rows = self._rows("SELECT run_id FROM runs WHERE thread = ? ORDER BY rowid DESC LIMIT 1", (thread,))
        return str(rows[0]["run_id"]) if rows else None

    def task(self, run_id: str) -> Task | None:
        """The task of a run; None when there is no such run, or its task is not kept any more."""
        rows = self._rows("SELECT task FROM runs WHERE run_id = ? AND task <> ''", (run_id,))
        return Task.model_validate_json(rows[0]["task"]) if rows else None

    def is_known(self, run_id: str) -> bool:
        """Whether the run was ever asked for."""
        return bool(self._rows("SELECT 1 AS one FROM runs WHERE run_id = ?", (run_id,)))

    def runs_by(self, login: str, *, since: str) -> tuple[str, ...]:
        """Runs that a person asked for from `since` on."""
        rows = self._rows(
            "SELECT run_id FROM runs WHERE created_at >= ? AND task <> ''"
            " AND lower(json_extract(task, '$.requested_by')) = ?",
            (since, login.lower()),
        )
        return tuple(str(row["run_id"]) for row in rows)

    def runs_in(self, repository: str, *, since: str) -> tuple[str, ...]:
        """Runs from `since` on in a repository, named as run ids begin (`gh` and its id)."""
        rows = self._rows(
            "SELECT run_id FROM runs WHERE created_at >= ? AND thread >= ? AND thread < ?",
            (since, f"{repository}-", f"{repository}."),
        )
        return tuple(str(row["run_id"]) for row in rows)

    def forget(self, *, before: str) -> int:
        """Remove deliveries and tasks from before a time; how many deliveries.

        The ids of runs stay, a few bytes each: an old event that comes again must not be a new run.
        """
        self._rows("UPDATE runs SET task = '' WHERE created_at < ? AND enqueued = 1 AND task <> ''", (before,))
        gone = self._rows("DELETE FROM deliveries WHERE received_at < ? RETURNING digest", (before,))
        return len(gone)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._lock:
            self._connection.close()

    def _rows(self, statement: str, values: tuple[object, ...]) -> list[JsonObject]:
        with self._lock:
            try:
                cursor = self._connection.execute(statement, values)
                names = [column[0] for column in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            except sqlite3.Error as exc:
                raise StoreError(f"the delivery store failed: {exc}") from exc


def thread_of(task: Task) -> str:
    """What at most one live run may work on: the repository's id and the issue, as the run id starts with them."""
    return task.run_id.rpartition("-")[0]


def _delivery(row: JsonObject) -> Delivery:
    return Delivery.model_validate(row)
