"""From a raw delivery to an answer: verify, parse, decide, keep, enqueue. Synchronous, milliseconds, no network."""

import hashlib
import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from coder.types import JsonObject, Task
from webhooks import signature
from webhooks.caps import Accounts, Caps
from webhooks.engine.port import JobEngine
from webhooks.errors import EngineError
from webhooks.events import Commented, Event, Labeled, Malformed, Ping, read
from webhooks.store import Delivery, Store, thread_of
from webhooks.triggers import Refusal, Rules, decide

logger = logging.getLogger(__name__)

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
    """Deliveries in, jobs out. Thread-safe.

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
    ) -> None:
        self._secret = secret
        self._rules = rules
        self._store = store
        self._engine = engine
        self._accounts = Accounts(caps or Caps(), store, engine)
        self._clock = clock
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
        return self._settle(name, _guid(headers), hashlib.sha256(body).hexdigest(), event)

    def _settle(self, name: str, guid: str, digest: str, event: Event) -> Answer:
        # One at a time: of two deliveries for one issue, the second must see the first.
        with self._guard:
            task = None
            known = self._store.delivery(digest, name)
            # What was refused is decided anew: an operator who has allowed the repository sends the delivery again.
            if known is None or known.decision == "refused":
                known, task = self._decide(name, guid, digest, event)
                self._store.add(known, task)
        if task is not None:
            self._enqueue(task)
        status = 400 if isinstance(event, Malformed) else 202
        logger.info(
            "delivery settled",
            extra={"event": name, "repo": known.repo, "decision": known.decision, "run_id": known.run_id},
        )
        if known.decision == "run":
            return Answer(status, {"run": known.run_id})
        return Answer(status, {"refused": known.reason})

    def _decide(self, name: str, guid: str, digest: str, event: Event) -> tuple[Delivery, Task | None]:
        outcome = self._unless_too_much(self._unless_busy(decide(event, self._rules)))
        common = {
            "digest": digest,
            "event": name,
            "guid": guid,
            "received_at": self._clock().isoformat(timespec="milliseconds"),
            "repo": event.repository.full_name if isinstance(event, Labeled | Commented) else "",
        }
        if isinstance(outcome, Refusal):
            return Delivery(**common, decision="refused", reason=outcome.reason[:500]), None
        return Delivery(**common, decision="run", run_id=outcome.run_id), outcome

    def _unless_busy(self, outcome: Task | Refusal) -> Task | Refusal:
        """One live run per issue: a storm of labels and comments costs one run, and the rest are told."""
        if isinstance(outcome, Refusal):
            return outcome
        latest = self._store.latest_run(thread_of(outcome))
        if latest is None or latest == outcome.run_id:
            return outcome
        try:
            job = self._engine.status(latest)
        except EngineError:
            # Unknown is not a reason to lose a request; the engine runs one job per repository anyway.
            logger.exception("cannot ask the engine for a run")
            return outcome
        if job is None or job.state in {"queued", "running"}:
            return Refusal(f"run {latest} of this issue is not over yet")
        return outcome

    def _unless_too_much(self, outcome: Task | Refusal) -> Task | Refusal:
        if isinstance(outcome, Refusal):
            return outcome
        if self._store.is_known(outcome.run_id) and self._store.task(outcome.run_id) is None:
            return Refusal(f"run {outcome.run_id} was over long ago")
        return self._accounts.refusal(outcome, self._clock()) or outcome

    def forget(self, *, days: int) -> int:
        """Remove deliveries, tasks and finished jobs that are older than `days`; how many deliveries and jobs."""
        before = self._clock() - timedelta(days=days)
        removed = self._engine.forget(before=before)
        return removed + self._store.forget(before=before.isoformat(timespec="milliseconds"))

    def enqueue_pending(self) -> int:
        """Offer the engine again what it has not confirmed; how many tasks that were."""
        tasks = self._store.to_enqueue()
        for task in tasks:
            self._enqueue(task)
        return len(tasks)

    def _enqueue(self, task: Task) -> None:
        try:
            self._engine.submit(task.run_id, task.model_dump(mode="json"), repo=task.repo.full_name)
        except EngineError:
            logger.exception("a task waits for the engine", extra={"run_id": task.run_id})
            return
        self._store.mark_enqueued(task.run_id)


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
