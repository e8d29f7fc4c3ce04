"""A stranger's word, until it is refused, stands in nobody's way: what permitted people ask meanwhile is decided after it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.webhooks_place import Place
from webhooks.deferred import MAX_OF_ONE
from webhooks.work import run_of


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.engine.close()
    made.store.close()


def asked_for(place: Place) -> list[str]:
    """Who asked for the jobs that are kept, the oldest first."""
    return [str(row["sender"]) for row in place.store.database.rows("SELECT sender FROM jobs ORDER BY rowid")]


@pytest.mark.parametrize("body", ["/coder fix", "/coder plan", "@coder mend it", "@coder retry"])
def test_a_request_behind_a_strangers_is_decided_when_that_is_refused(place: Place, body: str) -> None:
    place.say("/coder fix", by="eve")

    answer = place.say(body)
    too_early = place.intake.enqueue_pending()
    place.work()
    place.intake.enqueue_pending()

    assert "not known yet" in str(answer)
    assert too_early == 0
    assert asked_for(place) == ["eve", "mona"]
    assert len({run_of(job) for job in place.jobs()}) == 2


def test_a_request_behind_a_permitted_persons_is_what_it_always_was(place: Place) -> None:
    place.forge.writers = frozenset({"mona", "eve"})
    run = str(place.say("/coder fix", by="eve")["run"])

    place.say("/coder fix")
    place.say("@coder use bcrypt")
    place.work()
    place.intake.enqueue_pending()
    place.work()

    assert asked_for(place) == ["eve", "mona"]
    assert [said.note.body for said in place.inbox.of(run)] == ["@coder use bcrypt"]


def test_what_waits_for_its_decision_survives_the_process(place: Place) -> None:
    place.say("/coder fix", by="eve")
    place.say("/coder fix max=$2")
    place.work()
    rows = place.store.database.rows("SELECT count(*) AS n FROM deferred")

    for _ in range(2):
        place.intake.enqueue_pending()

    (task,) = (one for one in map(place.store.task, place.jobs()) if one is not None and one.requested_by == "mona")
    assert rows == [{"n": 1}]
    assert asked_for(place) == ["eve", "mona"]
    assert task.limits.max_cost_usd == 2.0
    assert place.store.database.rows("SELECT * FROM deferred") == []


def test_a_strangers_word_to_a_run_that_waits_holds_up_no_fix(place: Place) -> None:
    run = place.started()
    place.engine.end(run, ok=True, verdict="no_change", outcome="submitted")
    place.say("@coder and now?", by="eve")

    place.say("/coder retry")
    place.work()
    place.intake.enqueue_pending()

    assert asked_for(place) == ["mona", "eve", "mona"]


def test_a_flood_of_one_person_leaves_room_for_another(place: Place) -> None:
    place.say("/coder fix", by="eve")
    for _ in range(MAX_OF_ONE + 30):
        place.say("/coder fix", by="mallory")
    place.say("/coder fix")
    kept = place.store.database.rows("SELECT count(*) AS n FROM deferred")

    for _ in range(3):
        place.work()
        place.intake.enqueue_pending()

    assert kept == [{"n": MAX_OF_ONE + 1}]
    assert asked_for(place) == ["eve", "mallory", "mona"]


def test_stop_waits_for_nobody(place: Place) -> None:
    run = str(place.say("/coder fix", by="eve")["run"])

    place.say("/coder stop")
    place.work()

    assert place.stopped == [run]


def test_who_was_denied_and_may_now_is_asked_about_anew(place: Place) -> None:
    place.say("/coder help", by="eve")
    place.work()
    place.forge.writers = frozenset({"mona", "eve"})

    run = str(place.say("/coder fix", by="eve")["run"])
    place.work()

    assert place.eyes()
    assert place.intake.enqueue_pending() == 0
    assert place.store.database.rows("SELECT ended FROM jobs WHERE job_id = ?", (run,)) == [{"ended": None}]


@pytest.mark.parametrize("body", ["/coder continue", "/coder revise it", "/coder approve", "@coder status"])
def test_what_a_stranger_asked_for_is_no_run_to_go_on_with(place: Place, body: str) -> None:
    run = str(place.say("/coder fix base=evil max=$5", by="eve")["run"])
    place.engine.end(run, ok=True, verdict="refused", outcome="failed")

    answer = place.say(body)
    place.work()

    assert "answered" in answer
    assert asked_for(place) == ["eve"]
    assert len(place.forge.statuses) == 1
