"""Workers that are killed, stopped and started again; real processes on one SQLite file."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.integration.engine_process import MAX_DEATHS
from webhooks.engine.database import add_unixepoch, sqlite_engine, utc_now
from webhooks.engine.dbos_engine import DbosEngine, EngineOptions
from webhooks.engine.port import Job

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        threading.Event().wait(0.03)


class Workers:
    """Worker processes over one folder, and a client of the same database."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder, self.url = folder, url
        self.client = DbosEngine(EngineOptions(state_dir=folder, database_url=url), None)
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, mode: str = "quick", *options: str, executor_id: str = "local") -> subprocess.Popen[str]:
        state = self.folder if self.url is None else self.folder / executor_id
        state.mkdir(exist_ok=True)
        more = [*options, *([] if self.url is None else [self.url])]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.engine_process", str(state), executor_id, mode, *more],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        )
        self.processes.append(process)
        return process

    def seen(self, job: str) -> Job:
        found = self.client.status(job)
        assert found is not None
        return found

    def submit(self, *jobs: str, repo: str = "octo/tools") -> None:
        for job in jobs:
            self.client.submit(job, {"job": job}, repo=repo)

    def log(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def go(self) -> None:
        (self.folder / "go").touch()

    def over(self, *jobs: str) -> None:
        until(lambda: all(self.seen(job).state not in {"queued", "running"} for job in jobs))

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate(timeout=DEADLINE_S)
        self.client.close()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    made = Workers(tmp_path)
    yield made
    made.close()


def test_a_worker_killed_in_the_middle_of_a_job_completes_it_once_when_started_again(workers: Workers) -> None:
    first = workers.start("hold")
    workers.submit("a", "b")
    until(lambda: workers.log() == ["begin a"])
    first.kill()
    first.wait(timeout=DEADLINE_S)
    abandoned = workers.seen("a").state

    workers.go()
    workers.start("hold")
    workers.over("a", "b")

    assert abandoned == "running"
    assert workers.log() == ["begin a", "begin a", "end a", "begin b", "end b"]
    assert workers.seen("a").result == {"ok": True, "job": "a", "by": "local"}


def test_a_finished_job_is_never_begun_again(workers: Workers) -> None:
    first = workers.start()
    workers.submit("a")
    workers.over("a")
    first.kill()
    first.wait(timeout=DEADLINE_S)

    workers.start()
    workers.submit("a", "b")
    workers.over("b")

    assert workers.log() == ["begin a", "end a", "begin b", "end b"]


def test_a_second_process_with_the_same_executor_id_refuses_to_start(workers: Workers) -> None:
    workers.start("hold")
    workers.submit("a")
    until(lambda: workers.log() == ["begin a"])

    second = workers.start()
    _, said = second.communicate(timeout=DEADLINE_S)

    assert second.returncode == 64
    assert "'local' runs already" in said
    assert workers.log() == ["begin a"]


def test_two_workers_share_the_jobs_and_keep_repositories_apart(workers: Workers) -> None:
    workers.start(executor_id="one")
    workers.start(executor_id="two")
    jobs = [f"j{number}" for number in range(8)]
    for number, job in enumerate(jobs):
        workers.submit(job, repo=f"octo/{number % 2}")
    workers.over(*jobs)

    assert sorted(workers.log()) == sorted(f"{word} {job}" for job in jobs for word in ("begin", "end"))


def test_sigterm_lets_a_worker_finish_and_exit(workers: Workers) -> None:
    worker = workers.start("hold")
    workers.submit("a")
    until(lambda: workers.log() == ["begin a"])
    worker.send_signal(signal.SIGTERM)
    workers.go()

    assert worker.wait(timeout=DEADLINE_S) == 0
    assert workers.log() == ["begin a", "end a", "left 0"]
    assert workers.seen("a").state == "done"


def test_sigterm_hands_back_a_job_that_does_not_end_in_time(workers: Workers) -> None:
    worker = workers.start("hold")
    workers.submit("a")
    until(lambda: workers.log() == ["begin a"])
    worker.send_signal(signal.SIGTERM)
    code = worker.wait(timeout=DEADLINE_S)
    handed_back = workers.seen("a").state

    workers.go()
    workers.start("hold", executor_id="another")
    workers.over("a")

    assert (code, handed_back) == (0, "queued")
    assert workers.log() == ["begin a", "left 1", "begin a", "end a"]


def test_the_jobs_of_a_dead_worker_go_to_a_living_one_and_do_not_block_their_repository(workers: Workers) -> None:
    first = workers.start("hold", "fast", executor_id="one")
    workers.submit("a", "b")
    until(lambda: workers.log() == ["begin a"])
    workers.start("hold", "fast", executor_id="two")
    first.kill()
    first.wait(timeout=DEADLINE_S)
    until(lambda: workers.log() == ["begin a", "begin a"])
    workers.go()
    workers.over("a", "b")

    assert workers.log() == ["begin a", "begin a", "end a", "begin b", "end b"]
    assert workers.seen("a").result == {"ok": True, "job": "a", "by": "two"}


def test_a_zombie_is_told_to_stop_and_its_result_is_refused(workers: Workers) -> None:
    zombie = workers.start("hold", "fast", executor_id="one")
    workers.submit("a")
    until(lambda: workers.log() == ["begin a"])
    workers.start("hold", "fast", executor_id="two")
    zombie.send_signal(signal.SIGSTOP)
    until(lambda: workers.log() == ["begin a", "begin a"])
    zombie.send_signal(signal.SIGCONT)
    until(lambda: "stop a" in workers.log())
    workers.go()
    until(lambda: workers.log().count("end a") == 2)
    workers.over("a")

    assert workers.seen("a").result == {"ok": True, "job": "a", "by": "two"}
    assert workers.log().count("begin a") == 2


def test_a_cancelled_job_is_stopped_where_it_runs(workers: Workers) -> None:
    workers.start("hold", "fast")
    workers.submit("a", "b")
    until(lambda: workers.log() == ["begin a"])
    workers.client.cancel("a")
    until(lambda: "stop a" in workers.log())
    workers.go()
    workers.over("b")

    assert workers.seen("a").state == "cancelled"


def died_or_gave_up(workers: Workers, worker: "subprocess.Popen[str]") -> bool:
    return worker.poll() is not None or workers.seen("poison").state == "failed"


def test_a_job_that_kills_its_worker_every_time_is_given_up_and_the_next_one_runs(workers: Workers) -> None:
    workers.submit("poison")
    for _ in range(MAX_DEATHS + 5):
        worker = workers.start("die")
        until(partial(died_or_gave_up, workers, worker))
        if worker.poll() is None:
            worker.kill()
            worker.wait(timeout=DEADLINE_S)
            break

    given_up = workers.seen("poison")
    workers.start()
    workers.submit("next")
    workers.over("next")

    assert given_up.state == "failed"
    assert given_up.result is not None
    assert given_up.result["kind"] == "poison"
    assert MAX_DEATHS <= workers.log().count("begin poison") <= MAX_DEATHS + 1
    assert workers.seen("next").state == "done"


def test_the_job_database_is_in_wal_mode_on_this_machines_sqlite(workers: Workers, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "jobs.db")

    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_unixepoch_is_there_for_old_versions_of_sqlite(tmp_path: Path) -> None:
    connection = sqlite3.connect(":memory:")
    add_unixepoch(connection, lambda: utc_now().replace(year=2026, month=1, day=2, microsecond=250_000))

    exact, whole = connection.execute("SELECT unixepoch('subsec'), unixepoch()").fetchone()

    assert (exact % 1, isinstance(whole, int)) == (0.25, True)
    connection.close()


def test_every_connection_of_the_pool_is_prepared(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "x.db")
    with engine.connect() as one, engine.connect() as two:
        for connection in (one, two):
            facts = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("busy_timeout", "foreign_keys")]
            assert facts == [30_000, 1]
            assert float(str(connection.exec_driver_sql("SELECT unixepoch('subsec')").scalar())) > 1_700_000_000
    engine.dispose()
