"""Hostile programs in the real sandbox: each ends, and the next command works."""

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from coder.errors import SandboxError
from coder.sandbox.docker_backend import DockerSandbox, DockerSandboxProvider
from coder.sandbox.protocol import Image, TreePack
from tests.contract.sandbox_support import committed, docker_backend

pytestmark = pytest.mark.docker

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def backend() -> Iterator[tuple[DockerSandboxProvider, Image]]:
    with docker_backend() as made:
        yield made


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> TreePack:
    return committed(tmp_path_factory.mktemp("origin"))


@pytest.fixture
def sandbox(backend: tuple[DockerSandboxProvider, Image], pack: TreePack) -> Iterator[DockerSandbox]:
    provider, image = backend
    with provider.open(image, pack, labels={"run": "hostile"}) as opened:
        yield opened


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.APIClient]:
    client = docker.APIClient(version="auto")
    yield client
    client.close()


PROGRAMS = {
    "fork bomb": "bomb() { bomb | bomb & }; bomb; sleep 5",
    "kill everything": "kill -9 -1; sleep 1",
    "kill the runner": "kill -KILL 1; kill -TERM 1; kill -INT 1; kill -HUP 1; kill -STOP 1; true",
    "memory": "python3 -c 'x = bytearray(1 << 40)'; python3 -c 'x=[bytearray(1 << 24) for _ in range(99)]'",
    "many small memory hogs": "for i in $(seq 60); do python3 -c 'x = b\"x\" * (12 << 20); import time; time.sleep(9)' & done; wait",
    "disk": "cat /dev/zero > fill; cat /dev/zero > /tmp/fill; cat /dev/zero > ~/fill; cat /dev/zero > /dev/shm/fill; rm fill",
    "sparse file": "truncate -s 1T sparse; rm sparse",
    "inodes": "mkdir many; cd many; timeout 2 bash -c 'i=0; while :; do : > $((i++)) || exit; done'; cd ..; rm -rf many",
    "deep folders": 'python3 -c \'\nimport os\nfor _ in range(3000):\n  os.mkdir("d"); os.chdir("d")\n\'',
    "output kept open": "setsid bash -c 'while :; do echo noise; sleep 0.01; done' & sleep 0.2",
    "one long line": "head -c 64000000 /dev/zero | tr '\\0' x",
    "ignores signals": "trap '' TERM INT HUP QUIT; while :; do :; done",
    "stops itself": "kill -STOP $$",
    "closes its output": "exec >&- 2>&-; sleep 30",
    "reads its input": 'cat; read -r line; test -z "$line"',
    "ptrace": "python3 -c 'import ctypes; raise SystemExit(ctypes.CDLL(None).ptrace(16, 1, 0, 0) != -1)'",
    "threads": "python3 -c '\nimport threading, time\nfor _ in range(999): threading.Thread(target=time.sleep, args=(9,)).start()\n'",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_next_command_works_after(sandbox: DockerSandbox, name: str) -> None:
    started = time.monotonic()

    sandbox.exec(PROGRAMS[name], timeout_s=3)
    after = sandbox.exec("echo $(ps -e --no-headers | grep -vcE 'bash|ps|grep')", timeout_s=30)

    assert (after.exit_code, after.output.strip()) == (0, "1")
    assert time.monotonic() - started < DEADLINE_S
    sandbox.write("still/writable", b"yes")
    assert sandbox.read("still/writable") == b"yes"
    sandbox.restore("")
    assert sandbox.diff() == ""


@pytest.mark.parametrize(
    "target",
    ["/proc/1/environ", "/proc/1/mem", "/proc/1/fd/200", "/proc/1/maps", "/proc/1/root/etc/hostname", "/proc/1/cwd/x"],
)
def test_the_runner_cannot_be_looked_into(sandbox: DockerSandbox, target: str) -> None:
    result = sandbox.exec(f"cat {target}; echo forged > {target}", timeout_s=10)

    assert result.exit_code != 0
    assert "Permission denied" in result.output


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('1.1.1.1', 53), 2)",
        "socket.create_connection(('169.254.169.254', 80), 2)",
        "socket.create_connection(('172.17.0.1', 22), 2)",
        "socket.getaddrinfo('example.org', 80)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    ],
)
def test_there_is_no_network(sandbox: DockerSandbox, attempt: str) -> None:
    program = f"import socket\ntry:\n    {attempt}\nexcept OSError:\n    raise SystemExit(44)\n"
    sandbox.write("probe.py", program.encode())

    assert sandbox.exec("python3 probe.py", timeout_s=20).exit_code == 44
    assert sandbox.exec("tail -n +3 /proc/net/dev | grep -v ' lo:'", timeout_s=10).exit_code == 1


def test_a_link_swapped_during_reads_and_writes_never_leads_out(sandbox: DockerSandbox) -> None:
    # Nothing runs beside the runner between commands, so both sides of the race run inside one command.
    source = Path(sys.modules[DockerSandbox.__module__].__file__ or "").parent / "inside" / "files.py"
    sandbox.write("files.py", source.read_bytes())
    program = """\
        import os, sys
        sys.path.insert(0, ".")
        from files import Tree
        os.makedirs("root/real", exist_ok=True); os.makedirs("outside", exist_ok=True)
        os.symlink("real", "root/in"); open("root/real/f", "w").write("inside"); open("outside/f", "w").write("secret")
        pid = os.fork()
        if pid == 0:
            os.chdir("root")
            while True:
                for target in ("../outside", "real"):
                    os.symlink(target, "next"); os.rename("next", "in")
        for forced in (False, True):
            tree = Tree(os.path.abspath("root"))
            tree._openat2 = tree._openat2 and not forced
            seen = {b"inside": 0, b"secret": 0}
            for _ in range(4000):
                try:
                    seen[tree.read("in/f", 100)] += 1
                    tree.write("in/f", b"inside")
                except (OSError, ValueError):
                    pass
            print(forced, seen[b"secret"], seen[b"inside"] > 0)
        os.kill(pid, 9)
        print(open("outside/f").read())
    """
    sandbox.write("race.py", textwrap.dedent(program).encode())

    result = sandbox.exec("python3 race.py", timeout_s=60)

    assert result.output.splitlines() == ["False 0 True", "True 0 True", "secret"]


def test_a_container_removed_from_outside_is_an_error(sandbox: DockerSandbox, engine: docker.APIClient) -> None:
    engine.remove_container(sandbox.container, force=True)

    with pytest.raises(SandboxError, match="does not answer"):
        sandbox.exec("true", timeout_s=5)
    with pytest.raises(SandboxError, match="does not answer"):
        sandbox.read("README.md")


HOLDER = """\
import sys
from pathlib import Path
from coder.sandbox.protocol import TreePack
from tests.contract.sandbox_support import docker_backend

with docker_backend() as (provider, image):
    pack = TreePack(sys.argv[1], Path(sys.argv[2]).read_bytes())
    with provider.open(image, pack, labels={"run": "orphan"}) as sandbox:
        print(sandbox.container, flush=True)
        sandbox.exec(sys.argv[3], timeout_s=600)
        sys.stdin.read()
"""


@pytest.mark.parametrize("busy_with", ["true", "trap '' TERM; sleep 500"])
def test_the_container_ends_with_its_client(
    pack: TreePack, engine: docker.APIClient, tmp_path: Path, busy_with: str
) -> None:
    (tmp_path / "pack").write_bytes(pack.pack)
    argv = [sys.executable, "-c", HOLDER, pack.commit_sha, str(tmp_path / "pack"), busy_with]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        container = client.stdout.readline().strip()
        assert container
        client.send_signal(signal.SIGKILL)

    deadline = time.monotonic() + DEADLINE_S
    while engine.containers(all=True, filters={"id": container}):
        assert time.monotonic() < deadline, "the container outlives its client"
        time.sleep(0.05)
