"""How a repository's tests are run: given by somebody, said by what CI runs, or found by the files that lie in it."""

import configparser
import json
import posixpath
import re
import tomllib
from collections.abc import Callable, Collection
from typing import Final

from coder.verify import builds, runners
from coder.verify.declared import behind, declared
from coder.verify.packages import script_command
from coder.verify.runners import REPORT as REPORT
from coder.verify.runners import TestCommand as TestCommand
from coder.verify.runners import given as given

_UNITTEST_NAMES: Final = "-o python_files='test*.py *_test.py tests.py'"
_PYTHON_PACKAGE: Final = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile")
_MAX_MARKER_BYTES: Final = 1_000_000
_MAX_MESON_FILES: Final = 100

Read = Callable[[str], bytes]


def test_command(
    paths: Collection[str],
    read: Read,
    *,
    override: str | None = None,  # noqa: PT028 — no test, in spite of its name
) -> TestCommand | None:
    """How the tests of a repository with these `paths` are run; None when there is no telling.

    `read` gives a file's bytes and is only asked for `paths`. Files that do not parse are taken as absent.
    """
    known = frozenset(paths)
    if override and override.strip():
        # tox and nox would make environments of their own, which takes network; what they run in them does not.
        made = given(override)
        return (behind(override.strip(), known, read) if made.kind == "exit_code" else None) or made
    marked = _marked(known, read)
    if marked is None or marked.kind in {"pytest", "exit_code"}:
        said = declared(known, read)
        if said is not None and (marked is None or marked.kind == "exit_code" or said.kind in _OF_PYTHON):
            return said
    return marked


_OF_PYTHON: Final = frozenset({"pytest", "unittest", "nose2"})


def _marked(known: frozenset[str], read: Read) -> TestCommand | None:
    """The command by the files that lie in the repository."""
    kinds = (_configured_pytest, _python_tests, _go, _cargo, _npm, _maven, _gradle, _rspec, _phpunit, _minitest)
    for find in (*kinds, _dotnet, _ctest, _meson, _autotools, _make, _any_python):
        command = find(known, read)
        if command is not None:
            return command
    return None


def _pytest(known: frozenset[str]) -> TestCommand:
    """pytest; also for suites whose file names only unittest would find."""
    names = {posixpath.basename(path) for path in known if path.endswith(".py")}
    usual = any(re.fullmatch(r"test_.*\.py|.*_test\.py", name) for name in names)
    unusual = any(re.fullmatch(r"test.*\.py", name) for name in names)
    command = runners.PYTEST
    return TestCommand(f"{command} {_UNITTEST_NAMES}" if unusual and not usual else command, "pytest")


def _configured_pytest(known: frozenset[str], read: Read) -> TestCommand | None:
    configured = bool(known & {"pytest.ini", ".pytest.ini"}) or (
        "pytest" in _table(_toml(known, read, "pyproject.toml"), "tool")
        or "tool:pytest" in _ini_sections(known, read, "setup.cfg")
        or "pytest" in _ini_sections(known, read, "tox.ini")
    )
    # Configured names must hold: nothing is added to the command.
    return TestCommand(runners.PYTEST, "pytest") if configured else None


def _python_tests(known: frozenset[str], read: Read) -> TestCommand | None:
    tests = any(re.search(r"(?:^|/)(?:test[^/]*|[^/]*_test|conftest)\.py$", path) for path in known)
    python = any(marker in known for marker in _PYTHON_PACKAGE)
    built = any(find(known, read) is not None for find in (_ctest, _meson, _autotools, _make))
    other = built or bool(known & {"package.json", "go.mod", "Cargo.toml", "pom.xml"})
    return _pytest(known) if tests and (python or not other) else None


def _any_python(known: frozenset[str], _read: Read) -> TestCommand | None:
    """A Python repository without tests yet: the patch may bring the first."""
    return TestCommand(runners.PYTEST, "pytest") if any(path.endswith(".py") for path in known) else None


def _go(known: frozenset[str], _read: Read) -> TestCommand | None:
    return runners.go() if "go.mod" in known else None


def _cargo(known: frozenset[str], _read: Read) -> TestCommand | None:
    return runners.cargo(runners.CARGO) if "Cargo.toml" in known else None


def _npm(known: frozenset[str], read: Read) -> TestCommand | None:
    package = _json(known, read, "package.json")
    return script_command(_table(package, "scripts"), _table(package, "devDependencies"))


def _dotnet(known: frozenset[str], _read: Read) -> TestCommand | None:
    projects = [path for path in known if path.endswith((".sln", ".slnx", ".csproj", ".fsproj"))]
    if not any(path.endswith((".cs", ".fs", ".csproj", ".fsproj")) for path in known):
        return None  # a solution of C++ projects, beside what builds them elsewhere
    # What another project brings along for Windows lies deeper, and tests nothing.
    tests = any("/" not in path or "test" in path.lower() for path in projects)
    return runners.dotnet("dotnet test --no-restore") if tests else None


def _maven(known: frozenset[str], _read: Read) -> TestCommand | None:
    return runners.maven("mvn -q -B -o test") if "pom.xml" in known else None


def _gradle(known: frozenset[str], _read: Read) -> TestCommand | None:
    if not known & {"build.gradle", "build.gradle.kts"}:
        return None
    return runners.gradle(f"{'./gradlew' if 'gradlew' in known else 'gradle'} --offline -q test")


def _rspec(known: frozenset[str], read: Read) -> TestCommand | None:
    wanted = ".rspec" in known or re.search(r"\brspec\b", _text(known, read, "Gemfile"))
    specs = any(path.endswith("_spec.rb") for path in known)
    return runners.rspec(f"{_bundle(known)}rspec") if wanted and specs else None


def _minitest(known: frozenset[str], read: Read) -> TestCommand | None:
    task = re.search(r"Rake::TestTask|Minitest::TestTask", _text(known, read, "Rakefile"))
    return runners.minitest(f"{_bundle(known)}rake test TESTOPTS=-v") if task else None


def _bundle(known: frozenset[str]) -> str:
    return "bundle exec " if "Gemfile" in known else ""


def _phpunit(known: frozenset[str], _read: Read) -> TestCommand | None:
    if not known & {"phpunit.xml", "phpunit.xml.dist"}:
        return None
    # Where nothing installs it into the repository it is the machine's.
    return runners.phpunit("vendor/bin/phpunit" if known & {"composer.json", "vendor/bin/phpunit"} else "phpunit")


def _ctest(known: frozenset[str], read: Read) -> TestCommand | None:
    lists = _text(known, read, "CMakeLists.txt")
    tests = re.search(r"(?im)^[ \t]{0,40}(?:enable_testing\s*\(|include\s*\(\s*CTest\b)", lists)
    return builds.ctest(lists) if tests else None


def _meson(known: frozenset[str], read: Read) -> TestCommand | None:
    files = sorted(path for path in known if posixpath.basename(path) == "meson.build")[:_MAX_MESON_FILES]
    tests = any(re.search(r"(?m)^[ \t]{0,40}test[ \t]{0,9}\(", _text(known, read, path)) for path in files)
    return builds.meson() if "meson.build" in known and tests else None


def _autotools(known: frozenset[str], _read: Read) -> TestCommand | None:
    return builds.autotools() if {"configure.ac", "Makefile.am"} <= known else None


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
