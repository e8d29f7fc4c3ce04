"""How much may be asked for in a day, by one person and in one repository."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from webhooks.engine.port import JobEngine
from webhooks.errors import EngineError
from webhooks.rules import Refusal
from webhooks.store import Store
from webhooks.work import Work, thread_of

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Caps:
    """Runs within any 24 hours."""

    per_repo: int = 1000
    per_sender: int = 500


class Accounts:
    """Who has asked for how much. What a person without permission asked for counts against that person alone."""

    def __init__(self, caps: Caps, store: Store, engine: JobEngine) -> None:
        self._caps = caps
        self._store = store
        self._engine = engine
        self._refused: dict[str, bool] = {}
        """Run id to whether it ended as a refusal; only of runs that are over."""

    def refusal(self, work: Work, now: datetime) -> Refusal | None:
        """Why `work` is too much, if it is; one that is known already is not counted again."""
        if self._store.is_known(work.job_id):
            return None
        since = (now - DAY).isoformat(timespec="milliseconds")
        if len(self._store.jobs_by(work.sender, since=since)) >= self._caps.per_sender:
            return Refusal(f"{work.sender} has asked for {self._caps.per_sender} runs within a day: that is the cap")
        repository = thread_of(work.task.run_id).partition("-")[0]
        runs = self._store.jobs_in(repository, since=since)
        if len(runs) < self._caps.per_repo:
            return None
        self._refused = {run: known for run, known in self._refused.items() if run in runs}
        if sum(not self._was_refused(run) for run in runs) < self._caps.per_repo:
            return None
        return Refusal(f"{work.task.repo.full_name} has had {self._caps.per_repo} runs within a day: that is the cap")

    def _was_refused(self, run_id: str) -> bool:
        if run_id not in self._refused:
            try:
                job = self._engine.status(run_id)
            except EngineError:
                return False
            if job is None or job.state in {"queued", "running"}:
                return False
            self._refused[run_id] = (job.result or {}).get("verdict") == "refused"
        return self._refused[run_id]
