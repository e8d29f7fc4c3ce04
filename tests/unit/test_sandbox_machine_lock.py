"""One process at a time, and no lock is no obstacle."""

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from coder.sandbox.machine_lock import machine_lock

HOLDER = """
import sys
from coder.sandbox.machine_lock import machine_lock
with machine_lock("test-held"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_holds_it_and_a_killed_one_lets_go() -> None:
    path = Path(tempfile.gettempdir()) / f"coder-{os.getuid()}-test-held.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with path.open("rb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        holder.kill()
    with machine_lock("test-held"), path.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_where_no_lock_can_be_had_the_work_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    done = False
    with machine_lock("test-none"):
        done = True
    assert done
