"""What starts first tidies up: containers of dead processes are gone before any work begins."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from coder.app import sweep_orphans
from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.protocol import Image
from tests.contract.sandbox_support import docker_backend, settings

pytestmark = pytest.mark.docker

INSTALLATION = "coder-tests-sweep"


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    client = docker.APIClient(version="auto")
    yield client
    client.close()


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with docker_backend() as (_, made):
        yield made


def orphan(engine: docker.APIClient, image: Image, installation: str) -> str:
    """A container whose owner is not there any more."""
    labels = {"coder.installation": installation, "coder.run": "dead", "coder.owner": "elsewhere:1:1"}
    return str(engine.create_container(image.digest, command=["true"], labels=labels)["Id"])


def test_a_service_that_starts_removes_orphans_of_its_installation_only(
    engine: docker.APIClient, image: Image, tmp_path: Path
) -> None:
    ours, others = orphan(engine, image, INSTALLATION), orphan(engine, image, "somebody-else")
    config = tmp_path / "coder.toml"
    config.write_text(
        f'state_dir = "{tmp_path}/state"\n[sandbox]\ninstallation = "{INSTALLATION}"\n'
        '[service]\nwebhook_secret = "a secret of sixteen"\n[github]\ntoken = "ghp_none"\n'
    )
    program = "import sys, pathlib, coder.app; coder.app.service_parts(pathlib.Path(sys.argv[1]))"

    try:
        # In a process of its own: a service's parts live as long as it does.
        subprocess.run([sys.executable, "-c", program, str(config)], check=True, capture_output=True, timeout=120)

        assert not engine.containers(all=True, filters={"id": ours})
        assert engine.containers(all=True, filters={"id": others})
    finally:
        engine.remove_container(others, force=True)


def test_without_an_engine_a_service_starts_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with DockerSandboxProvider(settings(docker_host=f"unix://{tmp_path}/none.sock")) as nowhere:
        assert sweep_orphans(nowhere) == 0

    assert "no sweep for orphans" in caplog.text
