"""Leases, and what a worker concludes from them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from dbos import DBOSClient, DBOSPortableJSONSerializer

from webhooks.engine.database import add_unixepoch, sqlite_engine, sqlite_url
from webhooks.engine.dbos_engine import QUEUE, DbosEngine, EngineOptions
from webhooks.engine.leases import Leases
from webhooks.engine.recovery import Held, Pace, Recovery, lost, orphans, taken


@dataclass
class Clock:
    """A clock that is set by hand; SQLite's `unixepoch` reads it."""

    now: datetime = field(default_factory=lambda: datetime(2026, 1, 2, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Place:
    """One job database with a hand-set clock, and the means to pretend that somebody runs a job."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.submitting = DbosEngine(EngineOptions(state_dir=folder), None)
        self.database = sqlite_engine(folder / "jobs.db", clock=self.clock)
        # Newer versions of SQLite have a clock of their own, which cannot be set.
        sa.event.listen(self.database, "connect", lambda connection, _record: add_unixepoch(connection, self.clock))
        self.leases = Leases(self.database, folder)
        self.client = DBOSClient(
            system_database_engine=self.database, serializer=DBOSPortableJSONSerializer(), application_name="coder"
        )
        self.running: set[str] = set()
        self.stopped: list[str] = []

    def watch(self, me: str = "me") -> Recovery:
        return Recovery(
            self.client,
            self.leases,
            executor_id=me,
            queue=QUEUE,
            running=lambda: frozenset(self.running),
            stop_job=self.stopped.append,
            pace=Pace(beat_s=10, lease_s=60, audit_s=20),
            max_deaths=3,
        )

    def beats(self, watch: Recovery, times: int) -> None:
        for _ in range(times):
            self.clock.tick(10)
            watch.tick()

    def run_at(self, job: str, executor_id: str) -> None:
        """Make the database say that `job` runs at `executor_id`, as DBOS does when it takes it."""
        self.submitting.submit(job, {}, repo="octo/tools")
        with self.database.begin() as connection:
            connection.execute(
                sa.text("UPDATE workflow_status SET status = 'PENDING', executor_id = :e WHERE workflow_uuid = :j"),
                {"e": executor_id, "j": job},
            )

    def state(self, job: str) -> str:
        found = self.submitting.status(job)
        assert found is not None
        return found.state

    def close(self) -> None:
        self.client.destroy()
        self.database.dispose()
        self.submitting.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


HELD = (Held("mine", "me"), Held("theirs", "other"), Held("dead's", "dead"))


def test_orphans_are_jobs_of_workers_without_a_lease() -> None:
    assert orphans(HELD, {"other"}, "me") == ("dead's",)
    assert orphans(HELD, {"other", "dead"}, "me") == ()


def test_lost_jobs_are_ours_and_run_nowhere() -> None:
    assert lost(HELD, "me", set()) == {"mine"}
    assert lost(HELD, "me", {"mine"}) == frozenset()


def test_taken_jobs_run_here_and_are_not_ours() -> None:
    assert taken(HELD, "me", {"mine", "theirs", "cancelled"}) == {"theirs", "cancelled"}


def test_a_lease_ends_when_it_is_not_renewed(place: Place) -> None:
    place.leases.beat("a")
    place.clock.tick(30)
    place.leases.beat("b")
    place.clock.tick(45)

    assert place.leases.live(lease_s=60) == {"b"}
    place.leases.beat("a")
    place.leases.leave("b")
    assert place.leases.live(lease_s=60) == {"a"}


def test_one_reaper_at_a_time(place: Place, tmp_path: Path) -> None:
    other = Leases(place.database, tmp_path)

    with place.leases.reaping() as first, other.reaping() as second:
        assert (first, second) == (True, False)
    with other.reaping() as again:
        assert again is True


def test_a_job_of_a_dead_worker_is_queued_again_on_its_own_queue(place: Place) -> None:
    place.run_at("a", "dead")
    watch = place.watch()

    place.beats(watch, 8)

    assert place.state("a") == "queued"
    assert [one.queue_name for one in place.client.list_workflows(workflow_ids=["a"])] == [QUEUE]


def test_nothing_is_reaped_before_a_full_lease_was_watched(place: Place) -> None:
    place.run_at("a", "dead")

    place.beats(place.watch(), 6)

    assert place.state("a") == "running"


def test_a_job_of_a_living_worker_is_left_alone(place: Place) -> None:
    place.run_at("a", "other")
    watch = place.watch()
    for _ in range(20):
        place.leases.beat("other")
        place.beats(watch, 1)

    assert place.state("a") == "running"


def test_a_job_that_every_worker_dies_of_is_given_up(place: Place) -> None:
    watch = place.watch()
    place.beats(watch, 7)
    for _ in range(4):
        place.run_at("a", "dead")
        place.beats(watch, 1)

    assert place.state("a") == "cancelled"


def test_a_job_of_ours_that_runs_nowhere_is_queued_again_after_a_while(place: Place) -> None:
    place.run_at("a", "me")
    watch = place.watch()

    place.beats(watch, 2)
    early = place.state("a")
    place.beats(watch, 1)

    assert (early, place.state("a")) == ("running", "queued")


def test_a_job_of_ours_that_runs_is_left_alone(place: Place) -> None:
    place.run_at("a", "me")
    place.running.add("a")

    place.beats(place.watch(), 20)

    assert (place.state("a"), place.stopped) == ("running", [])


def test_a_job_that_was_taken_from_us_is_stopped_here(place: Place) -> None:
    place.run_at("a", "other")
    place.running.add("a")

    place.beats(place.watch(), 1)

    assert place.stopped == ["a"]


def test_handing_back_queues_our_jobs_and_ends_the_lease(place: Place) -> None:
    place.run_at("a", "me")
    place.run_at("b", "other")
    watch = place.watch()
    place.beats(watch, 1)

    watch.hand_back()

    assert (place.state("a"), place.state("b")) == ("queued", "running")
    assert place.leases.live(lease_s=60) == frozenset()


def test_the_url_of_a_file_is_absolute(tmp_path: Path) -> None:
    assert sqlite_url(tmp_path / "x.db") == f"sqlite:///{tmp_path}/x.db"
