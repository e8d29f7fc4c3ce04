"""The host's end of a sandbox's way out: an HTTPS proxy that decides by name, connects, and remembers whom.

Only `CONNECT` is served. A name is looked up once, all its addresses must be public, and the connection goes to the very
address that was looked at. The name inside the TLS greeting must be the one that was asked for.
"""

import logging
import queue
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from coder.errors import SandboxError
from coder.sandbox import egress_rules
from coder.sandbox.beside.relay import CHUNK_BYTES, CLOSE, DATA, FRAME, OPEN
from coder.sandbox.inside.frames import FrameError
from coder.sandbox.session import Stream
from coder.sandbox.tls_greeting import server_name
from coder.types import Contact

logger = logging.getLogger(__name__)

PORT = 3128
"""Where the sandbox finds the proxy, on its loopback interface."""
ENVIRONMENT = {
    **dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), f"http://127.0.0.1:{PORT}"),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1"),
}
MAX_HEADER_BYTES = 8_192
MAX_FRAME_BYTES = 1 << 20
MAX_CONTACTS = 200
"""Different hosts that are remembered of one sandbox; a port scan of names does not fill the journal."""
QUEUED_PIECES = 64
CONNECT_TIMEOUT_S = 20.0
IDLE_TIMEOUT_S = 300.0
SEND_TIMEOUT_S = 60.0
FOREVER_S = 30 * 86_400.0

Resolve = Callable[[str, int], list[str]]
Connect = Callable[[str, int], socket.socket]


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host."""
    return list(dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def connected(address: str, port: int) -> socket.socket:
    """A connection to an address."""
    return socket.create_connection((address, port), CONNECT_TIMEOUT_S)


@dataclass(slots=True)
class Contacts:
    """Which hosts one run tried to reach; counted, and each told once per taking."""

    _found: dict[tuple[str, int, bool, str], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, host: str, port: int, reason: str) -> None:
        """Remember an attempt; an empty `reason` is one that was let through."""
        key = (host[:253], port, not reason, reason[:200])
        with self._lock:
            if key in self._found or len(self._found) < MAX_CONTACTS:
                self._found[key] = self._found.get(key, 0) + 1

    def take(self) -> tuple[Contact, ...]:
        """What came since the last time."""
        with self._lock:
            found, self._found = self._found, {}
        return tuple(
            Contact(host=host, port=port, allowed=allowed, reason=reason, count=count)
            for (host, port, allowed, reason), count in found.items()
        )


class EgressProxy:
    """Serves the relay at the other end of `stream` until that ends. Threads of it end with it."""

    def __init__(
        self,
        stream: Stream,
        allowed: tuple[str, ...],
        contacts: Contacts,
        *,
        resolve: Resolve = resolved,
        connect: Connect = connected,
        is_public: Callable[[str], bool] = egress_rules.is_public,
    ) -> None:
        self._stream, self._allowed, self._contacts = stream, allowed, contacts
        self._resolve, self._connect, self._is_public = resolve, connect, is_public
        self._sending = threading.Lock()
        self._tunnels: dict[int, queue.Queue[bytes]] = {}
        self._thread = threading.Thread(target=self._serve, name="egress", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout_s: float = 5.0) -> None:
        """Wait for the end, after the stream was hung up."""
        self._thread.join(timeout_s)

    # --- frames -----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while True:
                kind, number, length = FRAME.unpack(self._exactly(FRAME.size))
                self._take(kind, number, self._exactly(length))
        except (OSError, FrameError, SandboxError) as exc:
            logger.debug("egress ends", extra={"why": str(exc)})
        for pieces in list(self._tunnels.values()):
            _put(pieces, b"")

    def _exactly(self, size: int) -> bytes:
        if size > MAX_FRAME_BYTES:
            raise FrameError(f"a frame of {size} bytes")
        data = b""
        while len(data) < size:
            chunk = self._stream.receive(size - len(data), time.monotonic() + FOREVER_S)
            if not chunk:
                raise FrameError("the relay hung up")
            data += chunk
        return data

    def _take(self, kind: int, number: int, data: bytes) -> None:
        if kind == OPEN:
            pieces: queue.Queue[bytes] = queue.Queue(QUEUED_PIECES)
            self._tunnels[number] = pieces
            threading.Thread(target=self._tunnel, args=(number, pieces), name="egress-tunnel", daemon=True).start()
        elif (found := self._tunnels.get(number)) is not None and not _put(found, data if kind == DATA else b""):
            self._tunnels.pop(number, None)

    def _send(self, kind: int, number: int, data: bytes = b"") -> None:
        with self._sending:
            self._stream.send(FRAME.pack(kind, number, len(data)) + data, time.monotonic() + SEND_TIMEOUT_S)

    # --- one connection ---------------------------------------------------------------------------------------------

    def _tunnel(self, number: int, pieces: "queue.Queue[bytes]") -> None:
        try:
            self._carry(number, pieces)
        except (OSError, queue.Empty, SandboxError) as exc:
            logger.debug("a tunnel ends", extra={"why": str(exc)})
        finally:
            self._tunnels.pop(number, None)
            try:
                self._send(CLOSE, number)
            except (OSError, SandboxError) as exc:
                logger.debug("the relay is gone", extra={"why": str(exc)})

    def _carry(self, number: int, pieces: "queue.Queue[bytes]") -> None:
        head, rest = _header(pieces)
        asked = re.match(rb"CONNECT ([^\s:]{1,253}|\[[^\]]{1,80}\]):(\d{1,5}) HTTP/1\.[01]\r\n", head)
        if asked is None:
            wanted = re.match(rb"[A-Z]+ http://([^\s:/]{1,253})", head)
            self._refuse(
                number, wanted[1].decode("ascii", "replace") if wanted else "?", 80, "only HTTPS is let through"
            )
            return
        host, port = asked[1].decode("ascii", "replace").lower(), int(asked[2])
        address, reason = self._address(host, port)
        if reason:
            self._refuse(number, host, port, reason)
            return
        self._send(DATA, number, b"HTTP/1.1 200 Connection established\r\n\r\n")
        greeting, name = _greeting(pieces, rest)
        if name != host.rstrip("."):
            self._contacts.add(host, port, f"the connection is not TLS to this host but {name or 'without a name'}")
            return
        try:
            upstream = self._connect(address, port)
        except OSError as exc:
            self._contacts.add(host, port, f"no connection: {exc.strerror or exc}")
            return
        self._contacts.add(host, port, "")
        with upstream:
            upstream.sendall(greeting)
            self._both_ways(number, pieces, upstream)

    def _address(self, host: str, port: int) -> tuple[str, str]:
        """The address to connect to; or why not."""
        if reason := egress_rules.refusal(self._allowed, host, port):
            return "", reason
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as exc:
            return "", f"no address: {exc}"
        if not addresses or not all(map(self._is_public, addresses)):
            return "", "its address is not one of the public internet"
        return addresses[0], ""

    def _refuse(self, number: int, host: str, port: int, reason: str) -> None:
        self._contacts.add(host, port, reason)
        body = f"coder: {host}:{port} is not to be reached from here: {reason}\n".encode()
        head = f"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self._send(DATA, number, head.encode() + body)

    def _both_ways(self, number: int, pieces: "queue.Queue[bytes]", upstream: socket.socket) -> None:
        upstream.settimeout(IDLE_TIMEOUT_S)

        def back() -> None:
            try:
                while data := upstream.recv(CHUNK_BYTES):
                    self._send(DATA, number, data)
            except (OSError, SandboxError) as exc:
                logger.debug("a tunnel ends", extra={"why": str(exc)})
            _put(pieces, b"")

        returning = threading.Thread(target=back, name="egress-back", daemon=True)
        returning.start()
        try:
            while data := pieces.get(timeout=IDLE_TIMEOUT_S):
                upstream.sendall(data)
        finally:
            upstream.shutdown(socket.SHUT_RDWR)
            returning.join(SEND_TIMEOUT_S)


def _put(pieces: "queue.Queue[bytes]", data: bytes) -> bool:
    """Hand a piece on; False when its reader does not keep up, which ends it. Empty is the end."""
    try:
        pieces.put(data, timeout=SEND_TIMEOUT_S)
    except queue.Full:
        return False
    return True


def _header(pieces: "queue.Queue[bytes]") -> tuple[bytes, bytes]:
    """The head of a request, and what came after it."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) <= MAX_HEADER_BYTES:
        piece = pieces.get(timeout=CONNECT_TIMEOUT_S)
        if not piece:
            break
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n", rest


def _greeting(pieces: "queue.Queue[bytes]", data: bytes) -> tuple[bytes, str]:
    """The first bytes of a connection, up to the end of the TLS greeting, and the name in it (empty without one)."""
    while (name := server_name(data)) is None and len(data) <= MAX_HEADER_BYTES * 4:
        piece = pieces.get(timeout=CONNECT_TIMEOUT_S)
        if not piece:
            return data, ""
        data += piece
    return data, name or ""
