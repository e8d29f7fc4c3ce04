"""What a setup phase is made of, and how it ends: decisions over manifests, and a sandbox that answers by script."""

import subprocess
from collections.abc import Mapping

import pytest
from typing_extensions import override

from coder.errors import WorkspaceError
from coder.sandbox.setup_commands import MAX_ROOTS, detected, given
from coder.sandbox.setup_folder import MAX_MANIFEST_BYTES, Step
from coder.sandbox.setup_phase import Setup
from coder.sandbox.setup_python import EXPORTED, PIP
from coder.types import ExecResult

NPM = "npm install --no-audit --no-fund --no-package-lock"
CI = "npm ci --no-audit --no-fund"
GET = "npm install -g --prefix /opt/coder --no-audit --no-fund"


def installs(files: Mapping[str, bytes], main: str = "python") -> list[str]:
    """What is run as long as nothing fails, without the looks at versions and what only saves time later."""
    steps = detected(files, main).steps
    return [step.shown for step in steps if "ASKS FOR" not in step.command and "go test -exec true" not in step.command]


@pytest.mark.parametrize(
    ("files", "commands"),
    [
        ({}, []),
        ({"a.py": b""}, []),
        ({"pyproject.toml": b"[tool.ruff]\nline-length = 100\n"}, []),
        ({"pyproject.toml": b"not toml ["}, []),
        ({"pyproject.toml": b'[project]\nname = 1\n[dependency-groups]\ntest = "x"\n'}, [f"{PIP} --no-build-isolation -e . || {PIP} -e ."]),
        ({"pyproject.toml": b"project = 3\nbuild-system = []\ntool = false\n"}, [f"{PIP} --no-build-isolation -e . || {PIP} -e ."]),
        ({"requirements.txt": b"# nothing\n\n"}, []),
        ({"requirements.txt": b"six\n", "docs/requirements.txt": b"x\n"}, [f"{PIP} -r requirements.txt"]),
        (
            {"requirements/test.txt": b"a\n", "requirements/base.txt": b"b\n", "requirements/docs.txt": b"c\n"},
            [f"{PIP} -r requirements/base.txt", f"{PIP} -r requirements/test.txt"],
        ),
        ({"requirements_dev.txt": b"a", "dev-requirements.txt": b"b"}, [f"{PIP} -r dev-requirements.txt", f"{PIP} -r requirements_dev.txt"]),
        ({"setup.py": b""}, [f"{PIP} --no-build-isolation -e . || {PIP} -e ."]),
        (
            {"setup.py": b"setup(extras_require={'test': ['a'], 'docs': []})"},
            [f"{PIP} --no-build-isolation -e '.[test]' || {PIP} -e '.[test]'"],
        ),
        (
            {"setup.py": b"", "setup.cfg": b"[options.extras_require]\ntests = a\nall = b\n"},
            [f"{PIP} --no-build-isolation -e '.[tests]' || {PIP} -e '.[tests]'"],
        ),
        (
            {"pyproject.toml": b'[project]\nname="x"\n[project.optional-dependencies]\ntest=["a"]\ndocs=["b"]\n'},
            [f"{PIP} --no-build-isolation -e '.[test]' || {PIP} -e '.[test]'"],
        ),
        ({"pyproject.toml": b'[build-system]\nbuild-backend="hatchling.build"\n[project]\nname="x"\n'}, [f"{PIP} -e ."]),
        ({"pyproject.toml": b'[build-system]\nrequires=["setuptools>=61", "setuptools_scm"]\n'}, [f"{PIP} -e ."]),
        (
            {"pyproject.toml": b'[dependency-groups]\ndev=["a>=1", {include-group="T.x"}, "--evil"]\nt-x=["b", {include-group="dev"}]\n'},
            [f"{PIP} 'a>=1' b"],
        ),
        (
            {"tox.ini": b"[testenv]\ndeps =\n  pytest-mock>=3  # why\n  py27: old\n  -r{toxinidir}/more.txt\n  {env:X}\n", "more.txt": b"x"},
            [f"{PIP} 'pytest-mock>=3' -r more.txt"],
        ),
        ({"tox.ini": b"[testenv]\ndeps = a\n", "requirements-dev.txt": b"b"}, [f"{PIP} -r requirements-dev.txt"]),
        (
            {
                "Pipfile.lock": (
                    b'{"default": {"a": {"version": "==1", "markers": "python_version >= \'3\'"}, "--evil": {"version": "==1"},'
                    b' "g": {"git": "https://x.invalid/g", "ref": "abc"}}, "develop": {"b": {"version": "==2", "extras": ["x"]}}}'
                )
            },
            [f"{PIP} 'a==1; python_version >= '\"'\"'3'\"'\"'' 'b[x]==2' 'g @ git+https://x.invalid/g@abc'"],
        ),
        ({"Pipfile": b'[packages]\na = "*"\nme = {path = "."}\n[dev-packages]\nb = ">=2"\n'}, [f"{PIP} . a 'b>=2'"]),
        ({"Pipfile.lock": b"[1, 2"}, []),
        ({"package.json": b"{}"}, []),
        ({"package.json": b"nonsense"}, []),
        ({"package.json": b"[" * 100_000}, []),
        ({"package.json": b'{"devDependencies": {"x": "1"}}'}, [NPM]),
        ({"package.json": b"{}", "package-lock.json": b"{}"}, [CI]),
        ({"package.json": b"{}", "pnpm-lock.yaml": b""}, [f"{GET} pnpm@9 && pnpm install --frozen-lockfile"]),
        (
            {"package.json": b'{"packageManager": "pnpm@8.6.1+sha256.ab", "dependencies": {"a": "1"}}'},
            [f"{GET} pnpm@8.6.1 && pnpm install"],
        ),
        ({"package.json": b'{"packageManager": "pnpm@$(evil)", "dependencies": {"a": "1"}}'}, [NPM]),
        ({"package.json": b"{}", "yarn.lock": b"# yarn lockfile v1\n"}, [f"{GET} yarn@1 && yarn install --frozen-lockfile"]),
        (
            {"package.json": b"{}", "yarn.lock": b"__metadata:\n  version: 6\n"},
            [f"{GET} @yarnpkg/cli-dist@4 && yarn install --immutable"],
        ),
        ({"go.mod": b"module x\n\ngo 1.19\n"}, []),
        ({"go.mod": b"module x\n\nrequire y v1.0.0\n"}, ["go mod download"]),
        ({"Cargo.toml": b'[package]\nname = "x"\n'}, ["cargo fetch"]),
        ({"Cargo.toml": b'[package]\nname = "x"\n', "Cargo.lock": b""}, []),
        ({"Cargo.toml": b'[dependencies]\na = "1"\n', "Cargo.lock": b""}, ["cargo fetch --locked"]),
        ({"pom.xml": b"<project/>"}, ["mvn -q -B -Dmaven.test.failure.ignore=true test"]),
        ({"build.gradle": b"", "gradlew": b""}, ["sh ./gradlew --no-daemon -q test --continue"]),
        ({"support/build.gradle": b"", "Makefile": b""}, []),
        ({"support/build.gradle": b"", "support/gradlew": b""}, ["(cd support) sh ./gradlew --no-daemon -q test --continue"]),
        ({"configure.ac": b"", "Makefile.am": b""}, ["autoreconf -fi"]),
        ({"configure.ac": b"", "Makefile.am": b"", "configure": b""}, []),
        ({"configure.ac": b"", "Makefile.am": b"", "CMakeLists.txt": b""}, []),
        ({"deps/x/configure.ac": b"", "deps/x/Makefile.am": b""}, []),
        ({"Gemfile": b"source 'x'\n"}, []),
        ({"Gemfile": b"gem 'rake'\n"}, ["bundle install --jobs 2 --retry 2"]),
        ({"composer.json": b'{"require": {"php": ">=8"}}'}, []),
        ({"composer.json": b'{"require-dev": {"a/b": "*"}}'}, ["composer install --no-interaction --no-progress --prefer-dist"]),
    ],
)  # fmt: skip
def test_setup_commands_follow_the_manifests(files: Mapping[str, bytes], commands: list[str]) -> None:
    assert installs(files) == commands


@pytest.mark.parametrize(
    ("files", "least"),
    [
        ({"package.json": b'{"engines": {"node": "^20.19.0 || >=22.12.0"}}'}, 20),
        ({"package.json": b'{"engines": {"node": ">=18"}}', ".node-version": b"lts/*\n"}, 22),
        ({"package.json": b"{}", ".nvmrc": b"lts/krypton"}, 24),
        ({"package.json": b'{"engines": {"node": ">=20"}, "packageManager": "pnpm@11.19.0"}'}, 22),
        ({"package.json": b"{}", ".github/workflows/ci.yml": b"  node-version: [ 24.x, '22' ]\n  os: [ubuntu-22.04]\n"}, 22),
        ({"package.json": b"{}", ".github/workflows/ci.yml": b"  node-version: ${{ matrix.node }}\n"}, None),
        ({"package.json": b'{"engines": {"node": "what you like"}}'}, None),
    ],
)  # fmt: skip
def test_node_is_what_the_project_its_package_manager_and_its_ci_ask_for(
    files: Mapping[str, bytes], least: int | None
) -> None:
    checks = [step.command for step in detected(files, "node").steps if "ASKS FOR" in step.command]

    assert [f"ASKS FOR NODE {least}," in check for check in checks] == ([] if least is None else [True])


@pytest.mark.parametrize(
    ("lock", "tool", "then"),
    [
        ("uv.lock", "$uv export -q --frozen", f"{PIP} -r {EXPORTED}"),
        ("pdm.lock", "pdm export --format requirements", f"{PIP} -r {EXPORTED}"),
        ("poetry.lock", "poetry install --no-interaction", "VIRTUAL_ENV=/opt/coder/venv"),
    ],
)
def test_a_lock_is_installed_by_its_own_tool_and_without_it_by_what_the_project_says(
    lock: str, tool: str, then: str
) -> None:
    project = b'[project]\nname="x"\n[project.optional-dependencies]\ntest=["a"]\n[dependency-groups]\ndev=["b"]\n'

    (step,) = detected({"pyproject.toml": project, lock: b""}).steps

    assert tool in step.command
    assert then in step.command
    assert "-e '.[test]'" in step.fallbacks[0]
    assert f"&& {{ {PIP} b; }} && {{ " in step.fallbacks[0]
    assert "direct_url.json" in step.fallbacks[0].rpartition(f"{PIP} b")[2]


POETRY = b"""
[tool.poetry]
name = "x"
[tool.poetry.dev-dependencies]
pytest = "^7.2.0"
PyYAML = "*"
mypy = "^0.990"
here = {path = "../here"}
odd = "$(id)"
[tool.poetry.group.test.dependencies]
hypothesis = {version = "~6.1", extras = ["cli"], markers = "python_version > '3.8'"}
zero = "^0.0.3"
both = ">=1.2,!=1.5"
exact = "2.0.*"
[tool.poetry.group.docs.dependencies]
sphinx = "^4"
"""


def test_poetrys_groups_for_tests_are_installed_without_a_lock_too() -> None:
    wanted = (
        "PyYAML 'both>=1.2,!=1.5' 'exact==2.0.*' 'hypothesis[cli]>=6.1,<6.2; python_version > '\"'\"'3.8'\"'\"'' "
        "odd 'pytest>=7.2.0,<8' 'zero>=0.0.3,<0.0.4'"
    )
    step = detected({"pyproject.toml": POETRY}).steps[-2]
    (locked,) = detected({"pyproject.toml": POETRY, "poetry.lock": b""}).steps

    assert (step.command, step.on_failure) == (f"{PIP} {wanted}", "flag")
    assert step.fallbacks == (f"{PIP} PyYAML both exact 'hypothesis[cli]' odd pytest zero",)
    assert f"{{ {step.command} || {step.fallbacks[0]}; }}" in locked.fallbacks[0]


def test_extras_that_cannot_be_had_leave_the_package() -> None:
    project = b'[project]\nname="x"\n[project.optional-dependencies]\ntest=["a"]\n'

    (step,) = detected({"pyproject.toml": project}).steps

    assert step.fallbacks == (f"{PIP} --no-build-isolation -e . || {PIP} -e .",)


@pytest.mark.parametrize(
    ("files", "wishes"),
    [
        ({"pyproject.toml": b'[project]\nname="x"\nrequires-python=">=3.8,<4"\n'}, [">=3.8,<4"]),
        ({"pyproject.toml": b'[tool.poetry]\nname="x"\n[tool.poetry.dependencies]\npython="^3.9.1"\n'}, [">=3.9"]),
        ({"setup.py": b"", "setup.cfg": b"[options]\npython_requires = >=3.7\n"}, [">=3.7"]),
        ({"setup.py": b"", ".python-version": b"3.12.4\n"}, [">=3.12"]),
        ({"setup.py": b"", ".python-version": b"pypy-7\n"}, []),
        ({"pyproject.toml": b'[project]\nname="x"\nrequires-python=">=3; $(evil)"\n'}, []),
    ],
)
def test_the_wished_python_is_compared_in_the_image(files: Mapping[str, bytes], wishes: list[str]) -> None:
    checks = [step for step in detected(files).steps if "ASKS FOR" in step.command]

    assert [step.command.rpartition('" ')[2].strip("'") for step in checks] == wishes
    assert {step.on_failure for step in checks} <= {"flag"}


def test_wishes_for_node_and_go_are_compared_too() -> None:
    package = b'{"engines": {"node": ">=20.1 || ^22"}, "dependencies": {"a": "1"}}'

    steps = detected({"package.json": package, "go.mod": b"module x\n\ngo 1.22.1\n"}, "go").steps

    checks = [step.command for step in steps if "ASKS FOR" in step.command]
    assert "ASKS FOR GO 1.22" in checks[0]
    assert "ASKS FOR NODE 20" in checks[1]


@pytest.mark.parametrize(
    "files", [{"go.mod": b"module x\n"}, {"go.mod": b"require y v1\n"}, {"go.mod": b"", "go.work": b""}]
)
def test_go_is_compiled_once_for_all_sandboxes_and_runs_nothing(files: Mapping[str, bytes]) -> None:
    *_, last = detected(files, "go").steps

    assert "go test -exec true ./..." in last.command
    assert last.on_failure == "note"
    assert subprocess.run(["bash", "-n", "-c", last.command], check=False).returncode == 0


def test_each_project_of_a_monorepo_is_set_up_where_it_is() -> None:
    files = {
        "README.md": b"",
        "services/api/pyproject.toml": b'[build-system]\nbuild-backend="hatchling.build"\n',
        "services/api/tests/fixtures/x/setup.py": b"",
        "services/api/plugin/setup.py": b"",
        "web/package.json": b'{"dependencies": {"a": "1"}}',
        "web/node_modules/a/package.json": b'{"dependencies": {"b": "1"}}',
        "a/b/c/d/setup.py": b"",
    }

    found = detected(files)

    assert [(step.folder, step.on_failure) for step in found.steps] == [("services/api", "stop"), ("web", "flag")]
    assert found.languages == ("python", "node")
    assert found.inputs == ("services/api/pyproject.toml", "web/package.json")


def test_workspaces_are_installed_once_and_tools_at_the_top_do_not_hide_the_rest() -> None:
    tool = b'{"devDependencies": {"prettier": "3"}}'
    web = b'{"dependencies": {"a": "1"}}'

    assert installs({"package.json": b'{"workspaces": ["web"]}', "web/package.json": web}) == [NPM]
    assert installs({"package.json": tool, "web/package.json": web}) == [NPM, f"(cd web) {NPM}"]


def test_a_website_below_a_tested_package_is_not_set_up() -> None:
    tested = b'{"scripts": {"test": "mocha"}, "devDependencies": {"mocha": "10"}}'
    site = (
        b'{"scripts": {"build": "docusaurus build", "test": "echo \'no test specified\'"}, "dependencies": {"d": "1"}}'
    )

    assert installs({"package.json": tested, "website/package.json": site}) == [NPM]
    assert installs({"package.json": tested, "web/package.json": tested}) == [NPM, f"(cd web) {NPM}"]


def test_the_number_of_projects_is_bounded() -> None:
    files = {f"p{number:03}/requirements.txt": b"x\n" for number in range(500)}

    assert len(detected(files).steps) == MAX_ROOTS


class Unreadable(dict[str, bytes]):
    """A repository whose files cannot be read."""

    @override
    def __getitem__(self, path: str) -> bytes:
        raise WorkspaceError(f"{path} is too large")


def test_a_manifest_that_is_too_large_or_cannot_be_read_is_none() -> None:
    large = b'{"dependencies": {"a": "1"}}' + b" " * MAX_MANIFEST_BYTES

    assert installs({"package.json": large}) == []
    assert installs(Unreadable({"requirements.txt": b"x"})) == []


def test_commands_given_depend_on_every_manifest() -> None:
    files = {"pyproject.toml": b"", "uv.lock": b"", "a.py": b"", "requirements/dev.txt": b""}

    found = given(files, ("make deps",))

    assert found.steps == (Step("make deps"),)
    assert found.inputs == ("pyproject.toml", "requirements/dev.txt", "uv.lock")


class ScriptedSandbox:
    """Answers a command with the exit code that stands for it in `codes`, else with 0; None is a time-out."""

    def __init__(self, codes: Mapping[str, int | None]) -> None:
        self.codes = codes
        self.ran: list[tuple[str, str, float]] = []

    def exec(
        self, command: str, *, timeout_s: float, cwd: str = ".", env: Mapping[str, str] | None = None
    ) -> ExecResult:
        self.ran.append((command, cwd, timeout_s))
        code = self.codes.get(command, 0)
        return ExecResult(exit_code=code, output=f"{command} says {code}\n", duration_s=2.0, output_bytes=1)


class Printing(ScriptedSandbox):
    """Fails every command with the same output."""

    def __init__(self, output: str) -> None:
        super().__init__({})
        self._output = output

    @override
    def exec(
        self, command: str, *, timeout_s: float, cwd: str = ".", env: Mapping[str, str] | None = None
    ) -> ExecResult:
        return ExecResult(exit_code=1, output=self._output, duration_s=1.0, output_bytes=1)


def carry_out(steps: list[Step], codes: Mapping[str, int | None]) -> tuple[str, Setup, ScriptedSandbox, list[str]]:
    sandbox, setup, said = ScriptedSandbox(codes), Setup("key", steps), list[str]()
    ending = setup.carried_out(sandbox, timeout_s=10, progress=said.append)
    return ending, setup, sandbox, said


def test_steps_run_where_they_belong_within_the_time_that_is_left() -> None:
    ending, setup, sandbox, _ = carry_out([Step("one"), Step("two", "web")], {})

    assert ending == "whole"
    assert sandbox.ran[:2] == [("one", ".", 10), ("two", "web", 8)]
    assert "$ (cd web) two\ntwo says 0\n[exit code 0, 2.0 s]" in setup.log


def test_a_step_that_must_succeed_stops_the_rest() -> None:
    ending, setup, sandbox, said = carry_out([Step("one"), Step("two")], {"one": None})

    assert ending == "stopped"
    assert [command for command, _, _ in sandbox.ran] == ["one"]
    assert "timed out" in setup.log
    assert any(line.startswith("setup failed: one") for line in said)


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("npm ERR! code 128\nnpm ERR! fatal: no repository\nnpm ERR! sure?\nnpm ERR!   /x/_logs/1.log\n", "npm ERR! fatal: no repository"),
        ("npm ERR! 404 Not Found\nnpm ERR! A complete log of this run can be found in:\n", "npm ERR! 404 Not Found"),
        ("ERROR: no matching distribution\nWARNING: an old pip\n", "ERROR: no matching distribution"),
        ("it broke\n", "it broke"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_stopped_a_setup_is_told_by_the_line_that_says_why(output: str, cause: str) -> None:
    setup = Setup("key", [Step("one")])

    setup.carried_out(Printing(output), timeout_s=10, progress=lambda _: None)

    assert setup.log.endswith(f"! failed: one: {cause}")


def test_a_fallback_is_a_success_that_the_log_tells() -> None:
    ending, setup, _, _ = carry_out([Step("extras", fallbacks=("plain",)), Step("next")], {"extras": 1})

    assert ending == "partial"
    assert setup.log.endswith("! with a fallback only, because this failed: extras")


def test_what_is_not_as_asked_for_is_flagged_and_the_rest_goes_on() -> None:
    steps = [Step("check", on_failure="flag"), Step("more", on_failure="note"), Step("last")]

    ending, setup, _, _ = carry_out(steps, {"check": 1, "more": 2})

    assert ending == "flagged"
    assert "$ last" in setup.log
    assert "! failed: check: check says 1" in setup.log
