"""What the clock asks for: scheduled work, and a look for labelled issues whose webhook was lost."""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Protocol

from croniter import croniter

from coder.errors import CoderError, ConfigError
from coder.types import JsonObject, RepoRef
from webhooks.config import Scheduled
from webhooks.events import Repository
from webhooks.fields import OddFieldError, ident, parent_object, time
from webhooks.intake import Intake
from webhooks.reading import labeled_again, repository_of
from webhooks.request import Request
from webhooks.rules import is_allowed
from webhooks.store import Store
from webhooks.triggers import asked

logger = logging.getLogger(__name__)

CATCH_UP: Final = timedelta(minutes=10)
"""How late scheduled work may begin: a service that was away for longer waits for the next time."""
ON_ITS_WAY: Final = timedelta(minutes=2)
"""A label as young as this may still be announced by its webhook."""
TOO_OLD: Final = timedelta(days=7)
MAX_REPOSITORIES: Final = 50
"""Looked at in one sweep."""
MAX_ISSUES: Final = 30
"""Looked at in one sweep of a repository and a label."""


class Lookup(Protocol):
    """What is asked of GitHub; each raises `ForgeError`."""

    def repository(self, repo: RepoRef) -> JsonObject:
        """A repository as GitHub writes it."""
        ...

    def labelled(self, repo: RepoRef, label: str, *, limit: int) -> tuple[JsonObject, ...]:
        """Its open issues with a label."""
        ...

    def labelling(self, repo: RepoRef, number: int, label: str) -> JsonObject | None:
        """The last event that put the label on an issue."""
        ...


@dataclass(slots=True)
class _State:
    settled: dict[tuple[str, str], str] = field(default_factory=dict)
    """By repository and label: the digest of a list that there was nothing left to do about."""
    swept_at: datetime | None = None


class Clockwork:
    """Does what is due, at each `tick`. What it asks for twice is one request."""

    def __init__(
        self,
        intake: Intake,
        store: Store,
        lookup: Lookup,
        *,
        schedule: Sequence[Scheduled] = (),
        sweep_every: timedelta | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._intake, self._store, self._lookup, self._clock = intake, store, lookup, clock
        self._schedule, self._sweep_every = tuple(schedule), sweep_every
        self._state = _State()
        for one in self._schedule:
            if not croniter.is_valid(one.cron) or len(one.cron.split()) != _CRON_FIELDS:
                raise ConfigError(f"service.schedule: {one.cron!r} is not five fields of cron")

    def tick(self) -> None:
        """Ask for scheduled work whose time has come; sweep, when it is time to."""
        now = self._clock()
        for one in self._schedule:
            due = croniter(one.cron, now).get_prev(datetime)
            if now - due <= CATCH_UP:
                self._politely(partial(self._begin, one, due), one.repo)
        last = self._state.swept_at
        if self._sweep_every is not None and (last is None or now - last >= self._sweep_every):
            self._state.swept_at = now
            self.sweep()

    def sweep(self) -> int:
        """Look for labelled issues that nothing was decided of; how many runs that gave."""
        begun = 0
        for full_name in self._repositories():
            owner, _, name = full_name.partition("/")
            begun += self._politely(partial(self._sweep, RepoRef(owner=owner, name=name)), full_name)
        return begun

    def _begin(self, one: Scheduled, due: datetime) -> int:
        if not is_allowed(one.repo, self._intake.rules.allowed_repos):
            logger.error("scheduled work for a repository that is not allowed", extra={"repo": one.repo})
            return 0
        identity = hashlib.sha256(f"{one.cron}\n{one.repo}\n{one.title}".encode()).hexdigest()
        key = f"{identity} {due.isoformat()}"
        if self._store.delivery(hashlib.sha256(key.encode()).hexdigest(), "schedule") is not None:
            return 0
        owner, _, name = one.repo.partition("/")
        request = Request(
            what="fix",
            repository=repository_of(self._lookup.repository(RepoRef(owner=owner, name=name))),
            number=0,
            sender=one.requested_by,
            identity=("schedule", key),
            followup=f"schedule-{identity[:16]}",
            requested_at="",
            title=one.title,
            words=one.prompt,
        )
        self._intake.ask(request, source="schedule", key=key)
        return 1

    def _repositories(self) -> list[str]:
        """Allowed repositories that we know by name: from the settings, and from what was delivered lately."""
        allowed = self._intake.rules.allowed_repos
        named = [name for name in allowed if "*" not in name]
        seen = [name for name in self._store.repositories() if is_allowed(name, allowed)]
        return list(dict.fromkeys(name.lower() for name in [*named, *seen]))[:MAX_REPOSITORIES]

    def _sweep(self, ref: RepoRef) -> int:
        begun = 0
        for label in self._intake.rules.labels.all:
            key = (ref.full_name, label)
            issues = self._lookup.labelled(ref, label, limit=MAX_ISSUES)
            digest = hashlib.sha256(json.dumps(issues, sort_keys=True).encode()).hexdigest()
            if self._state.settled.get(key) == digest:
                continue
            settled = True
            repository: Repository | None = None
            for issue in issues:
                repository = repository or repository_of(self._lookup.repository(ref))
                began, waits = self._look(repository, issue, label)
                begun, settled = begun + began, settled and not waits
            # What was too young to be judged must be seen again, though nothing changes.
            self._state.settled[key] = digest if settled else ""
        return begun

    def _look(self, repository: Repository, issue: JsonObject, label: str) -> tuple[bool, bool]:
        """Whether a run began, and whether it is too early to say."""
        if issue.get("pull_request") is not None:
            return False, False  # a list does not say which branch it is
        try:
            number = ident(issue, "number")
            ref = RepoRef(owner=repository.owner, name=repository.name)
            event = self._lookup.labelling(ref, number, label)
            if event is None:
                return False, False
            at, event_id = datetime.fromisoformat(time(event, "created_at")), ident(event, "id")
            age = self._clock() - at
            if age < ON_ITS_WAY:
                return False, True
            thread = f"gh{repository.id}-{number}"
            if age > TOO_OLD or self._store.asked_since(thread, (at - ON_ITS_WAY).isoformat()):
                return False, False
            labeled = labeled_again(repository, issue, parent_object(event, "actor"), label)
        except OddFieldError as exc:
            logger.warning("a labelled issue is odd", extra={"repo": repository.full_name, "why": str(exc)})
            return False, False
        request = asked(labeled, self._intake.rules)
        if isinstance(request, Request):
            request = replace(request, identity=("swept", str(event_id)), followup=f"swept-{event_id:x}")
        answer = self._intake.ask(request, source="sweep", key=f"{repository.id} {event_id}", repo=repository.full_name)
        began = "run" in answer.body
        if began:
            logger.warning("a webhook was lost", extra={"repo": repository.full_name, "issue": number})
        return began, False

    def _politely(self, action: Callable[[], int], repo: str) -> int:
        """One repository that cannot be read does not keep the others from being looked at."""
        try:
            return action()
        except (CoderError, OddFieldError) as exc:
            logger.warning("cannot look at a repository", extra={"repo": repo, "why": str(exc)})
            return 0


_CRON_FIELDS: Final = 5
