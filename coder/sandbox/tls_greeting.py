"""The name of the server in a TLS greeting (ClientHello): https://www.rfc-editor.org/rfc/rfc8446#section-4.1.2."""

HANDSHAKE, CLIENT_HELLO, SERVER_NAME = 22, 1, 0
RECORD_HEAD = 5


def server_name(data: bytes) -> str | None:
    """The name that a connection beginning with `data` is for; empty when it is none of TLS or has no name.

    None when more is needed to tell.
    """
    if not data:
        return None
    hello = b""
    rest = data
    while len(rest) >= RECORD_HEAD and rest[0] == HANDSHAKE:
        length = int.from_bytes(rest[3:5], "big")
        hello += rest[RECORD_HEAD : RECORD_HEAD + length]
        rest = rest[RECORD_HEAD + length :]
        if len(hello) >= 4 and len(hello) >= 4 + int.from_bytes(hello[1:4], "big"):  # noqa: PLR2004  (type and length)
            return _name(hello)
    if data[0] != HANDSHAKE or (rest and rest[0] != HANDSHAKE):
        return ""
    return None


def _name(hello: bytes) -> str:
    if hello[0] != CLIENT_HELLO:
        return ""
    reader = _Reader(hello[4:])
    try:
        reader.skip(2 + 32)  # version and random
        reader.vector(1)  # session
        reader.vector(2)  # ciphers
        reader.vector(1)  # compression
        extensions = _Reader(reader.vector(2))
        while extensions.left:
            kind, body = extensions.number(2), extensions.vector(2)
            if kind == SERVER_NAME:
                names = _Reader(_Reader(body).vector(2))
                return names.vector(2).decode("ascii").lower() if names.number(1) == 0 else ""
    except (ValueError, UnicodeDecodeError):
        return ""
    return ""


class _Reader:
    """Reads numbers and length-prefixed vectors; too short is a ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def skip(self, size: int) -> bytes:
        if self.left < size:
            raise ValueError("too short")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.skip(size), "big")

    def vector(self, size: int) -> bytes:
        return self.skip(self.number(size))
