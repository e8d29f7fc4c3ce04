"""Servers beside a sandbox on a real engine: reached over loopback, new for each sandbox, gone with it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from coder.errors import InputError, SandboxError
from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.protocol import Image, TreePack, Wants
from coder.sandbox.servers import SERVERS, environment
from tests.contract.sandbox_support import committed, settings

# The first on a machine builds the images.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

ASK = """
import os, socket
redis = socket.create_connection((os.environ["REDIS_HOST"], int(os.environ["REDIS_PORT"])), 5)
redis.sendall(b"SET a 1\\r\\nINCR a\\r\\n")
print(redis.recv(100))
mysql = socket.create_connection(("localhost", 3306), 5)
print(b"MariaDB" in mysql.recv(100))
# What a client of PostgreSQL says first: length, protocol 3.0, user and database.
said = b"user\\0postgres\\0database\\0test\\0\\0"
postgres = socket.create_connection((os.environ["PGHOST"], int(os.environ["PGPORT"])), 5)
postgres.sendall((len(said) + 8).to_bytes(4, "big") + (196608).to_bytes(4, "big") + said)
print(postgres.recv(9))
"""
WAYS_OUT = "cat /proc/net/route | tail -n +2; ls /sys/class/net; getent hosts example.com; echo $?"


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    client = docker.APIClient(version="auto")
    yield client
    client.close()


@pytest.fixture
def provider() -> Iterator[DockerSandboxProvider]:
    with DockerSandboxProvider(settings(memory_mb=1024, service_mb=512)) as made:
        yield made


def image(provider: DockerSandboxProvider, *services: str) -> Image:
    files = {"a.py": b""}
    empty = TreePack("", b"")
    return provider.image_for(files, pack=empty, setup=None, progress=lambda _: None, wants=Wants(services=services))


def running(engine: docker.APIClient, run: str) -> int:
    return len(engine.containers(all=True, filters={"label": f"coder.run={run}"}))


def test_three_servers_answer_and_there_is_no_other_network(
    provider: DockerSandboxProvider, engine: docker.APIClient, tmp_path: Path
) -> None:
    made = image(provider, "postgres", "mysql", "redis", "redis")
    pack = committed(tmp_path, {"ask.py": ASK.encode()})

    with provider.open(made, pack, labels={"run": "services"}) as sandbox:
        answered = sandbox.exec("python3 ask.py; python3 ask.py", timeout_s=60)
        ways_out = sandbox.exec(WAYS_OUT, timeout_s=30)
        url = sandbox.exec("echo $DATABASE_URL", timeout_s=10).output
        with provider.open(made, pack, labels={"run": "services"}) as other:
            fresh = other.exec("python3 ask.py", timeout_s=60)
            count = running(engine, "services")

    line = "b'+OK\\r\\n:2\\r\\n'\nTrue\nb'R\\x00\\x00\\x00\\x08\\x00\\x00\\x00\\x00'\n"
    assert answered.output == line * 2
    assert fresh.output == line
    assert ways_out.output == "lo\n2\n"
    assert url == SERVERS["postgres"].url + "\n"
    assert made.services == ("postgres", "mysql", "redis")
    assert count == 8
    assert running(engine, "services") == 0


def test_a_server_is_as_sealed_as_the_sandbox(
    provider: DockerSandboxProvider, engine: docker.APIClient, tmp_path: Path
) -> None:
    made = image(provider, "redis")
    with provider.open(made, committed(tmp_path, {}), labels={"run": "sealed"}) as sandbox:
        found = [
            one for one in engine.containers(filters={"label": "coder.run=sealed"}) if one["Id"] != sandbox.container
        ]
        config = engine.inspect_container(found[0]["Id"])

    host = config["HostConfig"]
    assert host["NetworkMode"] == f"container:{sandbox.container}"
    assert (host["CapDrop"], host["ReadonlyRootfs"], host["Privileged"]) == (["ALL"], True, False)
    assert (host["Binds"], config["Mounts"] and [m for m in config["Mounts"] if m["Type"] != "tmpfs"]) == (None, [])
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (512 << 20, 512 << 20, 256)
    assert config["Config"]["User"] == "1000:1000"


def test_servers_are_swept_with_their_run(
    provider: DockerSandboxProvider, engine: docker.APIClient, tmp_path: Path
) -> None:
    sandbox = provider.open(image(provider, "redis"), committed(tmp_path, {}), labels={"run": "swept"})

    removed = provider.sweep(run_id="swept")

    assert removed == 2
    assert running(engine, "swept") == 0
    sandbox.close()


HELD = """
import sys, time
from pathlib import Path
from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.protocol import TreePack, Wants
from tests.contract.sandbox_support import committed, settings

nothing = TreePack("", b"")
with DockerSandboxProvider(settings(egress_allowed=("*",))) as provider:
    wants = Wants(services=("redis",), egress=("api.example",))
    image = provider.image_for({"a.py": b""}, pack=nothing, setup=None, progress=lambda _: None, wants=wants)
    with provider.open(image, committed(Path(sys.argv[1]), {}), labels={"run": "killed"}):
        print("open", flush=True)
        time.sleep(600)
"""


def test_everything_ends_when_the_service_is_killed(engine: docker.APIClient, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", HELD, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        count = running(engine, "killed")
        process.kill()

    deadline = time.monotonic() + 60
    while running(engine, "killed") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (count, running(engine, "killed")) == (3, 0)


def test_a_server_that_does_not_start_says_why_and_leaves_nothing(engine: docker.APIClient, tmp_path: Path) -> None:
    # Its data does not fit into the memory that it gets.
    with DockerSandboxProvider(settings(service_mb=256)) as provider:
        made = image(provider, "postgres")
        provider._beside.settings = settings().model_copy(update={"service_mb": 16})

        with pytest.raises(SandboxError, match="service postgres did not start: "):
            provider.open(made, committed(tmp_path, {}), labels={"run": "starved"})

    # It ended by itself, and the engine may still be at removing it.
    deadline = time.monotonic() + 20
    while running(engine, "starved") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(engine, "starved") == 0


def test_a_service_that_there_is_not_is_the_repositorys_mistake(provider: DockerSandboxProvider) -> None:
    with pytest.raises(InputError, match="`services:` names 'oracle'"):
        image(provider, "oracle")


def test_every_server_on_offer_can_be_started(provider: DockerSandboxProvider) -> None:
    assert set(provider.catalogue.services) == set(SERVERS)
    assert environment([]) == {}
    assert environment(["redis", "mysql", "postgres"])["DATABASE_URL"].startswith("mysql:")
