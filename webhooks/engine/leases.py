"""Who is alive: a row per worker, beaten in the database's own time, and the lock under which the dead are cleared away."""

import contextlib
import fcntl
import hashlib
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

_METADATA = sa.MetaData()
_LEASES = sa.Table(
    "coder_worker_lease",
    _METADATA,
    sa.Column("executor_id", sa.Text, primary_key=True),
    sa.Column("seen", sa.Float, nullable=False),
)
_REAPS = sa.Table(
    "coder_reaps",
    _METADATA,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("times", sa.Integer, nullable=False),
)
# Any number that nobody else of this database locks: "coder" in ASCII.
_ADVISORY_LOCK = 0x636F646572


class Leases:
    """The leases in `database`. Every method raises SQLAlchemy's errors; its owner translates them."""

    def __init__(self, database: sa.Engine, lock_folder: Path) -> None:
        self._database = database
        self._claim: sa.Connection | None = None
        self._lock_path = lock_folder / "reaper.lock"
        self._is_sqlite = database.dialect.name == "sqlite"
        now = "unixepoch('subsec')" if self._is_sqlite else "extract(epoch from clock_timestamp())"
        self._now = sa.literal_column(now, sa.Float)
        _METADATA.create_all(database)

    def claim(self, executor_id: str) -> bool:
        """Whether no other process, on any machine, works as `executor_id`; ours then, until `release` or our death.

        Only Postgres needs it: a file's workers are on one machine, where a file lock says the same.
        """
        if self._is_sqlite:
            return True
        connection = self._database.connect().execution_options(isolation_level="AUTOCOMMIT")
        digest = hashlib.sha256(f"coder executor {executor_id}".encode()).digest()
        number = int.from_bytes(digest[:8], signed=True)
        if not connection.execute(sa.select(sa.func.pg_try_advisory_lock(number))).scalar():
            connection.close()
            return False
        # The lock is the session's: out of the pool with it, so that it ends when we close it.
        connection.detach()
        self._claim = connection
        return True

    def release(self) -> None:
        """Give up the claim; safe to call twice."""
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def beat(self, executor_id: str) -> None:
        """Say that `executor_id` is alive now."""
        with self._database.begin() as connection:
            changed = connection.execute(
                sa.update(_LEASES).where(_LEASES.c.executor_id == executor_id).values(seen=self._now)
            )
            if changed.rowcount == 0:
                connection.execute(sa.insert(_LEASES).values(executor_id=executor_id, seen=self._now))

    def leave(self, executor_id: str) -> None:
        """Say that `executor_id` has ended."""
        with self._database.begin() as connection:
            connection.execute(sa.delete(_LEASES).where(_LEASES.c.executor_id == executor_id))

    def live(self, *, lease_s: float) -> frozenset[str]:
        """Executors that have beaten within the last `lease_s` seconds."""
        with self._database.connect() as connection:
            rows = connection.execute(sa.select(_LEASES.c.executor_id).where(_LEASES.c.seen > self._now - lease_s))
            return frozenset(rows.scalars())

    def count_reap(self, job_id: str) -> int:
        """How often a job was taken from a dead worker, this time included."""
        with self._database.begin() as connection:
            changed = connection.execute(
                sa.update(_REAPS).where(_REAPS.c.job_id == job_id).values(times=_REAPS.c.times + 1)
            )
            if changed.rowcount == 0:
                connection.execute(sa.insert(_REAPS).values(job_id=job_id, times=1))
            return int(connection.execute(sa.select(_REAPS.c.times).where(_REAPS.c.job_id == job_id)).scalar_one())

    @contextlib.contextmanager
    def reaping(self) -> Iterator[bool]:
        """Whether this is the one process that may clear up now; two at once could queue a job that runs already."""
        if self._is_sqlite:
            with self._lock_path.open("a") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield False
                    return
                yield True
            return
        with self._database.connect() as connection:
            # Of the transaction, so that it ends with it whatever happens.
            yield bool(connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_ADVISORY_LOCK))).scalar())
