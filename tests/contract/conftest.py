"""The sandboxes that the contract runs against: ours, or somebody else's.

`pytest tests/contract/test_sandbox.py tests/contract/test_sandbox_background.py --sandbox-backend MODULE:FUNCTION`
runs it against the backend that the function, a context manager without arguments, gives as (provider, image).
"""

import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from coder.sandbox.protocol import Sandbox, TreePack
from tests.contract.sandbox_support import Backend, committed, docker_backend, local_backend

OURS = ["local", pytest.param("docker", marks=pytest.mark.docker)]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sandbox-backend", metavar="MODULE:FUNCTION", help="run the sandbox contract against this one")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        other = metafunc.config.getoption("--sandbox-backend", default=None)
        metafunc.parametrize("backend", [other] if other else OURS, indirect=True, scope="module")


@pytest.fixture(scope="module")
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    known = {"docker": docker_backend, "local": local_backend}
    with known[request.param]() if request.param in known else _named(request.param) as made:
        yield made


def _named(name: str) -> AbstractContextManager[Backend]:
    module, _, function = name.partition(":")
    made: AbstractContextManager[Backend] = getattr(importlib.import_module(module), function)()
    return made


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TreePack]:
    folder = tmp_path_factory.mktemp("origin")
    return folder, committed(folder)


@pytest.fixture
def sandbox(backend: Backend, origin: tuple[Path, TreePack]) -> Iterator[Sandbox]:
    provider, image = backend
    with provider.open(image, origin[1], labels={"run": "contract"}) as opened:
        yield opened
