"""The file of deliveries."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coder.types import RepoRef, Task
from webhooks.engine.memory import MemoryEngine
from webhooks.errors import StoreError
from webhooks.ledger import Ledger
from webhooks.store import Delivery, Store
from webhooks.work import Work, thread_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "deliveries.db")
    yield opened
    opened.close()


def task(run_id: str = "gh42-12-0123456789abcdef") -> Task:
    return Task(
        run_id=run_id,
        repo=RepoRef(owner="octo", name="tools"),
        kind="issue",
        number=12,
        requested_by="mona",
        requested_at="2026-01-02T03:04:05Z",
        model="m",
    )


def delivery(digest: str = "d1", event: str = "issues", **changes: Any) -> Delivery:
    values = {"guid": "g", "received_at": "2026-01-02T03:04:06Z", "repo": "octo/tools", "decision": "run"}
    return Delivery.model_validate({"digest": digest, "event": event, "run_id": task().run_id} | values | changes)


def refused(reason: str = "no", **changes: Any) -> Delivery:
    return delivery(decision="refused", reason=reason, run_id=None, **changes)


def test_the_file_is_in_wal_mode(store: Store, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "deliveries.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_delivery_is_found_by_digest_and_event(store: Store) -> None:
    store.add(delivery(), Work(task=task()))

    assert store.delivery("d1", "issues") == delivery()
    assert store.delivery("d1", "issue_comment") is None
    assert store.delivery("d2", "issues") is None


def test_a_task_waits_until_the_engine_has_it(store: Store) -> None:
    store.add(delivery(), Work(task=task()))
    waiting = store.to_enqueue()
    store.mark_enqueued(task().run_id)

    assert waiting == (Work(task=task()),)
    assert store.to_enqueue() == ()
    assert store.task(task().run_id) == task()


def test_a_run_is_never_overwritten_and_a_refusal_may_be(store: Store) -> None:
    store.add(delivery(), Work(task=task()))
    store.add(refused(), None)
    store.add(refused(digest="d2"), None)
    store.add(delivery(digest="d2"), Work(task=task()))

    assert [one.decision for one in store.deliveries()] == ["run", "run"]


def test_one_run_in_two_deliveries_is_one_run(store: Store) -> None:
    store.add(delivery(), Work(task=task()))
    store.mark_enqueued(task().run_id)
    store.add(delivery(digest="d2"), Work(task=task()))

    assert store.to_enqueue() == ()


def test_the_latest_run_of_an_issue(store: Store) -> None:
    later = task("gh42-12-ffffffffffffffff")
    other = task("gh42-13-ffffffffffffffff")
    for number, one in enumerate((task(), later, other)):
        store.add(delivery(digest=f"d{number}", run_id=one.run_id), Work(task=one))

    ledger = Ledger(store, MemoryEngine(None))
    assert ledger.latest_run("gh42-12") == later.run_id
    assert ledger.latest_run("gh42-1") is None
    assert thread_of(other.run_id) == "gh42-13"


def test_it_survives_being_closed(tmp_path: Path) -> None:
    first = Store(tmp_path / "x.db")
    first.add(delivery(), Work(task=task()))
    first.close()

    second = Store(tmp_path / "x.db")

    assert [one.digest for one in second.deliveries()] == ["d1"]
    second.close()


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    (tmp_path / "junk.db").write_bytes(b"not a database" * 100)

    with pytest.raises(StoreError, match=r"junk\.db"):
        Store(tmp_path / "junk.db")
    with pytest.raises(StoreError, match="missing"):
        Store(tmp_path / "missing" / "x.db")


def test_what_cannot_be_written_is_said(store: Store) -> None:
    store.close()

    with pytest.raises(StoreError):
        store.add(delivery(), Work(task=task()))
    with pytest.raises(StoreError):
        store.deliveries()


def test_what_is_old_goes_and_its_run_stays_known(store: Store) -> None:
    waiting = task("gh42-13-0123456789abcdef")
    store.add(delivery(), Work(task=task()))
    store.mark_enqueued(task().run_id)
    store.add(delivery(digest="d2", run_id=waiting.run_id), Work(task=waiting))
    store.add(delivery(digest="d3", received_at="2026-02-01T00:00:00Z"), None)

    removed = store.forget(before="2026-01-20T00:00:00Z")

    assert removed == 2
    assert [one.digest for one in store.deliveries()] == ["d3"]
    assert (store.task(task().run_id), store.is_known(task().run_id)) == (None, True)
    assert store.to_enqueue() == (Work(task=waiting),)


def test_runs_are_counted_by_repository_and_person(store: Store) -> None:
    for number, repository in enumerate((4, 42, 42, 421)):
        one = task(f"gh{repository}-{number + 1}-0123456789abcdef")
        store.add(delivery(digest=f"d{number}", run_id=one.run_id), Work(task=one))

    assert len(store.jobs_in("gh42", since="2026-01-01")) == 2
    assert store.jobs_in("gh42", since="2026-01-03") == ()
    assert len(store.jobs_by("MONA", since="2026-01-01")) == 4
    assert store.jobs_by("ann", since="2026-01-01") == ()
