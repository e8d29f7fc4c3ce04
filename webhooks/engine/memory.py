"""An engine in memory, for tests: the same contract, no durability across processes."""

import itertools
import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

from typing_extensions import override

from coder.types import JsonObject
from webhooks.engine.dbos_engine import bounded, guarded
from webhooks.engine.port import NORMAL_PRIORITY, Drained, Job, JobEngine, JobState, Runner
from webhooks.errors import EngineError


@dataclass(slots=True)
class _Entry:
    number: int
    payload: JsonObject
    priority: int
    ready_at: float
    job: Job


@dataclass(slots=True)
class _Threads:
    stop: bool = False
    started: list[threading.Thread] = field(default_factory=list)


class MemoryEngine(JobEngine):
    """Jobs in a dictionary. `concurrency` threads take them, one per repository at a time."""

    def __init__(self, runner: Runner | None, *, concurrency: int = 2) -> None:
        self._runner = runner
        self._concurrency = concurrency
        self._entries: dict[str, _Entry] = {}
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._threads = _Threads()

    @override
    def submit(
        self, job_id: str, payload: JsonObject, *, repo: str, priority: int = NORMAL_PRIORITY, delay_s: float = 0.0
    ) -> Job:
        with self._changed:
            known = self._entries.get(job_id)
            if known is not None:
                return known.job
            now = _now_ms()
            job = Job(id=job_id, repo=repo.lower(), state="queued", created_ms=now, updated_ms=now)
            # Through JSON, as a database would do it.
            copied: JsonObject = json.loads(json.dumps(payload))
            self._entries[job_id] = _Entry(next(self._numbers), copied, priority, now + delay_s * 1000, job)
            self._changed.notify_all()
            return job

    @override
    def cancel(self, job_id: str) -> bool:
        with self._changed:
            entry = self._entries.get(job_id)
            if entry is None or entry.job.state not in {"queued", "running"}:
                return False
            self._become(entry, "cancelled")
            return True

    @override
    def status(self, job_id: str) -> Job | None:
        with self._changed:
            entry = self._entries.get(job_id)
            return None if entry is None else entry.job

    @override
    def list(self, *, limit: int = 50) -> tuple[Job, ...]:
        with self._changed:
            newest = sorted(self._entries.values(), key=lambda entry: -entry.number)
            return tuple(entry.job for entry in newest[:limit])

    @override
    def forget(self, *, before: datetime) -> int:
        limit = int(before.timestamp() * 1000)
        with self._changed:
            old = [
                one
                for one, entry in self._entries.items()
                if entry.job.created_ms < limit and entry.job.state not in {"queued", "running"}
            ]
            for one in old:
                del self._entries[one]
            return len(old)

    @override
    def run_worker(self) -> None:
        if self._runner is None:
            raise EngineError("this process has no runner: it can only submit jobs")
        runner = self._runner
        for number in range(self._concurrency):
            thread = threading.Thread(target=self._work, args=(runner,), name=f"memory-engine-{number}", daemon=True)
            self._threads.started.append(thread)
            thread.start()

    def _work(self, runner: Runner) -> None:
        while (entry := self._take()) is not None:
            result = bounded(guarded(runner, entry.payload))
            with self._changed:
                if entry.job.state == "running":
                    self._become(entry, "failed" if result.get("ok") is False else "done", result)

    def _take(self) -> _Entry | None:
        with self._changed:
            while not self._threads.stop:
                entry = self._next()
                if entry is not None:
                    self._become(entry, "running")
                    return entry
                # Delayed jobs become ready by the clock alone.
                self._changed.wait(timeout=0.05)
            return None

    def _next(self) -> _Entry | None:
        busy = {entry.job.repo for entry in self._entries.values() if entry.job.state == "running"}
        now = _now_ms()
        ready = [
            entry
            for entry in self._entries.values()
            if entry.job.state == "queued" and entry.ready_at <= now and entry.job.repo not in busy
        ]
        return min(ready, key=lambda entry: (entry.priority, entry.number), default=None)

    def _become(self, entry: _Entry, state: JobState, result: JsonObject | None = None) -> None:
        entry.job = entry.job.model_copy(update={"state": state, "result": result, "updated_ms": _now_ms()})
        self._changed.notify_all()

    @override
    def drain(self, *, timeout_s: float) -> Drained:
        with self._changed:
            self._threads.stop = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._running(), timeout=timeout_s)
            left = self._running()
            for entry in left:
                self._become(entry, "queued")
        self._join(timeout_s=0.0 if left else timeout_s)
        return Drained(left=tuple(entry.job.id for entry in left))

    def _running(self) -> tuple[_Entry, ...]:
        return tuple(entry for entry in self._entries.values() if entry.job.state == "running")

    def _join(self, *, timeout_s: float) -> None:
        for thread in self._threads.started:
            thread.join(timeout=timeout_s)
        self._threads = _Threads()

    @override
    def close(self) -> None:
        with self._changed:
            self._threads.stop = True
            self._changed.notify_all()


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
