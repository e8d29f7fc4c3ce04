"""The service over real HTTP, killed and started again."""

import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from coder.types import JsonObject
from tests.unit.webhooks_payloads import commented, delivery, labeled
from webhooks.app import MAX_BODY_BYTES

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        threading.Event().wait(0.03)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """One service on one folder, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.web = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=DEADLINE_S, trust_env=False)
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.service_process", str(self.folder), str(self.port), *options],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        )
        self.processes.append(process)
        until(self.answers)

    def answers(self) -> bool:
        assert self.processes[-1].poll() is None, "the service ended by itself"
        try:
            return self.web.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def deliver(self, event: str, payload: JsonObject) -> httpx.Response:
        headers, body = delivery(event, payload)
        return self.web.post("/webhooks/github", content=body, headers=headers)

    def kill(self, number: int = signal.SIGKILL) -> int:
        self.processes[-1].send_signal(number)
        return self.processes[-1].wait(timeout=DEADLINE_S)

    def log(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def go(self) -> None:
        (self.folder / "go").touch()

    def over(self, run: str) -> JsonObject:
        until(lambda: self.web.get(f"/runs/{run}").json()["state"] in {"done", "failed"})
        shown: JsonObject = self.web.get(f"/runs/{run}").json()
        return shown

    def close(self) -> None:
        self.web.close()
        for process in self.processes:
            process.kill()
            process.wait(timeout=DEADLINE_S)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path)
    yield made
    made.close()


def test_a_label_becomes_one_finished_run_though_the_service_is_killed_in_the_middle(service: Running) -> None:
    service.start()
    first = service.deliver("issues", labeled())
    until(lambda: service.log() == ["begin octo/tools#12"])
    service.kill()
    service.go()
    service.start()
    again = service.deliver("issues", labeled())
    shown = service.over(first.json()["run"])

    assert (first.status_code, again.json()) == (202, first.json())
    assert (shown["state"], shown["result"]) == ("done", {"ok": True, "verdict": "proven"})
    assert service.log() == ["begin octo/tools#12", "begin octo/tools#12", "end octo/tools#12"]
    assert len(service.web.get("/runs").json()["runs"]) == 1


def test_one_delivery_five_times_in_parallel_is_one_run(service: Running) -> None:
    service.go()
    service.start()
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: service.deliver("issue_comment", commented()), range(5)))
    runs = {answer.json()["run"] for answer in answers}
    service.over(runs.pop())

    assert {answer.status_code for answer in answers} == {202}
    assert runs == set()
    assert service.log() == ["begin octo/tools#12", "end octo/tools#12"]


def test_sigterm_stops_the_web_and_drains_the_worker(service: Running) -> None:
    service.start()
    service.deliver("issues", labeled())
    until(lambda: service.log() == ["begin octo/tools#12"])

    code = service.kill(signal.SIGTERM)

    assert code == 0
    assert service.log() == ["begin octo/tools#12", "left 1"]


def test_without_a_worker_it_only_takes_deliveries(service: Running) -> None:
    service.go()
    service.start("no-worker")
    run = service.deliver("issues", labeled()).json()["run"]
    queued = service.web.get(f"/runs/{run}").json()["state"]
    code = service.kill(signal.SIGTERM)
    service.start()

    assert (queued, code) == ("queued", 0)
    assert service.over(run)["state"] == "done"


def test_a_storm_of_deliveries_loses_none(service: Running) -> None:
    service.start("no-worker")
    # Another connection each, all at once, as GitHub does it.
    with ThreadPoolExecutor(150) as pool:
        answers = list(pool.map(lambda number: deliver_alone(service.port, number), range(1, 301)))

    connection = sqlite3.connect(service.folder / "deliveries.db")
    kept = connection.execute("SELECT count(*), sum(enqueued) FROM jobs").fetchone()
    connection.close()
    assert set(answers) == {202}
    assert kept == (300, 300)


def deliver_alone(port: int, number: int) -> int:
    headers, body = delivery("issues", labeled(number=number))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request("POST", "/webhooks/github", body=body, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def raw(port: int, *chunks: bytes, hang_up: bool = False) -> bytes:
    """The first line of what comes back for bytes that no client library would send."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
        for chunk in chunks:
            try:
                connection.sendall(chunk)
            except OSError:
                break
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        try:
            return connection.recv(200).partition(b"\r\n")[0]
        except ConnectionResetError:
            return b""


def test_hostile_http_is_answered_and_the_service_lives_on(service: Running) -> None:
    service.start("no-worker")
    head = b"POST /webhooks/github HTTP/1.1\r\nhost: x\r\n"
    large = b"%x\r\n" % (1 << 20) + b" " * (1 << 20) + b"\r\n"
    answers = {
        "declared too large": raw(service.port, head + b"content-length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1)),
        "absurd length": raw(service.port, head + b"content-length: " + b"9" * 19 + b"\r\n\r\n"),
        "endless chunks": raw(service.port, head + b"transfer-encoding: chunked\r\n\r\n", *[large] * 27),
        "negative length": raw(service.port, head + b"content-length: -1\r\n\r\n"),
        "two lengths": raw(service.port, head + b"content-length: 1\r\ncontent-length: 2\r\n\r\nx"),
        "cut short": raw(service.port, head + b"content-length: 100\r\n\r\nabc", hang_up=True),
        "large header": raw(service.port, head + b"x: " + b"a" * 200_000 + b"\r\n\r\n"),
        "no http": raw(service.port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 20 + b"\r\n\r\n"),
        "raw bytes in a header": raw(
            service.port, head + b"x-hub-signature-256: \xff\xfe\r\ncontent-length: 0\r\n\r\n"
        ),
    }

    codes = {name: answer.split(b" ")[1] if answer else b"" for name, answer in answers.items()}
    assert codes["declared too large"] == codes["absurd length"] == b"413"
    assert codes["endless chunks"] in {b"413", b""}
    assert codes["raw bytes in a header"] == b"401"
    assert all(code[:1] in {b"4", b""} for code in codes.values()), codes
    assert service.deliver("issues", labeled()).status_code == 202
