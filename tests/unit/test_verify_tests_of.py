import pytest

from coder.verify.tests_of import is_test, shadows_runner
from coder.verify.tests_of import tests_of as kinds_of

TESTS = [
    "test_a.py", "a_test.py", "tests/helper.py", "pkg/tests/data/x.json", "src/test/java/A.java", "AppTest.java",
    "a.test.ts", "a.spec.tsx", "__tests__/a.js", "__snapshots__/a.snap", "pkg/a_test.go", "testdata/in.txt",
    "spec/a_spec.rb", "tests/it.rs", "app/tests.py", "FooTests.cs",
]  # fmt: skip
SOURCES = [
    "a.py",
    "testing_tools.py",
    "numpy/testing/utils.py",
    "contest.py",
    "latest.js",
    "src/attest/a.go",
    "README.md",
    "protest/x.py",
    "Contest.java",
]


@pytest.mark.parametrize("path", TESTS)
def test_tests_are_known_by_their_names(path: str) -> None:
    assert is_test(path)
    assert kinds_of([path]).tests == (path,)


@pytest.mark.parametrize("path", SOURCES)
def test_sources_are_no_tests(path: str) -> None:
    assert not is_test(path)
    assert kinds_of([path]).swapped == ()


def test_each_path_has_one_kind() -> None:
    kinds = kinds_of(
        [
            "tests/conftest.py",
            "pytest.ini",
            "pyproject.toml",
            ".github/workflows/ci.yml",
            "tests/test_a.py",
            "a.py",
            "jest.config.js",
        ]
    )

    assert kinds.tests == ("tests/test_a.py",)
    assert kinds.config == ("jest.config.js", "pytest.ini", "tests/conftest.py")
    assert kinds.mixed == ("pyproject.toml",)
    assert kinds.ci == (".github/workflows/ci.yml",)
    assert kinds.swapped == ("jest.config.js", "pytest.ini", "tests/conftest.py", "tests/test_a.py")


@pytest.mark.parametrize(
    "path", ["pytest.py", "_pytest/runner.py", "sitecustomize.py", "json.py", "unittest/__init__.py", "x.pth", "os.so"]
)
def test_what_stands_in_for_the_runner_is_seen(path: str) -> None:
    assert shadows_runner(path)


@pytest.mark.parametrize("path", ["test/test_a.py", "src/json.py", "slugs.py", "json/data.txt", "docs/pytest.md"])
def test_ordinary_modules_stand_in_for_nothing(path: str) -> None:
    assert not shadows_runner(path)
