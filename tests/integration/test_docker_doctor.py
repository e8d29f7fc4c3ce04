"""The doctor and the images on a real engine: a healthy checkout, and each thing that can be missing."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import pytest

from coder.doctor import examine, images, target_of, tidy
from coder.errors import ConfigError
from coder.policy import Policy
from coder.sandbox.docker_shelf import ImageShelf
from coder.sandbox.images import default_folder
from coder.settings import Settings
from coder.types import RepoRef
from tests.contract.sandbox_support import committed, docker_backend, settings
from tests.integration.github_support import repo_of, running
from tests.integration.github_support import settings as github_settings
from tests.integration.test_workspace_submodules import declared, linked
from tests.servers.github_git import create_repository
from tests.servers.github_state import Hook

pytestmark = pytest.mark.docker


def all_settings(folder: Path, policy: Policy | None = None, **sandbox: object) -> Settings:
    return Settings(state_dir=folder / "state", sandbox=settings(**sandbox), policy=policy or Policy())


def diagnosis(folder: Path, files: Mapping[str, bytes], policy: Policy | None = None) -> tuple[bool, str]:
    (folder / "checkout").mkdir()
    committed(folder / "checkout", files)
    said: list[str] = []
    healthy = examine(folder / "checkout", all_settings(folder, policy), said.append)
    return healthy, "\n".join(said)


def test_a_healthy_checkout_gets_its_settings(tmp_path: Path) -> None:
    healthy, said = diagnosis(tmp_path, {"app.py": b"", "test_app.py": b"def test_it():\n    assert True\n"})

    assert healthy, said
    assert "✓ run 2     1 passed, exit code 0" in said
    assert "proposed for .coder.yml (on the branch that runs work from):\n\ntest: python3 -m pytest" in said


def test_red_tests_are_named(tmp_path: Path) -> None:
    test = b"def test_green():\n    assert True\n\n\ndef test_red():\n    assert False\n"

    healthy, said = diagnosis(tmp_path, {"test_app.py": test})

    assert healthy, said
    assert "! run 1     1 passed, 1 failed, exit code 1" in said
    assert "! red       1 fail without any change: test_app" in said


def test_flaky_tests_are_named(tmp_path: Path) -> None:
    # 200 coins: that two runs agree on all of them does not happen.
    test = b"import random, pytest\n\n\n@pytest.mark.parametrize('n', range(200))\ndef test_coin(n):\n    assert random.random() < 0.5\n"

    healthy, said = diagnosis(tmp_path, {"test_app.py": test})

    assert healthy, said
    assert "! flaky     " in said
    assert "differ between two runs of the same code: test_app" in said


def test_a_setup_that_fails_is_shown_with_the_end_of_its_log(tmp_path: Path) -> None:
    files = {"test_app.py": b"def test_it():\n    assert True\n"}

    healthy, said = diagnosis(tmp_path, files, Policy(setup=("echo it broke; exit 3",)))

    assert not healthy
    assert "✗ setup" in said
    assert "    │ it broke" in said
    assert "\nsetup:\n- …" in said


def test_the_repositorys_own_file_is_heeded_and_servers_of_its_workflows_are_proposed(tmp_path: Path) -> None:
    files = {
        ".coder.yml": b"setup: 'true'\ntest: python3 -m pytest -q test_app.py\nservices: redis\n",
        ".github/workflows/ci.yml": (
            b"jobs:\n  t:\n    services:\n      db:\n        image: postgres:16\n      r:\n        image: 'redis'\n"
        ),
        "test_app.py": b"import os\n\n\ndef test_it():\n    assert os.environ['REDIS_URL']\n",
    }

    healthy, said = diagnosis(tmp_path, files)

    assert healthy, said
    assert "✓ config    .coder.yml is heeded" in said
    assert "! services  workflows or compose files start postgres" in said
    assert "services:\n- redis\n- postgres\ntest: python3 -m pytest -q test_app.py" in said


def test_submodules_are_there_and_missing_ones_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    create_repository(folder, {".coder.yml": "test: grep -q 42 lib/answer.txt\n"})
    lib = create_repository(folder / ".git" / "modules" / "lib", {"answer.txt": "42"}, bare=True)
    linked(folder, {"lib": lib, "gone": lib}, declared("lib", "../lib.git"))
    said: list[str] = []

    healthy = examine(folder, all_settings(tmp_path), said.append)

    assert healthy, said
    assert "! submodule not fetched: gone: .gitmodules does not say where it is" in said


def test_a_wrong_file_is_told(tmp_path: Path) -> None:
    healthy, said = diagnosis(tmp_path, {".coder.yml": b"tests: x\n", "a.py": b""})

    assert not healthy
    assert "✗ doctor    .coder.yml does not fit: tests" in said


def test_what_is_typed_is_a_folder_or_a_repository(tmp_path: Path) -> None:
    assert target_of(".") == Path()
    assert target_of(str(tmp_path)) == tmp_path
    assert target_of("octo/bills") == RepoRef(owner="octo", name="bills")
    assert target_of("tests/unit") == Path("tests/unit")


def test_no_tests_and_tests_that_tell_nothing_are_failures(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    nothing = diagnosis(tmp_path / "a", {"notes.txt": b"hello\n"})
    hanging = diagnosis(
        tmp_path / "b",
        {"test_app.py": b"import os\nos._exit(7)\n"},
        Policy(test_command="pytest -q", test_timeout_s=60),
    )

    assert not nothing[0]
    assert "✗ tests     no way to run them was found" in nothing[1]
    assert not hanging[0]
    assert "✗ run 1     exit code 7 and no test report" in hanging[1]


def test_no_engine_and_no_checkout_are_one_line_each(tmp_path: Path) -> None:
    said: list[str] = []

    assert not examine(tmp_path, all_settings(tmp_path, docker_host=f"unix://{tmp_path}/none.sock"), said.append)
    assert [line[:11] for line in said] == ["✗ engine   "]
    said.clear()
    assert not examine(tmp_path, all_settings(tmp_path), said.append)
    assert "not inside a git work tree" in said[-1]


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    client = docker.APIClient(version="auto")
    yield client
    client.close()


def test_images_of_ours_are_listed_and_one_in_use_is_not_removed(engine: docker.APIClient, tmp_path: Path) -> None:
    with docker_backend() as (provider, image):
        files = {"a.py": b"# only here\n"}
        kept = provider.image_for(files, pack=committed(tmp_path, files), setup=("true",), progress=lambda _: None)
    try:
        with ImageShelf(settings(), default_folder()) as shelf:
            stored = {one.reference: one for one in shelf.stored()}
            used = engine.create_container(kept.digest, command=["true"])["Id"]
            try:
                refused = shelf._remove(stored[kept.reference])
            finally:
                engine.remove_container(used)

            assert stored[kept.reference].kind == "setup"
            assert stored[image.reference].kind == "sandbox"
            assert stored[image.reference].own_mb > 50 > stored[kept.reference].own_mb
            assert not refused
            assert shelf._remove(stored[kept.reference])
            assert kept.reference not in {one.reference for one in shelf.stored()}
            assert not shelf._remove(stored[kept.reference])
    finally:
        with_name = [one["Id"] for one in engine.images(name=kept.reference)]
        for digest in with_name:
            engine.remove_image(digest)


def test_an_image_is_built_by_name(tmp_path: Path) -> None:
    said: list[str] = []

    images("build", ["base"], all_settings(tmp_path), said.append, days=0, keep_mb=0)

    assert said[-1].startswith("base      coder-sandbox-base:")
    images("build", ["redis"], all_settings(tmp_path), said.append, days=0, keep_mb=0)
    assert said[-1].startswith("redis     coder-sandbox-redis:")
    with pytest.raises(ConfigError, match="no base 'sarge'; there are bookworm, trixie"):
        images("build", ["base@sarge"], all_settings(tmp_path), said.append, days=0, keep_mb=0)
    with pytest.raises(ConfigError, match="no image 'cobol'"):
        images("build", ["cobol"], all_settings(tmp_path), said.append, days=0, keep_mb=0)


def test_an_unknown_action_is_wrong_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "coder", "images", "bild"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (65, "")
    assert "say build, list or gc" in done.stderr


def test_a_repository_on_github_is_looked_at_with_our_rights_there(tmp_path: Path) -> None:
    test = b"def test_green():\n    assert True\n\n\ndef test_red():\n    assert False\n"
    with running(tmp_path / "github") as server:
        repo = repo_of(server)
        server.commit(repo, {"test_app.py": test.decode()}, branch="main")
        repo.permissions["coder-bot"] = "admin"
        repo.hooks = [Hook("https://coder.example/webhooks/github", ("*",), last_code=200)]
        found = all_settings(tmp_path).model_copy(update={"github": github_settings(server)})
        said: list[str] = []

        healthy = examine(RepoRef(owner="octo", name="calc"), found, said.append)
        repo.permissions["coder-bot"] = "read"
        text = "\n".join(said)
        said.clear()
        refused = examine(RepoRef(owner="octo", name="calc"), found, said.append)

    assert healthy, text
    assert "✓ github    octo/calc as coder-bot, branch main" in text
    assert "✓ access    what runs need is granted" in text
    assert "✓ webhook   https://coder.example/webhooks/github (last answer 200)" in text
    assert "! run 2     1 passed, 1 failed, exit code 1" in text
    assert "! red       1 fail without any change: test_app" in text
    assert "\ntest: python3 -m pytest" in text
    assert not refused
    assert "✗ access    runs need what is not granted: a role that may write; coder-bot has read" in "\n".join(said)


def test_what_can_be_made_again_is_thrown_away(tmp_path: Path) -> None:
    said: list[str] = []

    tidy(all_settings(tmp_path), said.append, days=3650, keep_mb=1e9, journal_days=90)

    assert said[:2] == ["0 mirrors removed, 0 MiB", "0 runs forgotten"]
    assert "images removed" in said[-1]
