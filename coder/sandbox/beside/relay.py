"""The sandbox's way out: connections to a port of its loopback interface, as frames over this process's stdin and stdout.

It decides nothing and reaches nothing: there is no network here either. The other end, on the host, decides.
"""

import contextlib
import os
import socket
import struct
import sys
import threading

FRAME = struct.Struct("!BII")
"""Kind, number of the connection, length of what follows."""
OPEN, DATA, CLOSE = 1, 2, 3
MAX_CONNECTIONS = 64
CHUNK_BYTES = 65_536
SEND_TIMEOUT_S = 30.0


class Relay:
    """All connections of one sandbox."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=MAX_CONNECTIONS)
        self._clients: dict[int, socket.socket] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def send(self, kind: int, number: int, data: bytes = b"") -> None:
        """Send one frame to the host."""
        with self._writing:
            sys.stdout.buffer.write(FRAME.pack(kind, number, len(data)) + data)
            sys.stdout.buffer.flush()

    def accept(self) -> None:
        """Take connections until the listener is closed."""
        number = 0
        while True:
            client, _ = self._listener.accept()
            with self._lock:
                room = len(self._clients) < MAX_CONNECTIONS
                if room:
                    number += 1
                    self._clients[number] = client
            if not room:
                client.close()
                continue
            self.send(OPEN, number)
            threading.Thread(target=self.pump, args=(number, client), daemon=True).start()

    def pump(self, number: int, client: socket.socket) -> None:
        """From a client to the host."""
        with contextlib.suppress(OSError):
            while data := client.recv(CHUNK_BYTES):
                self.send(DATA, number, data)
        self.send(CLOSE, number)

    def deliver(self) -> None:
        """From the host to the clients, until the host hangs up."""
        incoming = sys.stdin.buffer
        while len(head := incoming.read(FRAME.size)) == FRAME.size:
            kind, number, length = FRAME.unpack(head)
            data = incoming.read(length)
            with self._lock:
                client = self._clients.get(number)
            if client is not None:
                self._give(kind, number, client, data)

    def _give(self, kind: int, number: int, client: socket.socket, data: bytes) -> None:
        try:
            if kind == DATA:
                # Blocking, with a limit: a client that does not read may not hold up the others for long.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(SEND_TIMEOUT_S), 0))
                client.sendall(data)
                return
        except OSError:
            self.send(CLOSE, number)
        with self._lock:
            self._clients.pop(number, None)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        client.close()


def main() -> None:
    """Serve until the host hangs up."""
    relay = Relay(int(sys.argv[1]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Thread(target=relay.accept, daemon=True).start()
    try:
        relay.deliver()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
