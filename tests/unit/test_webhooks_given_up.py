"""Of words whose job was given up people are told, whatever else goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.webhooks_payloads import commented, reviewed
from tests.unit.webhooks_place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.engine.close()
    place.store.close()


def test_of_a_review_that_was_given_up_people_are_told_that_it_has_no_answer(place: Place) -> None:
    run = place.published()
    place.deliver("pull_request_review", reviewed())
    place.engine.end(f"{run}.review-900", state="failed", ok=False, error="given up", kind="poison")

    place.desk.watch()
    place.work()

    said = "The review by `mona` has no answer: its job failed. `/coder continue` goes on, or say it again."
    assert place.forge.statuses == {f"lost-{run}.review-900": said, run: f"{run} given up"}


def test_of_a_review_that_was_given_up_people_are_told_though_the_run_goes_on(place: Place) -> None:
    run = place.published()
    place.deliver("pull_request_review", reviewed())
    place.engine.end(f"{run}.review-900", state="failed", ok=False, error="given up", kind="poison")
    place.say("@coder rename it", number=30, on_pull=True)

    place.desk.watch()
    place.work()

    assert list(place.forge.statuses) == [f"lost-{run}.review-900"]


def test_of_a_job_that_dies_after_a_stop_that_came_before_it_people_are_told(place: Place) -> None:
    run = place.started()
    place.say("/coder stop")
    place.work()
    for job in (run, f"{run}.comment-101"):
        place.engine.end(job, state="cancelled" if job == run else "done", ok=True, outcome="stopped")
    place.desk.watch()
    later = commented("/coder continue", comment_id=102, number=12)
    later["comment"]["created_at"] = "2026-01-02T05:00:00Z"
    place.deliver("issue_comment", later)
    place.engine.end(f"{run}.comment-102", state="failed", ok=False, error="given up", kind="poison")

    told = place.desk.watch()

    assert told == 1
