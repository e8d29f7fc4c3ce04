"""The frames between host and runner: two 4-byte lengths, a JSON header, a binary body."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTHS = struct.Struct("!II")
MAX_HEADER_BYTES = 16 << 20
"""A command, a file list or a log fits; a forged length does not make anybody allocate gigabytes."""
MAX_BODY_BYTES = 1 << 30


class FrameError(Exception):
    """The other side does not speak the protocol."""


def encoded(header: dict[str, Any], body_length: int = 0) -> bytes:
    """The start of a frame; the body's bytes follow it as they are. Lone surrogates survive as JSON escapes."""
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    return LENGTHS.pack(len(text), body_length) + text


def received(read_exactly: Callable[[int], bytes]) -> tuple[dict[str, Any], int]:
    """The next header and the length of the body that follows it, unread.

    Raises:
        FrameError: Absurd lengths, or a header that is not a JSON object.
    """
    header_length, body_length = LENGTHS.unpack(read_exactly(LENGTHS.size))
    if header_length > MAX_HEADER_BYTES or body_length > MAX_BODY_BYTES:
        raise FrameError(f"a frame claims {header_length} + {body_length} bytes")
    try:
        header = json.loads(read_exactly(header_length))
    except ValueError as exc:
        raise FrameError("a frame's header is not JSON") from exc
    if not isinstance(header, dict):
        raise FrameError("a frame's header is not an object")
    return header, body_length
