"""Engines that are not at the local socket, and engines that go away: over loopback, in front of the real one."""

import stat
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from coder.errors import EngineUnavailableError, SandboxError
from coder.sandbox.docker_backend import DockerSandbox, DockerSandboxProvider
from coder.sandbox.protocol import Image, TreePack
from coder.sandbox.tunnel import command
from tests.contract.sandbox_support import FILES, committed, docker_backend, out, settings
from tests.servers.docker_front import DockerFront, certificates

pytestmark = pytest.mark.docker

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with docker_backend() as (_, made):
        yield made


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> TreePack:
    return committed(tmp_path_factory.mktemp("origin"))


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.APIClient]:
    client = docker.APIClient(version="auto")
    yield client
    client.close()


def gone(engine: docker.APIClient, container: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while engine.containers(all=True, filters={"id": container}):
        assert time.monotonic() < deadline, "the container is left behind"
        time.sleep(0.02)


def works(sandbox: DockerSandbox) -> None:
    big = bytes(range(256)) * 20_000
    sandbox.write("big.bin", big)
    assert sandbox.read("big.bin", max_bytes=1 << 23) == big
    assert out(sandbox, "cat README.md; rm big.bin; echo more > README.md") == FILES["README.md"].decode()
    assert "+more" in sandbox.diff()
    assert len(sandbox.exec("head -c 3000000 /dev/zero | tr '\\0' y", timeout_s=30).output) > 60_000


def test_an_engine_behind_tls_does_all_a_local_one_does(
    image: Image, pack: TreePack, certs: Path, engine: docker.APIClient
) -> None:
    with DockerFront(certs) as front:
        remote = settings(docker_host=f"tcp://127.0.0.1:{front.port}", docker_certs=str(certs))
        with DockerSandboxProvider(remote) as provider:
            with provider.open(image, pack, labels={"run": "tls"}) as sandbox:
                works(sandbox)
                with ThreadPoolExecutor(1) as pool:
                    running = pool.submit(sandbox.exec, "echo begun > /tmp/begun; sleep 500", timeout_s=600)
                    while not running.running():
                        time.sleep(0.01)
                    sandbox.close()
                    with pytest.raises(SandboxError, match="closed"):
                        running.result(timeout=DEADLINE_S)
            gone(engine, sandbox.container)


@pytest.mark.parametrize("wrong", ["no certificate", "another authority", "no tls", "missing files"])
def test_an_engine_behind_tls_speaks_to_nobody_else(
    image: Image, pack: TreePack, certs: Path, tmp_path: Path, wrong: str
) -> None:
    folder = {"another authority": certificates(tmp_path / "other"), "missing files": tmp_path}.get(wrong)
    if wrong == "no certificate":
        folder = certificates(tmp_path / "mixed")
        (folder / "ca.pem").write_bytes((certs / "ca.pem").read_bytes())
    with DockerFront(certs) as front:
        remote = settings(docker_host=f"tcp://127.0.0.1:{front.port}", docker_certs=str(folder) if folder else None)
        with DockerSandboxProvider(remote) as provider, pytest.raises(EngineUnavailableError, match="tcp://127"):
            provider.open(image, pack, labels={"run": "tls"})


def test_an_engine_that_restarts_ends_the_sandbox_and_the_next_one_opens(
    image: Image, pack: TreePack, engine: docker.APIClient
) -> None:
    with (
        DockerFront() as front,
        DockerSandboxProvider(settings(docker_host=f"tcp://127.0.0.1:{front.port}")) as provider,
    ):
        for busy in (False, True):
            sandbox = provider.open(image, pack, labels={"run": "restart"})
            with ThreadPoolExecutor(1) as pool:
                if not busy:
                    front.drop()
                running = pool.submit(sandbox.exec, "trap '' TERM; setsid sleep 500 & sleep 500", timeout_s=600)
                while busy and not running.running():
                    time.sleep(0.01)
                if busy:
                    front.drop()
                with pytest.raises(SandboxError, match="does not answer"):
                    running.result(DEADLINE_S)
            with pytest.raises(SandboxError, match="does not answer"):
                sandbox.snapshot("")
            gone(engine, sandbox.container)
            sandbox.close()

        with provider.open(image, pack, labels={"run": "restart"}) as again:
            works(again)


def test_an_engine_that_is_gone_is_named_and_one_that_is_back_is_used(
    image: Image, pack: TreePack, tmp_path: Path
) -> None:
    path = f"{tmp_path}/engine.sock"
    with DockerSandboxProvider(settings(docker_host=f"unix://{path}")) as provider:
        with pytest.raises(EngineUnavailableError, match=r"engine\.sock"):
            provider.open(image, pack, labels={"run": "away"})
        with DockerFront(path=path), provider.open(image, pack, labels={"run": "back"}) as sandbox:
            works(sandbox)
        Path(path).unlink(missing_ok=True)
        with pytest.raises(EngineUnavailableError, match="no Docker engine answers"):
            provider.open(image, pack, labels={"run": "away again"})
        with DockerFront(path=path), provider.open(image, pack, labels={"run": "back again"}) as sandbox:
            works(sandbox)


# --- ssh --------------------------------------------------------------------------------------------------------------

SSH = """\
    #!{python}
    # Does what `ssh -L socket:socket host` does, on this machine.
    import os, socket, sys, threading
    if sys.argv[-1] == "stranger":
        print("Host key verification failed.", file=sys.stderr)
        raise SystemExit(255)
    here, _, there = sys.argv[sys.argv.index("-L") + 1].partition(":")
    def pump(source, target):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(here)
    listener.listen()
    while True:
        client, _ = listener.accept()
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(there)
        for pair in ((client, engine), (engine, client)):
            threading.Thread(target=pump, args=pair, daemon=True).start()
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(textwrap.dedent(SSH).format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


@pytest.mark.usefixtures("ssh")
def test_an_engine_behind_ssh_does_all_a_local_one_does(image: Image, pack: TreePack) -> None:
    with (
        DockerSandboxProvider(settings(docker_host="ssh://ada@builder")) as provider,
        provider.open(image, pack, labels={"run": "ssh"}) as sandbox,
    ):
        works(sandbox)


@pytest.mark.usefixtures("ssh")
def test_why_ssh_does_not_get_through_is_said(image: Image, pack: TreePack) -> None:
    with (
        DockerSandboxProvider(settings(docker_host="ssh://stranger")) as provider,
        pytest.raises(EngineUnavailableError, match="Host key verification failed"),
    ):
        provider.open(image, pack, labels={"run": "ssh"})


def test_an_address_is_never_an_option_of_ssh() -> None:
    socket = Path("/x/docker.sock")

    argv = command("ssh://ada@builder:2222/run/user/1000/docker.sock", socket)

    assert argv[-4:] == ["-p", "2222", "--", "ada@builder"]
    assert "/x/docker.sock:/run/user/1000/docker.sock" in argv
    for url in ("ssh://-oProxyCommand=x", "ssh://-x@host", "ssh://", "ssh://host:notaport"):
        with pytest.raises(ValueError, match=r".+"):
            command(url, socket)
