"""GitHub's pace for one installation: one after the other, and a second between writes, whatever token they carry.

PyGithub keeps the pace of one client, and a client has one token. An App's tokens are for one repository and an hour, so an
installation with several repositories has several clients at a time.
https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from coder.errors import ForgeError

LONGEST_TURN_S = 900.0
"""More than all the pauses that GitHub may ask of one action."""


@dataclass(slots=True)
class _Pace:
    lock: threading.Lock = field(default_factory=threading.Lock)
    token: str = field(default="", repr=False)
    ended: float = 0.0


class Paces:
    """Turns by owner, which is what an App is installed for. `interval_s` lies between writes."""

    def __init__(
        self,
        interval_s: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval_s, self._sleep, self._clock = interval_s, sleep, clock
        self._lock = threading.Lock()
        self._paces: dict[str, _Pace] = {}

    @contextmanager
    def turn(self, owner: str, token: str) -> Iterator[None]:
        """Have the installation of `owner` to oneself; a client of another token waits until the last one's write is past.

        Raises:
            ForgeError: Somebody else keeps it.
        """
        with self._lock:
            pace = self._paces.setdefault(owner.lower(), _Pace())
        if not pace.lock.acquire(timeout=LONGEST_TURN_S):
            raise ForgeError(f"another request to GitHub for {owner} does not come to an end")
        try:
            # The same client keeps the pace by itself.
            wait_s = pace.ended + self._interval_s - self._clock()
            if pace.token not in {"", token} and wait_s > 0:
                self._sleep(wait_s)
            yield
        finally:
            pace.token, pace.ended = token, self._clock()
            pace.lock.release()
