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
from tests.contract.sandbox_support import FILES, committed, docker_backend

pytestmark = pytest.mark.docker

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def backend() -> Iterator[tuple[DockerSandboxProvider, Image]]:
    with docker_backend() as made:
        yield made


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> TreePack:
    return committed(tmp_path_factory.mktemp("origin"))


@pytest.fixture(scope="module")
def shared(backend: tuple[DockerSandboxProvider, Image], pack: TreePack) -> Iterator[DockerSandbox]:
    """One container for all programs that a container survives, one after the other."""
    provider, image = backend
    with provider.open(image, pack, labels={"run": "hostile"}) as opened:
        yield opened


@pytest.fixture
def sandbox(backend: tuple[DockerSandboxProvider, Image], pack: TreePack) -> Iterator[DockerSandbox]:
    """A container for a test that ends it."""
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
    "daemons": "for i in $(seq 40); do setsid nohup bash -c 'trap \"\" TERM HUP; sleep 99; sleep 99' & done; disown -a",
    "kill everything": "kill -9 -1; sleep 1",
    "stop everything": "setsid sleep 99 & kill -STOP -1; sleep 99",
    "kill the runner": "for s in KILL TERM INT HUP STOP TSTP SEGV ABRT USR1 PIPE; do kill -$s 1; done; true",
    "memory": "python3 -c 'x = bytearray(1 << 40)'; python3 -c 'x=[bytearray(1 << 24) for _ in range(99)]'",
    "many small memory hogs": "for i in $(seq 60); do python3 -c 'x = b\"x\" * (12 << 20); import time; time.sleep(9)' & done; wait",
    "disk": "for d in . /tmp ~ /dev/shm; do cat /dev/zero > $d/fill; done",
    "sparse file": "truncate -s 1T sparse",
    "inodes": "for d in . /tmp ~; do mkdir $d/many; cd $d/many; timeout 1 bash -c 'i=0; while :; do : > $((i++)) || exit; done'; cd; done",
    "deep folders in the way": 'rm -rf README.md; mkdir README.md; cd README.md; python3 -c \'\nimport os\nfor _ in range(3000):\n  os.mkdir("d"); os.chdir("d")\n\'',
    "folders without rights": "mkdir -p a/b/c; touch a/b/c/d; chmod 0 a/b/c a/b a; rm src/app.py; mkdir src/app.py; chmod 0 src",
    "special files": "mkfifo pipe src/pipe; rm README.md; mkfifo README.md; python3 -c 'import socket; socket.socket(1).bind(\"sock\")'; ln -s /dev/zero zero; ln -s /dev/tty tty; mknod null c 1 3",
    "long names": 'n=$(printf \'x%.0s\' $(seq 255)); touch $n; mkdir -p $n.d 2>/dev/null || mkdir ${n%x}; printf \'%s\' "$n" > "$n"; touch "${n}x"',
    "names that are no text": "touch $'\\377\\376' $'a\\nb' $'\\033]0;x\\a' -- '-rf' ' ' $'\\303' '*' '?' ':(top)x' '\"'",
    "output kept open": "setsid bash -c 'while :; do echo noise; sleep 0.01; done' & sleep 0.2",
    "one long line": "head -c 64000000 /dev/zero | tr '\\0' x",
    "ignores signals": "trap '' TERM INT HUP QUIT; while :; do :; done",
    "stops itself": "kill -STOP $$",
    "closes its output": "exec >&- 2>&-; sleep 30",
    "reads its input": 'cat; read -r line; test -z "$line"',
    "threads": "python3 -c '\nimport threading, time\nfor _ in range(999): threading.Thread(target=time.sleep, args=(9,)).start()\n'",
    "locks and half states": "touch .git/index.lock /run/coder/repository/index.lock; echo junk > .git/index; echo junk > /run/coder/repository/index",
    "the root shut": "chmod 0 .; sleep 0.1",
    "everything shut": "chmod -R 0 .; chmod 0 ~ /tmp /run/coder/repository /run/coder",
    "repositories inside": "for i in a b/c; do git init -q $i; git -C $i -c user.name=x -c user.email=x@y commit -q --allow-empty -m x; echo '[core]fsmonitor=touch /tmp/PWNED' >> $i/.git/config; done",
    "traps in git's own places": "for i in .git /run/coder/repository; do printf '[core]\n\tfsmonitor=touch /tmp/PWNED\n[filter \"x\"]\n\tclean=touch /tmp/PWNED\n\tsmudge=touch /tmp/PWNED\n' >> $i/config; mkdir -p $i/hooks; printf '#!/bin/sh\ntouch /tmp/PWNED\n' > $i/hooks/post-index-change; chmod +x $i/hooks/*; echo '* filter=x' > .gitattributes; done; echo x >> README.md",
    "limits of the runner": "prlimit --pid 1 --nofile=3:3; prlimit --pid 1 --cpu=1:1; prlimit --pid 1 --as=1000:1000; renice 19 -p 1; renice 19 -u 1000; chrt -i -p 0 1; taskset -p 1 1",
    "frames into every descriptor": 'python3 -c \'\nimport os,struct\nframe=struct.pack("!II",2,0)+b"{}"\nfor fd in range(300):\n  for path in ("/proc/1/fd/%d"%fd, "/proc/self/fd/%d"%fd):\n    try:\n      with open(path,"wb") as out: out.write(frame)\n    except OSError: pass\n\'',
    "arguments of megabytes": "x=$(head -c 120000 /dev/zero | tr '\\0' x); for i in $(seq 30); do export V$i=$x; done; /bin/true $x $x",
    "abstract sockets and watches": "python3 -c '\nimport ctypes,socket\nkept=[]\nfor n in range(2000):\n  s=socket.socket(socket.AF_UNIX); s.bind(chr(0)+\"x%d\"%n); s.listen(); kept.append(s)\n  ctypes.CDLL(None).inotify_init1(0)\n'",
    "memory in files and pipes": 'python3 -c \'\nimport os\nwhile True: os.write(os.memfd_create("x"),b"x"*(1<<26))\n\'',
    "ways up": "echo b > /proc/sysrq-trigger; echo /x > /sys/fs/cgroup/release_agent; echo 0 > /sys/fs/cgroup/cgroup.procs; mount -t cgroup x /tmp; unshare -Urm true; nsenter -t 1 -a true; reboot -f; date -s 2000-01-01; swapon /tmp; chmod u+s run.sh; setcap cap_sys_admin+ep run.sh",
    "the runner's places emptied": "rm -rf /run/coder/* /run/coder/.[!.]*",
    "the runner's places taken": "rm -rf /run/coder/repository; echo junk > /run/coder/repository",
    "the runner's places led astray": "rm -rf /run/coder/repository; ln -s /workspace/.git /run/coder/repository; rm -rf .git",
    "objects spoilt": "find /run/coder -type f -exec chmod u+w {} + ; find /run/coder -type f | while read -r f; do echo junk > $f; done",
    "no repository": "rm -rf .git; mkdir .git; chmod 0 .git",
}


def recovered(sandbox: DockerSandbox) -> None:
    """Nothing of a command is left, the next ones work, and so do files and the way back."""
    after = sandbox.exec("echo $(ps -e --no-headers | grep -vcE 'bash|ps|grep')", timeout_s=30)
    sandbox.snapshot("")
    sandbox.exec("rm -rf /tmp/* ~/* /dev/shm/* 2>&1 | tail -1", timeout_s=60)
    sandbox.restore("")

    assert (after.exit_code, after.output.strip()) == (0, "1")
    assert sandbox.diff() == ""
    sandbox.write("still/writable", b"yes")
    assert sandbox.read("still/writable") == b"yes"
    sandbox.exec("rm -rf still", timeout_s=30)
    assert sandbox.list_files() == tuple(sorted({*FILES, "link"}, key=str.encode))


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_next_command_works_after(shared: DockerSandbox, name: str) -> None:
    started = time.monotonic()

    shared.exec(PROGRAMS[name], timeout_s=2)
    recovered(shared)

    assert time.monotonic() - started < DEADLINE_S


def test_without_room_for_its_objects_a_checkpoint_is_an_error_and_no_silent_gap(sandbox: DockerSandbox) -> None:
    sandbox.exec("cat /dev/zero > /run/coder/fill; echo new > new.txt", timeout_s=30)

    # In a container of its own: where old checkpoints can be pruned there is room again, and no error.
    with pytest.raises(SandboxError, match=r"room|space"):
        sandbox.snapshot("")

    sandbox.exec("rm /run/coder/fill", timeout_s=30)
    snapshot = sandbox.snapshot("")
    assert snapshot is not None
    assert "new.txt" in snapshot.diff
    recovered(sandbox)


def test_no_work_is_lost_with_the_runners_repository(shared: DockerSandbox) -> None:
    shared.exec("echo new > new.txt; echo more >> README.md", timeout_s=10)
    before = shared.snapshot("")

    shared.exec("rm -rf /run/coder/*", timeout_s=10)
    after = shared.snapshot("")

    assert before == after
    assert before is not None
    assert "new.txt" in before.diff
    shared.exec("rm -rf /run/coder/*; rm new.txt", timeout_s=10)
    shared.restore(before.diff)
    assert shared.diff() == before.diff
    recovered(shared)


def test_a_fork_bomb_beside_a_background_process_ends_all_the_same(shared: DockerSandbox) -> None:
    shared.background.spawn("while :; do echo tick; sleep 0.1; done", name="clock")

    shared.exec("bomb() { bomb | bomb & }; bomb; sleep 5", timeout_s=1)
    shared.exec("for i in $(seq 60); do setsid bash -c 'while :; do :; done' & done; kill -STOP -1", timeout_s=1)
    left = shared.exec("ps -eo args | grep -cE '[b]omb|[w]hile :; do :'", timeout_s=30)
    (clock,) = shared.background.processes()

    # It is spared where that can be done in time; otherwise it has gone with the rest, and that is known.
    assert left.output.strip() == "0"
    alive = shared.exec("ps -eo args | grep -c '[e]cho tick'", timeout_s=30).output.strip()
    assert (alive != "0") is clock.running
    shared.background.kill("clock")
    recovered(shared)


def test_what_a_terminal_or_the_host_would_obey_is_only_text(shared: DockerSandbox) -> None:
    forged = r"\0\0\0\025\0\0\0\0" + '{"id":2,"status":0}'
    tricks = r"\033[2J\033]0;title\a\033]52;c;cm0gLXJm\a\rfake ok\b\b\177\302\233"

    result = shared.exec(f"printf '{forged}'; printf '{tricks}'; printf '{forged}' >&2; exit 3", timeout_s=10)

    plain = '\0\0\0\x15\0\0\0\0{"id":2,"status":0}'
    seen = "\x1b[2J\x1b]0;title\a\x1b]52;c;cm0gLXJm\a\rfake ok\b\b\x7f\x9b"
    assert (result.exit_code, result.output) == (3, plain + seen + plain)
    recovered(shared)


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
        for forced, times in ((False, 20_000), (True, 4_000)):
            tree = Tree(os.path.abspath("root"))
            tree._openat2 = tree._openat2 and not forced
            seen = {b"inside": 0, b"secret": 0}
            for _ in range(times):
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
        sandbox.background.spawn("trap '' TERM; setsid yes & yes", name="noise")
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
