"""Hostile deliveries through the real port: none is an error of ours, none costs a run, memory stays flat."""

import asyncio
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
import uvicorn

from coder.types import JsonObject
from tests.integration.test_service_process import DEADLINE_S, Running, raw, until
from tests.unit.webhooks_payloads import (
    BOT_ID,
    SECRET,
    assigned,
    changed,
    check,
    commented,
    delivery,
    dispatched,
    labeled,
    opened,
    pull_labeled,
    repository,
    review_commented,
    reviewed,
    user,
)
from webhooks.app import MAX_BODY_BYTES
from webhooks.connections import ImpatientProtocol

Case = tuple[dict[str, str], bytes]
FORM = "application/x-www-form-urlencoded"
DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


def signed(event: str, payload: JsonObject | bytes, **headers: str) -> Case:
    given, body = delivery(event, payload)
    return given | {name.replace("_", "-"): value for name, value in headers.items()}, body


def unsigned(value: str | None) -> Case:
    headers, body = delivery("issues", labeled())
    del headers["x-hub-signature-256"]
    return headers | ({"x-hub-signature-256": value} if value is not None else {}), body


def mac(algorithm: str, secret: str = SECRET, body: bytes | None = None) -> str:
    text = body if body is not None else json.dumps(labeled()).encode()
    return f"{algorithm}=" + hmac.new(secret.encode(), text, algorithm).hexdigest()


def without(payload: JsonObject, path: str) -> Case:
    return signed("issues" if "label" in payload else "issue_comment", changed(payload, path))


def odd(payload: JsonObject, path: str, value: object) -> Case:
    return signed("issues" if "label" in payload else "issue_comment", changed(payload, path, value))


def forgeries() -> dict[str, Case]:
    right = mac("sha256")
    values = {
        "none": None,
        "empty": "",
        "wrong secret": mac("sha256", "another secret"),
        "empty secret": mac("sha256", ""),
        "SHA-1": mac("sha1"),
        "SHA-1 in the new header's form": right.replace("sha256", "sha1"),
        "SHA-512": mac("sha512"),
        "truncated": right[:40],
        "only the prefix": "sha256=",
        "no prefix": right[7:],
        "upper case": right.upper(),
        "with a tail": right + "00",
        "twice in one": f"{right}, {right}",
        "digits of another script": "sha256=" + "\u0661" * 64,
        "of another body": mac("sha256", body=b"{}"),
        "plain hash": "sha256=" + hashlib.sha256(json.dumps(labeled()).encode()).hexdigest(),
    }
    return {f"signature: {name}": unsigned(value) for name, value in values.items()}


def bodies() -> dict[str, Case]:
    text = json.dumps(labeled())
    twice = text.replace('"action": "labeled"', '"action": "labeled", "action": "labeled"').encode()
    nan = text.replace('"comments": 0', '"comments": NaN').encode()
    return {
        "deep JSON": signed("issues", DEEP),
        "deep lists": signed("issues", b"[" * 200_000),
        "huge number": signed("issues", b'{"issue":{"number":' + b"9" * 100_000 + b"}}"),
        "number beyond 63 bits": odd(labeled(), "issue.number", 2**63),
        "NaN": signed("issues", nan),
        "Infinity": signed("issues", nan.replace(b"NaN", b"-Infinity")),
        "names twice": signed("issues", twice),
        "not UTF-8": signed("issues", text.encode("utf-16")),
        "a list": signed("issues", b"[]"),
        "cut": signed("issues", text.encode()[:-5]),
        "two documents": signed("issues", text.encode() * 2),
        "form, no payload": signed("issues", b"a=b", content_type=FORM),
        "form, two payloads": signed("issues", b"payload={}&payload={}", content_type=FORM),
        "form, many fields": signed("issues", b"a=b&" * 1000, content_type=FORM),
        "form, JSON in it is cut": signed("issues", urlencode({"payload": text[:-3]}).encode(), content_type=FORM),
        "form that says it is JSON": signed("issues", urlencode({"payload": text}).encode()),
        "JSON that says it is a form": signed("issues", text.encode(), content_type=FORM),
        "compressed": signed("issues", labeled(), content_encoding="gzip"),
        "no type": signed("issues", labeled(), content_type="text/html"),
        "event name bent": signed("../issues", labeled()),
        "event of nothing": signed("", labeled()),
        "comment sent as labelling": signed("issues", commented()),
        "labelling sent as comment": signed("issue_comment", labeled()),
        "labelling sent as pull request's": signed("pull_request", labeled()),
    }


def wrong_types() -> dict[str, Case]:
    label, comment = labeled(), commented()
    cases = {
        f"{path} is {value!r:.20}": odd(payload, path, value)
        for payload, path, value in (
            (label, "issue.number", "12"),
            (label, "issue.number", True),
            (label, "issue.number", 1.5),
            (label, "issue.number", -1),
            (label, "issue", []),
            (label, "issue.updated_at", 0),
            (label, "issue.updated_at", "2026-01-02"),
            (label, "label", "coder"),
            (label, "label.name", ["coder"]),
            (label, "sender", None),
            (label, "sender.id", "7"),
            (label, "sender.login", {"a": 1}),
            (label, "repository.id", None),
            (label, "repository.owner", "octo"),
            (label, "action", ["labeled"]),
            (comment, "comment.body", {"text": "@coder fix"}),
            (comment, "comment.id", 0),
            (comment, "comment.user", "mona"),
        )
    }
    return cases | {f"no {path}": without(label, path) for path in ("issue", "label", "sender", "repository.owner")}


def wrong_people_and_places() -> dict[str, Case]:
    bot, ours = user("dependabot[bot]", 49, "Bot"), user("coder-app[bot]", BOT_ID, "Bot")
    return {
        "label: Cyrillic o": signed("issues", labeled(label="c\u043eder")),
        "label: full width": signed("issues", labeled(label="\uff43oder")),
        "label: trailing space": signed("issues", labeled(label="coder ")),
        "label: zero width": signed("issues", labeled(label="coder\u200b")),
        "label: longer": signed("issues", labeled(label="coder:plans")),
        "label: by a bot": signed("issues", labeled(sender=bot)),
        "label: by ourselves": signed("issues", labeled(sender=ours)),
        "label: by our name": signed("issues", labeled(sender=user("Coder-App", 5))),
        "label: by a foreign App": signed("issues", labeled(sender=user("other-app[bot]", 51, "Bot"))),
        "label: by an account of no type": signed("issues", changed(labeled(), "sender.type")),
        "label: closed issue": signed("issues", labeled(state="closed")),
        "label: locked issue": signed("issues", labeled(locked=True)),
        "label: closed pull request": signed("issues", labeled(pull_request={"url": "x"}, state="closed")),
        "label: taken off": odd(labeled(), "action", "unlabeled"),
        "comment: edited": odd(commented(), "action", "edited"),
        "comment: on a locked pull request": signed("issue_comment", commented(pull_request={"url": "x"}, locked=True)),
        "comment: by a bot": signed("issue_comment", commented(sender=bot)),
        "comment: by ourselves": signed("issue_comment", commented(sender=ours)),
        "comment: sent by another person": odd(commented(), "comment.user", user("eve", 8)),
        "comment: of another issue": odd(
            commented(), "comment.issue_url", "https://api.github.com/repos/octo/tools/issues/13"
        ),
        "comment: of another repository": odd(
            commented(), "comment.issue_url", "https://api.github.com/repos/evil/tools/issues/12"
        ),
        "comment: in a quote": signed("issue_comment", commented("> @coder fix")),
        "comment: in code": signed("issue_comment", commented("`@coder fix`")),
        "issue of another repository": odd(
            labeled(), "issue.repository_url", "https://api.github.com/repos/evil/tools"
        ),
        "repository not allowed": signed(
            "issues", changed(labeled(repo=repository("evil/tools")), "issue.repository_url")
        ),
        "repository's names differ": odd(labeled(), "repository.full_name", "evil/tools"),
        "repository's name is a path": odd(labeled(), "repository.name", "../../etc"),
    }


def other_events() -> dict[str, Case]:
    """Everything but labels and comments: bent, foreign, or of nobody's business."""
    review, remark, suite = reviewed(), review_commented(), check()
    bot = user("dependabot[bot]", 49, "Bot")
    cases = {
        f"{name} {path} is {value!r:.20}": signed(name, changed(payload, path, value))
        for name, payload, path, value in (
            ("pull_request", pull_labeled(), "pull_request.base.repo.id", 77),
            ("pull_request", pull_labeled(), "pull_request.head.sha", "main"),
            ("pull_request", pull_labeled(), "sender", bot),
            ("pull_request_review", review, "review.id", "900"),
            ("pull_request_review", review, "review.user", user("eve", 8)),
            ("pull_request_review", review, "review.submitted_at", "now"),
            ("pull_request_review", review, "pull_request.base.repo.id", 77),
            ("pull_request_review", review, "sender", bot),
            ("pull_request_review_comment", remark, "comment.pull_request_review_id", {}),
            (
                "pull_request_review_comment",
                remark,
                "comment.pull_request_url",
                "https://api.github.com/repos/a/b/pulls/30",
            ),
            ("check_suite", suite, "check_suite.head_sha", "../../etc"),
            ("check_suite", suite, "check_suite.conclusion", 1),
            ("check_suite", suite, "check_suite.pull_requests", {"number": 30}),
            ("issues", assigned(), "assignee", user("eve", 8)),
            ("issues", assigned(), "sender", bot),
            ("issues", opened(), "issue.user", user("eve", 8)),
            ("issues", opened(), "issue.locked", True),
            ("repository_dispatch", dispatched(), "client_payload", None),
            ("repository_dispatch", dispatched(), "client_payload", {"issue": 2**63}),
            ("repository_dispatch", dispatched(), "client_payload", {"issue": 12, "options": {"base": "../x"}}),
            ("repository_dispatch", dispatched(), "action", "x" * 100_000),
            ("repository_dispatch", dispatched(), "sender", bot),
        )
    }
    swapped = {
        f"{name} carries another event's body": signed(name, payload)
        for name, payload in (
            ("issue_comment", review | {"action": "created"}),
            ("pull_request_review", commented() | {"action": "submitted"}),
            ("pull_request_review_comment", commented()),
            ("issues", remark | {"action": "opened"}),
            ("check_run", labeled() | {"action": "completed"}),
            ("repository_dispatch", labeled()),
            ("workflow_run", suite),
        )
    }
    return cases | swapped


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path)
    made.start("no-worker")
    yield made
    made.close()


def post(service: Running, case: Case) -> httpx.Response:
    headers, body = case
    encoded = {name.encode(): value.encode() for name, value in headers.items()}
    return service.web.post("/webhooks/github", content=body, headers=encoded)


def memory_kb(service: Running) -> int:
    lines = Path(f"/proc/{service.processes[-1].pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_no_hostile_delivery_is_an_error_or_a_run(service: Running) -> None:
    cases = forgeries() | bodies() | wrong_types() | wrong_people_and_places() | other_events()

    answers = {name: post(service, case) for name, case in cases.items()}
    first = memory_kb(service)
    for _ in range(3):
        for case in cases.values():
            post(service, case)

    codes = {name: answer.status_code for name, answer in answers.items()}
    assert len(cases) >= 100
    assert [name for name, answer in answers.items() if "run" in answer.json()] == []
    assert {name: code for name, code in codes.items() if code not in {202, 400, 401, 413, 415}} == {}
    assert {code for name, code in codes.items() if name.startswith("signature")} == {401}
    assert service.web.get("/runs").json()["runs"] == []
    assert memory_kb(service) - first < 40_000
    assert "run" in service.deliver("issues", labeled()).json()


def test_bodies_over_the_limit_leave_nothing_in_memory(service: Running) -> None:
    head = b"POST /webhooks/github HTTP/1.1\r\nhost: x\r\n"
    block = b"%x\r\n" % (1 << 20) + b" " * (1 << 20) + b"\r\n"
    declared = head + b"content-length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1)

    def send() -> list[bytes]:
        chunked = raw(service.port, head + b"transfer-encoding: chunked\r\n\r\n", *[block] * 26)
        cut = raw(service.port, head + b"transfer-encoding: chunked\r\n\r\n", *[block] * 5, hang_up=True)
        return [raw(service.port, declared), chunked, cut]

    answers = send()
    first = memory_kb(service)
    for _ in range(4):
        answers += send()

    assert [answer for answer in answers if answer and b" 4" not in answer[:12]] == []
    assert memory_kb(service) - first < 60_000
    assert service.web.get("/runs").json()["runs"] == []


def test_a_replay_is_the_same_run_or_none(service: Running) -> None:
    run = service.deliver("issues", labeled()).json()["run"]
    headers, body = delivery("issues", labeled())
    answers = [
        service.web.post("/webhooks/github", content=body, headers=headers | {name: value}).json()
        for name, value in (
            ("x-github-delivery", "00000000-0000-0000-0000-000000000000"),
            ("x-github-delivery", "x" * 5000),
            ("x-github-event", "issue_comment"),
            ("x-github-event", "pull_request"),
            ("x-github-event", "ping"),
            ("x-github-hook-id", "99"),
        )
    ]

    assert [answer.get("run", "none") for answer in answers] == [run, run, "none", "none", "none", run]
    assert len(service.web.get("/runs").json()["runs"]) == 1


def test_two_hundred_label_toggles_are_one_run(service: Running) -> None:
    for number in range(200):
        when = f"2026-01-02T{number // 60:02}:{number % 60:02}:00Z"
        service.deliver("issues", changed(labeled(updated_at=when), "action", "unlabeled"))
        assert service.deliver("issues", labeled(updated_at=when)).status_code == 202

    assert len(service.web.get("/runs").json()["runs"]) == 1


class QuickProtocol(ImpatientProtocol):
    head_timeout_s = 0.2


@pytest.fixture
def quick() -> Iterator[int]:
    """The port of a server that waits 0.2 s for a request, and then for its body as long as it takes."""

    async def app(_scope: object, receive: Callable[..., object], send: Callable[..., object]) -> None:
        while (await receive()).get("more_body"):  # type: ignore[misc]  # the loose types of ASGI
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})  # type: ignore[misc]  # as above
        await send({"type": "http.response.body", "body": b""})  # type: ignore[misc]  # as above

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=QuickProtocol, log_config=None, lifespan="off", timeout_keep_alive=60)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    until(lambda: server.started)
    yield int(listening.getsockname()[1])
    server.should_exit = True
    thread.join(timeout=DEADLINE_S)
    listening.close()


def closed_by_the_other(connection: socket.socket, *, dripping: bytes = b"") -> bool:
    """Whether the connection is ended within the deadline, though a byte is sent again and again."""
    connection.settimeout(0.05)
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            if dripping:
                connection.sendall(dripping)
            if connection.recv(1000) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize(
    ("begin", "dripping"),
    [
        (b"", b""),
        (b"POST / HTTP/1.1\r\nhost: x\r\nx-a: ", b"a"),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b""),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nx-a: ", b"a"),
    ],
    ids=["silent", "slow head", "silent after a request", "slow second head"],
)
def test_a_connection_without_a_request_is_given_up(quick: int, begin: bytes, dripping: bytes) -> None:
    with socket.create_connection(("127.0.0.1", quick)) as connection:
        connection.sendall(begin)

        assert closed_by_the_other(connection, dripping=dripping)


def test_a_request_whose_body_takes_longer_is_answered(quick: int) -> None:
    with socket.create_connection(("127.0.0.1", quick), timeout=DEADLINE_S) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n")
        for _ in range(12):
            threading.Event().wait(0.05)
            connection.sendall(b"x")

        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
