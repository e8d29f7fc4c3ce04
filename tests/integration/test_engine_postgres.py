"""Workers of several machines on one PostgreSQL: each has a folder of its own, and they share nothing but the database."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import docker
import psycopg
import pytest

from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.protocol import TreePack, Wants
from tests.contract.sandbox_support import settings
from tests.integration.test_engine_processes import DEADLINE_S, Workers, until

# The first on a machine builds the image.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

SERVE = (
    "cp -a /opt/coder/data /tmp/data && chmod 700 /tmp/data && echo 'host all all all trust' >> /tmp/data/pg_hba.conf &&"
    " exec postgres -D /tmp/data -k /tmp -c listen_addresses='*' -c fsync=off"
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server's address, without a database: the one that sandboxes can have beside them."""
    with DockerSandboxProvider(settings()) as provider:
        wants, empty = Wants(services=("postgres",)), TreePack("", b"")
        provider.image_for({"a.py": b""}, pack=empty, setup=None, progress=lambda _: None, wants=wants)
    client = docker.from_env()
    image = client.images.list("coder-sandbox-postgres")[0]
    ports: dict[str, int | list[int] | tuple[str, int] | None] = {"5432/tcp": ("127.0.0.1", 0)}
    container = client.containers.run(image, ["bash", "-c", SERVE], user="1000", detach=True, ports=ports)
    try:
        container.reload()
        port = (container.ports["5432/tcp"] or [])[0]["HostPort"]
        url = f"postgresql://coder@127.0.0.1:{port}"
        until(lambda: _answers(url))
        yield url
    finally:
        container.remove(force=True)
        client.close()


def _answers(url: str) -> bool:
    try:
        psycopg.connect(f"{url}/postgres").close()
    except psycopg.OperationalError:
        return False
    return True


NUMBERS = itertools.count()


@pytest.fixture
def workers(tmp_path: Path, server: str) -> Iterator[Workers]:
    name = f"jobs{next(NUMBERS)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    made = Workers(tmp_path, f"{server}/{name}")
    yield made
    made.close()


def test_machines_share_the_jobs_and_those_of_one_that_died_go_to_another(workers: Workers) -> None:
    first = workers.start("hold", "fast", executor_id="one")
    workers.submit("a", "b")
    workers.submit("a")
    until(lambda: workers.log() == ["begin a"])
    workers.start("hold", "fast", executor_id="two")
    workers.submit("c", repo="octo/other")
    until(lambda: "begin c" in workers.log())
    first.kill()
    first.wait(timeout=DEADLINE_S)
    until(lambda: workers.log().count("begin a") == 2)
    workers.go()
    workers.over("a", "b", "c")

    log = workers.log()
    assert sorted(line for line in log if line.startswith("end")) == ["end a", "end b", "end c"]
    assert log.count("begin a") == 2
    assert log.index("end a") < log.index("begin b")
    assert workers.seen("a").result == {"ok": True, "job": "a", "by": "two"}


def test_a_job_is_cancelled_from_another_machine_and_no_two_have_one_name(workers: Workers) -> None:
    workers.start("hold", "fast", executor_id="one")
    workers.submit("a")
    until(lambda: workers.log() == ["begin a"])
    # Its folder, and the lock in it, are those of another machine.
    (workers.folder / "one").rename(workers.folder / "away")

    second = workers.start(executor_id="one")
    _, said = second.communicate(timeout=DEADLINE_S)
    workers.client.cancel("a")
    until(lambda: "stop a" in workers.log())

    assert second.returncode == 64
    assert "'one' runs already on another machine" in said
    assert workers.seen("a").state == "cancelled"
