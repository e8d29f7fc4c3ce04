"""Which files are tests, and which decide how tests run: by the conventions of each language, from paths alone."""

import posixpath
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass

_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "__snapshots__", "spec", "specs", "testdata"})
_TEST_NAMES = re.compile(
    r"test_.*\.py|.*_tests?\.py|tests\.py"
    r"|.*[.-](?:test|spec)\.(?:[cm]?[jt]sx?|snap)"
    r"|.*_test\.(?:go|exs|rb|dart|cc|cpp|c)|.*_spec\.(?:rb|lua)"
    r"|(?:Test[A-Z].*|.*(?:Test|Tests|TestCase|IT|Spec))\.(?:java|kt|groovy|scala|cs|php|swift)"
)
_CONFIG_NAMES = re.compile(
    r"conftest\.py|\.?pytest\.ini|tox\.ini|noxfile\.py|\.coveragerc|nose\.cfg|unittest\.cfg"
    r"|(?:jest|vitest|vite|karma|playwright|cypress|ava|babel)\.(?:config|conf)\.[a-z]+|\.(?:mocharc|nycrc|taprc|rspec)(?:\..*)?"
    r"|phpunit\.xml(?:\.dist)?|codecov\.ya?ml|\.codecov\.ya?ml|nextest\.toml|\.npmrc|\.yarnrc(?:\.yml)?|\.pnpmfile\.c?js|bunfig\.toml|\.env(?:\.test|\.ci)?"
)
_MIXED_CONFIG = frozenset(
    {"Cargo.toml", "pyproject.toml", "setup.cfg", "package.json", "Makefile", "makefile", "GNUmakefile"}
)
_CI = re.compile(
    r"\.github/(?:workflows|actions)/.*|\.gitlab-ci\.ya?ml|\.circleci/.*|\.travis\.ya?ml|azure-pipelines.*\.ya?ml"
    r"|Jenkinsfile|bitbucket-pipelines\.ya?ml|\.buildkite/.*|\.drone\.ya?ml|appveyor\.ya?ml|\.ci/.*"
)
_CARGO = re.compile(r"(?:.*/)?\.cargo/config(?:\.toml)?")
"""It can name a program that is run in the place of each test's."""
_CHECKERS = re.compile(
    r"(?:^|/)(?:node_modules|vendor)/(?:.*/)?(?:testify|gomega|chai|expect|assert|jest|vitest|mocha|phpunit|rspec[\w-]*|minitest)(?:/|$)"
)
"""Libraries that check, where they are brought along."""
_RUNNER_MODULES = frozenset(
    {"pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments", "sitecustomize", "usercustomize"}
    | {
        "hamcrest",
        "assertpy",
        "expects",
        "sure",
        "nose",
        "nose2",
        "hypothesis",
        "mock",
        "parameterized",
        "ddt",
        "testtools",
    }
)
"""The last ones check things in tests: whoever stands in for them decides what a check is."""


@dataclass(frozen=True, slots=True)
class TestPaths:
    """The paths of a patch that have to do with tests; every path is in at most one of these."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    tests: tuple[str, ...]
    """Tests and what lies beside them: helpers, fixtures, data, snapshots."""
    config: tuple[str, ...]
    """Files that do nothing but decide how tests run (conftest.py, pytest.ini, jest.config.js)."""
    mixed: tuple[str, ...]
    """Files that decide it among other things (pyproject.toml, package.json)."""
    ci: tuple[str, ...]
    """Files that decide what continuous integration checks."""

    @property
    def swapped(self) -> tuple[str, ...]:
        """What is exchanged between base and head to run one's code with the other's tests."""
        return tuple(sorted({*self.tests, *self.config}))

    @property
    def restored(self) -> tuple[str, ...]:
        """What is as on base when the old tests run on head: also the rules by which `make test` runs them."""
        makefiles = (path for path in self.mixed if posixpath.basename(path).lower().endswith("makefile"))
        return tuple(sorted({*self.swapped, *makefiles}))


def tests_of(paths: Iterable[str]) -> TestPaths:
    """`paths` by what they have to do with tests; source files are left out."""
    kinds: dict[str, list[str]] = {"tests": [], "config": [], "mixed": [], "ci": []}
    for path in sorted(set(paths)):
        name = posixpath.basename(path)
        if _CI.fullmatch(path):
            kinds["ci"].append(path)
        elif _CONFIG_NAMES.fullmatch(name) or _CARGO.fullmatch(path):
            kinds["config"].append(path)
        elif is_test(path):
            kinds["tests"].append(path)
        elif name in _MIXED_CONFIG:
            kinds["mixed"].append(path)
    return TestPaths(**{kind: tuple(found) for kind, found in kinds.items()})


def is_test(path: str) -> bool:
    """Whether `path` is a test by its name, or lies in a folder of tests."""
    *folders, name = path.split("/")
    return any(folder in _TEST_FOLDERS for folder in folders) or _TEST_NAMES.fullmatch(name) is not None


def shadows_runner(path: str) -> bool:
    """Whether a Python file at `path` would be imported instead of the test runner, one of its parts or the standard library.

    The root of the repository comes first on `sys.path` under `python -m pytest`; a `.pth` file runs at start-up.
    """
    if path.endswith(".pth") or _CHECKERS.search(path):
        return True
    head, _, rest = path.partition("/")
    module = head if rest else head.partition(".")[0]
    if not path.endswith((".py", ".so", ".pyc")):
        return False
    return module in _RUNNER_MODULES or (module in sys.stdlib_module_names and module not in {"test", "this"})
