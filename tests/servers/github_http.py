"""HTTP of the GitHub test server: REST by `github_routes`, git by `git http-backend`, faults on demand."""

import base64
import contextlib
import hashlib
import json
import re
import socket
import subprocess
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from typing_extensions import override

from tests.servers.github_call import Call
from tests.servers.github_git import ENVIRONMENT
from tests.servers.github_routes import answer, recorded
from tests.servers.github_state import State, Token

MAX_REQUEST = 64 * 1024 * 1024


@dataclass
class Fault:
    """What goes wrong for the next `times` requests whose method and path (regular expressions) match.

    Not processed: drop_before (the connection is closed) · status (answered with `status`, `headers` and `message`).
    Processed: drop_after (closed without an answer) · status_after (answered as if it were not) · cut (the answer ends in its
    middle) · garbled (its first half is sent as if it were the whole) · slow (`delay_s` before the answer).
    """

    kind: str
    method: str = "POST"
    path: str = ".*"
    times: int = 1
    status: int = 500
    message: str = "Server Error"
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    each: bool = False
    """Once for each route that matches, instead of `times` in all."""
    struck: set[str] = field(default_factory=set)
    """The routes that it struck; numbers, commits and labels in them are left out."""

    def strikes(self, method: str, path: str) -> bool:
        """Whether it is this request's turn; it counts."""
        if re.fullmatch(self.method, method) is None or re.search(self.path, path) is None:
            return False
        route = method + " " + re.sub(r"(?<=/labels/).+|(?<=/)(?:[0-9a-f]{40}|\d+)(?=/|$)", "…", path)
        if self.each:
            fresh = route not in self.struck
        else:
            fresh = self.times > 0
            self.times -= fresh
        self.struck.add(route)
        return fresh


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, state: State, port: int) -> None:
        self.state = state
        self.faults: list[Fault] = []
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", port), Handler)

    def fault(self, method: str, path: str) -> Fault | None:
        with self.state.lock:
            return next((fault for fault in self.faults if fault.strikes(method, path)), None)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the game."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    fault: Fault | None = None
    """What is wrong with the answer to the request at hand."""

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Requests are recorded, not printed."""

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        body = self._read_body()
        self.fault = None
        is_git = re.fullmatch(r"/[^/]+/[^/]+\.git/.*", parts.path) is not None
        path = parts.path if is_git else self.server.state.canonical(self.server.state.rest(parts.path))
        if (log := self._log(path)) is not None:
            self._raw(200, {"Content-Type": "text/plain"}, log)
            return
        if not is_git:
            self._check(path, parts.query, body)
        fault = self.server.fault(self.command, parts.path)
        if fault is not None and fault.kind == "drop_before":
            self._drop()
        elif fault is not None and fault.kind == "status":
            shown = {"message": fault.message, "documentation_url": "https://docs.github.com/rest"}
            self._reply(fault.status, shown, fault.headers)
        elif (place := self.server.state.new_place(path)) is not None:
            status = 301 if self.command == "GET" else 307
            self._reply(status, {"message": "Moved Permanently", "url": place}, {"Location": place})
        else:
            if fault is not None and fault.kind == "slow":
                self.server.stopping.wait(fault.delay_s)
            self.fault = fault
            process = self._git if is_git else self._rest
            process(path, parts.query, body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any  # noqa: N815 - names that http.server looks for

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            data = b""
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                data += self.rfile.read(size)
                self.rfile.readline()
                if len(data) > MAX_REQUEST:
                    break
            self.rfile.readline()
            return data
        return self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MAX_REQUEST))

    def _rest(self, path: str, query: str, body: bytes) -> None:
        state = self.server.state
        scheme, _, credential = self.headers.get("Authorization", "").partition(" ")
        bearer = credential if scheme.lower() in {"bearer", "token"} else None
        try:
            parsed = json.loads(body) if body else {}
        except ValueError:
            self._reply(400, {"message": "Problems parsing JSON"})
            return
        with state.lock:
            token = state.tokens.get(bearer or "")
            call = Call(state, self.command, path, dict(parse_qsl(query)), parsed, token, bearer)
            status, result = answer(call)
            state.requests.append(recorded(call, 0 if self._drops else status))
            if path != "/graphql":
                state.complaints += state.rules.answer(self.command, path, status, result)
        headers: dict[str, str] = {}
        if status == HTTPStatus.FOUND:
            result, headers = None, {"Location": str(result)}
        if isinstance(result, list):
            result, headers = self._page(path, call.query, result)
        elif isinstance(result, dict) and "total_count" in result:
            (key,) = result.keys() - {"total_count"}
            listed, headers = self._page(path, call.query, result[key])
            result |= {key: listed}
        self._reply(status, result, headers)

    def _check(self, path: str, query: str, body: bytes) -> None:
        """Hold against the client what GitHub's description does not have."""
        state = self.server.state
        asked = dict(parse_qsl(query, keep_blank_values=True))
        with contextlib.suppress(ValueError), state.lock:
            sent = json.loads(body) if body else None
            if path != "/graphql":
                state.complaints += state.rules.request(self.command, path, asked, dict(self.headers.items()), sent)
            elif not self.headers.get("User-Agent"):
                state.complaints.append(f"no user agent: {path}")

    def _log(self, path: str) -> bytes | None:
        """What a signed address of a log holds."""
        match = re.fullmatch(r"/signed-logs/(\d+)/(\d+)", path)
        if match is None:
            return None
        if self.headers.get("Authorization"):
            self.server.state.complaints.append("a token was sent to the store of logs")
        repos = self.server.state.repos.values()
        return next((one.logs[int(match[2])] for one in repos if one.id == int(match[1])), b"")

    def _page(self, path: str, query: dict[str, str], items: list[Any]) -> tuple[list[Any], dict[str, str]]:
        size = min(int(query.get("per_page", 30)), 100)
        page = int(query.get("page", 1))
        last = max((len(items) + size - 1) // size, 1)
        links = []
        for relation, number in (("next", page + 1), ("last", last)):
            if number <= last and page < last:
                target = f"{self.server.state.url}{path}?{urlencode(query | {'page': number})}"
                links.append(f'<{target}>; rel="{relation}"')
        return items[(page - 1) * size : page * size], {"Link": ", ".join(links)} if links else {}

    def _git_token(self) -> Token | None:
        """GitHub takes Basic here and no Bearer; the user's name does not matter."""
        scheme, _, credential = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        with contextlib.suppress(ValueError):
            _, _, secret = base64.b64decode(credential, validate=True).decode("utf-8", "replace").partition(":")
            return self.server.state.tokens.get(secret)
        return None

    def _git(self, path: str, query: str, body: bytes) -> None:
        match = re.fullmatch(r"/([^/]+/[^/]+)\.git(/.*)", path)
        repo = self.server.state.repos.get(match[1]) if match is not None else None
        token = self._git_token()
        write = "git-receive-pack" in path + query
        status = 200
        anybody = repo is not None and not repo.private and not write and "Authorization" not in self.headers
        if anybody:
            pass
        elif token is None:
            status = 401
        elif repo is None or not token.may("contents", repo.full_name, write=False):
            status = 404
        elif write and not token.may("contents", repo.full_name, write=True):
            status = 403
        with self.server.state.lock:
            call = Call(self.server.state, self.command, path, dict(parse_qsl(query)), None, token, None)
            self.server.state.requests.append(recorded(call, status))
        if status != 200 or repo is None or match is None:
            self._raw(status, {"WWW-Authenticate": 'Basic realm="GitHub"'} if status == 401 else {}, b"denied\n")
            return
        environment = ENVIRONMENT | {
            "GIT_PROJECT_ROOT": str(repo.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": match[2],
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": token.user.login if token else "",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False)
        head, _, payload = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        code = int(headers.pop("Status", "200").split()[0])
        self._raw(code, headers, payload)

    @property
    def _drops(self) -> bool:
        return self.fault is not None and self.fault.kind == "drop_after"

    def _drop(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _reply(self, status: int, result: Any, headers: dict[str, str] | None = None) -> None:
        extra = {"Content-Type": "application/json; charset=utf-8", "X-GitHub-Media-Type": "github.v3; format=json"}
        limits = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": "4102444800"}
        body = b"" if status == HTTPStatus.NO_CONTENT else json.dumps(result).encode()
        etag = (
            {"ETag": f'W/"{hashlib.sha256(body).hexdigest()}"'}
            if self.command == "GET" and status == HTTPStatus.OK
            else {}
        )
        if etag and self.headers.get("If-None-Match") == etag["ETag"]:
            self.server.state.unchanged.append(self.path.partition("?")[0])
            self._raw(HTTPStatus.NOT_MODIFIED, limits | etag, b"")
            return
        if etag and self.server.state.over_limit:  # which counts what has changed, and nothing else
            self._raw(HTTPStatus.FORBIDDEN, extra | limits, b'{"message": "API rate limit exceeded for user ID 1."}')
            return
        self._raw(status, extra | limits | etag | (headers or {}), body)

    def _raw(self, status: int, headers: dict[str, str], body: bytes) -> None:
        fault, length = self.fault, len(body)
        if self._drops:
            self._drop()
            return
        if fault is not None and fault.kind == "status_after":
            status, headers, body = fault.status, fault.headers, b"<html>Unicorn!</html>"
            length = len(body)
        elif fault is not None and fault.kind in {"cut", "garbled"}:
            body = body[: length // 2]
            length = length if fault.kind == "cut" else len(body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        if len(body) < length:
            self._drop()
