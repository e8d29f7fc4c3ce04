"""GitHub's pace for one installation: one after the other, and a second between writes, whatever token they carry.

PyGithub keeps the pace of one client, and a client has one token. An App's tokens are for one repository and an hour, so an
installation with several repositories has several clients at a time; and web process and worker have their own each.
https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from coder.errors import ForgeError

LONGEST_TURN_S = 900.0
"""More than all the pauses that GitHub may ask of one action."""
_LOOK_EVERY_S = 0.05
_FORM = "{client} {ended:.3f}\n"


@dataclass(slots=True)
class _Pace:
    lock: threading.Lock = field(default_factory=threading.Lock)
    client: str = ""
    ended: float = 0.0


class Paces:
    """Turns by owner, which is what an App is installed for. `interval_s` lies between writes.

    Processes with the same `folder` take turns, too; `clock` must be the machine's, as the monotonic one is.
    """

    def __init__(
        self,
        interval_s: float,
        *,
        folder: Path | None = None,
        process: str = "",
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval_s, self._sleep, self._clock = interval_s, sleep, clock
        self._folder, self._process = folder, process or str(os.getpid())
        self._lock = threading.Lock()
        self._paces: dict[str, _Pace] = {}

    @contextmanager
    def turn(self, owner: str, token: str) -> Iterator[None]:
        """Have the installation of `owner` to oneself; another client than the last one waits until its write is past.

        Raises:
            ForgeError: Somebody else keeps it.
        """
        client = f"{self._process}-{hashlib.sha256(token.encode()).hexdigest()[:16]}"
        with self._lock:
            pace = self._paces.setdefault(owner.lower(), _Pace())
        if not pace.lock.acquire(timeout=LONGEST_TURN_S):
            raise _stuck(owner)
        with ExitStack() as stack:
            stack.callback(pace.lock.release)
            shared = None if self._folder is None else stack.enter_context(self._shared(self._folder, owner))
            if shared is not None:
                _read(shared, pace)
            # The same client keeps the pace by itself. What ended in the future did so before the machine was started anew.
            wait_s = min(pace.ended + self._interval_s - self._clock(), self._interval_s)
            if pace.client not in {"", client} and wait_s > 0:
                self._sleep(wait_s)
            try:
                yield
            finally:
                pace.client, pace.ended = client, self._clock()
                if shared is not None:
                    _write(shared, pace)

    @contextmanager
    def _shared(self, folder: Path, owner: str) -> Iterator[IO[str]]:
        """The file that says whose turn was the last one, locked; a process that dies lets go of it."""
        deadline = self._clock() + LONGEST_TURN_S
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = (folder / f"{owner.lower()}.pace").open("a+")
        except OSError as exc:
            raise ForgeError(f"cannot keep GitHub's pace in {folder}: {exc}") from exc
        with file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if self._clock() > deadline:
                        raise _stuck(owner) from None
                    self._sleep(_LOOK_EVERY_S)
            yield file


def _stuck(owner: str) -> ForgeError:
    return ForgeError(f"another request to GitHub for {owner} does not come to an end")


def _read(file: IO[str], pace: _Pace) -> None:
    file.seek(0)
    client, _, ended = file.read(200).strip().partition(" ")
    try:
        pace.client, pace.ended = client, float(ended)
    except ValueError:  # nobody had a turn yet, or a writer died
        pace.client = ""


def _write(file: IO[str], pace: _Pace) -> None:
    file.seek(0)
    file.truncate()
    file.write(_FORM.format(client=pace.client, ended=pace.ended))
