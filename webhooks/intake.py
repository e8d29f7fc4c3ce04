"""From a raw delivery to an answer: verify, parse, decide, keep, enqueue. Synchronous, milliseconds, no network."""

import hashlib
import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from urllib.parse import parse_qs

from coder.types import JsonObject
from webhooks import signature
from webhooks.caps import Accounts, Caps
from webhooks.decisions import Decision, decide, refused
from webhooks.deferred import Deferred
from webhooks.engine.port import NORMAL_PRIORITY, JobEngine
from webhooks.errors import EngineError
from webhooks.events import Malformed, Ping, Unsupported
from webhooks.ledger import Ledger
from webhooks.reading import read
from webhooks.request import Request, Source
from webhooks.rules import Refusal, Rules
from webhooks.store import Delivery, Store
from webhooks.triggers import asked
from webhooks.work import Work

logger = logging.getLogger(__name__)

FOLLOWUP_PRIORITY: Final = 50
"""Before new runs: somebody waits for it, and what it goes on with is in their head now."""
_EVENT_NAME = re.compile(r"[a-z_]{1,60}", re.ASCII)
_GUID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status and its JSON body."""

    status: int
    body: JsonObject


class _BadBodyError(Exception):
    """A signed body that cannot be parsed; never leaves this module."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Intake:
    """Deliveries in, jobs and chores out. Thread-safe.

    A decision is stored before the engine is asked; what the engine did not confirm is offered again by
    `enqueue_pending`, so that neither a crash nor a locked database loses a delivery that GitHub believes we have.
    """

    def __init__(
        self,
        secret: bytes,
        rules: Rules,
        store: Store,
        engine: JobEngine,
        *,
        caps: Caps | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._secret = secret
        self._rules = rules
        self._store = store
        self._engine = engine
        self._ledger = Ledger(store, engine)
        self._deferred = Deferred(store.database)
        self._accounts = Accounts(caps or Caps(), store, engine)
        self._clock = clock
        self._wake = wake
        self._guard = threading.Lock()

    def receive(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to one delivery. `headers` have lower-case names.

        Raises:
            StoreError: The delivery cannot be kept, so it must not be answered as if it were.
        """
        if not signature.is_valid(self._secret, body, headers.get(signature.HEADER)):
            return Answer(401, {"error": "the signature X-Hub-Signature-256 is missing or does not match"})
        name = headers.get("x-github-event", "")
        if not _EVENT_NAME.fullmatch(name):
            return Answer(400, {"error": "the header X-GitHub-Event is missing or odd"})
        try:
            payload = _parse(headers, body)
        except _BadBodyError as exc:
            return Answer(exc.status, {"error": str(exc)})
        event = read(name, payload)
        if isinstance(event, Ping):
            return Answer(200, {"ok": "pong"})
        request = asked(event, self._rules)
        repo = "" if isinstance(event, Unsupported | Malformed) else event.repository.full_name
        status = 400 if isinstance(event, Malformed) else 202
        source = Source(name, _guid(headers), hashlib.sha256(body).hexdigest(), repo)
        return replace(self._settle(source, request), status=status)

    @property
    def rules(self) -> Rules:
        """What the operator allows."""
        return self._rules

    def ask(
        self, request: Request | Refusal, *, source: str, key: str, repo: str = "", fingerprint: str = ""
    ) -> Answer:
        """The answer to a request that is no delivery; the same `key` from the same `source` is the same request.

        Where the key comes again with another `fingerprint`, it is refused.
        """
        digest = hashlib.sha256(key.encode()).hexdigest()
        known = self._store.delivery(digest, source)
        if known is not None and known.guid != fingerprint:
            return Answer(409, {"error": "the key was used for another request before"})
        name = repo or (request.repository.full_name if isinstance(request, Request) else "")
        return self._settle(Source(source, fingerprint, digest, name), request)

    def _settle(self, source: Source, request: Request | Refusal) -> Answer:
        # One at a time: of two deliveries for one issue, the second must see the first.
        with self._guard:
            decision = Decision()
            known = self._store.delivery(source.digest, source.event)
            # What was refused is decided anew: an operator who has allowed the repository sends the delivery again.
            if known is None or known.decision == "refused":
                decision = self._decide(request)
                known = self._delivery(source, decision)
                if decision.waits and isinstance(
                    request, Request
                ):  # first, as whoever dies in between decides it later
                    self._deferred.keep(source, request)
                self._store.add(known, decision.work, decision.chores)
            if not decision.waits:
                self._deferred.drop(source)
        if decision.work is not None:
            self._enqueue(decision.work)
        if decision.chores:
            self._wake()
        logger.info(
            "delivery settled",
            extra={"event": source.event, "repo": known.repo, "decision": known.decision, "run_id": known.run_id},
        )
        if known.decision == "refused":
            return Answer(202, {"refused": known.reason})
        if known.decision == "answered":
            return Answer(202, {"answered": known.reason})
        return Answer(202, {"run": known.run_id})

    def _delivery(self, source: Source, decision: Decision) -> Delivery:
        kind: Literal["run", "answered", "refused"] = "run" if decision.run_id is not None else "refused"
        if kind == "refused" and decision.chores:
            kind = "answered"
        return Delivery(
            digest=source.digest,
            event=source.event,
            guid=source.guid,
            received_at=self._now(),
            repo=source.repo,
            decision=kind,
            reason=decision.reason[:500],
            run_id=decision.run_id,
        )

    def _decide(self, request: Request | Refusal) -> Decision:
        if isinstance(request, Refusal):
            return refused(request)
        request = self._ledger.placed(request)
        decision = decide(request, self._ledger.situation(request, now=self._now()), self._rules)
        work = decision.work
        if work is None:
            return decision
        if self._store.is_known(work.job_id) and self._store.task(work.task.run_id) is None:
            return Decision(reason=f"run {work.task.run_id} was over long ago")
        too_much = self._accounts.refusal(work, self._clock())
        return decision if too_much is None else refused(too_much)

    def _now(self) -> str:
        return self._clock().isoformat(timespec="milliseconds")

    def forget(self, *, days: int) -> int:
        """Remove deliveries, tasks and finished jobs that are older than `days`; how many deliveries and jobs."""
        before = self._clock() - timedelta(days=days)
        removed = self._engine.forget(before=before)
        return removed + self._store.forget(before=before.isoformat(timespec="milliseconds"))

    def enqueue_pending(self) -> int:
        """Decide what had to wait, and offer the engine again what it has not confirmed; how many jobs that were."""
        for source, request in self._deferred.all():
            self._settle(source, request)
        works = self._store.to_enqueue()
        for work in works:
            self._enqueue(work)
        return len(works)

    def _enqueue(self, work: Work) -> None:
        try:
            offer(work, self._engine, self._store)
        except EngineError:
            logger.exception("a task waits for the engine", extra={"run_id": work.task.run_id})


def offer(work: Work, engine: JobEngine, store: Store) -> None:
    """Give the engine a job that is kept in the store.

    Raises:
        EngineError: It does not take it now; it stays kept.
    """
    priority = NORMAL_PRIORITY if work.followup is None else FOLLOWUP_PRIORITY
    engine.submit(work.job_id, work.model_dump(mode="json"), repo=work.task.repo.full_name, priority=priority)
    store.mark_enqueued(work.job_id)


def _parse(headers: Mapping[str, str], body: bytes) -> object:
    if headers.get("content-encoding", "identity") != "identity":
        raise _BadBodyError(415, "the body is compressed; GitHub sends it plain")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {"application/json", "application/x-www-form-urlencoded"}:
        raise _BadBodyError(415, "the content type is neither application/json nor application/x-www-form-urlencoded")
    try:
        text = body.decode("utf-8")
        if kind != "application/json":
            fields = parse_qs(text, max_num_fields=8)
            if len(fields.get("payload", ())) != 1:
                raise _BadBodyError(400, "the form has no single field `payload`")
            text = fields["payload"][0]
        return json.loads(text, object_pairs_hook=_unambiguous, parse_constant=_no_number)
    except RecursionError as exc:
        raise _BadBodyError(400, "the body is nested too deep") from exc
    except ValueError as exc:
        raise _BadBodyError(400, "the body is not JSON in UTF-8") from exc


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _guid(headers: Mapping[str, str]) -> str:
    value = headers.get("x-github-delivery", "")
    return value if _GUID.fullmatch(value) else ""
