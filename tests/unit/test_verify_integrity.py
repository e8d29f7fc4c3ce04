from collections.abc import Mapping

import pytest

from coder.verify.integrity import findings
from coder.verify.verdict import Finding

BASE = """import pytest


def helper():
    pass


def test_a():
    assert helper() is None
    assert 1 == 1


class TestB:
    def test_b(self):
        self.assertEqual(1, 1)
        with pytest.raises(ValueError):
            int("x")
"""


def found(before: Mapping[str, str], after: Mapping[str, str | None]) -> tuple[Finding, ...]:
    def old(path: str) -> bytes | None:
        return before[path].encode() if path in before else None

    def new(path: str) -> bytes | None:
        text = after.get(path)
        return text.encode() if text is not None else None

    return findings(after, old, new)


def edited(old: str, new: str) -> tuple[Finding, ...]:
    assert old in BASE
    return found({"test_x.py": BASE}, {"test_x.py": BASE.replace(old, new)})


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("def test_a", "def check_a", 8, "test_a was deleted or renamed"),
        ("    def test_b", "    def b", 14, "TestB.test_b was deleted or renamed"),
        ("def test_a", "@pytest.mark.skip\ndef test_a", 9, "test_a may now be skipped"),
        ("def test_a", "@pytest.mark.xfail(strict=False)\ndef test_a", 9, "test_a may now be skipped"),
        ("    assert 1 == 1\n", "    pytest.skip('later')\n    assert 1 == 1\n", 8, "test_a may now be skipped"),
        ("    assert 1 == 1\n", "", 8, "test_a asserts less: 2 checks before, 1 now"),
        ('        with pytest.raises(ValueError):\n            int("x")\n', "", 14, "TestB.test_b asserts less"),
        ("class TestB:", "@pytest.mark.skip\nclass TestB:", 1, "a whole class or module"),
        ("def helper", "pytestmark = pytest.mark.skip\n\n\ndef helper", 1, "a whole class or module"),
        ("def helper", "__test__ = False\n\n\ndef helper", 1, "a whole class or module"),
        ("import pytest\n", "import pytest\npytest.importorskip('nope')\n", 1, "a whole class or module"),
    ],
)
def test_a_weakened_test_is_listed_with_its_line(old: str, new: str, line: int, what: str) -> None:
    listed = edited(old, new)

    assert [(finding.path, finding.line, finding.fatal) for finding in listed] == [("test_x.py", line, False)]
    assert what in listed[0].what


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    assert 1 == 1\n", "    assert 1 == 1\n    assert 2 == 2\n"),
        ("def test_a", "def test_new():\n    assert True\n\n\ndef test_a"),
        ("def test_a", "@pytest.mark.parametrize('x', [1])\ndef test_a"),
        ("assert helper() is None", "assert helper() == None"),
        ("def helper", "def other"),
        ("class TestB:", "class TestB:\n    '''Skips nothing, expects no failure.'''\n"),
        ("def test_a", "@pytest.mark.skip\ndef test_new():\n    assert 0\n\n\ndef test_a"),
    ],
)
def test_an_ordinary_edit_raises_no_alarm(old: str, new: str) -> None:
    assert edited(old, new) == ()


@pytest.mark.parametrize(
    "added",
    [
        "import os\nos._exit(0)\n",
        "from os import _exit\n",
        "import os\n\n\ndef test_z():\n    os.kill(os.getppid(), 9)\n",
        "import _pytest.outcomes\n",
        "from _pytest import runner\n",
        "def pytest_runtest_makereport(item, call):\n    return None\n",
        "pytest.fail = print\n",
        "import sys\nm = sys.modules['_pytest.runner']\n",
    ],
)
def test_bending_the_runner_is_fatal(added: str) -> None:
    for path in ("test_x.py", "conftest.py"):
        listed = found({path: BASE}, {path: BASE + added})

        assert any(finding.fatal for finding in listed), path


@pytest.mark.parametrize(
    "added",
    [
        "import os\nX = os.environ.get('PYTEST_CURRENT_TEST')\n",
        "import sys\nif 'pytest' in sys.modules:\n    pass\n",
        "import pytest\n",
        "from _pytest.monkeypatch import MonkeyPatch\n",
        "import sys\nX = 'unittest' in sys.modules\n",
        "import sys\nX = [a for a in sys.argv if '--junitxml' in a]\n",
    ],
)
def test_source_that_knows_the_runner_is_fatal_when_it_is_new(added: str) -> None:
    source = '"""Documented with pytest."""\nX = 1\n'

    listed = found({"a.py": source}, {"a.py": source + added})

    assert [finding.fatal for finding in listed] == [True]
    assert found({"a.py": source + added}, {"a.py": f"{source}{added}Y = 2\n"}) == ()


@pytest.mark.parametrize(
    ("path", "old", "new", "line"),
    [
        ("conftest.py", "A = 1\nB = 1\n", "A = 1\nB = 2\n", 2),
        ("pytest.ini", "[pytest]\n", "[pytest]\naddopts = -k nothing\n", 2),
        (".github/workflows/ci.yml", "on: push\n", "on: never\n", 1),
        ("pyproject.toml", "[project]\nname='a'\n", "[project]\nname='a'\n[tool.pytest.ini_options]\n", 3),
        ("setup.cfg", "[coverage:report]\nfail_under = 90\n", "[coverage:report]\nfail_under = 1\n", 2),
        ("package.json", '{\n "jest": {\n"jestbail": 1}}', '{\n "jest": {\n"jestbail": 0}}', 3),
    ],
)
def test_changed_configuration_is_listed(path: str, old: str, new: str, line: int) -> None:
    listed = found({path: old}, {path: new})

    assert [(finding.path, finding.line) for finding in listed] == [(path, line)]


def test_another_test_script_is_fatal() -> None:
    listed = found({"package.json": '{"scripts": {"test": "jest"}}'}, {"package.json": '{"scripts": {"test": "true"}}'})

    assert [finding.fatal for finding in listed] == [True]


def test_other_settings_of_a_mixed_file_are_nobodys_business() -> None:
    assert found({"pyproject.toml": "version = '1'\n"}, {"pyproject.toml": "version = '2'\n"}) == ()


def test_a_module_that_shadows_the_runner_is_fatal_only_when_new() -> None:
    assert [finding.fatal for finding in found({}, {"json.py": "X = 1\n"})] == [True]
    assert found({"json.py": "X = 1\n"}, {"json.py": "X = 2\n"}) == ()


def test_a_deleted_file_of_tests_lists_each_test() -> None:
    listed = found({"test_x.py": BASE}, {"test_x.py": None})

    assert [finding.line for finding in listed] == [8, 14]


@pytest.mark.parametrize("text", ["def test_a(:\n", "\x00", "(" * 5_000, "x = " + "-" * 200_000 + "1"])
def test_what_does_not_parse_is_said(text: str) -> None:
    listed = found({"test_x.py": BASE}, {"test_x.py": text})

    assert any("does not parse" in finding.what for finding in listed)
