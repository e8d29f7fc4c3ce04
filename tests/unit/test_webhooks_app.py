"""The web application over an engine in memory."""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from fastapi.testclient import TestClient
from typing_extensions import override

from coder.types import JsonObject
from tests.unit.webhooks_payloads import (
    SECRET,
    commented,
    config,
    delivery,
    issue,
    labeled,
    repository,
    user,
)
from webhooks.app import MAX_BODY_BYTES, WebParts, create_app
from webhooks.engine.memory import MemoryEngine
from webhooks.engine.port import Job
from webhooks.errors import EngineError
from webhooks.intake import Intake
from webhooks.store import Store

URL = "/webhooks/github"


class BrokenEngine(MemoryEngine):
    """An engine whose database is away until `heal`."""

    def __init__(self) -> None:
        super().__init__(None)
        self.healthy = False

    @override
    def submit(self, *args: Any, **kwargs: Any) -> Job:
        self._check()
        return super().submit(*args, **kwargs)

    @override
    def status(self, job_id: str) -> Job | None:
        self._check()
        return super().status(job_id)

    @override
    def list(self, *, limit: int = 50) -> tuple[Job, ...]:
        self._check()
        return super().list(limit=limit)

    def _check(self) -> None:
        if not self.healthy:
            raise EngineError("the job database failed: away")


class Web:
    """A running application with its parts."""

    def __init__(self, client: TestClient, engine: MemoryEngine, store: Store, intake: Intake) -> None:
        self.client, self.engine, self.store, self.intake = client, engine, store, intake

    def deliver(self, event: str, payload: JsonObject | bytes, **headers: str) -> httpx2.Response:
        signed, body = delivery(event, payload)
        return self.client.post(URL, content=body, headers=signed | headers)


@contextlib.contextmanager
def running(
    tmp_path: Path,
    *,
    engine: MemoryEngine | None = None,
    token: str | None = None,
    peer: str = "127.0.0.1",
    buffered: int = 2**28,
) -> Iterator[Web]:
    engine = engine or MemoryEngine(None)
    store = Store(tmp_path / "deliveries.db")
    intake = Intake(SECRET.encode(), config(tmp_path).rules(), store, engine)
    app = create_app(WebParts(intake=intake, store=store, engine=engine, api_token=token, max_buffered_bytes=buffered))
    with TestClient(app, client=(peer, 5000)) as client:
        yield Web(client, engine, store, intake)
    engine.close()
    store.close()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with running(tmp_path) as one:
        yield one


def test_a_labelled_issue_is_one_queued_job(web: Web) -> None:
    answer = web.deliver("issues", labeled())

    run = answer.json()["run"]
    assert answer.status_code == 202
    assert [(job.id, job.repo, job.state) for job in web.engine.list()] == [(run, "octo/tools", "queued")]
    assert web.store.to_enqueue() == ()
    assert web.store.task(run) is not None


def test_a_redelivery_is_one_job(web: Web) -> None:
    first = web.deliver("issues", labeled())
    again = web.deliver("issues", labeled(), **{"x-github-delivery": "other-guid"})

    assert first.json() == again.json()
    assert len(web.engine.list()) == 1


def test_one_delivery_in_parallel_is_one_job(web: Web) -> None:
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: web.deliver("issue_comment", commented()), range(5)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["run"] for answer in answers}) == 1
    assert len(web.engine.list()) == 1


def test_a_storm_on_one_issue_is_one_live_run(web: Web) -> None:
    answers = [web.deliver("issue_comment", commented(comment_id=number)) for number in range(100, 130)]

    assert "run" in answers[0].json()
    assert all("is not over yet" in answer.json()["refused"] for answer in answers[1:])
    assert len(web.engine.list()) == 1


def test_after_the_end_of_a_run_the_next_one_may_start(web: Web) -> None:
    first = web.deliver("issue_comment", commented(comment_id=1)).json()["run"]
    web.engine.cancel(first)

    assert "run" in web.deliver("issue_comment", commented(comment_id=2)).json()


def test_a_refusal_is_stored_with_its_reason(web: Web) -> None:
    answer = web.deliver("issues", labeled(label="bug"))

    stored = web.store.deliveries()[0]
    assert answer.status_code == 202
    assert answer.json() == {"refused": "label 'bug' is not 'coder'"}
    assert (stored.decision, stored.reason, stored.repo) == ("refused", "label 'bug' is not 'coder'", "octo/tools")
    assert web.engine.list() == ()


def test_another_event_is_a_stored_refusal(web: Web) -> None:
    answer = web.deliver("deployment_status", {"action": "created"})

    assert answer.status_code == 202
    assert answer.json() == {"refused": "nothing reacts to deployment_status.created"}
    assert web.store.deliveries()[0].event == "deployment_status"


def test_a_replay_under_another_event_name_does_not_stand_in_the_way(web: Web) -> None:
    replayed = web.deliver("watch", labeled())
    real = web.deliver("issues", labeled())

    assert "refused" in replayed.json()
    assert "run" in real.json()


def test_what_was_refused_is_decided_anew_when_sent_again(web: Web, tmp_path: Path) -> None:
    refused = Intake(SECRET.encode(), config(tmp_path, allowed_repos=()).rules(), web.store, web.engine)
    headers, body = delivery("issues", labeled())

    first = refused.receive(headers, body)
    second = web.deliver("issues", labeled())

    assert "refused" in first.body
    assert "run" in second.json()


def test_a_ping_is_answered(web: Web) -> None:
    assert web.deliver("ping", {"zen": "Keep it simple", "hook_id": 1}).status_code == 200


def test_the_form_encoding_is_read_too(web: Web) -> None:
    body = urlencode({"payload": json.dumps(labeled())}).encode()
    headers, _ = delivery("issues", body)

    answer = web.client.post(URL, content=body, headers=headers | {"content-type": "application/x-www-form-urlencoded"})

    assert "run" in answer.json()


def test_an_unsigned_body_is_401_before_anything_is_read(web: Web) -> None:
    headers, body = delivery("issues", b"{not json")
    for value in (None, "sha256=" + "0" * 64, "sha1=" + "0" * 40):
        given = headers | ({"x-hub-signature-256": value} if value else {})
        if value is None:
            del given["x-hub-signature-256"]
        assert web.client.post(URL, content=body, headers=given).status_code == 401

    assert web.store.deliveries() == ()


def test_a_body_of_exactly_the_limit_is_taken(web: Web) -> None:
    text = json.dumps(labeled())
    body = text.encode() + b" " * (MAX_BODY_BYTES - len(text))

    assert web.deliver("issues", body).status_code == 202


def test_a_body_over_the_limit_is_413_even_when_it_does_not_say_so(web: Web) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)
    headers, _ = delivery("issues", b"")

    declared = web.client.post(URL, content=body, headers=headers)
    chunked = web.client.post(
        URL, content=(body[at : at + 2**20] for at in range(0, len(body), 2**20)), headers=headers
    )

    assert (declared.status_code, chunked.status_code) == (413, 413)
    assert "26214400" in chunked.json()["error"]


def raw_headers(headers: Mapping[str, str | bytes]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() if isinstance(value, str) else value for name, value in headers.items()}


def test_bodies_beyond_the_memory_for_them_are_turned_away_and_forgotten(tmp_path: Path) -> None:
    with running(tmp_path, buffered=100_000) as web:
        codes = [web.deliver("issues", b" " * 60_000 + b"{").status_code for _ in range(5)]
        large = [web.deliver("issues", b" " * 100_001).status_code for _ in range(3)]

        assert codes == [400] * 5
        assert large == [503] * 3
        assert web.deliver("issues", labeled()).status_code == 202


HOSTILE_BODIES = [
    b"",
    b" ",
    b"null",
    b"[]",
    b"1",
    b'"text"',
    b"NaN",
    b"{",
    b"{}",
    b'{"action":',
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b"\x00" * 100,
    b"[" * 200_000,
    b'{"issue":' * 50_000,
    b"[" * 5_000 + b"]" * 5_000,
    b'{"action":"labeled","issue":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
    b'{"issue":{"number":' + b"9" * 10_000 + b"}}",
    b'{"issue":{"number":1e999}}',
    b'{"action":"labeled","action":"created"}',
    json.dumps({"action": "labeled", "issue": [], "label": 1}).encode(),
    json.dumps(labeled(label="\ud800")).encode(),
    json.dumps(labeled(label="\x00")).encode(),
    json.dumps(labeled(label="x" * 100_000)).encode(),
    json.dumps(labeled(number=2**70)).encode(),
    json.dumps(labeled(number=-(2**63))).encode(),
    json.dumps(labeled(repo=repository("../..", 1))).encode(),
    json.dumps(labeled(sender=user("\ud83d", 3))).encode(),
    json.dumps({"action": {"a": 1}, "issue": issue()}).encode(),
    json.dumps(commented("`" * 65_536)).encode(),
    json.dumps(commented("@coder " * 9_000)).encode(),
    json.dumps(commented(None)).encode(),
    json.dumps(commented("\ud800 @coder fix")).encode(),
]
HOSTILE_HEADERS = [
    {"x-github-event": ""},
    {"x-github-event": "x" * 10_000},
    {"x-github-event": "../issues"},
    {"x-github-event": "issues\t"},
    {"x-github-event": b"\xe9\xff"},
    {"x-github-delivery": b"\xff" * 300},
    {"x-github-delivery": "'; DROP TABLE deliveries; --"},
    {"x-hub-signature-256": b"sha256=\xff\xfe"},
    {"content-type": "text/plain"},
    {"content-type": ""},
    {"content-type": "application/x-www-form-urlencoded"},
    {"content-type": "application/json; charset=utf-7"},
    {"content-encoding": "gzip"},
    {"content-encoding": "br, gzip"},
    {"transfer-encoding": "identity"},
]


@pytest.mark.parametrize("event", ["issues", "issue_comment"])
@pytest.mark.parametrize("number", range(len(HOSTILE_BODIES)))
def test_a_hostile_body_is_answered(web: Web, event: str, number: int) -> None:
    answer = web.deliver(event, HOSTILE_BODIES[number])

    assert answer.status_code == 202 or 400 <= answer.status_code < 500
    assert set(answer.json()) & {"run", "refused", "error"}


@pytest.mark.parametrize("headers", HOSTILE_HEADERS, ids=lambda headers: str(headers)[:40])
def test_a_hostile_header_is_answered(web: Web, headers: dict[str, str | bytes]) -> None:
    signed, body = delivery("issues", labeled())

    answer = web.client.post(URL, content=body, headers=raw_headers(signed | headers))

    assert answer.status_code == 202 or 400 <= answer.status_code < 500


def test_a_header_given_twice_counts_as_missing(web: Web) -> None:
    headers, body = delivery("issues", labeled())
    doubled = [*headers.items(), ("x-hub-signature-256", "sha256=" + "0" * 64)]

    assert web.client.post(URL, content=body, headers=doubled).status_code == 401


def test_a_delivery_survives_an_engine_that_is_away(tmp_path: Path) -> None:
    engine = BrokenEngine()
    with running(tmp_path, engine=engine) as web:
        answer = web.deliver("issues", labeled())
        health = web.client.get("/healthz").status_code
        engine.healthy = True
        offered = web.intake.enqueue_pending()

        assert answer.status_code == 202
        assert health == 503
        assert offered == 1
        assert [job.id for job in engine.list()] == [answer.json()["run"]]
        assert web.intake.enqueue_pending() == 0


def test_an_engine_that_is_away_does_not_refuse_a_second_request(tmp_path: Path) -> None:
    with running(tmp_path, engine=BrokenEngine()) as web:
        answers = [web.deliver("issue_comment", commented(comment_id=number)) for number in (1, 2)]

        assert all("run" in answer.json() for answer in answers)
        assert len(web.store.to_enqueue()) == 2


def test_a_start_offers_what_the_last_process_left(tmp_path: Path) -> None:
    engine = BrokenEngine()
    with running(tmp_path, engine=engine) as web:
        run = web.deliver("issues", labeled()).json()["run"]
    taken = threading.Event()

    class Engine(MemoryEngine):
        @override
        def submit(self, *args: Any, **kwargs: Any) -> Job:
            job = super().submit(*args, **kwargs)
            taken.set()
            return job

    with running(tmp_path, engine=Engine(None)) as web:
        assert taken.wait(timeout=10)
        assert [job.id for job in web.engine.list()] == [run]


def test_a_store_that_cannot_write_is_503_and_not_an_accepted_delivery(web: Web) -> None:
    web.store.close()

    answer = web.deliver("issues", labeled())

    assert answer.status_code == 503
    assert web.engine.list() == ()


def test_health_runs_and_one_run(web: Web) -> None:
    run = web.deliver("issues", labeled()).json()["run"]

    assert web.client.get("/healthz").json() == {"ok": True}
    listed = web.client.get("/runs").json()
    assert [job["id"] for job in listed["runs"]] == [run]
    assert [one["run_id"] for one in listed["deliveries"]] == [run]
    shown = web.client.get(f"/runs/{run}").json()
    assert (shown["state"], shown["task"]["number"]) == ("queued", 12)


@pytest.mark.parametrize("run_id", ["gh1-1-0123456789abcdef", "x", "..%2f..%2fetc", "%00", "'%20OR%201=1", "a" * 3000])
def test_an_unknown_run_is_404(web: Web, run_id: str) -> None:
    assert web.client.get(f"/runs/{run_id}").status_code == 404


@pytest.mark.parametrize("path", ["/runs", "/runs/gh1-1-0123456789abcdef"])
def test_runs_are_shown_to_this_machine_only_unless_there_is_a_token(tmp_path: Path, path: str) -> None:
    for peer in ("203.0.113.9", "2001:db8::1", "no address"):
        with running(tmp_path, peer=peer) as web:
            assert web.client.get(path).status_code == 403
    with running(tmp_path) as web:
        assert web.client.get(path, headers={"x-forwarded-for": "127.0.0.1"}).status_code == 403
    with running(tmp_path, token="open sesame", peer="203.0.113.9") as web:
        assert web.client.get(path).status_code == 403
        assert web.client.get(path, headers={b"authorization": b"Bearer \xff"}).status_code == 403
        assert web.client.get(path, headers={"authorization": "Bearer open sesame"}).status_code != 403
    with running(tmp_path, token="open sesame") as web:
        assert web.client.get(path).status_code == 403


def test_nothing_else_is_served(web: Web) -> None:
    for path in ("/", "/docs", "/openapi.json", URL):
        assert web.client.get(path).status_code in {404, 405}
