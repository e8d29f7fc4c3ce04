"""Forgetting old runs: whole journals go, never lines of one, and with them what only they refer to."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from coder.errors import JournalError

_BLOB = re.compile(r"\b[0-9a-f]{64}\b")


def forget_runs(path: Path, *, before: datetime) -> int:
    """Remove the runs of the journal at `path` whose last line is older than `before` (UTC); how many.

    A run that still goes on has a younger line. The file gets smaller only if nobody else has it open just then; the room
    is used again otherwise.

    Raises:
        JournalError: The file cannot be changed.
    """
    if not path.is_file():
        return 0
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as db:
            gone = _forgotten(db, before.strftime("%Y-%m-%dT%H:%M:%S"))
            if gone:
                _shrink(db)
            return gone
    except sqlite3.Error as exc:
        raise JournalError(f"cannot forget runs of the journal {path}: {exc}") from exc


def _forgotten(db: sqlite3.Connection, before: str) -> int:
    db.execute("BEGIN IMMEDIATE")
    try:
        old = db.execute("SELECT run_id FROM journal GROUP BY run_id HAVING max(ts) < ?", (before,)).fetchall()
        named: set[str] = set()
        for run in old:
            named |= _blobs(db.execute("SELECT event FROM journal WHERE run_id = ?", run))
            db.execute("DELETE FROM journal WHERE run_id = ?", run)
        if named:
            named -= _blobs(db.execute("SELECT event FROM journal"))
            db.executemany("DELETE FROM blob WHERE sha256 = ?", [(digest,) for digest in named])
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return len(old)


def _blobs(rows: Iterable[tuple[str]]) -> set[str]:
    """What events refer to: a blob's name stands in its event as it is."""
    return {digest for (event,) in rows for digest in _BLOB.findall(event)}


def _shrink(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA busy_timeout=0")
    try:
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError:
        return  # somebody has it open
