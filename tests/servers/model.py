"""A model server on loopback: OpenAI's chat completions and responses, Anthropic's messages; scripted turns and faults.

In tests `with ModelServer(turns) as server:` and `server.base_url`; as a process
`python -m tests.servers.model --port 8080 --script turns.json`, where the script is a JSON list of turns.
"""

import argparse
import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from typing_extensions import override

from tests.servers.model_checks import Strictness, complaint
from tests.servers.model_turns import (
    JsonObject,
    Turn,
    anthropic_body,
    anthropic_events,
    counts,
    openai_body,
    openai_chunks,
    responses_body,
)

Script = Iterable[Turn] | Callable[[JsonObject], Turn]
_STALL_S = 60.0


@dataclass(frozen=True)
class Received:
    """One request as it came; header names in lower case."""

    path: str
    headers: dict[str, str]
    raw: bytes
    body: JsonObject

    @property
    def messages(self) -> list[JsonObject]:
        messages: list[JsonObject] = self.body["messages"]
        return messages


class ModelServer:
    """Answers each request with the next turn, and keeps the requests.

    `script` is turns in order or a function of the request. `strictness` names whose refusals apply. With `api_key` any
    other key gets 401. A script that is over answers 400 and says so.
    """

    def __init__(
        self, script: Script = (), *, strictness: Strictness = "none", api_key: str | None = None, port: int = 0
    ) -> None:
        self._function = script if callable(script) else None
        self._turns = iter(()) if callable(script) else iter(script)
        self.strictness: Strictness = strictness
        self.api_key = api_key
        self.requests: list[Received] = []
        self.closing = threading.Event()
        self.stalled: list[str] = []
        """Paths of the answers that hang at this moment."""
        self._lock = threading.Lock()
        self._last_prompt = ""
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def base_url(self) -> str:
        """What a profile's `api_base` is set to; Anthropic's has no `/v1`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def count(self) -> int:
        """How many requests came."""
        return len(self.requests)

    def take(self, received: Received) -> tuple[Turn, int]:
        """The turn for `received`, and how many characters its prompt shares with the one before."""
        with self._lock:
            self.requests.append(received)
            prompt = json.dumps(
                [received.body.get("tools"), received.body.get("messages", received.body.get("input"))],
                ensure_ascii=False,
            )
            shared = _common_prefix(self._last_prompt, prompt)
            self._last_prompt = prompt
            turn = self._function(received.body) if self._function else next(self._turns, None)
        problem = complaint(received.body, self.strictness)
        if problem is not None:
            turn = Turn(
                fault="status", status=400, error={"error": {"message": problem, "type": "invalid_request_error"}}
            )
        if turn is None:
            turn = Turn(fault="status", status=400, error=f"the script has no turn number {self.count}")
        return turn, shared

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: ModelServer

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # a client that hangs up is part of the tests
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: _Server

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the requests are kept."""

    def do_POST(self) -> None:
        owner = self.server.owner
        raw = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if owner.api_key is not None and key != owner.api_key:
            self._status(401, {"error": {"message": f"Incorrect API key provided: {key}", "type": "auth"}}, {})
            return
        body = json.loads(raw)
        turn, shared = owner.take(Received(self.path, headers, raw, body))
        if turn.fault == "status":
            self._status(turn.status, turn.error, dict(turn.headers))
        elif turn.fault == "drop":
            self.close_connection = True
        elif self.path.endswith("/messages"):
            self._anthropic(turn, body, counts(turn, body, shared))
        elif self.path.endswith("/chat/completions"):
            self._openai(turn, body, counts(turn, body, shared))
        elif self.path.endswith("/responses"):
            self._whole(turn, responses_body(turn, f"resp_{owner.count}", body["model"], counts(turn, body, shared)))
        else:
            self._status(404, {"error": {"message": f"no {self.path} here", "type": "not_found"}}, {})

    def do_GET(self) -> None:
        self._status(404, {"error": {"message": f"no {self.path} here", "type": "not_found"}}, {})

    def _openai(self, turn: Turn, body: JsonObject, counted: JsonObject) -> None:
        request_id = f"chatcmpl-{self.server.owner.count}"
        if not body.get("stream"):
            self._whole(turn, openai_body(turn, request_id, body["model"], counted))
            return
        chunks = list(openai_chunks(turn, request_id, body["model"], counted))
        if not (body.get("stream_options") or {}).get("include_usage"):
            chunks = [chunk for chunk in chunks if chunk["choices"]]
        self._stream(turn, [_event(chunk) for chunk in chunks], b"data: [DONE]\n\n")

    def _anthropic(self, turn: Turn, body: JsonObject, counted: JsonObject) -> None:
        request_id = f"msg_{self.server.owner.count}"
        if not body.get("stream"):
            self._whole(turn, anthropic_body(turn, request_id, body["model"], counted))
            return
        events = list(anthropic_events(turn, request_id, body["model"], counted))
        named = [f"event: {event['type']}\n".encode() + _event(event) for event in events]
        self._stream(turn, named[:-1], named[-1])

    def _whole(self, turn: Turn, body: JsonObject) -> None:
        payload = json.dumps(body, ensure_ascii=False).encode()
        if turn.fault is None:
            self._status(200, body, dict(turn.headers))
            return
        self._head(200, {"content-type": "application/json", "content-length": str(len(payload))})
        self.wfile.write(payload[: len(payload) // 2])
        self._break_off(turn)

    def _stream(self, turn: Turn, events: list[bytes], end: bytes) -> None:
        self._head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked", **turn.headers})
        self._chunk(b": keep-alive\n\n")
        if turn.fault is None:
            for event in (*events, end):
                self._chunk(event)
            self._chunk(b"")
            return
        for event in events[: max(1, len(events) // 2)]:
            self._chunk(event)
        if turn.fault == "sse_error":
            error = turn.error or {"error": {"message": "upstream failed", "type": "server_error", "code": 500}}
            self._chunk(b"data: " + json.dumps(error).encode() + b"\n\n")
        if turn.fault in {"sse_error", "early_eof"}:
            self._chunk(b"")
            return
        self._break_off(turn)

    def _break_off(self, turn: Turn) -> None:
        self.wfile.flush()
        if turn.fault == "stall":
            self.server.owner.stalled.append(self.path)
            self.server.owner.closing.wait(_STALL_S)
            self.server.owner.stalled.remove(self.path)
        self.close_connection = True

    def _status(self, status: int, error: JsonObject | str, headers: dict[str, str]) -> None:
        payload = error.encode() if isinstance(error, str) else json.dumps(error, ensure_ascii=False).encode()
        kind = "text/html" if isinstance(error, str) else "application/json"
        self._head(status, {"content-type": kind, "content-length": str(len(payload)), **headers})
        self.wfile.write(payload)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _event(data: JsonObject) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def _common_prefix(one: str, other: str) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def turns_from(path: Path) -> Iterator[Turn]:
    """The turns of a script file: a JSON list, or an object with `turns`."""
    data = json.loads(path.read_text(encoding="utf-8"))
    for turn in data["turns"] if isinstance(data, dict) else data:
        yield Turn.from_json(turn)


def main() -> None:
    """Serve a script until interrupted; the first line of output is the base URL."""
    parser = argparse.ArgumentParser(description="A model server that answers from a script.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument(
        "--strict",
        default="none",
        choices=["none", "pairing", "moonshot", "deepseek", "openai", "anthropic", "responses"],
    )
    arguments = parser.parse_args()
    turns = list(turns_from(arguments.script))
    with ModelServer(turns, strictness=arguments.strict, port=arguments.port) as server:
        sys.stdout.write(server.base_url + "\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            server.closing.wait()


if __name__ == "__main__":
    main()
