"""Images and setup phases on a real engine, with the network that they need."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from coder.errors import EngineUnavailableError
from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.docker_base import import_debootstrapped
from coder.sandbox.images import BaseSpec, default_folder
from coder.sandbox.protocol import TreePack, Wants
from tests.contract.sandbox_support import committed, settings

pytestmark = pytest.mark.docker

PACKAGE = {
    "pyproject.toml": (
        b'[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        b'[project]\nname = "sample-for-setup"\nversion = "1.0"\n'
        b'[tool.setuptools.packages.find]\nwhere = ["src"]\n'
    ),
    "src/sample_for_setup/__init__.py": b"ANSWER = 42\n",
    "tests/test_it.py": b"from sample_for_setup import ANSWER\n\n\ndef test_it():\n    assert ANSWER == 42\n",
}


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    client = docker.APIClient(version="auto")
    yield client
    client.close()


@pytest.fixture
def provider() -> Iterator[DockerSandboxProvider]:
    with DockerSandboxProvider(settings(memory_mb=1024)) as made:
        yield made


def test_an_installed_package_is_there_offline(
    provider: DockerSandboxProvider, engine: docker.APIClient, tmp_path: Path
) -> None:
    pack = committed(tmp_path, PACKAGE)
    said: list[str] = []

    image = provider.image_for(PACKAGE, pack=pack, setup=None, progress=said.append)
    again = provider.image_for(PACKAGE, pack=pack, setup=None, progress=said.append)

    try:
        assert image.setup_ok, image.setup_log
        assert "pip-install" in image.setup_log
        assert (again.reference, again.digest, again.setup_ok) == (image.reference, image.digest, True)
        assert again.setup_log.endswith(image.setup_log[-500:])
        with provider.open(image, pack, labels={"run": "setup"}) as sandbox:
            assert sandbox.exec("cd /tmp && python -m pytest -q /workspace", timeout_s=60).exit_code == 0
            assert sandbox.exec("cd /tmp && pytest -q /workspace", timeout_s=60).exit_code == 0
            assert sandbox.diff() == ""
    finally:
        engine.remove_image(image.reference, force=True)


def test_what_cannot_be_had_falls_back_and_what_is_not_as_asked_for_is_flagged(
    provider: DockerSandboxProvider, engine: docker.APIClient, tmp_path: Path
) -> None:
    extras = b'[project.optional-dependencies]\ntest = ["tomli-w==0.0.0.dev987654321"]\n'
    files = {**PACKAGE, "pyproject.toml": PACKAGE["pyproject.toml"] + extras, ".python-version": b"3.99\n"}
    pack = committed(tmp_path, files)

    image = provider.image_for(files, pack=pack, setup=None, progress=lambda _: None)
    again = provider.image_for(files, pack=pack, setup=None, progress=lambda _: None)

    try:
        assert "THE PROJECT ASKS FOR PYTHON >=3.99" in image.setup_log
        assert "! with a fallback only, because this failed: pip-install" in image.setup_log
        assert (image.setup_ok, again.setup_ok, again.digest) == (False, False, image.digest)
        with provider.open(image, pack, labels={"run": "setup"}) as sandbox:
            assert sandbox.exec("cd /tmp && pytest -q /workspace", timeout_s=60).exit_code == 0
            assert sandbox.exec("ls -A /var/tmp", timeout_s=10).output == ""
    finally:
        engine.remove_image(image.reference, force=True)


def test_commands_given_have_the_network_and_what_they_left_is_kept(
    provider: DockerSandboxProvider, engine: docker.APIClient, tmp_path: Path
) -> None:
    files = {"requirements.txt": b"tomli-w==1.0.0\n", "app.py": b"import tomli_w\n"}
    pack = committed(tmp_path, files)

    image = provider.image_for(files, pack=pack, setup=None, progress=lambda _: None)

    try:
        assert image.setup_ok, image.setup_log
        with provider.open(image, pack, labels={"run": "setup"}) as sandbox:
            assert sandbox.exec("python app.py", timeout_s=60).exit_code == 0
            assert sandbox.exec("pip download tomli-w", timeout_s=60).exit_code not in (0, None)
    finally:
        engine.remove_image(image.reference, force=True)


def test_what_a_setup_leaves_in_the_work_tree_is_there_again_and_in_no_diff(
    provider: DockerSandboxProvider, engine: docker.APIClient, tmp_path: Path
) -> None:
    files = {"app.py": b"", "src/a.txt": b"a\n", ".gitignore": b"node_modules/\n"}
    pack = committed(tmp_path, files)
    commands = (
        "mkdir -p node_modules/x src/gen.egg-info && echo y > node_modules/x/i.js && echo z > src/gen.egg-info/PKG",
        "echo o > 'odd *[name] #!'; echo changed >> src/a.txt; ln -s /opt/coder/venv/bin/python py",
    )

    image = provider.image_for(files, pack=pack, setup=commands, progress=lambda _: None)

    try:
        assert image.setup_ok, image.setup_log
        with provider.open(image, pack, labels={"run": "setup"}) as sandbox:
            assert sandbox.read("node_modules/x/i.js") == b"y\n"
            assert sandbox.read("src/gen.egg-info/PKG") == b"z\n"
            assert sandbox.read("odd *[name] #!") == b"o\n"
            assert sandbox.read("src/a.txt") == b"a\n"
            assert sandbox.diff() == ""
            assert sandbox.exec("git status --porcelain", timeout_s=10).output == ""
            sandbox.write("odd x", b"new")
            assert sandbox.list_files() == (".gitignore", "app.py", "link", "odd x", "src/a.txt")
            sandbox.restore("")
            assert sandbox.read("node_modules/x/i.js") == b"y\n"
            # Whatever happens to the work tree and to the runner's own places, they come back.
            sandbox.exec("rm -rf /run/coder/* .git node_modules src; mkdir src; chmod 0 src", timeout_s=10)
            assert sandbox.list_files() == (".gitignore", "app.py", "link", "src/a.txt")
            sandbox.restore("")
            assert sandbox.read("node_modules/x/i.js") == b"y\n"
            assert sandbox.read("src/gen.egg-info/PKG") == b"z\n"
            assert sandbox.diff() == ""
            assert sandbox.exec("git status --porcelain", timeout_s=10).output == ""
    finally:
        engine.remove_image(image.reference, force=True)


def test_a_failed_setup_is_loud_and_kept_nowhere(
    provider: DockerSandboxProvider, engine: docker.APIClient, tmp_path: Path
) -> None:
    pack = committed(tmp_path, {"app.py": b""})
    said: list[str] = []
    commands = ("echo first > kept.txt", "echo it broke >&2; exit 3", "echo never")

    image = provider.image_for({"app.py": b""}, pack=pack, setup=commands, progress=said.append)

    assert not image.setup_ok
    assert "it broke" in image.setup_log
    assert "exit code 3" in image.setup_log
    assert "never" not in image.setup_log
    assert any("setup failed" in line for line in said)
    with provider.open(image, pack, labels={"run": "failed"}) as sandbox:
        assert sandbox.list_files() == ("app.py", "link")


def test_no_markers_and_no_code_is_the_base_image(provider: DockerSandboxProvider, tmp_path: Path) -> None:
    pack = committed(tmp_path, {"notes.txt": b"hello\n"})

    image = provider.image_for({"notes.txt": b""}, pack=pack, setup=None, progress=lambda _: None)

    assert image.reference.startswith("coder-sandbox-base:")
    with provider.open(image, pack, labels={}) as sandbox:
        assert sandbox.exec("rg hello", timeout_s=10).output == "notes.txt:hello\n"


def test_packages_that_are_asked_for_and_hinted_at_are_there(
    provider: DockerSandboxProvider, engine: docker.APIClient, tmp_path: Path
) -> None:
    dockerfile = (
        b"FROM python:3.11\nRUN apt-get update && apt-get install -y \\\n  jq=1.* no-such-package-at-all sudo\n"
    )
    files = {"Dockerfile": dockerfile, "a.py": b""}
    pack = committed(tmp_path, files)

    image = provider.image_for(files, pack=pack, setup=None, progress=lambda _: None, wants=Wants(packages=("tree",)))

    try:
        assert image.reference.startswith("coder-sandbox-packages:")
        with provider.open(image, pack, labels={"run": "packages"}) as sandbox:
            shown = sandbox.exec("tree --version && jq --version && id -u && command -v sudo", timeout_s=20)
        assert (shown.exit_code, shown.output.splitlines()[-1]) == (1, "1000")
    finally:
        engine.remove_image(image.reference, force=True)


def test_where_the_newer_base_cannot_be_had_the_usual_one_serves_and_is_flagged(
    engine: docker.APIClient, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    shutil.copytree(default_folder(), folder)
    table = (folder / "images.toml").read_text()
    broken = table.replace('"debian:trixie-slim"', '"nowhere.invalid/debian:none"').replace(
        'suite = "trixie"', 'suite = "no-such-suite"'
    )
    (folder / "images.toml").write_text(broken)
    (tmp_path / "repository").mkdir()
    files = {"go.mod": b"module x.invalid/x\n\ngo 1.22\n", ".python-version": b"3.13\n", "a.py": b""}
    pack = committed(tmp_path / "repository", files)
    said: list[str] = []

    with DockerSandboxProvider(settings(memory_mb=1024, pull_timeout_s=2), images_folder=folder) as provider:
        image = provider.image_for(files, pack=pack, setup=None, progress=said.append, wants=Wants(images=("python",)))

    try:
        assert any(line.startswith("no image on trixie (") and line.endswith("taking bookworm") for line in said), said
        assert not image.setup_ok
        assert "THE PROJECT ASKS FOR PYTHON >=3.13, THE IMAGE HAS 3.11" in image.setup_log
    finally:
        engine.remove_image(image.reference, force=True)


def test_images_carry_their_content_hash(provider: DockerSandboxProvider, engine: docker.APIClient) -> None:
    image = provider.image_for({"a.py": b""}, pack=TreePack("", b""), setup=None, progress=lambda _: None)

    labels = engine.inspect_image(image.reference)["Config"]["Labels"]  # type: ignore[no-untyped-call]  # open stubs

    assert labels["coder.content"].startswith(image.reference.rpartition(":")[2])


def test_the_sweep_removes_what_the_dead_left(
    provider: DockerSandboxProvider, engine: docker.APIClient, tmp_path: Path
) -> None:
    pack = committed(tmp_path, {"a.py": b""})
    image = provider.image_for({"a.py": b""}, pack=pack, setup=None, progress=lambda _: None)
    labels = {"coder.installation": "coder-tests", "coder.run": "dead", "coder.owner": "elsewhere:1:1"}
    dead = engine.create_container(image.digest, command=["true"], labels=labels)["Id"]
    with provider.open(image, pack, labels={"run": "living"}) as living:
        removed = provider.sweep()

        assert removed >= 1
        assert not engine.containers(all=True, filters={"id": dead})
        assert living.exec("echo on", timeout_s=10).output == "on\n"
        assert provider.sweep(run_id="another") == 0
        assert provider.sweep(run_id="living") == 1


def test_no_engine_says_what_to_do(tmp_path: Path) -> None:
    nowhere = DockerSandboxProvider(settings(docker_host=f"unix://{tmp_path}/none.sock"))

    with nowhere, pytest.raises(EngineUnavailableError, match="ensure-docker"):
        nowhere.sweep()


@pytest.mark.timeout(1500)
def test_the_base_image_can_be_made_without_a_registry(engine: docker.APIClient) -> None:
    name = "coder-tests-base:made"
    try:
        import_debootstrapped(engine, BaseSpec(name="made", image=name, suite="bookworm"), lambda _: None)

        shown = subprocess.run(
            ["docker", "run", "--rm", "--network=none", name, "cat", "/etc/os-release"], check=True, capture_output=True
        )
        assert b"bookworm" in shown.stdout
    finally:
        engine.remove_image(name, force=True)
