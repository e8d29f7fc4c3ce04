"""Containers started in advance: taken once, swept like all others, never left."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import docker
import pytest

from coder.errors import SandboxError
from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.protocol import Image, TreePack
from tests.contract.sandbox_support import committed, docker_backend, out, settings

pytestmark = pytest.mark.docker

INSTALLATION = "coder-tests-pool"
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with docker_backend() as (_, made):
        yield made


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> TreePack:
    return committed(tmp_path_factory.mktemp("origin"))


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    client = docker.APIClient(version="auto")
    yield client
    client.close()


def there(engine: docker.APIClient, *, running: bool = False) -> set[str]:
    found = engine.containers(all=not running, filters={"label": f"coder.installation={INSTALLATION}"})
    return {entry["Id"] for entry in found}


def settled(engine: docker.APIClient, fits: Callable[[set[str]], bool]) -> set[str]:
    deadline = time.monotonic() + DEADLINE_S
    while not fits(found := there(engine)):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def becomes(engine: docker.APIClient, count: int) -> set[str]:
    return settled(engine, lambda found: len(found) == count)


@pytest.fixture
def provider() -> Iterator[DockerSandboxProvider]:
    with DockerSandboxProvider(settings(prewarm=1, installation=INSTALLATION)) as made:
        yield made


def test_a_sandbox_is_taken_from_the_pool_and_the_pool_is_filled_again(
    provider: DockerSandboxProvider, image: Image, pack: TreePack, engine: docker.APIClient
) -> None:
    with provider.open(image, pack, labels={"run": "first"}):
        ready = becomes(engine, 2)
        with provider.open(image, pack, labels={"run": "second"}) as second:
            assert second.container in ready
            assert out(second, "cat README.md; git log --format=%s") == "# Sample\nsecond\nfirst\n"
            assert second.diff() == ""

            assert provider.sweep(run_id="second") == 1
            assert second.container not in there(engine)

    provider.close()
    becomes(engine, 0)


def test_a_sandbox_that_died_in_the_pool_is_not_given_out(
    provider: DockerSandboxProvider, image: Image, pack: TreePack, engine: docker.APIClient
) -> None:
    with provider.open(image, pack, labels={"run": "first"}) as first:
        (waiting,) = becomes(engine, 2) - {first.container}
        settled(engine, lambda _: waiting in there(engine, running=True))  # before that, Docker may not know it yet
        engine.remove_container(waiting, force=True)

        with provider.open(image, pack, labels={"run": "second"}) as second:
            assert second.container != waiting
            assert out(second, "echo on") == "on\n"

    provider.close()
    becomes(engine, 0)


def test_an_image_that_cannot_be_started_is_told_by_who_wants_it(
    image: Image, pack: TreePack, engine: docker.APIClient
) -> None:
    with DockerSandboxProvider(settings(prewarm=2, installation=INSTALLATION)) as provider:
        gone = Image("gone", "sha256:" + "0" * 64)
        with pytest.raises(SandboxError, match="No such image"):
            provider.open(gone, pack, labels={"run": "gone"})
        with provider.open(image, pack, labels={"run": "after"}) as sandbox:
            assert out(sandbox, "echo on") == "on\n"

    becomes(engine, 0)


def test_those_wanted_last_are_kept_ready_in_turn_and_no_others(
    image: Image, pack: TreePack, engine: docker.APIClient
) -> None:
    # What is set up alike is started alike: other repositories' images without building any.
    other, third = replace(image, setup_log="other"), replace(image, setup_log="third")
    with DockerSandboxProvider(settings(prewarm=2, installation=INSTALLATION)) as provider:
        used = set[str]()
        for wanted in (image, other):
            with provider.open(wanted, pack, labels={"run": "first"}) as sandbox:
                used.add(sandbox.container)
        ready = settled(engine, lambda found: len(found) == 2 and not found & used)
        for wanted in (image, other):
            with provider.open(wanted, pack, labels={"run": "again"}) as sandbox:
                assert sandbox.container in ready
        used |= ready
        ready = settled(engine, lambda found: len(found) == 2 and not found & used)
        with provider.open(third, pack, labels={"run": "third"}) as sandbox:
            assert sandbox.container not in ready
            kept = settled(engine, lambda found: len(found) == 3 and len(found & ready) == 1)
        with provider.open(other, pack, labels={"run": "last"}) as sandbox:
            assert sandbox.container in kept & ready

    becomes(engine, 0)
