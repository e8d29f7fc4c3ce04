"""The sandboxes that the contract runs against."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.sandbox.protocol import Sandbox, TreePack
from tests.contract.sandbox_support import Backend, committed, docker_backend, local_backend


@pytest.fixture(scope="module", params=["local", pytest.param("docker", marks=pytest.mark.docker)])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    with docker_backend() if request.param == "docker" else local_backend() as made:
        yield made


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TreePack]:
    folder = tmp_path_factory.mktemp("origin")
    return folder, committed(folder)


@pytest.fixture
def sandbox(backend: Backend, origin: tuple[Path, TreePack]) -> Iterator[Sandbox]:
    provider, image = backend
    with provider.open(image, origin[1], labels={"run": "contract"}) as opened:
        yield opened
