"""An MCP server for tests, by streamable HTTP on loopback; the mode says how it behaves."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from typing_extensions import override

from tests.servers.mcp import answer


class McpHttp:
    """Answers as JSON (`json`) or as events (any other mode), to those who bring the key and the session."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.posts: list[tuple[dict[str, str], dict[str, Any]]] = []
        """Headers in lower case, and the message."""
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/mcp"

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
    owner: McpHttp

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        owner = self.server.owner
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner.posts.append((headers, message))
        method = message.get("method", "")
        if headers.get("authorization") != "Bearer k3y":
            self._say(401, b"{}")
        elif method != "initialize" and headers.get("mcp-session-id") != "s1":
            self._say(404, b"{}")
        elif "id" not in message or not method:
            self._say(202, b"")
        elif method == "tools/call" and owner.mode not in {"json", "events"}:
            self._misbehave(owner.mode)
        else:
            result = answer(method, message.get("params") or {}, "good")
            told = {"jsonrpc": "2.0", "id": message["id"], "error" if "code" in result else "result": result}
            self._tell(told)

    def _tell(self, told: dict[str, Any]) -> None:
        if self.server.owner.mode == "json":
            self._say(200, json.dumps(told).encode())
            return
        asked = {"jsonrpc": "2.0", "id": "theirs", "method": "sampling/createMessage", "params": {}}
        self._begin()
        for one in ({"jsonrpc": "2.0", "method": "notifications/message"}, asked, told):
            self.wfile.write(b"event: message\ndata: " + json.dumps(one).encode() + b"\n\n")
        self.wfile.flush()
        self.server.owner.closing.wait(5)  # a stream may stay open behind the answer

    def _misbehave(self, mode: str) -> None:
        if mode == "moved":
            self.send_response(307)
            self.send_header("location", "http://127.0.0.1:9/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()
        elif mode == "babbles":
            self._say(200, b"no message")
        elif mode == "mute":
            self._begin()
        elif mode == "floods":
            self._begin()
            for _ in range(10):
                self.wfile.write(b"data: " + b"x" * (1 << 20))
        else:
            self.server.owner.closing.wait(20)
        self.close_connection = True

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.send_header("mcp-session-id", "s1")
        self.end_headers()
        self.close_connection = True

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("mcp-session-id", "s1")
        self.end_headers()
        self.wfile.write(body)
