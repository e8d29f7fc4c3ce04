"""Facts on disk: a SQLite file that all runs and processes of an installation share."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from coder.errors import JournalError
from coder.memory.facts import Citation, Fact

EXPIRES_DAYS = 60
"""A fact that no run has found to hold for so long is forgotten."""
MAX_FACTS = 60
"""Of one repository; the ones not seen for longest make room."""

MAX_KEPT = 1_000
"""Results of work that are kept; the oldest make room."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (
    id INTEGER PRIMARY KEY, repo TEXT NOT NULL, text TEXT NOT NULL, citations TEXT NOT NULL, commit_sha TEXT NOT NULL,
    run_id TEXT NOT NULL, author TEXT NOT NULL, created_at TEXT NOT NULL, seen_at TEXT NOT NULL, approved INTEGER NOT NULL,
    UNIQUE (repo, text));
CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, text TEXT NOT NULL, at INTEGER NOT NULL);
"""
_COLUMNS = "id, repo, text, citations, commit_sha, run_id, author, created_at, seen_at, approved"


class MemoryStore:
    """The facts of all repositories. Close it when done."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make one.

        Raises:
            JournalError: It cannot be opened, or is no such file.
        """
        self._lock = threading.Lock()
        self._path = path
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, timeout=10)
            self._db.executescript(f"PRAGMA journal_mode=WAL; {_SCHEMA}")
        except sqlite3.Error as exc:
            raise JournalError(f"cannot open the memory {path}: {exc}") from exc

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        with self._lock:
            self._db.close()

    def add(self, fact: Fact) -> None:
        """Keep a fact. The same words again renew it, and never approve it by themselves."""
        values = (*fact.model_dump(exclude={"id", "citations"}).values(),)
        repo, text, *rest = values
        citations = json.dumps([citation.model_dump() for citation in fact.citations])
        with self._writing() as db:
            db.execute(
                "INSERT INTO fact (repo, text, citations, commit_sha, run_id, author, created_at, seen_at, approved) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (repo, text) DO UPDATE SET seen_at = excluded.seen_at, "
                "citations = excluded.citations, commit_sha = excluded.commit_sha, "
                "approved = max(approved, excluded.approved)",
                (repo, text, citations, *rest),
            )
            db.execute(
                "DELETE FROM fact WHERE repo = ? AND id NOT IN "
                "(SELECT id FROM fact WHERE repo = ? ORDER BY approved DESC, seen_at DESC, id DESC LIMIT ?)",
                (repo, repo, MAX_FACTS),
            )

    def keep(self, key: str, text: str) -> None:
        """Keep what was worked out under a key that says all it depends on."""
        with self._writing() as db:
            after = "(SELECT coalesce(max(at), 0) + 1 FROM kept)"
            db.execute(f"INSERT OR REPLACE INTO kept VALUES (?, ?, {after})", (key, text))  # noqa: S608 - a constant
            db.execute("DELETE FROM kept WHERE at <= (SELECT max(at) FROM kept) - ?", (MAX_KEPT,))

    def kept(self, key: str) -> str | None:
        """What was kept under `key`."""
        with self._writing() as db:
            row = db.execute("SELECT text FROM kept WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def facts(self, repo: str = "") -> tuple[Fact, ...]:
        """All facts of a repository, or of all, the newest first."""
        where, values = ("WHERE repo = ?", (repo,)) if repo else ("", ())
        with self._writing() as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM fact {where} ORDER BY repo, id DESC", values).fetchall()  # noqa: S608 - no value is part of the text
        return tuple(_fact(row) for row in rows)

    def seen(self, ids: list[int], now: str) -> None:
        """Note that these facts hold at `now`."""
        with self._writing() as db:
            db.executemany("UPDATE fact SET seen_at = ? WHERE id = ?", [(now, number) for number in ids])

    def forget(self, ids: list[int]) -> int:
        """Drop facts; how many there were."""
        with self._writing() as db:
            return sum(db.execute("DELETE FROM fact WHERE id = ?", (number,)).rowcount for number in ids)

    def approve(self, ids: list[int]) -> int:
        """Let models be shown these facts; how many there are."""
        with self._writing() as db:
            return sum(db.execute("UPDATE fact SET approved = 1 WHERE id = ?", (number,)).rowcount for number in ids)

    def expire(self, now: str) -> int:
        """Drop what has not been seen to hold for long; how many."""
        before = (datetime.fromisoformat(now) - timedelta(days=EXPIRES_DAYS)).isoformat(timespec="milliseconds")
        with self._writing() as db:
            return db.execute("DELETE FROM fact WHERE seen_at < ?", (before.replace("+00:00", "Z"),)).rowcount

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock, self._db:
                yield self._db
        except sqlite3.Error as exc:
            raise JournalError(f"cannot use the memory {self._path}: {exc}") from exc


def _fact(row: tuple[int, str, str, str, str, str, str, str, str, int]) -> Fact:
    number, repo, text, citations, commit_sha, run_id, author, created_at, seen_at, approved = row
    return Fact(
        id=number,
        repo=repo,
        text=text,
        citations=tuple(Citation.model_validate(one) for one in json.loads(citations)),
        commit_sha=commit_sha,
        run_id=run_id,
        author=author,
        created_at=created_at,
        seen_at=seen_at,
        approved=bool(approved),
    )
