"""What only the local sandbox has: it ends with its client, and leaves nothing."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.contract.sandbox_support import committed, local_backend

HOLDER = """\
import sys
from pathlib import Path
from coder.sandbox.protocol import TreePack
from tests.contract.sandbox_support import local_backend

with local_backend() as (provider, image):
    with provider.open(image, TreePack(sys.argv[1], Path(sys.argv[2]).read_bytes()), labels={}) as sandbox:
        print(sandbox.exec("echo $PPID", timeout_s=9).output.strip(), flush=True)
        sandbox.exec("setsid sleep 4713 & sleep 4713", timeout_s=600)
"""


def test_everything_ends_with_the_client(tmp_path: Path) -> None:
    (tmp_path / "origin").mkdir()
    pack = committed(tmp_path / "origin")
    (tmp_path / "pack").write_bytes(pack.pack)
    argv = [sys.executable, "-c", HOLDER, pack.commit_sha, str(tmp_path / "pack")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        runner = Path("/proc") / client.stdout.readline().strip()
        assert runner.is_dir()
        client.send_signal(signal.SIGKILL)

    deadline = time.monotonic() + 30
    while runner.is_dir():
        assert time.monotonic() < deadline, "the runner outlives its client"
        time.sleep(0.02)
    assert subprocess.run(["pgrep", "-f", "sleep [4]713"], capture_output=True, check=False).returncode == 1


def test_the_folder_is_gone_after_closing(tmp_path: Path) -> None:
    pack = committed(tmp_path)
    with local_backend() as (provider, image):
        with provider.open(image, pack, labels={}) as sandbox:
            folder = Path(sandbox.exec("mkdir shut; touch shut/x; chmod 0 shut; pwd", timeout_s=9).output.strip())
            assert folder.is_dir()

        assert not folder.parent.exists()


def test_large_files_are_left_out_by_name_and_do_not_stop_the_rest(tmp_path: Path) -> None:
    (tmp_path / "big.bin").write_bytes(b"x" * (17 << 20))
    (tmp_path / "big2.bin").write_bytes(b"y" * (17 << 20))
    pack = committed(tmp_path)
    with local_backend() as (provider, image), provider.open(image, pack, labels={}) as sandbox:
        start = sandbox.checkpoint()
        sandbox.exec(
            "echo z >> big2.bin; head -c 40M /dev/zero > new.bin; echo small > small; touch big.bin", timeout_s=30
        )
        sandbox.exec("head -c 40M /dev/zero > noise.log", timeout_s=30)

        snapshot = sandbox.snapshot(start)

        assert snapshot is not None
        assert snapshot.left_out == ("big2.bin", "new.bin")
        assert snapshot.diff == sandbox.diff()
        assert "+small" in snapshot.diff
        assert "big" not in snapshot.diff
        sandbox.restore("")
        assert sandbox.checkpoint() == start
        assert sandbox.exec("ls *.bin; tail -c 2 big2.bin", timeout_s=30).output == "big.bin\nbig2.bin\npicture.bin\nyy"


def test_the_contract_runs_against_a_backend_of_somebody_else() -> None:
    root = Path(__file__).resolve().parents[2]
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-k", "snapshot"]
    argv += ["tests/contract/test_sandbox.py", "--sandbox-backend", "tests.contract.sandbox_support:local_backend"]

    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
