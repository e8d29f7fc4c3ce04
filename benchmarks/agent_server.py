"""The model's end of the agent benchmark: answers at once, by the number of answers that stand in the history."""

import hashlib
import json
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

FACT = "the password of the gate is 7319-heron"
"""Told by a tool early on; needed again near the end."""
_CHARS_PER_TOKEN = 4
_CACHE_BLOCK_CHARS = 64 * _CHARS_PER_TOKEN
_SUMMARISED = re.compile(r"All steps up to step (\d+) were replaced")
_SUMMARY = (
    "Goal: all modules get their line. Facts: module_N.py holds f<N>_<n>. Done: lines were added. Next: go on. " * 20
)
_REASONING = (
    "I look at what the last result says about the module, and at what is still to be done before I go on. " * 6
)


def turn(number: int, steps: int) -> tuple[str, dict[str, Any]]:
    """Name and arguments of the tool that answer `number` (from 0) calls."""
    module = f"module_{number % 120}.py"
    if number >= steps - 2:  # the last look, and the word
        return "submit", {"title": "Bench", "summary": "All done.", "confirm": True}
    if number == 4:
        return "run", {"command": f"echo '{FACT}'"}
    if number == int(steps * 0.93):
        return "recall", {"words": "password of the gate"}
    choices: list[tuple[str, dict[str, Any]]] = [
        ("read", {"path": module, "start": 1, "lines": 60}),
        ("search", {"pattern": f"f{number % 120}_1[0-9]", "path": module}),
        ("edit", {"path": module, "edits": [{"after_line": 0, "new": f"# step {number}"}]}),
        ("run", {"command": f"python3 -I -S -c 'print({number})'; head -c 1500 {module}"}),
        ("list", {"pattern": f"module_{number % 10}*.py"}),
        ("plan", {"items": [{"text": f"step {number}", "status": "doing"}]}),
    ]
    return choices[number % len(choices)]


def _call(number: int, steps: int) -> dict[str, Any]:
    name, arguments = turn(number, steps)
    call = {"name": name, "arguments": json.dumps(arguments)}
    return {
        "role": "assistant",
        "content": None,
        "reasoning_content": _REASONING,
        "tool_calls": [{"id": f"functions.{name}:{number}", "type": "function", "function": call}],
    }


def _step(messages: list[dict[str, Any]]) -> int:
    """How many steps were done: those that stand in the history, and those that a summary stands for."""
    summarised = [_SUMMARISED.match(str(m["content"])) for m in messages if m["role"] == "user"]
    before = max((int(found[1]) for found in summarised if found), default=0)
    return before + len([m for m in messages if m["role"] == "assistant"])


class _Measured:
    """What is counted from one report to the next."""

    def __init__(self) -> None:
        self.gaps_ms: list[float] = []
        self.asked: list[int] = []
        self.wire: dict[str, str] = {}
        """Digest of the conversation of each request, by the number of answers before it."""
        self.sent_bytes = self.shared_bytes = self.prefix_breaks = self.first_bytes = self.summaries = 0
        self.recall_ok: bool | None = None
        self.first_at = 0.0
        """When the first request arrived, by the machine's monotonic clock."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    @override
    def parse_request(self) -> bool:
        self.arrived = time.monotonic()  # the request line has just been read
        return super().parse_request()

    def do_GET(self) -> None:
        if self.path == "/asked":
            self._send({"step": max(self.server.measured.asked, default=0)})
            return
        measured, self.server.measured = self.server.measured, _Measured()
        self.server.last_body, self.server.answered = b"", 0.0
        self._send(vars(measured))

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        body = self.rfile.read(length)
        if len(body) < length:  # the agent was killed while it wrote
            self.close_connection = True
            return
        self._send(self.server.answer(body, self.arrived))
        self.server.answered = time.monotonic()

    def _send(self, payload: dict[str, Any]) -> None:
        data = json.dumps(payload).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, steps: int, *, plain: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plain = plain
        """Measure nothing: for many conversations at once."""
        self.steps = steps
        self.measured = _Measured()
        self.last_body = b""
        self.answered = 0.0

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a killed agent leaves broken connections behind
            super().handle_error(request, client_address)

    def answer(self, raw: bytes, arrived: float) -> dict[str, Any]:
        """What the model says to a request that arrived when."""
        measured, body = self.measured, json.loads(raw)
        if self.answered:
            measured.gaps_ms.append((arrived - self.answered) * 1000)
        measured.first_at = measured.first_at or arrived
        number = _step(body["messages"])
        if self.plain:
            return _response(_call(number, self.steps), {"prompt_tokens": len(raw) // _CHARS_PER_TOKEN})
        # As a model's template renders it: tools first, then the messages; the list's closing bracket moves on.
        shared = self._shared((json.dumps(body["tools"]) + json.dumps(body["messages"])[:-1]).encode())
        measured.first_bytes = measured.first_bytes or len(raw)
        if number == int(self.steps * 0.93) + 1:
            measured.recall_ok = FACT in str(body["messages"][-1]["content"])
        if str(body["messages"][-1]["content"]).startswith("The conversation so far is about to be shortened"):
            measured.summaries += 1
            measured.wire[f"summary before {number}"] = _digest(body["messages"])
            message: dict[str, Any] = {"role": "assistant", "content": _SUMMARY, "reasoning_content": _REASONING}
        else:
            measured.asked.append(number)
            measured.wire[str(number)] = _digest(body["messages"])
            message = _call(number, self.steps)
        cached = shared // _CACHE_BLOCK_CHARS * _CACHE_BLOCK_CHARS // _CHARS_PER_TOKEN
        usage = {
            "prompt_tokens": len(self.last_body) // _CHARS_PER_TOKEN,
            "completion_tokens": len(json.dumps(message)) // _CHARS_PER_TOKEN,
            "total_tokens": 0,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        return _response(message, usage)

    def _shared(self, prompt: bytes) -> int:
        """How many bytes of the prompt stand at the front of the one before, too."""
        last, measured = self.last_body, self.measured
        low, high = 0, min(len(last), len(prompt))
        while low < high:
            middle = (low + high + 1) // 2
            if last[:middle] == prompt[:middle]:
                low = middle
            else:
                high = middle - 1
        measured.prefix_breaks += low < len(last)
        measured.sent_bytes += len(prompt)
        measured.shared_bytes += low
        self.last_body = prompt
        return low


def _digest(messages: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(messages).encode()).hexdigest()[:16]


def _response(message: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
    finish = "tool_calls" if "tool_calls" in message else "stop"
    choice = {"index": 0, "finish_reason": finish, "message": message}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "bench", "choices": [choice], "usage": usage}


def serve(steps: int, *, plain: bool = False) -> None:
    """Answer for a trajectory of `steps` until killed; the address is the first line of the output."""
    server = _Server(steps, plain=plain)
    sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
