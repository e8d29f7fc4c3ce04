"""What the clock asks for."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coder.errors import ConfigError, ForgeError
from coder.types import JsonObject, RepoRef
from tests.unit.webhooks_payloads import SECRET, changed, config, delivery, issue, labeled, repository, user
from webhooks.clockwork import MAX_ISSUES, Clockwork
from webhooks.config import Scheduled
from webhooks.engine.memory import MemoryEngine
from webhooks.intake import Intake
from webhooks.store import Store

LABELLED_AT = "2026-03-01T00:00:00Z"


class FakeLookup:
    """GitHub as far as the clock asks it; `asked` counts, `away` fails."""

    def __init__(self) -> None:
        self.issues: dict[str, list[JsonObject]] = {}
        self.events: dict[int, JsonObject] = {}
        self.asked: list[str] = []
        self.away: set[str] = set()

    def repository(self, repo: RepoRef) -> JsonObject:
        self._ask(f"repository {repo.full_name}")
        return repository(repo.full_name)

    def labelled(self, repo: RepoRef, label: str, *, limit: int) -> tuple[JsonObject, ...]:
        self._ask(f"labelled {repo.full_name} {label}")
        return tuple(self.issues.get(label, ())[:limit])

    def labelling(self, repo: RepoRef, number: int, label: str) -> JsonObject | None:
        self._ask(f"labelling {repo.full_name} {number} {label}")
        return self.events.get(number)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if any(name in what for name in self.away):
            raise ForgeError("cannot read: away")


class Place:
    def __init__(self, folder: Path) -> None:
        self.now = datetime(2026, 3, 1, 1, tzinfo=UTC)
        self.engine = MemoryEngine(None)
        self.store = Store(folder / "deliveries.db")
        rules = config(folder, allowed_repos=("octo/tools", "octo/*")).rules()
        self.intake = Intake(SECRET.encode(), rules, self.store, self.engine, clock=lambda: self.now)
        self.lookup = FakeLookup()

    def clockwork(self, *schedule: JsonObject, sweep: bool = False) -> Clockwork:
        return Clockwork(
            self.intake,
            self.store,
            self.lookup,
            schedule=[Scheduled.model_validate(one) for one in schedule],
            sweep_every=timedelta(minutes=10) if sweep else None,
            clock=lambda: self.now,
        )

    def lose(self, number: int = 12, *, label: str = "coder", actor: JsonObject | None = None, **changes: Any) -> None:
        """A label whose webhook never came."""
        self.lookup.issues.setdefault(label, []).append(issue(number, **changes))
        self.lookup.events[number] = {
            "id": 5_000 + number,
            "event": "labeled",
            "created_at": LABELLED_AT,
            "actor": actor or user(),
            "label": {"name": label},
        }

    def runs(self) -> list[str]:
        return [job.id for job in self.engine.list(limit=1000)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.engine.close()
    made.store.close()


def work(**changes: Any) -> JsonObject:
    values = {"cron": "0 3 * * 1", "repo": "octo/tools", "title": "Weekly", "prompt": "Tidy", "requested_by": "mona"}
    return values | changes


# --- schedule -------------------------------------------------------------------------------------------------------------


def test_scheduled_work_begins_once_each_time(place: Place) -> None:
    clockwork = place.clockwork(work())
    place.now = datetime(2026, 3, 2, 2, 59, 59, tzinfo=UTC)  # a Monday
    clockwork.tick()
    before = place.runs()
    place.now += timedelta(seconds=5)
    for _ in range(3):
        clockwork.tick()
    place.clockwork(work()).tick()  # a new process
    place.now += timedelta(days=7)
    clockwork.tick()

    assert before == []
    assert len(place.runs()) == 2
    task = place.store.task(place.runs()[0])
    assert task is not None
    assert (task.kind, task.number, task.prompt_title, task.prompt, task.requested_by) == (
        "prompt",
        None,
        "Weekly",
        "Tidy",
        "mona",
    )


def test_what_was_missed_for_long_waits_for_the_next_time(place: Place) -> None:
    place.now = datetime(2026, 3, 2, 3, 11, tzinfo=UTC)

    place.clockwork(work()).tick()

    assert place.runs() == []


def test_a_repository_that_is_not_allowed_is_left_alone(place: Place) -> None:
    place.now = datetime(2026, 3, 2, 3, 1, tzinfo=UTC)

    place.clockwork(work(repo="evil/tools")).tick()

    assert place.runs() == []
    assert place.lookup.asked == []


def test_one_repository_that_is_away_does_not_hold_up_the_others(place: Place) -> None:
    place.now = datetime(2026, 3, 2, 3, 1, tzinfo=UTC)
    place.lookup.away = {"octo/tools"}
    clockwork = place.clockwork(work(), work(repo="octo/other"))

    clockwork.tick()
    first = len(place.runs())
    place.lookup.away = set()
    clockwork.tick()

    assert (first, len(place.runs())) == (1, 2)


@pytest.mark.parametrize("cron", ["every day at 3", "0 3 * * 8", "0 3 * * 1 5", "@hourly now", "61 * * * *"])
def test_a_cron_that_is_none_is_said_at_the_start(place: Place, cron: str) -> None:
    with pytest.raises(ConfigError, match="five fields"):
        place.clockwork(work(cron=cron))


# --- sweep ----------------------------------------------------------------------------------------------------------------


def test_a_label_whose_webhook_was_lost_is_found_once(place: Place) -> None:
    place.lose()
    clockwork = place.clockwork(sweep=True)

    clockwork.tick()
    place.now += timedelta(minutes=11)
    clockwork.tick()
    again = place.clockwork(sweep=True).sweep()

    assert len(place.runs()) == 1
    assert again == 0
    task = place.store.task(place.runs()[0])
    assert task is not None
    assert (task.number, task.requested_by) == (12, "mona")


def test_a_label_that_was_heard_is_not_heard_again(place: Place) -> None:
    place.lose(updated_at=LABELLED_AT)
    place.now = datetime(2026, 3, 1, 0, 0, 3, tzinfo=UTC)
    place.intake.receive(*delivery("issues", labeled(updated_at=LABELLED_AT)))
    place.engine.cancel(place.runs()[0])
    place.now += timedelta(hours=1)

    place.clockwork(sweep=True).sweep()

    assert len(place.runs()) == 1


@pytest.mark.parametrize(
    ("age", "runs"),
    [(timedelta(seconds=30), 0), (timedelta(minutes=3), 1), (timedelta(days=6), 1), (timedelta(days=8), 0)],
)
def test_neither_what_is_on_its_way_nor_what_is_old(place: Place, age: timedelta, runs: int) -> None:
    place.lose()
    place.now = datetime.fromisoformat(LABELLED_AT) + age

    place.clockwork(sweep=True).sweep()

    assert len(place.runs()) == runs


def test_what_was_too_young_is_seen_though_nothing_changed(place: Place) -> None:
    place.lose()
    clockwork = place.clockwork(sweep=True)
    place.now = datetime.fromisoformat(LABELLED_AT) + timedelta(seconds=30)
    clockwork.sweep()
    place.now += timedelta(minutes=10)

    assert clockwork.sweep() == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": user("dependabot[bot]", 49, "Bot")},
        {"actor": user("coder-app[bot]", 990, "Bot")},
        {"locked": True},
        {"assignees": [user("lisa", 9)]},
        {"pull_request": {"url": "x"}},
        {"actor": {"login": "x"}},
        {"number": 12, "updated_at": "soon"},
    ],
)
def test_the_rules_are_those_of_webhooks(place: Place, changes: JsonObject) -> None:
    place.lose(**changes)

    place.clockwork(sweep=True).sweep()
    place.clockwork(sweep=True).sweep()

    assert place.runs() == []


def test_a_quiet_repository_costs_one_request_a_label(place: Place) -> None:
    place.lose()
    clockwork = place.clockwork(sweep=True)
    clockwork.sweep()
    place.lookup.asked.clear()

    clockwork.sweep()

    assert len(place.lookup.asked) == 4
    assert all(what.startswith("labelled octo/tools") for what in place.lookup.asked)


def test_a_flood_of_labels_is_bounded(place: Place) -> None:
    for number in range(100, 400):
        place.lose(number)

    place.clockwork(sweep=True).sweep()

    assert len(place.runs()) == MAX_ISSUES


def test_repositories_that_were_heard_of_are_looked_at_too(place: Place) -> None:
    other = changed(labeled(label="bug", repo=repository("octo/other", 43)), "issue.repository_url")
    place.intake.receive(*delivery("issues", other))
    foreign = changed(labeled(repo=repository("evil/other", 44)), "issue.repository_url")
    place.intake.receive(*delivery("issues", foreign))
    place.lookup.away = {"octo/tools"}

    place.clockwork(sweep=True).sweep()

    looked = {what.split()[1] for what in place.lookup.asked}
    assert looked == {"octo/tools", "octo/other"}
