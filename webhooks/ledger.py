"""What is going on: which run a request is about, and how it stands, from what was kept and from the engine."""

import logging
from collections.abc import Iterator
from dataclasses import replace

from coder.types import Followup
from webhooks.decisions import RunState, Situation
from webhooks.engine.port import Job, JobEngine
from webhooks.errors import EngineError
from webhooks.jobs import REFUSED, Jobs, ending
from webhooks.outbox import Switches
from webhooks.request import Request
from webhooks.store import Store
from webhooks.waits import Waits
from webhooks.work import Work, run_of, thread_of

logger = logging.getLogger(__name__)

_MAX_LOOKED_AT = 20
WAITING = "asked"
"""The outcome of a run that waits for a person."""
_UNHEARD = frozenset({REFUSED, "failed", "cancelled"})


class Ledger:
    """Jobs by run, runs by issue and by the pull request that they opened."""

    def __init__(self, store: Store, engine: JobEngine) -> None:
        self._store, self._engine = store, engine
        self._rows, self._jobs = store.database.rows, Jobs(store, engine)
        self._switches = Switches(store.database)
        self._waits = Waits(store.database)

    def placed(self, request: Request) -> Request:
        """`request`; a failed check that names a branch alone, as one of the pull request that we opened from it."""
        if request.what != "checks" or request.number or request.head is None or not request.head.same_repo:
            return request  # a fork has a branch of the same name as easily
        pulls, repository = "SELECT thread FROM pulls WHERE branch = ? AND thread LIKE ?", f"gh{request.repository.id}"
        asked = (request.head.branch, f"{repository}-%")
        if not (rows := self._rows(pulls, asked)):
            self._close_some(repository)
            rows = self._rows(pulls, asked)
        number = int(rows[0]["thread"].rpartition("-")[2]) if rows else 0
        return replace(request, number=number, is_pull_request=bool(number))

    def situation(self, request: Request, *, now: str) -> Situation:
        """How things stand for `request`."""
        if request.what == "passed":
            return _awaited(request, self._store, self._waits, now=now)
        thread = f"gh{request.repository.id}-{request.number}"
        by_pull = self.run_of_pull(thread) if request.is_pull_request else None
        run_id = by_pull or (self.latest_run(thread) if request.number else None)
        autofix = self._switches.autofix([thread, *([thread_of(run_id)] if run_id else [])])
        by = self._switches.who(thread)
        task = self._store.task(run_id) if run_id else None
        if run_id is None or task is None:
            asking = () if request.number else self._switches.on(f"gh{request.repository.id}")
            return Situation(now=now, autofix=autofix, autofix_by=by, asking=asking)
        # Before its state: who is found to be a stranger in between is seen as one there.
        doubtful = self._jobs.is_doubtful(run_id, request.sender)
        followups, state = self._followups(run_id), self.state(run_id)
        return Situation(
            now=now,
            state=state,
            task=task,
            own_pull=by_pull is not None,
            has_pull=by_pull is not None or self._has_pull(run_id),
            rounds=tuple(f"{one.kind.replace('_', ' ')} by {one.note.author}" for one in followups),
            check_runs=self._jobs.check_runs(thread),
            check_followups=len([one for one in followups if one.kind == "check_failure"]),
            added_cost_usd=sum(one.add_cost_usd for one in followups),
            autofix=autofix,
            autofix_by=by,
            doubtful=state == "live" and doubtful,
        )

    def latest_run(self, thread: str) -> str | None:
        """The newest run of an issue (`gh<repository>-<number>`); what a stranger asked for is none."""
        rows = self._rows(
            "SELECT run_id, ended FROM jobs WHERE thread = ? AND job_id = run_id AND ended IS NOT ? ORDER BY rowid DESC",
            (thread, REFUSED),
        )
        runs = (row["run_id"] for row in rows if row["ended"] or self._jobs.ended_if_known(row["run_id"]) != REFUSED)
        return next(runs, None)

    def run_of_pull(self, thread: str) -> str | None:
        """The run that opened a pull request, also when it has ended a moment ago."""
        if (known := self._pull(thread)) is not None:
            return known
        self._close_some(thread.rpartition("-")[0])
        return self._pull(thread)

    def live_jobs(self, run_id: str) -> tuple[str, ...]:
        """Jobs of a run that are not over."""
        return tuple(
            job_id for job_id, ended in self._jobs.of(run_id) if ended is None and not self._jobs.ended(job_id)
        )

    def is_overtaken(self, job_id: str) -> bool:
        """Whether a later job of the same run is at work, or was heard."""
        jobs = self._jobs.of(run_of(job_id))
        later = jobs[[known for known, _ in jobs].index(job_id) + 1 :]
        return any((ended or self._jobs.ended(known)) not in _UNHEARD for known, ended in later)

    def state(self, run_id: str) -> RunState:
        """How a run stands. What the engine does not know any more is over; while it cannot be asked, too."""
        jobs = self._jobs.of(run_id)
        if not jobs:
            return "none"
        try:
            results = [(job_id, ended or self._jobs.ended(job_id)) for job_id, ended in jobs]
        except EngineError:
            # Unknown is not a reason to lose a request; the engine runs one job per repository anyway.
            logger.exception("cannot ask the engine for a run")
            return "over"
        if any(result is None for _, result in results):
            return "live"
        # What a stranger said, and what failed before it was heard, leaves a run that waits waiting.
        counted = [result for job_id, result in results if job_id == run_id or result not in _UNHEARD]
        return "waiting" if counted[-1] == WAITING else "over"

    def ended(self) -> Iterator[Job]:
        """Jobs that are over and not closed yet.

        Raises:
            EngineError: The engine cannot be asked.
        """
        for job_id in self._jobs.unclosed():
            job = self._engine.status(job_id)
            if job is None:  # ended so long ago that the engine has forgotten it
                self._rows("UPDATE jobs SET ended = 'forgotten' WHERE job_id = ?", (job_id,))
            elif job.state not in {"queued", "running"}:
                yield job

    def _close_some(self, repository: str) -> None:
        """Write down which of a repository's oldest jobs went well: they run one after the other, and who asked waits for this.

        Those that failed are left to the desk, which tells of them.
        """
        try:
            mine = [job_id for job_id in self._jobs.unclosed() if job_id.startswith(f"{repository}-")]
            for job in filter(None, map(self._engine.status, mine[:_MAX_LOOKED_AT])):
                if job.state == "done":
                    self.close(job)
        except EngineError:
            logger.exception("cannot ask the engine which jobs ended")

    def close(self, job: Job) -> None:
        """Write down how a job ended, and which pull request it opened."""
        result = job.result or {}
        run_id = job.id.partition(".")[0]
        number = result.get("number")
        with self._store.database.together():
            if isinstance(number, int):
                repository = thread_of(run_id).rpartition("-")[0]
                thread, awaits = f"{repository}-{number}", result.get("awaits")
                values = (thread, run_id, str(result.get("branch") or ""))
                self._rows("INSERT OR REPLACE INTO pulls (thread, run_id, branch) VALUES (?, ?, ?)", values)
                if isinstance(awaits, str):
                    self._waits.begin(thread, run_id, awaits)
                else:
                    self._waits.end(thread)
            self._rows("UPDATE jobs SET ended = ? WHERE job_id = ?", (ending(job.state, result), job.id))

    def _followups(self, run_id: str) -> list[Followup]:
        """What was added to a run by people who may, and by checks."""
        rows = self._rows(
            "SELECT job_id, ended, work FROM jobs WHERE run_id = ? AND job_id <> run_id AND work <> '' ORDER BY rowid",
            (run_id,),
        )
        heard = [row for row in rows if (row["ended"] or self._jobs.ended_if_known(row["job_id"])) not in _UNHEARD]
        works = [Work.model_validate_json(row["work"]) for row in heard]
        return [work.followup for work in works if work.followup is not None]

    def _pull(self, thread: str) -> str | None:
        rows = self._rows("SELECT run_id FROM pulls WHERE thread = ?", (thread,))
        return str(rows[0]["run_id"]) if rows else None

    def _has_pull(self, run_id: str) -> bool:
        """Also when it has ended a moment ago."""
        try:
            for job_id in self._jobs.unclosed():
                job = self._engine.status(job_id) if run_of(job_id) == run_id else None
                if job is not None and job.state == "done":  # of others the watchdog must hear
                    self.close(job)
        except EngineError:
            logger.exception("cannot ask the engine whether a run opened a pull request")
        return bool(self._rows("SELECT 1 AS one FROM pulls WHERE run_id = ?", (run_id,)))


def _awaited(request: Request, store: Store, waits: Waits, *, now: str) -> Situation:
    """The run whose pull request waits for the checks of a commit."""
    wait = waits.of_commit(request.repository.id, request.head.sha) if request.head else None
    task = store.task(wait.run_id) if wait else None
    if wait is None or task is None:
        return Situation(now=now)
    return Situation(now=now, state="over", task=task, own_pull=True, has_pull=True, awaits=wait.number)
