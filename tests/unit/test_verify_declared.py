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
        ({"tox.ini": "[testenv]\ncommands =\n    coverage run -m pytest {posargs:tests/unit}\n"}, "python3 -m pytest"),
        ({"tox.ini": "[testenv]\ncommands = {envpython} -m unittest discover {posargs}\n"}, "python3 -m unittest discover"),
        ({"noxfile.py": "def t(session):\n    session.run('pytest', 'tests/unit', *session.posargs)\n"}, "python3 -m pytest tests/unit"),
    ],
)  # fmt: skip
def test_tox_and_nox_are_read(files: Mapping[str, str], shown: str) -> None:
    made = found({**TESTS, **files})

    assert made is not None
    assert made.replace(" --maxfail=0", "").replace(" -q --tb=short", "") == shown


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
