"""Something that one process on this machine does at a time."""

import fcntl
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)


@contextmanager
def machine_lock(name: str) -> Iterator[None]:
    """Hold the lock `name` of this user, once others have let go; the end of a process lets go, too.

    Where no lock can be had (a full disk, a foreign file in its place) the work is done without: it is only slower.
    """
    path = Path(tempfile.gettempdir()) / f"coder-{os.getuid()}-{name}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        logger.warning("no lock", extra={"path": str(path), "why": str(exc)})
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
