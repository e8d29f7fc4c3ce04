"""Webhook in, pull request out: the whole line on real parts, killed wherever it hurts."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coder.trace.events import Verified
from tests.e2e.world import MODEL_KEY, SECRET, TOKEN, World, until

pytestmark = pytest.mark.docker


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def told_by_github(world: World) -> None:
    """What must hold after any run that ended well, however often it was killed."""
    assert len(world.pulls()) == 1
    pull = world.pulls()[0]
    assert world.branches() == [pull.head]
    assert pull.head.startswith("coder/issue-1-")
    assert not pull.draft
    assert len(world.comments()) == 1
    assert "Fixes #1" in pull.body
    assert [e.verdict.kind for e in world.events() if isinstance(e, Verified)] == ["proven"]
    assert len(pull.body) <= 65_536


def test_a_label_becomes_a_proven_pull_request(world: World) -> None:
    world.start()

    first = world.label()
    again = world.label()
    world.finish()

    assert first.status_code == 202
    assert first.json()["run"]
    assert again.status_code == 202
    told_by_github(world)
    assert world.asked() == list(range(7))
    assert {content for _, content in world.issue.reactions} >= {"eyes", "hooray"}
    changed = subprocess.run(
        ["git", "-C", str(world.repo.folder), "diff", "--name-only", "main", world.pulls()[0].head],
        check=True,
        capture_output=True,
        text=True,
    )
    assert changed.stdout.split() == ["bills/money.py", "tests/test_money.py"]


def test_no_secret_leaves(world: World) -> None:
    world.start()
    world.label()
    world.finish()

    journal = (world.folder / "state" / "journal.sqlite").read_bytes()
    texts = [world.pulls()[0].body, world.pulls()[0].title, *(c.body for c in world.comments()), world.log()]
    for secret in (TOKEN, MODEL_KEY, SECRET):
        assert not [text for text in texts if secret in text]
        assert secret.encode() not in journal


STATIONS: dict[str, Callable[[World], object]] = {
    "the problem was read": lambda w: w.happened("problem_read"),
    "the model was asked for the third time": lambda w: w.model.count >= 3,
    "a tool had finished": lambda w: w.happened("tool_finished", times=5),
    "the change was taken": lambda w: w.happened("patch_taken"),
    "the branch was pushed": lambda w: w.branches(),
    "the pull request was opened": lambda w: w.pulls(),
}


@pytest.mark.parametrize("station", STATIONS)
def test_killed_at_a_station_it_ends_the_same_and_nothing_is_doubled(world: World, station: str) -> None:
    world.start()
    world.label()
    until(lambda: STATIONS[station](world), what=station)

    world.kill()
    paid = world.answers()
    before = len(world.asked())
    world.start()
    world.finish()

    told_by_github(world)
    assert [n for n in world.asked()[before:] if n < paid] == []


def test_a_stranger_gets_a_stored_refusal_and_nothing_else(world: World) -> None:
    world.start()

    answer = world.label(sender="stranger")
    until(lambda: world.happened("finished"), what="the refusal")

    assert answer.status_code == 202
    assert world.model.count == 0
    assert world.comments() == []
    assert world.pulls() == []
    assert world.issue.reactions == []
