"""What every job engine does, DBOS on SQLite and the one in memory alike."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coder.errors import InputError
from coder.types import JsonObject
from webhooks.engine.dbos_engine import MAX_RESULT_BYTES, DbosEngine, EngineOptions
from webhooks.engine.memory import MemoryEngine
from webhooks.engine.port import Job, JobEngine
from webhooks.errors import EngineError

DEADLINE_S = 30


class Recorder:
    """A runner that notes what it is given; behaves as the payload says."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.most_at_once: dict[str, int] = {}
        self._now: dict[str, int] = {}
        self._guard = threading.Lock()
        self.go = threading.Event()

    def __call__(self, payload: JsonObject) -> JsonObject:
        repo = payload.get("repo", "")
        with self._guard:
            self.begun.append(payload["job"])
            self._now[repo] = self._now.get(repo, 0) + 1
            self.most_at_once[repo] = max(self.most_at_once.get(repo, 0), self._now[repo])
        try:
            return self._behave(payload)
        finally:
            with self._guard:
                self._now[repo] -= 1

    def _behave(self, payload: JsonObject) -> JsonObject:
        match payload.get("do"):
            case "hold":
                assert self.go.wait(DEADLINE_S)
            case "refuse":
                raise InputError("the issue is empty")
            case "bug":
                raise KeyError("secret detail")
            case "large":
                return {"ok": True, "text": "x" * 100_000}
            case "odd":
                return {"ok": True, "text": object()}
        return {"ok": True, "job": payload["job"]}


@pytest.fixture
def runner() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.go.set()


@pytest.fixture(params=["dbos", "memory"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, runner: Recorder) -> Iterator[JobEngine]:
    made = (
        DbosEngine(EngineOptions(state_dir=tmp_path, concurrency=4, poll_s=0.05), runner)
        if request.param == "dbos"
        else MemoryEngine(runner, concurrency=4)
    )
    yield made
    runner.go.set()
    made.close()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        threading.Event().wait(0.02)


def seen(engine: JobEngine, job: str) -> Job:
    found = engine.status(job)
    assert found is not None
    return found


def over(engine: JobEngine, *jobs: str) -> None:
    until(lambda: all(seen(engine, job).state in {"done", "failed", "cancelled"} for job in jobs))


def submit(
    engine: JobEngine,
    job: str,
    repo: str = "octo/tools",
    *,
    priority: int = 100,
    delay_s: float = 0.0,
    **payload: object,
) -> Job:
    payload = {"job": job, "repo": repo} | payload
    return engine.submit(job, payload, repo=repo, priority=priority, delay_s=delay_s)


def test_a_job_is_run_once_and_its_result_kept(engine: JobEngine, runner: Recorder) -> None:
    queued = submit(engine, "a")
    engine.run_worker()
    over(engine, "a")

    done = seen(engine, "a")
    assert (queued.id, queued.repo, queued.state) == ("a", "octo/tools", "queued")
    assert (done.state, done.result) == ("done", {"ok": True, "job": "a"})
    assert done.created_ms > 0
    assert runner.begun == ["a"]


def test_a_repeated_id_is_the_job_that_exists(engine: JobEngine, runner: Recorder) -> None:
    engine.run_worker()
    submit(engine, "a")
    over(engine, "a")
    again = submit(engine, "a", do="bug")
    submit(engine, "b")
    over(engine, "b")

    assert (again.state, again.result) == ("done", {"ok": True, "job": "a"})
    assert runner.begun == ["a", "b"]


def test_the_same_job_five_times_in_parallel_is_one(engine: JobEngine, runner: Recorder) -> None:
    engine.run_worker()
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: submit(engine, "a"), range(5)))
    submit(engine, "b")
    over(engine, "a", "b")

    assert sorted(runner.begun) == ["a", "b"]
    assert len(engine.list()) == 2


def test_one_repository_never_has_two_running_jobs(engine: JobEngine, runner: Recorder) -> None:
    jobs = [f"{repo}-{number}" for repo in ("a/x", "b/y") for number in range(4)]
    for job in jobs:
        # GitHub's names ignore case, so one repository in another spelling is the same one.
        submit(engine, job, job.split("-")[0] if job.endswith(("0", "1")) else job.split("-")[0].upper())
    engine.run_worker()
    over(engine, *jobs)

    assert sorted(runner.begun) == sorted(jobs)
    assert set(runner.most_at_once.values()) == {1}
    assert {job.repo for job in engine.list()} == {"a/x", "b/y"}


def test_repositories_do_not_wait_for_each_other(engine: JobEngine, runner: Recorder) -> None:
    engine.run_worker()
    submit(engine, "held", "a/x", do="hold")
    until(lambda: runner.begun == ["held"])
    submit(engine, "behind", "a/x")
    submit(engine, "other", "b/y")
    over(engine, "other")

    assert seen(engine, "held").state == "running"
    assert seen(engine, "behind").state == "queued"
    runner.go.set()
    over(engine, "held", "behind")


def test_low_priority_numbers_run_first(engine: JobEngine, runner: Recorder) -> None:
    submit(engine, "later", priority=200)
    submit(engine, "normal")
    submit(engine, "first", priority=1)
    engine.run_worker()
    over(engine, "later", "normal", "first")

    assert runner.begun == ["first", "normal", "later"]


def test_a_delayed_job_is_queued_until_its_time(engine: JobEngine, runner: Recorder) -> None:
    engine.run_worker()
    submit(engine, "later", delay_s=3600)
    submit(engine, "now")
    over(engine, "now")

    assert seen(engine, "later").state == "queued"
    assert runner.begun == ["now"]


@pytest.mark.parametrize(
    ("do", "error"),
    [
        ("refuse", {"ok": False, "error": "the issue is empty", "kind": "InputError"}),
        ("bug", {"ok": False, "error": "internal error: KeyError", "kind": "bug"}),
    ],
)
def test_a_failure_is_data_and_the_next_job_runs(
    engine: JobEngine, runner: Recorder, do: str, error: JsonObject
) -> None:
    engine.run_worker()
    submit(engine, "bad", do=do)
    submit(engine, "good")
    over(engine, "bad", "good")

    failed = seen(engine, "bad")
    assert (failed.state, failed.result) == ("failed", error)
    assert seen(engine, "good").state == "done"


def test_results_are_small_json(engine: JobEngine) -> None:
    engine.run_worker()
    submit(engine, "large", do="large")
    submit(engine, "odd", do="odd")
    over(engine, "large", "odd")

    large = seen(engine, "large")
    assert large.state == "done"
    assert large.result is not None
    assert large.result["truncated"] is True
    assert len(str(large.result)) < MAX_RESULT_BYTES
    assert seen(engine, "odd").state == "failed"


def test_a_queued_job_can_be_cancelled(engine: JobEngine, runner: Recorder) -> None:
    submit(engine, "a")
    submit(engine, "b")

    assert engine.cancel("a") is True
    engine.run_worker()
    over(engine, "a", "b")
    assert seen(engine, "a").state == "cancelled"
    assert runner.begun == ["b"]


def test_what_is_over_or_unknown_cannot_be_cancelled(engine: JobEngine) -> None:
    engine.run_worker()
    submit(engine, "a")
    over(engine, "a")

    assert engine.cancel("a") is False
    assert engine.cancel("missing") is False
    assert engine.status("missing") is None


def test_the_result_of_a_cancelled_job_is_not_recorded(engine: JobEngine, runner: Recorder) -> None:
    engine.run_worker()
    submit(engine, "a", do="hold")
    until(lambda: runner.begun == ["a"])

    assert engine.cancel("a") is True
    assert seen(engine, "a").state == "cancelled"
    runner.go.set()
    submit(engine, "b")
    over(engine, "b")
    assert (seen(engine, "a").state, seen(engine, "a").result) == ("cancelled", None)


def test_a_listing_is_bounded(engine: JobEngine) -> None:
    for number in range(5):
        submit(engine, f"j{number}")

    assert len(engine.list()) == 5
    assert len(engine.list(limit=2)) == 2


def test_a_drain_waits_for_what_runs_and_takes_nothing_more(engine: JobEngine, runner: Recorder) -> None:
    engine.run_worker()
    submit(engine, "a", do="hold")
    until(lambda: runner.begun == ["a"])
    submit(engine, "b")
    threading.Timer(0.2, runner.go.set).start()

    drained = engine.drain(timeout_s=20)

    assert drained.left == ()
    assert (seen(engine, "a").state, seen(engine, "b").state) == ("done", "queued")
    assert runner.begun == ["a"]


def test_a_drain_that_runs_out_of_time_puts_the_job_back(engine: JobEngine, runner: Recorder) -> None:
    engine.run_worker()
    submit(engine, "a", do="hold")
    until(lambda: runner.begun == ["a"])

    drained = engine.drain(timeout_s=0.1)

    assert drained.left == ("a",)
    assert seen(engine, "a").state == "queued"


def test_a_process_without_a_runner_only_submits(tmp_path: Path) -> None:
    for made in (DbosEngine(EngineOptions(state_dir=tmp_path), None), MemoryEngine(None)):
        submit(made, "a")
        with pytest.raises(EngineError, match="only submit"):
            made.run_worker()
        assert seen(made, "a").state == "queued"
        assert made.drain(timeout_s=0).left == ()
        made.close()
        made.close()


def test_what_is_over_is_forgotten_and_what_waits_is_not(engine: JobEngine, runner: Recorder) -> None:
    submit(engine, "done")
    submit(engine, "bad", do="refuse")
    submit(engine, "later", delay_s=3600)
    early = engine.forget(before=datetime.now(UTC) + timedelta(hours=1))
    engine.run_worker()
    over(engine, "done", "bad")

    too_young = engine.forget(before=datetime.now(UTC) - timedelta(days=1))
    removed = engine.forget(before=datetime.now(UTC) + timedelta(hours=1))

    assert (early, too_young, removed) == (0, 0, 2)
    assert [job.id for job in engine.list()] == ["later"]
    assert runner.begun.count("done") == 1
