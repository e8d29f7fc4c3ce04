"""Server-sent events, split as they arrive. Pure."""


class EventSplitter:
    """Gives the data of each event. Lines end with LF or CRLF; any other line separator belongs to the text."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        self._data: list[bytes] = []

    def feed(self, part: bytes) -> list[bytes]:
        """The events that `part` completes."""
        self._pending.append(part)
        if b"\n" not in part:
            return []
        *lines, rest = b"".join(self._pending).split(b"\n")
        self._pending = [rest]
        return [event for line in lines if (event := self._line(line.rstrip(b"\r"))) is not None]

    def end(self) -> list[bytes]:
        """What stands at the end without the blank line that should follow it."""
        event = self._line(b"".join(self._pending).rstrip(b"\r"))
        last = self._line(b"")
        self._pending = []
        return [data for data in (event, last) if data is not None]

    def _line(self, line: bytes) -> bytes | None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        if line or not self._data:
            return None
        event = b"\n".join(self._data)
        self._data = []
        return event
