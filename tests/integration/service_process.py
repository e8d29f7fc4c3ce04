"""The whole service in a process of its own, with a runner that only notes what it is given.

    python -m tests.integration.service_process STATE_DIR PORT [no-worker]

The runner appends to STATE_DIR/log and waits for STATE_DIR/go.
"""

import logging
import os
import sys
import threading
from pathlib import Path

from coder.app import Heard
from coder.types import Followup, JsonObject, Task
from tests.integration.engine_process import note
from tests.unit.webhooks_payloads import config
from webhooks.service import build, serve_until_stopped


def main() -> int:
    """Serve until told to stop."""
    logging.basicConfig(level="INFO")
    folder, port = Path(sys.argv[1]), int(sys.argv[2])

    def run(task: Task, followup: Followup | None, heard: Heard) -> JsonObject:
        note(folder, f"begin {task.repo.full_name}#{task.number}")
        while not (folder / "go").exists():
            threading.Event().wait(0.02)
        note(folder, f"end {task.repo.full_name}#{task.number}")
        return {"ok": True, "verdict": "proven"}

    service = build(config(folder, port=port, drain_s=1), run)
    drained = serve_until_stopped(service, with_worker="no-worker" not in sys.argv)
    service.close()
    note(folder, f"left {len(drained.left)}")
    if drained.left:
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
