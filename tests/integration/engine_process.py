"""A worker in a process of its own, for tests that kill it.

    python -m tests.integration.engine_process STATE_DIR EXECUTOR_ID MODE [fast] [postgresql:URL]

The runner appends `begin JOB` to STATE_DIR/log, then does what MODE says, then appends `end JOB`:
`quick` ends at once · `hold` waits for STATE_DIR/go · `die` kills its own process. `fast` gives up on silent workers after
1.5 s. A job that is to be stopped is noted as `stop JOB`. The log is beside STATE_DIR's jobs, or in its parent with Postgres, where
each worker has a folder of its own as if on a machine of its own.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from coder.errors import ConfigError
from coder.types import JsonObject
from webhooks.engine.dbos_engine import DbosEngine, EngineOptions
from webhooks.engine.recovery import Pace
from webhooks.service import work_until_stopped

MAX_DEATHS = 3


def note(folder: Path, line: str) -> None:
    """Append one line, so that it is there whatever happens next."""
    with (folder / "log").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def runner_for(folder: Path, mode: str, executor_id: str) -> Callable[[JsonObject], JsonObject]:
    """A runner that behaves as `mode` says."""

    def run(payload: JsonObject) -> JsonObject:
        job = str(payload["job"])
        note(folder, f"begin {job}")
        if mode == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        while mode == "hold" and not (folder / "go").exists():
            threading.Event().wait(0.02)
        note(folder, f"end {job}")
        return {"ok": True, "job": job, "by": executor_id}

    return run


def main() -> int:
    """Work until told to stop; 64 when another process has our executor id."""
    logging.basicConfig(level="INFO")
    state, executor_id, mode = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    url = next((one for one in sys.argv if one.startswith("postgresql:")), None)
    folder = state if url is None else state.parent
    pace = Pace(beat_s=0.1, lease_s=1.5, audit_s=1.0) if "fast" in sys.argv else Pace()
    options = EngineOptions(
        state_dir=state,
        database_url=url,
        executor_id=executor_id,
        concurrency=4,
        poll_s=0.05,
        pace=pace,
        max_deaths=MAX_DEATHS,
    )
    engine = DbosEngine(
        options, runner_for(folder, mode, executor_id), stop_job=lambda job: note(folder, f"stop {job}")
    )
    try:
        drained = work_until_stopped(engine, drain_s=1)
    except ConfigError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    finally:
        engine.close()
    note(folder, f"left {len(drained.left)}")
    if drained.left:
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
