"""What is known of blobs, on disk: one SQLite file for all commits, branches and runs, shared by processes."""

import fcntl
import json
import sqlite3
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from struct import Struct
from typing import Any, Final, NamedTuple, Self

from coder.codemap.parsed import COUNT_BITS, Definition, Numbers, Parsed
from coder.errors import CodeMapError

APPLICATION_ID: Final = 0x434D4150
"""`CMAP`, in SQLite's header: says that a file is ours."""
SCHEMA_VERSION: Final = 7
"""Raised with every change of the schema, of what is extracted, of how words are folded or overviews made: an older file is
made anew."""
MAX_INDEX_BYTES: Final = 4 << 30
"""Above that the file is made anew: blobs of dead commits are never dropped one by one."""

_MAX_KEPT: Final = 300
_BUSY_S: Final = 60.0
_SHIFT: Final = 12  # a document's number is its blob's number and its place in the blob
_BEYOND: Final = 1 << 62
_SEGMENT: Final = 256
"""A segment of so many blobs is full. A word's runs in one segment are one row: so many blobs are found by one step."""
_HEAD: Final = Struct("=HH")
"""Before the entries of a run: the blob's number less the segment's first, and how many entries there are."""
_WORTH_A_SCAN: Final = 5
"""Reading so many rows in a row costs what finding one does."""

_NEW_ROW: Final = (
    "INSERT OR IGNORE INTO blob (sha, language, status, words, lengths, definitions) VALUES (?, ?, ?, ?, ?, ?)"
)
_NEW_RUNS: Final = """
    INSERT INTO posting VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET runs = CAST(runs || excluded.runs AS BLOB)
"""
_RUNS: Final = "SELECT word, runs FROM posting WHERE segment = ? AND word IN (SELECT value FROM json_each(?))"
_ALL_ROWS: Final = "SELECT sha, language, id, status, words, lengths FROM blob"
_SOME_ROWS: Final = """
    SELECT sha, language, id, status, words, lengths FROM blob WHERE sha IN (SELECT value FROM json_each(?))
"""

_SCHEMA: Final = f"""
    CREATE TABLE blob (
        id INTEGER PRIMARY KEY,
        sha TEXT NOT NULL,
        language TEXT NOT NULL,
        status TEXT NOT NULL,
        words INTEGER NOT NULL,
        lengths BLOB NOT NULL,
        definitions TEXT NOT NULL,
        UNIQUE (sha, language)
    );
    CREATE TABLE kept (key TEXT PRIMARY KEY, text TEXT NOT NULL);
    CREATE TABLE segment (first INTEGER PRIMARY KEY);
    CREATE TABLE posting (segment INTEGER, word TEXT, runs BLOB NOT NULL, PRIMARY KEY (segment, word)) WITHOUT ROWID;
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {SCHEMA_VERSION};
"""

Key = tuple[str, str]
"""A git blob id, and the language that it was read as."""

Run = tuple[int, Numbers]
"""A blob, and the entries of one word in it: see `coder.codemap.parsed.Postings`."""


class BrokenIndexError(CodeMapError):
    """The file is not a working index (any more): make it anew."""


class Row(NamedTuple):
    """A blob of the index."""

    id: int
    status: str
    words: int
    """Of all its documents together."""
    packed_lengths: bytes

    @property
    def documents(self) -> int:
        """How many documents it has: its definitions, and what lies outside all."""
        return len(self.packed_lengths) // 2

    @property
    def lengths(self) -> "memoryview[int]":
        """The number of words of each of its documents."""
        return memoryview(self.packed_lengths).cast("H")


class Index:
    """An open index file. Make it with `Index.open`."""

    def __init__(self, connection: sqlite3.Connection, made_anew: str = "") -> None:
        self._connection = connection
        self.made_anew = made_anew
        """Why the file that was there was set aside; empty when it was not."""

    @classmethod
    def open(cls, path: Path, *, fresh: bool = False) -> Self:
        """The index at `path`, made when there is none; one that is older, broken or not ours (or `fresh`) is set aside.

        Raises:
            CodeMapError: The file can be neither opened nor made: no permission, no space, a folder in its place.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path):
                if fresh:
                    _set_aside(path)
                connection, problem = _connected(path)
                return cls(connection, problem or ("it broke in use" if fresh else ""))
        except (OSError, sqlite3.Error) as exc:
            raise CodeMapError(f"cannot open the code map's index {path}: {exc}") from exc

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def rows(self, keys: Iterable[Key]) -> dict[Key, Row]:
        """Those of `keys` that are known."""
        wanted = set(keys)
        ((known,),) = self._all("SELECT max(id) FROM blob")
        if len(wanted) * _WORTH_A_SCAN >= (known or 0):
            rows = self._all(_ALL_ROWS)
        else:
            shas = json.dumps([sha for sha, _ in wanted])
            rows = self._all(_SOME_ROWS, shas)
        return {(row[0], row[1]): Row._make(row[2:]) for row in rows if (row[0], row[1]) in wanted}

    def add(self, batch: Mapping[Key, Parsed]) -> None:
        """Store what was read, in one transaction; what another process stored meanwhile stays."""
        with self._guarded():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._add(batch)
            except BaseException:
                if self._connection.in_transaction:  # a full disk ends it before us
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def definitions(self, blob: int) -> list[Definition]:
        """A blob's definitions in order of their start."""
        for (text,) in self._all("SELECT definitions FROM blob WHERE id = ?", blob):
            return [Definition(*one) for one in json.loads(text)]
        raise BrokenIndexError(f"the code map's index lost blob {blob}")

    def runs(self, words: Collection[str], blobs: Collection[int]) -> dict[str, list[Run]]:
        """Where each word (as `coder.codemap.words` folds it) stands in some blobs; words that stand nowhere are left out.

        `blobs` must be quick to look into: a set, or the keys of a mapping.
        """
        asked, ids = json.dumps(sorted(words)), sorted(blobs)
        starts = [first for (first,) in self._all("SELECT first FROM segment ORDER BY first")]
        found: dict[str, list[Run]] = {}
        for first, after in pairwise([*starts, _BEYOND]):
            if bisect_left(ids, first) == bisect_left(ids, after):
                continue
            for word, packed in self._all(_RUNS, first, asked):
                found.setdefault(word, []).extend(_unpacked(first, array("H", packed), blobs))
        return {word: runs for word, runs in found.items() if runs}

    def places(self, words: Collection[str], blobs: Collection[int]) -> dict[str, set[int]]:
        """The documents of some blobs that hold each word; `blob_of` and `place_of` say whose. As `runs`, but for all `words`."""
        held = self.runs(words, blobs)
        return {
            word: {document_of(blob, entry >> COUNT_BITS) for blob, entries in held.get(word, ()) for entry in entries}
            for word in words
        }

    def kept(self, key: str) -> str | None:
        """A text kept under a key that says all that it was made from."""
        for (text,) in self._all("SELECT text FROM kept WHERE key = ?", key):
            return str(text)
        return None

    def keep(self, key: str, text: str) -> None:
        """Keep a text that would cost time to make again; the latest few hundred stay."""
        with self._guarded():
            self._connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (key, text))
            self._connection.execute("DELETE FROM kept WHERE rowid <= (SELECT max(rowid) FROM kept) - ?", (_MAX_KEPT,))

    def _add(self, batch: Mapping[Key, Parsed]) -> None:
        """Blobs row by row; their words as one more segment, or at the end of the last one while that is small."""
        ((last, segment),) = self._all("SELECT ifnull(max(id), 0), (SELECT max(first) FROM segment) FROM blob")
        if segment is None or last - segment >= _SEGMENT:
            segment = last + 1
            self._connection.execute("INSERT INTO segment VALUES (?)", (segment,))
        held: dict[str, list[bytes]] = defaultdict(list)
        for key, parsed in batch.items():
            lengths, words, sizes, entries = parsed.postings
            row = (*key, parsed.status, sum(lengths), lengths.tobytes(), parsed.told)
            stored = self._connection.execute(_NEW_ROW, row)
            if stored.rowcount < 1 or stored.lastrowid is None:
                continue
            packed, at = entries.tobytes(), 0
            for word, size in zip(words, sizes, strict=True):
                held[word] += (_HEAD.pack(stored.lastrowid - segment, size), packed[at : at + 2 * size])
                at += 2 * size
        self._connection.executemany(_NEW_RUNS, ((segment, word, b"".join(held[word])) for word in sorted(held)))

    def _all(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._guarded():
            return self._connection.execute(sql, parameters).fetchall()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            if _is_damage(exc):
                raise BrokenIndexError(f"the code map's index is damaged: {exc}") from exc
            raise CodeMapError(f"the code map's index cannot be used: {exc}") from exc


def document_of(blob: int, place: int) -> int:
    """The number of a document."""
    return blob << _SHIFT | place


def blob_of(document: int) -> int:
    """The blob that a document is part of."""
    return document >> _SHIFT


def place_of(document: int) -> int:
    """A document's place in its blob: 0 outside all definitions, `i + 1` the i-th definition."""
    return document & ((1 << _SHIFT) - 1)


def _unpacked(first: int, packed: Numbers, blobs: Collection[int]) -> Iterator[Run]:
    """The runs of a row that are of some blobs."""
    at, end = 0, len(packed)
    while at < end:
        blob, start = first + packed[at], at + 2
        at = start + packed[at + 1]
        if blob in blobs:
            yield blob, packed[start:at]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time looks at the file, makes it or sets it aside."""
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _connected(path: Path) -> tuple[sqlite3.Connection, str]:
    """A file that works, and why the one before could not serve."""
    connection = None
    try:
        connection = _plain(path)
        problem = _problem(connection, path)
    except sqlite3.DatabaseError as exc:
        if not _is_damage(exc):
            raise
        problem = str(exc)
    if problem:
        if connection is not None:
            connection.close()
        _set_aside(path)
        connection = _plain(path)
    assert connection is not None  # noqa: S101 - said for the type checker
    if not connection.execute("PRAGMA user_version").fetchone()[0]:
        connection.executescript(f"PRAGMA journal_mode = WAL; BEGIN; {_SCHEMA} COMMIT;")
    connection.executescript("PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000;")
    return connection, problem


def _plain(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)


def _problem(connection: sqlite3.Connection, path: Path) -> str:
    """Why the file cannot serve; empty when it can or has nothing in it."""
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not tables and not version:
        return ""
    if owner != APPLICATION_ID:
        return "it is another program's"
    if version != SCHEMA_VERSION:
        return f"its version is {version}, not {SCHEMA_VERSION}"
    return "it is too large" if path.stat().st_size > MAX_INDEX_BYTES else ""


def _set_aside(path: Path) -> None:
    """Rename the file, because it may be somebody's; one such is kept."""
    path.with_name(path.name + "-wal").unlink(missing_ok=True)
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    if path.exists():
        path.replace(path.with_name(path.name + ".old"))


def _is_damage(exc: sqlite3.Error) -> bool:
    """Whether the file's content is at fault, not the machine."""
    if isinstance(exc, sqlite3.OperationalError):
        return "no such" in str(exc) or "SQL logic error" in str(exc)
    return isinstance(exc, sqlite3.DatabaseError)
