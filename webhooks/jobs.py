"""Jobs one by one: as they were kept, and how the engine says that they ended."""

from typing import Final

from coder.types import JsonObject
from webhooks.engine.port import JobEngine
from webhooks.errors import EngineError
from webhooks.store import Store
from webhooks.work import Work

_MAX_OPEN: Final = 500
REFUSED: Final = "refused"
"""The verdict on what somebody without permission asked for."""


class Jobs:
    """Jobs as they were kept, and how the engine says that they ended."""

    def __init__(self, store: Store, engine: JobEngine) -> None:
        self._rows, self._engine = store.database.rows, engine

    def of(self, run_id: str) -> list[tuple[str, str | None]]:
        """The jobs of a run in the order in which they came, and how they ended as far as it was written down."""
        rows = self._rows("SELECT job_id, ended FROM jobs WHERE run_id = ? ORDER BY rowid", (run_id,))
        return [(row["job_id"], row["ended"]) for row in rows]

    def unclosed(self) -> list[str]:
        """Jobs that the engine has and of which no end was written down, oldest first."""
        rows = self._rows(
            "SELECT job_id FROM jobs WHERE ended IS NULL AND enqueued = 1 ORDER BY rowid LIMIT ?", (_MAX_OPEN,)
        )
        return [row["job_id"] for row in rows]

    def ended(self, job_id: str) -> str | None:
        """How a job ended, asked of the engine; None while it is not over, or not yet offered.

        Raises:
            EngineError: The engine cannot be asked.
        """
        job = self._engine.status(job_id)
        if job is None:
            rows = self._rows("SELECT enqueued FROM jobs WHERE job_id = ?", (job_id,))
            return "forgotten" if rows and rows[0]["enqueued"] else None
        return None if job.state in {"queued", "running"} else ending(job.state, job.result or {})

    def ended_if_known(self, job_id: str) -> str | None:
        """The same; None, too, while the engine cannot be asked."""
        try:
            return self.ended(job_id)
        except EngineError:
            return None

    def is_doubtful(self, run_id: str, sender: str) -> bool:
        """Whether somebody else asked for a job of the run, and the desk has not found out yet whether they may."""
        return bool(
            self._rows(
                "SELECT 1 AS one FROM jobs JOIN chores ON chores.id = 'react:' || jobs.job_id"
                " WHERE jobs.run_id = ? AND jobs.ended IS NULL AND lower(jobs.sender) <> ? AND chores.done = 0",
                (run_id, sender.lower()),
            )
        )

    def check_runs(self, thread: str) -> int:
        """How many runs of an issue (`gh<repository>-<number>`) failed checks began."""
        rows = self._rows("SELECT work FROM jobs WHERE thread = ? AND job_id = run_id AND work <> ''", (thread,))
        return len([row for row in rows if Work.model_validate_json(row["work"]).task.kind == "check_failure"])

    def refuse(self, job_id: str) -> None:
        """Write down that who asked for a job may not: it stands in nobody's way any more."""
        self._rows("UPDATE jobs SET ended = ? WHERE job_id = ? AND ended IS NULL", (REFUSED, job_id))

    def withdraw(self, job_id: str) -> None:
        """Never offer the engine a job that it has not got yet."""
        self._rows("UPDATE jobs SET enqueued = 1, ended = 'cancelled' WHERE job_id = ? AND enqueued = 0", (job_id,))


def ending(state: str, result: JsonObject) -> str:
    """One word for how a job ended: the run's outcome, or the engine's state."""
    if state == "done" and result.get("verdict") == REFUSED:
        return REFUSED
    outcome = result.get("outcome")
    return outcome if state == "done" and isinstance(outcome, str) and outcome else state
