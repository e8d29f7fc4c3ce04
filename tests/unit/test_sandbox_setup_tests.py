"""Which extras, groups and requirements the tests of a Python project are taken to need."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from coder.sandbox.setup_commands import detected, folders
from coder.sandbox.setup_python import PIP
from coder.sandbox.setup_python_tests import extras, groups, nox_arguments, tox_arguments


def installs(files: Mapping[str, bytes]) -> list[str]:
    """What is run as long as nothing fails, without the looks at what is there."""
    looks = ("ASKS FOR", "direct_url.json")
    return [step.command for step in detected(files).steps if not any(look in step.command for look in looks)]


PROJECT = (
    b'[build-system]\nbuild-backend = "hatchling.build"\n[project]\nname = "x"\n'
    b"[project.optional-dependencies]\nsocks = []\nHTTP2 = []\ndocs = []\ntest_all = []\n"
    b'[dependency-groups]\ncheck_it = ["a"]\nlint = ["b"]\ntests = ["c"]\n'
)


@pytest.mark.parametrize(
    ("files", "named", "grouped"),
    [
        ({}, [], ["tests"]),
        ({".github/workflows/ci.yml": b"run: pip install -e '.[socks, http2,docs,no-such]'\n"}, ["HTTP2", "socks"], ["tests"]),
        ({".github/workflows/publish-docs.yml": b"run: pip install .[socks]\n"}, [], ["tests"]),
        ({"sub/.github/workflows/ci.yml": b"run: pip install .[socks]\n"}, [], ["tests"]),
        ({".github/workflows/test.yml": b"run: uv sync --extra socks --group check-it --group lint\n"}, ["socks"], ["tests", "check_it"]),
        ({"tox.ini": b"[testenv]\nextras = test-all\ndependency_groups =\n  check-it\n"}, ["test_all"], ["tests", "check_it"]),
        ({"noxfile.py": b"session.install('-e', '.[socks]')\n"}, ["socks"], ["tests"]),
        ({"Justfile": b"test:\n    uv run --all-extras --group check_it pytest\n"}, ["HTTP2", "socks", "test_all"], ["tests", "check_it"]),
        ({"hatch.toml": b'[envs.test]\nfeatures = ["socks"]\n[envs.docs]\nfeatures = ["http2"]\n'}, ["socks"], ["tests"]),
        ({"tox.ini": b"[testenv]\nextras = $(evil) ; rm\n"}, [], ["tests"]),
    ],
)  # fmt: skip
def test_what_tests_elsewhere_are_run_with_is_installed_too(
    files: Mapping[str, bytes], named: list[str], grouped: list[str]
) -> None:
    project = {"pyproject.toml": PROJECT, **files}
    folder = folders(project)[0]

    assert extras(folder, folder.toml("pyproject.toml")) == named
    assert groups(folder, folder.toml("pyproject.toml")) == grouped


def test_sections_of_tox_that_refer_to_each_other_end() -> None:
    tox = b"[tests]\ndeps =\n  pexpect>=4 # why\n  {[testenv]deps}\n[testenv]\ndeps =\n  {[tests]deps}\n  {[no]deps}\n  pytest\n"
    folder = folders({"setup.py": b"", "tox.ini": tox})[0]

    assert tox_arguments(folder) == ["'pexpect>=4'", "pytest"]


def test_hatch_environments_count_like_groups() -> None:
    table = b'[tool.hatch.envs.hatch-test]\nextra-dependencies = ["trio>=1", "{root:uri}", "-r evil"]\n'

    assert installs({"pyproject.toml": PROJECT + table}) == [f"{PIP} -e .", f"{PIP} c 'trio>=1'"]


def test_the_project_comes_last_once_more_where_its_test_tools_may_have_replaced_it(tmp_path: Path) -> None:
    files = {"pyproject.toml": PROJECT, "tox.ini": b"[testenv]\ndeps = pytest\n"}
    look = detected(files).steps[-1].command
    site = tmp_path / "x-1.0.dist-info"
    site.mkdir()
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: x\nVersion: 1.0\n")

    def again(url: str) -> str:
        """What the step does where the project was installed from `url`."""
        (site / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": {"editable": True}}))
        told = look.replace("/opt/coder/venv/bin/python", sys.executable).replace(PIP, "echo install")
        environment = {"PYTHONPATH": str(tmp_path)}
        return subprocess.run(
            ["sh", "-c", told], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert again(tmp_path.as_uri()) == ""
    assert again("https://index.example/x-1.0.whl") == "install --no-deps -e .\n"


def test_sessions_of_nox_that_run_tests_are_the_last_resort() -> None:
    noxfile = (
        b"import nox\n\n@nox.session(python=['3.12'])\ndef tests(session):\n"
        b"    session.install('pytest', 'mock>=2', '-r', 'more.txt', '--no-deps', '-c', 'c.txt', f'{x}')\n"
        b"    session.install('.')\n\n@nox.session\ndef lint(session):\n    session.install('ruff')\n"
    )
    files = {"setup.py": b"", "noxfile.py": noxfile, "more.txt": b"x\n"}

    assert nox_arguments(folders(files)[0]) == ["pytest", "'mock>=2'", "-r more.txt"]
    assert installs(files)[-1] == f"{PIP} pytest 'mock>=2' -r more.txt"
    assert installs({**files, "requirements-dev.txt": b"x\n"})[-1] == f"{PIP} --no-build-isolation -e . || {PIP} -e ."


def test_a_hostile_name_ends_no_command() -> None:
    project = b'[project]\nname = "x"\n[project.optional-dependencies]\n"test; rm -rf /" = []\n"$(x)" = []\ntest = []\n'
    workflow = b"run: pip install '.[$(x)]'\n"

    shown = " ".join(installs({"pyproject.toml": project, ".github/workflows/ci.yml": workflow}))

    assert "rm -rf" not in shown
    assert "$(x)" not in shown
    assert "'.[test]'" in shown
