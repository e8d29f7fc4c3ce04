"""Background processes of every sandbox: what was asked to stay does, and nothing else."""

import time

import pytest

from coder.sandbox.protocol import Sandbox
from tests.contract.sandbox_support import out

SERVER = """\
import socket, subprocess
listener = socket.socket(socket.AF_UNIX)
listener.bind("server.sock")
listener.listen()
print("ready", flush=True)
while True:
    peer, _ = listener.accept()
    peer.sendall(b"hello")
    peer.close()
    print("served", flush=True)
"""
ASK = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('server.sock'); print(s.recv(9).decode())"
DEADLINE_S = 60.0


def logged(sandbox: Sandbox, name: str, text: str) -> None:
    """Wait until a background process has printed `text`."""
    deadline = time.monotonic() + DEADLINE_S
    while text not in (seen := sandbox.background.logs(name)).output:
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)


def ended(sandbox: Sandbox, name: str) -> None:
    """Wait until a background process has ended."""
    deadline = time.monotonic() + DEADLINE_S
    while any(process.running for process in sandbox.background.processes() if process.name == name):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_background_process_outlives_commands_and_all_else_does_not(sandbox: Sandbox) -> None:
    sandbox.write("server.py", SERVER.encode())
    sandbox.background.spawn("exec python3 server.py", name="web")
    logged(sandbox, "web", "ready")

    answers = [out(sandbox, f'setsid sleep 4721 & (setsid sleep 4721 &); python3 -c "{ASK}"') for _ in range(3)]
    timed_out = sandbox.exec("setsid sleep 4721 & sleep 4721", timeout_s=0.3)
    left = out(sandbox, "pgrep -f 'sleep [4]721' || echo none")
    sandbox.snapshot("")
    (process,) = sandbox.background.processes()

    assert answers == ["hello\n"] * 3
    assert timed_out.exit_code is None
    assert left == "none\n"
    assert (process.name, process.command, process.running) == ("web", "exec python3 server.py", True)
    assert sandbox.background.logs("web").output == "ready\n" + "served\n" * 3
    assert sandbox.background.logs("web").exit_code is None


def test_a_background_process_is_killed_with_its_tree(sandbox: Sandbox) -> None:
    sandbox.background.spawn("(setsid sleep 4722 &); sleep 4722 & echo up; wait", name="tree")
    sandbox.background.spawn("echo other; exec sleep 4723", name="other")
    logged(sandbox, "tree", "up")
    logged(sandbox, "other", "other")
    before = out(sandbox, "pgrep -cf '^sleep [4]722'")

    sandbox.background.kill("tree")
    sandbox.background.kill("tree")

    assert before == "2\n"
    assert out(sandbox, "pgrep -f 'sleep [4]722' || echo none") == "none\n"
    states = {process.name: (process.running, process.exit_code) for process in sandbox.background.processes()}
    assert states == {"tree": (False, None), "other": (True, None)}


def test_a_background_process_that_ends_tells_how_and_leaves_nothing(sandbox: Sandbox) -> None:
    sandbox.background.spawn(
        "setsid sleep 4724 & echo $GREETING $(basename $PWD); exit 3", name="short", cwd="src", env={"GREETING": "hi"}
    )
    ended(sandbox, "short")

    (process,) = sandbox.background.processes()

    assert (process.running, process.exit_code, process.output_bytes) == (False, 3, len("hi src\n"))
    assert sandbox.background.logs("short").output == "hi src\n"
    assert sandbox.background.logs("short").exit_code == 3
    assert out(sandbox, "pgrep -f 'sleep [4]724' || echo none") == "none\n"
    sandbox.background.spawn("echo again", name="short")
    ended(sandbox, "short")
    assert sandbox.background.logs("short").output == "again\n"


def test_a_noisy_background_process_keeps_head_and_tail_and_stops_nobody(sandbox: Sandbox) -> None:
    sandbox.background.spawn(
        "echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo last; exec >&- 2>&-; sleep 4725", name="noise"
    )
    logged(sandbox, "noise", "last")

    seen = sandbox.background.logs("noise")

    assert seen.truncated
    assert seen.output.startswith("first\nxxx")
    assert len(seen.output) < 70_000
    assert seen.output_bytes == 20_000_000 + len("first\nlast\n")
    assert out(sandbox, "echo on") == "on\n"


@pytest.mark.parametrize("end", ["kill -9 -1", "pkill -9 -f 'sleep [4]726'"])
def test_a_background_process_that_a_command_kills_is_not_running(sandbox: Sandbox, end: str) -> None:
    if sandbox.image.reference == "local" and "-1" in end:
        end = (
            "kill -9 $(ps -o ppid= -p $(pgrep -f 'sleep [4]726'))"  # on this machine it would end more than the sandbox
        )
    sandbox.background.spawn("echo up; exec sleep 4726", name="victim")
    logged(sandbox, "victim", "up")

    sandbox.exec(end, timeout_s=30)

    ended(sandbox, "victim")
    assert out(sandbox, "pgrep -f 'sleep [4]726' || echo none") == "none\n"


def test_background_processes_are_named_and_counted(sandbox: Sandbox) -> None:
    background = sandbox.background
    with pytest.raises(ValueError, match="no background process"):
        background.logs("none")
    with pytest.raises(ValueError, match="no background process"):
        background.kill("none")
    with pytest.raises(ValueError, match="not a name"):
        background.spawn("true", name="a b")
    with pytest.raises(ValueError, match="NUL"):
        background.spawn("a\0b", name="nul")
    with pytest.raises(FileNotFoundError):
        background.spawn("true", name="lost", cwd="missing")
    with pytest.raises(ValueError, match="outside"):
        background.spawn("true", name="lost", cwd="../..")
    for number in range(8):
        background.spawn("exec sleep 4727", name=f"n{number}")
    with pytest.raises(ValueError, match="running already"):
        background.spawn("true", name="n1")
    with pytest.raises(ValueError, match="8 background processes"):
        background.spawn("true", name="n9")
    background.kill("n3")
    background.spawn("true " + "x" * 300_000, name="long")
    ended(sandbox, "long")

    assert sandbox.background.logs("long").exit_code == 126
    assert "cannot run" in sandbox.background.logs("long").output
