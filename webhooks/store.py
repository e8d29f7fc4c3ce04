"""What came in and what was decided, written once per delivery, before the answer."""

from pathlib import Path
from typing import Literal

from coder.types import JsonObject, Task, Value
from webhooks.database import Database
from webhooks.outbox import insert_chore
from webhooks.work import Chore, Work, thread_of


class Delivery(Value):
    """One webhook and what was decided. `digest` is the sha256 of its signed body, `guid` GitHub's unsigned id of it."""

    digest: str
    event: str
    guid: str
    received_at: str
    repo: str
    decision: Literal["run", "answered", "refused"]
    """`answered`: something small was done instead of a run."""
    reason: str = ""
    run_id: str | None = None


class Store:
    """Deliveries and jobs in `path`.

    A delivery is keyed by digest **and** event name: the name is not signed, so a body replayed under another name
    must not stand in the way of the real one. Jobs are keyed by what is signed alone.
    """

    def __init__(self, path: Path) -> None:
        self.database = Database(path)

    def delivery(self, digest: str, event: str) -> Delivery | None:
        """What was decided of this body under this event name before."""
        rows = self.database.rows("SELECT * FROM deliveries WHERE digest = ? AND event = ?", (digest, event))
        return _delivery(rows[0]) if rows else None

    def deliveries(self, *, limit: int = 50) -> tuple[Delivery, ...]:
        """The newest deliveries, newest first."""
        rows = self.database.rows("SELECT * FROM deliveries ORDER BY rowid DESC LIMIT ?", (limit,))
        return tuple(_delivery(row) for row in rows)

    def add(self, delivery: Delivery, work: Work | None = None, chores: tuple[Chore, ...] = ()) -> None:
        """Keep a decision, and what it led to, in one transaction.

        A refusal may be decided anew; anything else stays what it is.
        """
        with self.database.together():
            self.database.rows(
                "INSERT INTO deliveries (digest, event, guid, received_at, repo, decision, reason, run_id)"
                " VALUES (:digest, :event, :guid, :received_at, :repo, :decision, :reason, :run_id)"
                " ON CONFLICT (digest, event) DO UPDATE SET guid = :guid, received_at = :received_at, repo = :repo,"
                " decision = :decision, reason = :reason, run_id = :run_id WHERE decision = 'refused'",
                delivery.model_dump(),
            )
            if work is not None:
                self.add_work(work, created_at=delivery.received_at)
            for chore in chores:
                insert_chore(self.database, chore, created_at=delivery.received_at)

    def add_work(self, work: Work, *, created_at: str) -> None:
        """Keep a job that the engine is to be offered; one that is known stays what it is."""
        run_id = work.task.run_id
        self.database.rows(
            "INSERT OR IGNORE INTO jobs (job_id, run_id, thread, sender, work, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            (work.job_id, run_id, thread_of(run_id), work.sender, work.model_dump_json(), created_at),
        )

    def to_enqueue(self) -> tuple[Work, ...]:
        """Jobs that the engine has not confirmed yet: the process died, or the engine failed, in between."""
        rows = self.database.rows("SELECT work FROM jobs WHERE enqueued = 0 ORDER BY rowid")
        return tuple(Work.model_validate_json(row["work"]) for row in rows)

    def mark_enqueued(self, job_id: str) -> None:
        """The engine has the job."""
        self.database.rows("UPDATE jobs SET enqueued = 1 WHERE job_id = ?", (job_id,))

    def is_known(self, job_id: str) -> bool:
        """Whether the job was ever asked for."""
        return bool(self.database.rows("SELECT 1 AS one FROM jobs WHERE job_id = ?", (job_id,)))

    def work(self, job_id: str) -> Work | None:
        """A job; None when it is not known, or not kept any more."""
        rows = self.database.rows("SELECT work FROM jobs WHERE job_id = ? AND work <> ''", (job_id,))
        return Work.model_validate_json(rows[0]["work"]) if rows else None

    def task(self, run_id: str) -> Task | None:
        """The task of a run; None when there is no such run, or its task is not kept any more."""
        work = self.work(run_id)
        return None if work is None else work.task

    def asked_since(self, thread: str, since: str) -> bool:
        """Whether anything was asked for on an issue (`gh<repository>-<number>`) from `since` on."""
        return bool(
            self.database.rows("SELECT 1 AS one FROM jobs WHERE thread = ? AND created_at >= ?", (thread, since))
        )

    def repositories(self) -> tuple[str, ...]:
        """Repositories that were delivered of, the latest first."""
        rows = self.database.rows("SELECT repo FROM deliveries WHERE repo <> '' GROUP BY repo ORDER BY max(rowid) DESC")
        return tuple(str(row["repo"]) for row in rows)

    def jobs_by(self, login: str, *, since: str) -> tuple[str, ...]:
        """Jobs that a person asked for from `since` on."""
        rows = self.database.rows(
            "SELECT job_id FROM jobs WHERE created_at >= ? AND lower(sender) = ?", (since, login.lower())
        )
        return tuple(str(row["job_id"]) for row in rows)

    def jobs_in(self, repository: str, *, since: str) -> tuple[str, ...]:
        """Jobs from `since` on in a repository, named as run ids begin (`gh` and its id)."""
        rows = self.database.rows(
            "SELECT job_id FROM jobs WHERE created_at >= ? AND thread >= ? AND thread < ?",
            (since, f"{repository}-", f"{repository}."),
        )
        return tuple(str(row["job_id"]) for row in rows)

    def forget(self, *, before: str) -> int:
        """Remove deliveries, and what jobs were about, from before a time; how many deliveries.

        The ids of jobs stay, a few bytes each: an old event that comes again must not be a new run.
        """
        with self.database.together():
            self.database.rows(
                "UPDATE jobs SET work = '' WHERE created_at < ? AND enqueued = 1 AND work <> ''", (before,)
            )
            self.database.rows("DELETE FROM chores WHERE created_at < ? AND done = 1", (before,))
            self.database.rows("DELETE FROM inbox WHERE created_at < ?", (before,))
            gone = self.database.rows("DELETE FROM deliveries WHERE received_at < ? RETURNING digest", (before,))
        return len(gone)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self.database.close()


def _delivery(row: JsonObject) -> Delivery:
    return Delivery.model_validate(row)
