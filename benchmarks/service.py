"""How fast the service answers a delivery, and how fast jobs pass through the queue.

    python -m benchmarks.service [--deliveries 200] [--jobs 40]

In process, over loopback HTTP: what GitHub waits for is signature, parsing, one transaction and one enqueue.
"""

import argparse
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

import httpx
import uvicorn

from coder.types import JsonObject
from webhooks.config import ServiceConfig
from webhooks.service import Service, build
from webhooks.signature import sign

SECRET = "benchmark secret"
DEADLINE_S = 120.0
POLL_S = 0.01


def payload(number: int, *, padding: int = 0) -> bytes:
    """A comment that asks for a fix of issue `number`."""
    person = {"login": "mona", "id": 7, "type": "User"}
    return json.dumps(
        {
            "action": "created",
            "issue": {"number": number, "state": "open", "locked": False, "updated_at": "2026-01-02T03:04:05Z"},
            "comment": {
                "id": number,
                "body": "@coder fix\n\n" + "x" * padding,
                "user": person,
                "created_at": "2026-01-02T03:04:05Z",
            },
            "repository": {"id": number % 8 + 1, "name": f"r{number % 8}", "owner": {"login": "octo"}},
            "sender": person,
        }
    ).encode()


def deliver(web: httpx.Client, body: bytes) -> float:
    """Seconds until the answer."""
    headers = {
        "x-github-event": "issue_comment",
        "content-type": "application/json",
        "x-hub-signature-256": sign(SECRET.encode(), body),
    }
    begin = time.perf_counter()
    answer = web.post("/webhooks/github", content=body, headers=headers)
    elapsed = time.perf_counter() - begin
    if answer.status_code != httpx.codes.ACCEPTED:
        raise SystemExit(f"{answer.status_code}: {answer.text}")
    return elapsed


def report(name: str, seconds: list[float]) -> None:
    cuts = statistics.quantiles(seconds, n=100)
    print(
        f"{name:<34} median {cuts[49] * 1000:7.1f} ms   p95 {cuts[94] * 1000:7.1f} ms   p99 {cuts[98] * 1000:7.1f} ms"
    )


def measure(service: Service, web: httpx.Client, *, deliveries: int, jobs: int) -> None:
    fresh = [payload(number) for number in range(1, deliveries + 1)]
    report("new delivery, 1 run queued", [deliver(web, body) for body in fresh])
    report("redelivery", [deliver(web, body) for body in fresh])
    report("refused (run not over), 60 KB", [deliver(web, payload(9 * 8, padding=60_000 + n)) for n in range(50)])
    begin = time.perf_counter()
    service.engine.run_worker()
    finished = 0
    while finished < jobs and time.perf_counter() - begin < DEADLINE_S:
        time.sleep(POLL_S)
        finished = sum(job.state == "done" for job in service.engine.list(limit=deliveries))
    elapsed = time.perf_counter() - begin
    print(f"{'empty jobs of 8 repositories':<34} {finished / elapsed:6.1f} a second ({finished} in {elapsed:.1f} s)")


def run(*_given: object) -> JsonObject:
    return {"ok": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        values = {"webhook_secret": SECRET, "allowed_repos": ("*",), "state_dir": Path(folder), "model": "none"}
        service = build(ServiceConfig.model_validate(values), run)
        server = uvicorn.Server(
            uvicorn.Config(service.app, host="127.0.0.1", port=0, log_config=None, access_log=False)
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(POLL_S)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=DEADLINE_S) as web:
            measure(service, web, deliveries=options.deliveries, jobs=min(options.jobs, options.deliveries))
        server.should_exit = True
        thread.join()
        service.engine.drain(timeout_s=5)
        service.close()


if __name__ == "__main__":
    main()
