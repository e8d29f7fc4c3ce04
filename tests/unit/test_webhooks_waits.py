"""A draft that waits for the checks of its commit, over a forge and an engine in memory."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from coder.forge.protocol import CHECK_NAME
from coder.types import JsonObject
from tests.unit.webhooks_payloads import SHA, check, status
from tests.unit.webhooks_place import Place
from webhooks.waits import BEGIN_S, WAIT_S

OTHER = "6" * 40


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.engine.close()
    made.store.close()


def waiting(place: Place, sha: str = SHA) -> str:
    """A run whose pull request 30 waits for the checks of `sha`; nothing was to be seen at the first look."""
    run = place.started()
    place.engine.end(run, ok=True, verdict="proven", outcome="submitted", number=30, awaits=sha)
    place.desk.watch()
    place.work()
    return run


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("check_suite", check("check_suite", conclusion="success")),
        ("workflow_run", check("workflow_run", conclusion="success")),
        ("check_suite", check("check_suite", conclusion="skipped", pulls=())),
        ("status", status()),
    ],
)
def test_checks_that_pass_make_it_ready_and_nothing_more(place: Place, event: str, payload: JsonObject) -> None:
    waiting(place)
    place.forge.checks.states[SHA] = "green"

    place.deliver(event, payload)
    place.deliver(event, payload)
    place.work()
    again = place.deliver("check_suite", check("check_suite", conclusion="success", id=7001))
    place.work()

    assert place.forge.checks.released == [(30, SHA)]
    assert again == {"refused": "no draft of ours waits for the checks of this commit"}
    assert place.jobs() == [place.jobs()[0]]


@pytest.mark.parametrize("state", ["none", "pending", "red"])
def test_it_stays_a_draft_while_others_are_not_green(place: Place, state: str) -> None:
    waiting(place)
    place.forge.checks.states[SHA] = state  # type: ignore[assignment]  # a parameter is any text

    place.deliver("check_suite", check("check_suite", conclusion="success"))
    place.work()

    assert place.forge.checks.released == []
    assert place.forge.statuses == {}


def test_a_lost_event_is_made_up_for_by_looking(place: Place) -> None:
    waiting(place)
    place.forge.checks.states[SHA] = "green"

    place.desk.watch()
    early = place.work()
    place.now += timedelta(seconds=61)
    place.desk.watch()
    place.work()

    assert early == 0
    assert place.forge.checks.released == [(30, SHA)]


def test_a_check_of_another_commit_or_one_that_fails_releases_nothing(place: Place) -> None:
    waiting(place)
    place.forge.checks.states |= {SHA: "green", OTHER: "green"}

    other = place.deliver("check_suite", check("check_suite", conclusion="success", head_sha=OTHER))
    single = place.deliver("check_run", check("check_run", conclusion="success"))
    failed = place.deliver("status", status(state="failure", branches=[]))

    assert other == {"refused": "no draft of ours waits for the checks of this commit"}
    assert single == {"refused": "nothing reacts to check_run.completed with success"}
    assert failed == {"refused": "a failed check that belongs to no pull request of ours"}
    assert place.work() == 0


def test_no_check_at_all_is_told_once(place: Place) -> None:
    waiting(place)

    for minutes in (1, 2, 4, 8, 16, 32):
        place.now += timedelta(minutes=minutes)
        place.desk.watch()
        place.work()

    (told,) = place.forge.statuses.values()
    assert f"No check began on {SHA}" in told
    assert place.forge.checks.released == []


@pytest.mark.parametrize("state", ["failure", "error"])
def test_a_red_status_of_the_branch_of_our_pull_request_is_a_failed_check_of_it(place: Place, state: str) -> None:
    run = place.started()
    place.engine.end(run, ok=True, outcome="submitted", number=30, branch="coder/issue-12-it-breaks")

    answers = [
        place.deliver("status", status(state, branch="coder/issue-13-other")),
        place.deliver("status", status("pending")),
        place.deliver("status", status(state, context=CHECK_NAME)),
        place.deliver(
            "status", status(state, branches=[{"name": "coder/issue-12-it-breaks", "commit": {"sha": OTHER}}])
        ),
        place.deliver("status", status(state, branch="main")),
        place.deliver("status", status(state)),
        place.deliver("status", status(state, context="ci/other")),
        place.deliver("check_suite", check(pulls=())),
    ]

    assert [answer.get("refused") or answer["run"] for answer in answers] == [
        "a failed check that belongs to no pull request of ours",
        "nothing reacts to status with pending",
        "our own check",
        "a failed check that belongs to no pull request of ours",
        "a failed check that belongs to no pull request of ours",
        run,
        "the run is at work: its next commit is checked anew",
        "a failed check that belongs to no pull request of ours",
    ]
    assert place.jobs() == [run, f"{run}.checks-{SHA[:16]}"]


def test_it_is_not_waited_for_ever(place: Place) -> None:
    waiting(place)
    place.forge.checks.states[SHA] = "pending"
    place.now += timedelta(seconds=WAIT_S + BEGIN_S)
    place.desk.watch()
    place.work()
    place.forge.checks.states[SHA] = "green"

    answer = place.deliver("check_suite", check("check_suite", conclusion="success"))

    assert "did not end within a day" in "".join(place.forge.statuses.values())
    assert answer == {"refused": "no draft of ours waits for the checks of this commit"}


def test_a_follow_up_that_is_not_proven_ends_the_wait(place: Place) -> None:
    run = waiting(place)
    place.forge.checks.states[SHA] = "green"
    place.say("@coder rename it", number=30, on_pull=True)
    (job,) = [one for one in place.jobs() if one != run]
    place.engine.end(job, ok=True, verdict="passing", outcome="submitted", number=30, awaits=None)
    place.desk.watch()

    answer = place.deliver("check_suite", check("check_suite", conclusion="success"))

    assert "refused" in answer
    assert place.forge.checks.released == []


def test_whoever_lost_permission_gets_no_review_asked_for(place: Place) -> None:
    waiting(place)
    place.forge.checks.states[SHA] = "green"
    place.forge.writers = frozenset()

    place.deliver("check_suite", check("check_suite", conclusion="success"))
    place.work()

    assert place.forge.checks.released == []


def test_what_failed_at_github_is_tried_again(place: Place) -> None:
    waiting(place)
    place.forge.checks.states[SHA] = "green"
    place.deliver("check_suite", check("check_suite", conclusion="success"))
    place.forge.failure = "GitHub is away"

    place.work()
    place.now += timedelta(seconds=10)
    place.work()

    assert place.forge.checks.released == [(30, SHA)]
