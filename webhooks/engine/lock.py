"""One process per executor id on one machine: a lock that dies with its holder."""

import fcntl
import os
from pathlib import Path
from typing import IO

from coder.errors import ConfigError


class ExecutorLock:
    """Held from construction to `release`, or to the death of the process, however it dies."""

    def __init__(self, folder: Path, executor_id: str) -> None:
        path = folder / f"executor-{executor_id}.lock"
        self._file: IO[str] | None = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._file.seek(0)
            holder = self._file.read(20).strip() or "unknown"
            self.release()
            raise ConfigError(
                f"a worker with the executor id {executor_id!r} runs already (process {holder}, {path});"
                " stop it or give this one another id"
            ) from exc
        self._file.seek(0)
        self._file.truncate()
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Let others have it; safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None
