from collections.abc import Mapping

import pytest

from coder.verify.basis import Finding
from coder.verify.integrity import findings, inspected

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
        ("    assert 1 == 1\n", "    assert 1 == 1\n    assert retry(helper, times=3) is None\n"),
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


def test_what_is_tested_may_skip_too() -> None:
    calls = BASE.replace("    assert 1 == 1\n", "    assert 1 == 1\n    unpacker = Unpacker()\n    unpacker.skip()\n")

    assert calls != BASE
    assert found({"test_x.py": BASE}, {"test_x.py": calls}) == ()


NEWER = "type Number = int | float\n"
"""Syntax of Python 3.12, which our own may not know."""


def test_words_of_a_later_python_are_no_fault_of_the_source_or_of_new_tests() -> None:
    assert found({"lib.py": NEWER}, {"lib.py": f"{NEWER}X = 1  # for pytest\n"}) == ()
    assert found({}, {"test_new.py": f"import pytest\n\n{NEWER}"}) == ()


@pytest.mark.parametrize(
    ("path", "line", "fatal"),
    [
        ("lib.py", "import pytest", True),
        ("lib.py", "import os; os._exit(0)", False),
        ("test_new.py", "import os; os._exit(0)", True),
        ("lib.py", 'SAFE = "CI" in os.environ', False),
    ],
)
def test_what_lines_tell_is_told_in_words_of_a_later_python_too(path: str, line: str, fatal: bool) -> None:  # noqa: FBT001 — a row
    assert [(finding.line, finding.fatal) for finding in found({}, {path: f"{NEWER}{line}\n"})] == [(2, fatal)]


@pytest.mark.parametrize("text", ["def test_a(:\n", "\x00", "(" * 5_000, "x = " + "-" * 200_000 + "1"])
def test_what_does_not_parse_is_said(text: str) -> None:
    listed = found({"test_x.py": BASE}, {"test_x.py": text})

    assert any("does not parse" in finding.what for finding in listed)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (
            "    assert 1 == 1\n",
            "    assert 1 != 2\n",
            "test_a asserts less: 2 of 2 checks compared before, 1 of 2 now",
        ),
        ("    assert helper() is None\n", "    return\n    assert helper() is None\n", "test_a asserts less"),
        (
            "    assert 1 == 1\n",
            "    try:\n        assert 1 == 1\n    except AssertionError:\n        pass\n",
            "test_a asserts less",
        ),
        ("    assert 1 == 1\n", "    if False:\n        assert 1 == 1\n", "test_a asserts less"),
        ("    assert helper() is None\n", "    assert helper() == helper()\n", "test_a asserts less"),
        ("    assert 1 == 1\n", "    assert True\n", "test_a asserts less"),
        ("def test_a():\n", "if False:\n  def test_a():\n   pass\ndef check():\n", "test_a was deleted or renamed"),
        ("def test_a():\n", "@pytest.mark.flaky(reruns=3)\ndef test_a():\n", "test_a now waits, or is tried again"),
        ("    assert 1 == 1\n", "    time.sleep(5)\n    assert 1 == 1\n", "test_a now waits, or is tried again"),
        ("pytest.raises(ValueError)", "pytest.raises(Exception)", "TestB.test_b asserts less"),
    ],
)
def test_what_only_looks_like_the_same_test_is_listed(old: str, new: str, what: str) -> None:
    listed = edited(old, new)

    assert [what in finding.what for finding in listed] == [True], listed
    assert listed[0].line > 0


SHOP = "def total(cart):\n    return sum(cart)\n\n\ndef other():\n    return 1\n"


@pytest.mark.parametrize(
    ("added", "name"),
    [
        ("@mock.patch('shop.total')\ndef test_t(total):\n    assert total\n", "total"),
        ("def test_t(monkeypatch):\n    monkeypatch.setattr(shop, 'total', lambda c: 3)\n", "total"),
        ("def test_t(mocker):\n    mocker.patch.object(shop, 'total', return_value=3)\n", "total"),
        ("shop.total = lambda cart: 3\n", "total"),
        ("from shop import total\ntotal = lambda cart: 3\n", "total"),
        ("from shop import total\ndef total(cart):\n    return 3\n", "total"),
        ("def test_t(monkeypatch):\n    monkeypatch.setattr(shop, 'other', lambda: 3)\n", None),
        ("def test_t():\n    total = shop.total([])\n    assert total == 0\n", None),
        ("@mock.patch('mail.send')\ndef test_t(send):\n    assert send\n", None),
    ],
)
def test_a_stand_in_for_what_the_patch_changes_is_listed(added: str, name: str | None) -> None:
    before = {"shop.py": SHOP, "test_x.py": BASE}

    listed = found(before, {"shop.py": SHOP.replace("sum(cart)", "sum(cart) + 0"), "test_x.py": BASE + added})

    assert [finding.what for finding in listed] == (
        [f"replaces {name}, which the patch changes, by a stand-in"] if name else []
    )
    assert all(finding.line > BASE.count("\n") for finding in listed)


@pytest.mark.parametrize(
    ("added", "name"),
    [
        ("jest.mock('../src/cart')", "src/cart.ts"),
        ("vi.mock(import('../src/cart.js'), () => ({ total: () => 3 }))", "src/cart.ts"),
        ("mock.module('@/cart', { namedExports: { total: () => 3 } })", "src/cart.ts"),
        ('jest.doMock(\n  "../src/shop", () => 3)', "src/shop/index.js"),
        ("jest.mock('../src/mail')", None),
        ("jest.mock('axios')", None),
        ("vi.mock('../src/cart', async (load) => ({ ...(await vi.importActual('../src/cart')), now: () => 0 }))", None),
        ("it('says', () => expect(cart.mock('../src/cart')).toBe(1))", None),
    ],
)
def test_a_module_in_the_place_of_what_the_patch_changes_is_listed(added: str, name: str | None) -> None:
    test = "it('adds', () => {\n  expect(total([1])).toBe(1)\n})\n"
    before = {"src/cart.ts": "one\n", "src/shop/index.js": "one\n", "src/mail.ts": "one\n", "test/cart.test.ts": test}
    after = {"src/cart.ts": "two\n", "src/shop/index.js": "two\n", "test/cart.test.ts": f"{test}{added}\n"}

    listed = found(before, after)

    assert [finding.what for finding in listed] == (
        [f"replaces {name}, which the patch changes, by a stand-in"] if name else []
    )
    assert all(finding.line == 4 for finding in listed)
    assert not found({**before, "test/cart.test.ts": after["test/cart.test.ts"]}, after)


CONFTEST = "import pytest\n\n\n@pytest.fixture\ndef cart():\n    return [1]\n"


@pytest.mark.parametrize(
    ("new", "what"),
    [
        (
            f"{CONFTEST}\n\n@pytest.fixture(autouse=True)\ndef mend(monkeypatch):\n    pass\n",
            "the fixture mend is used by every",
        ),
        (CONFTEST.replace("[1]", "[2]"), "cart, which tests use already, was changed"),
        ("import pytest\n", "cart, which tests use already, was taken away"),
        (f"{CONFTEST}\ncollect_ignore = ['test_x.py']\n", "decides how tests run, and was changed: collect_ignore"),
        (f"{CONFTEST}\npytest_plugins = ['calm']\n", "decides how tests run, and was changed: pytest_plugins"),
        (f"{CONFTEST}\nimport sys\nsys.path.insert(0, 'calm')\n", "decides how tests run, and was changed"),
        (f"{CONFTEST}\n\n@pytest.fixture\ndef basket():\n    return []\n", None),
        (f'"""Fixtures."""\n\nimport json\n{CONFTEST}', None),
    ],
)
def test_of_conftest_what_reaches_tests_that_do_not_ask_is_listed(new: str, what: str | None) -> None:
    listed = found({"conftest.py": CONFTEST}, {"conftest.py": new})

    assert any(what in finding.what for finding in listed) if what else listed == ()


@pytest.mark.parametrize(
    ("path", "old", "new", "told"),
    [
        ("pyproject.toml", "[tool.coverage.report]\nfail_under = 90\n", "[tool.coverage.report]\nfail_under = 80\n", True),
        ("pyproject.toml", "[tool.coverage.report]\nfail_under = 80\n", "[tool.coverage.report]\nfail_under = 90\n", False),
        ("pyproject.toml", "[tool.coverage.report]\nfail_under = 80\n", "", True),
        ("pyproject.toml", "[project]\ndev = ['pytest']\n", "[project]\ndev = ['pytest', 'pytest-cov']\n", False),
        ("pyproject.toml", "[tool.a]\n", "[tool.a\n", True),
        ("package.json", '{"jest": {"coverageThreshold": {"global": {"lines": 90}}}}', '{"jest": {"coverageThreshold": {"global": {"lines": 9}}}}', True),
        ("package.json", '{"version": "1"}', '{"version": "2", "devDependencies": {"jest": "1"}}', False),
        ("setup.cfg", "[metadata]\nname = a\n", "[metadata]\nname = b\n", False),
        ("setup.cfg", "[metadata]\nname = a\n", "[tool:pytest]\naddopts = -k no\n", True),
        ("Makefile", "test:\n\tpytest\n", "test:\n\t@true\n", True),
        ("Makefile", "test:\n\tpytest\n", "test:\n\tpytest\n\nlint:\n\truff check\n", False),
        ("Makefile", "test: lint\n\tpytest\n", "test:\n\tpytest\n", True),
    ],
)  # fmt: skip
def test_of_mixed_files_what_decides_tests_is_told(path: str, old: str, new: str, *, told: bool) -> None:
    assert bool(found({path: old}, {path: new})) is told


def test_a_test_that_is_gone_is_accounted_for_where_another_checks_the_same() -> None:
    before = "def test_a():\n    assert f(1) == 2\n\n\ndef test_b():\n    assert f(3) == 4\n"
    renamed = before.replace("test_a", "test_the_first")

    seen = inspected(["test_x.py"], lambda _: before.encode(), lambda _: renamed.encode())
    lost = inspected(["test_x.py"], lambda _: before.encode(), lambda _: b"def test_b():\n    assert f(3) == 4\n")

    assert (seen.findings, seen.accounted) == ((), frozenset({("test_x.py", "test_a")}))
    assert [finding.what for finding in lost.findings] == ["the test test_a was deleted or renamed"]
    assert lost.accounted == frozenset()


@pytest.mark.parametrize("added", ['"CI" in os.environ', 'glob.glob(".coder*")', 'os.path.exists("/workspace")'])
def test_source_that_knows_where_tests_are_run_is_listed(added: str) -> None:
    listed = found({"a.py": "X = 1\n"}, {"a.py": f"import glob, os\nX = 2 if {added} else 1\n"})

    assert [(finding.line, finding.fatal) for finding in listed] == [(2, False)]
    assert "knows where tests are run" in listed[0].what
