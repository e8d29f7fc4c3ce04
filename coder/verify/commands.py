"""How a repository's tests are run: given by somebody, or found by the files that lie in it."""

import configparser
import json
import posixpath
import re
import shlex
import tomllib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

REPORT: Final = "{report}"
"""Stands in a command for the report's path, which is new for every run."""

_PYTEST = f"python3 -m pytest -q --tb=short --maxfail=0 -o junit_family=xunit1 --junitxml={REPORT}"
_UNITTEST_NAMES = "-o python_files='test*.py *_test.py tests.py'"
_PYTHON_PACKAGE = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile")
_MAX_MARKER_BYTES = 1_000_000

Read = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class TestCommand:
    """A command that runs the tests from the repository's root.

    `pytest`: outcomes by test id, from the JUnit report that `{report}` in the command names. `exit_code`: nothing but
    whether it failed.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    command: str
    kind: Literal["pytest", "exit_code"]
    report_path: str | None = None
    """A fixed path where the command leaves a JUnit report, for a given command without `{report}`."""

    @property
    def shown(self) -> str:
        """The command as a person would type it, without the report."""
        return re.sub(rf"\s+(?:-o junit_family=xunit1|--junitxml[= ]{re.escape(REPORT)})", "", self.command)

    def selecting(self, tests: Sequence[str]) -> "TestCommand":
        """The same, for some files, folders or ids only; what cannot be selected runs whole."""
        if not tests or self.kind != "pytest":
            return self
        return TestCommand(f"{self.command} {shlex.join(['--', *tests])}", self.kind, self.report_path)


def given(command: str) -> TestCommand:
    """What an operator or a repository's own settings ask for.

    A plain pytest call is made to report by test id; another command is judged by its exit code unless it says with
    `{report}` where a JUnit report goes.
    """
    command = command.strip()
    if REPORT in command:
        return TestCommand(command, "pytest")
    if re.fullmatch(
        r"(?:(?:python3?|uv run|poetry run)\s+(?:-m\s+)?)?(?:py\.test|pytest)(?:\s[^;&|<>`$\n]*)?", command
    ):
        return TestCommand(f"{command} -o junit_family=xunit1 --maxfail=0 --junitxml={REPORT}", "pytest")
    return TestCommand(command, "exit_code")


def test_command(
    paths: Collection[str],
    read: Read,
    *,
    override: str | None = None,  # noqa: PT028 — no test, in spite of its name
) -> TestCommand | None:
    """How the tests of a repository with these `paths` are run; None when there is no telling.

    `read` gives a file's bytes and is only asked for `paths`. Files that do not parse are taken as absent.
    """
    if override and override.strip():
        return given(override)
    known = frozenset(paths)
    for find in (_configured_pytest, _python_tests, _go, _cargo, _npm, _maven, _gradle, _make, _any_python):
        command = find(known, read)
        if command is not None:
            return command
    return None


def _pytest(known: frozenset[str]) -> TestCommand:
    """pytest; also for suites whose file names only unittest would find."""
    names = {posixpath.basename(path) for path in known if path.endswith(".py")}
    usual = any(re.fullmatch(r"test_.*\.py|.*_test\.py", name) for name in names)
    unusual = any(re.fullmatch(r"test.*\.py", name) for name in names)
    return TestCommand(f"{_PYTEST} {_UNITTEST_NAMES}" if unusual and not usual else _PYTEST, "pytest")


def _configured_pytest(known: frozenset[str], read: Read) -> TestCommand | None:
    configured = bool(known & {"pytest.ini", ".pytest.ini"}) or (
        "pytest" in _table(_toml(known, read, "pyproject.toml"), "tool")
        or "tool:pytest" in _ini_sections(known, read, "setup.cfg")
        or "pytest" in _ini_sections(known, read, "tox.ini")
    )
    # Configured names must hold: nothing is added to the command.
    return TestCommand(_PYTEST, "pytest") if configured else None


def _python_tests(known: frozenset[str], _read: Read) -> TestCommand | None:
    tests = any(re.search(r"(?:^|/)(?:test[^/]*|[^/]*_test|conftest)\.py$", path) for path in known)
    python = any(marker in known for marker in _PYTHON_PACKAGE)
    other = bool(known & {"package.json", "go.mod", "Cargo.toml", "pom.xml"})
    return _pytest(known) if tests and (python or not other) else None


def _any_python(known: frozenset[str], _read: Read) -> TestCommand | None:
    """A Python repository without tests yet: the patch may bring the first."""
    return TestCommand(_PYTEST, "pytest") if any(path.endswith(".py") for path in known) else None


def _go(known: frozenset[str], _read: Read) -> TestCommand | None:
    return TestCommand("go test ./...", "exit_code") if "go.mod" in known else None


def _cargo(known: frozenset[str], _read: Read) -> TestCommand | None:
    return TestCommand("cargo test --offline", "exit_code") if "Cargo.toml" in known else None


def _npm(known: frozenset[str], read: Read) -> TestCommand | None:
    script = _table(_json(known, read, "package.json"), "scripts").get("test")
    if not isinstance(script, str) or not script.strip() or "no test specified" in script:
        return None
    return TestCommand("npm test --silent", "exit_code")


def _maven(known: frozenset[str], _read: Read) -> TestCommand | None:
    return TestCommand("mvn -q -B -o test", "exit_code") if "pom.xml" in known else None


def _gradle(known: frozenset[str], _read: Read) -> TestCommand | None:
    if not known & {"build.gradle", "build.gradle.kts"}:
        return None
    return TestCommand(f"{'./gradlew' if 'gradlew' in known else 'gradle'} --offline -q test", "exit_code")


def _make(known: frozenset[str], read: Read) -> TestCommand | None:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        text = _text(known, read, name)
        for target in ("test", "check"):
            if re.search(rf"(?m)^{target}[ \t]*::?(?!=)", text):
                return TestCommand(f"make {target}", "exit_code")
    return None


def _text(known: frozenset[str], read: Read, path: str) -> str:
    return read(path)[:_MAX_MARKER_BYTES].decode("utf-8", "replace") if path in known else ""


def _toml(known: frozenset[str], read: Read, path: str) -> object:
    try:
        return tomllib.loads(_text(known, read, path))
    except (ValueError, RecursionError):
        return {}


def _json(known: frozenset[str], read: Read, path: str) -> object:
    try:
        return json.loads(_text(known, read, path) or "{}")
    except (ValueError, RecursionError):
        return {}


def _ini_sections(known: frozenset[str], read: Read, path: str) -> Collection[str]:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(_text(known, read, path))
    except configparser.Error:
        return ()
    return parser.sections()


def _table(value: object, key: str) -> dict[str, object]:
    """The table `key` of a table, or an empty one where either is something else."""
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}
