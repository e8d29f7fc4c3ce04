"""Connections that are given up on: whoever says nothing, or says it a byte at a time, holds a place that others need."""

import asyncio
from typing import TYPE_CHECKING, cast

from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

HEAD_TIMEOUT_S = 10.0
"""GitHub's deliveries come at once, and it waits for an answer for 10 s altogether."""


class ImpatientProtocol(H11Protocol):
    """uvicorn's HTTP, which waits for ever for the first request and, once a byte of it came, for each further one.

    A connection is closed when a whole period has passed without the head of a request.
    """

    head_timeout_s: float = HEAD_TIMEOUT_S
    _timer: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        super().connection_made(transport)
        self._wait()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.head_timeout_s, self._look, self.cycle)

    def _look(self, before: "RequestResponseCycle | None") -> None:
        now = cast("RequestResponseCycle | None", self.cycle)
        if now is before and (now is None or now.response_complete):
            self.transport.abort()
        else:
            self._wait()
