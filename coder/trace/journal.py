"""The journal: append only, hash-chained, one writer per run. A SQLite file; rows `(run_id, seq)` are unique."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from coder.errors import JournalError
from coder.trace.events import EVENT, Entry, Event, Reduced, Told, ToolFinished
from coder.types import Value

GENESIS = "0" * 64
"""`prev` of a run's first line."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS journal (
    run_id TEXT NOT NULL, seq INTEGER NOT NULL, ts TEXT NOT NULL, prev TEXT NOT NULL, event TEXT NOT NULL,
    hash TEXT NOT NULL, PRIMARY KEY (run_id, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blob (sha256 TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
"""


_BEFORE = """
SELECT run_id, min(seq), max(seq) FROM journal WHERE run_id > ? AND run_id < ? AND run_id <> ?
GROUP BY run_id HAVING min(ts) <= ifnull((SELECT min(ts) FROM journal WHERE run_id = ?), '9') ORDER BY min(ts), run_id
"""
_ONE = "SELECT event FROM journal WHERE run_id = ? AND seq = ?"


class RunLine(Value):
    """One run in a listing."""

    run_id: str
    started: str
    last: str
    events: int
    first: str
    """Its first event, as the journal holds it."""
    newest: str


def utc_now() -> str:
    """The time as the journal writes it: RFC 3339, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def line_hash(*, ts: str, seq: int, run_id: str, prev: str, event: str) -> str:
    """The hash of a journal line: SHA-256 over the canonical JSON of its other fields, `event` as its stored text."""
    text = json.dumps([ts, seq, run_id, prev, event], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_REPEATABLE = (ToolFinished, Told, Reduced)
"""What a run does again from the lines before it. Such a line waits for the fsync of the next one that was paid for: a killed
process loses nothing by that, and a power cut only work that costs nothing."""


class Journal:
    """The journal of one run. Made by `JournalStore.open`; one process writes it, and a second one loses the race."""

    def __init__(
        self,
        store: "JournalStore",
        run_id: str,
        *,
        redact: Callable[[str], str],
        listeners: Sequence[Callable[[Entry], None]],
    ) -> None:
        self.run_id = run_id
        self._store = store
        self._redact = redact
        self._listeners = tuple(listeners)
        self._entries = list(store.read(run_id))
        self._events = [entry.event for entry in self._entries]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All lines so far, in order."""
        return tuple(self._entries)

    @property
    def events(self) -> tuple[Event, ...]:
        """All events so far, in order."""
        return tuple(self._events)

    def since(self, number: int) -> Sequence[Entry]:
        """The lines from `number` on."""
        return self._entries[number:]

    @property
    def digest(self) -> str:
        """The hash of the last line: it stands for the whole journal."""
        return self._entries[-1].hash if self._entries else GENESIS

    def append(self, event: Event) -> Event:
        """Store `event` durably and tell the listeners; what was stored (secrets redacted) comes back.

        Raises:
            JournalError: Another process has written this run since it was opened, or the disk refuses.
        """
        text = self._redact(event.model_dump_json(exclude_defaults=False))
        stored = EVENT.validate_json(text)
        ts, seq, prev = utc_now(), len(self._entries), self.digest
        entry = Entry(
            ts=ts,
            seq=seq,
            run_id=self.run_id,
            prev=prev,
            event=stored,
            hash=line_hash(ts=ts, seq=seq, run_id=self.run_id, prev=prev, event=text),
        )
        self._store.write(entry, text)
        self._entries.append(entry)
        self._events.append(stored)
        for listener in self._listeners:
            listener(entry)
        return stored

    def put_blob(self, data: bytes) -> str:
        """Store bytes once by their SHA-256, which comes back."""
        return self._store.put_blob(data)

    def blob(self, sha256: str) -> bytes:
        """Bytes stored by `put_blob`.

        Raises:
            JournalError: They are not there, or not what their name says.
        """
        return self._store.blob(sha256)


class JournalStore:
    """All journals of an installation, in one SQLite file (WAL, fsync on each line that was paid for or acted on: it survives a power cut)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as exc:
            raise JournalError(f"cannot open the journal {path}: {exc}") from exc

    def open(
        self,
        run_id: str,
        *,
        redact: Callable[[str], str] = str,
        listeners: Sequence[Callable[[Entry], None]] = (),
    ) -> Journal:
        """The journal of a run, new or to be continued; its chain is checked.

        Raises:
            JournalError: The chain is broken; the message names the first bad line.
        """
        return Journal(self, run_id, redact=redact, listeners=listeners)

    def runs(self) -> tuple[RunLine, ...]:
        """Every run, the newest first."""
        event = "(SELECT event FROM journal one WHERE one.run_id = of.run_id ORDER BY seq {} LIMIT 1)"
        query = (
            f"SELECT run_id, min(ts), max(ts), count(*), {event.format('ASC')}, {event.format('DESC')} "  # noqa: S608 - no input in it
            "FROM journal of GROUP BY run_id ORDER BY 2 DESC, 1"
        )
        with self._errors("list the runs of"):
            rows = self._db.execute(query).fetchall()
        return tuple(RunLine(run_id=r[0], started=r[1], last=r[2], events=r[3], first=r[4], newest=r[5]) for r in rows)

    def before(self, run_id: str) -> tuple[Event, ...]:
        """First and newest event of each run of the same issue that began before this one, the oldest first.

        Such ids are alike up to their last hyphen. Runs that another version wrote may be left out.
        """
        thread = run_id.rpartition("-")[0]
        found: list[Event] = []
        with self._errors("read"):
            runs = self._db.execute(_BEFORE, (f"{thread}-", f"{thread}.", run_id, run_id)).fetchall() if thread else []
            ends = [(one, seq) for one, first, last in runs for seq in (first, last)]
            texts = [self._db.execute(_ONE, end).fetchone()[0] for end in ends]
        for text in texts:
            with suppress(ValidationError):
                found.append(EVENT.validate_json(text))
        return tuple(found)

    def lines(self, run_id: str) -> Iterator[str]:
        """The journal as JSON lines, for export: `{ts, seq, run_id, prev, event, hash}`, `event` as its stored text."""
        for ts, seq, prev, event, digest in self._rows(run_id):
            yield json.dumps(
                {"ts": ts, "seq": seq, "run_id": run_id, "prev": prev, "event": event, "hash": digest},
                ensure_ascii=False,
            )

    def read(self, run_id: str) -> Iterator[Entry]:
        """The checked lines of a run.

        Raises:
            JournalError: The first line whose hash, predecessor or number does not fit, by its number.
        """
        previous = GENESIS
        for expected, (ts, seq, prev, event, digest) in enumerate(self._rows(run_id)):
            fits = seq == expected and prev == previous
            if not fits or digest != line_hash(ts=ts, seq=seq, run_id=run_id, prev=prev, event=event):
                raise JournalError(
                    f"journal of run {run_id} is broken at line {expected}: it was changed after writing"
                )
            try:
                parsed = EVENT.validate_json(event)
            except ValidationError as exc:
                raise JournalError(f"journal of run {run_id}, line {seq}: written by another version: {exc}") from exc
            yield Entry(ts=ts, seq=seq, run_id=run_id, prev=prev, event=parsed, hash=digest)
            previous = digest

    def write(self, entry: Entry, text: str) -> None:
        """Store one line; `text` is the event as it was hashed."""
        row = (entry.run_id, entry.seq, entry.ts, entry.prev, text, entry.hash)
        try:
            with self._errors("write to"):
                self._db.execute(f"PRAGMA synchronous={'NORMAL' if isinstance(entry.event, _REPEATABLE) else 'FULL'}")
                self._db.execute("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError as exc:
            raise JournalError(f"run {entry.run_id} is being continued by another process; this one stops") from exc

    def put_blob(self, data: bytes) -> str:
        """Store bytes once by their SHA-256, which comes back."""
        digest = hashlib.sha256(data).hexdigest()
        with self._errors("write to"):
            self._db.execute("PRAGMA synchronous=NORMAL")  # a line that names it comes after it
            self._db.execute("INSERT OR IGNORE INTO blob VALUES (?, ?)", (digest, data))
        return digest

    def blob(self, sha256: str) -> bytes:
        """Bytes by their SHA-256; JournalError when they are missing or damaged."""
        with self._errors("read"):
            row = self._db.execute("SELECT data FROM blob WHERE sha256 = ?", (sha256,)).fetchone()
        data = bytes(row[0]) if row else b""
        if row is None or hashlib.sha256(data).hexdigest() != sha256:
            raise JournalError(f"{self._path}: blob {sha256[:12]} is {'damaged' if row else 'missing'}")
        return data

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _rows(self, run_id: str) -> Iterable[tuple[str, int, str, str, str]]:
        query = "SELECT ts, seq, prev, event, hash FROM journal WHERE run_id = ? ORDER BY seq"
        with self._errors("read"):
            return self._db.execute(query, (run_id,)).fetchall()

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as exc:
            raise JournalError(f"cannot {doing} the journal {self._path}: {exc}") from exc
