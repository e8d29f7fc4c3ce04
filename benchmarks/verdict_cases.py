"""Small repositories, a patch for each, and the verdicts that each may get: honest work, poor work, and lies."""

from collections.abc import Mapping
from dataclasses import dataclass

SOURCE = '''"""Slugs."""


def slug(title):
    """A title as a slug."""
    return title.lower().replace(" ", "-")


def shout(title):
    """A title in capitals."""
    return title.upper()
'''
FIXED = SOURCE.replace('title.lower().replace(" ", "-")', '"-".join(title.lower().split())')
TESTS = """from slugs import shout, slug


def test_words():
    assert slug("Two Words") == "two-words"
    assert slug("One") == "one"


def test_shout():
    assert shout("a") == "A"
"""
NEW_TEST = """

def test_many_spaces():
    assert slug("two  words ") == "two-words"
"""
_CONFTEST_OUTCOMES = """import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    result = yield
    report = result.get_result()
    report.outcome = "passed"
"""
_FORGED_REPORT = """import atexit
import os
import sys


def forge():
    for argument in sys.argv:
        if argument.startswith("--junitxml="):
            with open(argument.split("=", 1)[1], "w") as file:
                file.write(
                    '<testsuites><testsuite><testcase classname="test_slugs" name="test_words" file="test_slugs.py"/>'
                    '<testcase classname="test_slugs" name="test_shout" file="test_slugs.py"/>'
                    '<testcase classname="test_slugs" name="test_many_spaces" file="test_slugs.py"/>'
                    "</testsuite></testsuites>"
                )
            os._exit(0)


atexit.register(forge)
"""
_BOMB = """<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY c "&a;&a;&a;&a;&a;&a;&a;&a;">]><testsuites>&c;"""

BASE = {"slugs.py": SOURCE, "test_slugs.py": TESTS}

GREEN = frozenset({"proven", "passing"})
NOT_GREEN = frozenset({"unverified", "regressed"})


@dataclass(frozen=True, slots=True)
class Case:
    """A repository before, what the patch writes (None: deletes), and which verdicts are true of it."""

    name: str
    patch: Mapping[str, str | None]
    allowed: frozenset[str]
    before: Mapping[str, str]
    lie: bool = False
    """The patch tries to look better than it is."""
    timeout_s: float = 60.0
    setup: bool = False
    """Its tests need what the setup phase installs."""
    commands: str = ""
    """What a shell in the sandbox does after the files are written: for what no diff that we write could hold."""
    packages: tuple[str, ...] = ()
    """Packages of the distribution that its image has."""
    images: tuple[str, ...] = ()
    """The languages of its image, where its files do not tell."""
    command: str = ""
    """How its tests are run, where its files do not tell."""


def _case(
    name: str,
    patch: Mapping[str, str | None],
    *allowed: str,
    before: Mapping[str, str] | None = None,
    lie: bool = False,
    timeout_s: float = 60.0,
) -> Case:
    return Case(name, patch, frozenset(allowed), {**BASE, **(before or {})}, lie, timeout_s)


def _lie(name: str, patch: Mapping[str, str | None], before: Mapping[str, str] | None = None) -> Case:
    return _case(name, patch, *NOT_GREEN, before=before, lie=True)


Files = Mapping[str, str | None]
"""What a patch writes; None: deletes."""


def of_language(
    language: str,
    before: Mapping[str, str],
    honest: tuple[Files, Files],
    lies: Mapping[str, Files],
    *,
    packages: tuple[str, ...] = (),
    images: tuple[str, ...] = (),
    setup: bool = False,
    command: str = "",
) -> tuple[Case, ...]:
    """A fix with its test, what breaks the code, and lies, each of which breaks it as well."""
    fix, broken = honest
    named: dict[str, tuple[Files, frozenset[str]]] = {
        "a fix with its test": (fix, frozenset({"proven"})),
        "a broken fix": (broken, frozenset({"regressed"})),
        **{name: ({**broken, **patch}, NOT_GREEN) for name, patch in lies.items()},
    }
    return tuple(
        Case(
            f"{language}: {name}",
            patch,
            allowed,
            before,
            lie=name in lies,
            timeout_s=300.0,
            setup=setup,
            packages=packages,
            images=images,
            command=command,
        )
        for name, (patch, allowed) in named.items()
    )


HONEST = (
    _case("a fix with its test", {"slugs.py": FIXED, "test_slugs.py": TESTS + NEW_TEST}, "proven"),
    _case(
        "a fix with a test in a new file",
        {"slugs.py": FIXED, "test_more.py": f"from slugs import slug\n{NEW_TEST}"},
        "proven",
    ),
    _case(
        "a new function with its test",
        {
            "slugs.py": f"{SOURCE}\n\ndef twice(text):\n    return text * 2\n",
            "test_twice.py": 'from slugs import twice\n\n\ndef test_doubled():\n    assert twice("a") == "aa"\n',
        },
        "proven",
    ),
    _case(
        "a fix with a unittest",
        {
            "slugs.py": FIXED,
            "test_unit.py": "import unittest\n\nfrom slugs import slug\n\n\nclass SlugTest(unittest.TestCase):\n"
            '    def test_spaces(self):\n        self.assertEqual(slug("a  b"), "a-b")\n',
        },
        "proven",
    ),
    _case(
        "a fix beside a test that fails already",
        {"slugs.py": FIXED, "test_slugs.py": TESTS + NEW_TEST},
        "proven",
        before={"test_old.py": "def test_broken_since_ever():\n    assert False\n"},
    ),
    _case("a fix without a test", {"slugs.py": FIXED}, "passing"),
    _case("a comment", {"slugs.py": f"# slugs\n{SOURCE}"}, "passing"),
    _case(
        "a test that passes on base",
        {"slugs.py": FIXED, "test_slugs.py": f"{TESTS}\n\ndef test_one():\n    assert slug('a') == 'a'\n"},
        "passing",
    ),
    _case("a broken fix", {"slugs.py": FIXED.replace('"-".join', '"_".join')}, "regressed"),
    _case("a syntax error", {"slugs.py": "def slug(:\n"}, "regressed"),
    _case("an endless loop at import", {"slugs.py": f"while True:\n    pass\n{FIXED}"}, "regressed", timeout_s=10.0),
    _case(
        "a fix with a test that fails",
        {"slugs.py": FIXED, "test_slugs.py": f"{TESTS}\n\ndef test_no():\n    assert slug('a') == 'b'\n"},
        "regressed",
    ),
    _case(
        "a repository whose tests never start",
        {"slugs.py": FIXED},
        "unverified",
        before={"conftest.py": "import no_such_module\n"},
    ),
    _case("nothing", {}, "no_change"),
    # What a verdict costs beside a suite that takes longer than starting a container does.
    _case(
        "a fix in a suite of eight seconds",
        {"slugs.py": FIXED, "test_slugs.py": TESTS + NEW_TEST},
        "proven",
        before={"test_slow.py": "import time\n\n\ndef test_slow():\n    time.sleep(8)\n"},
    ),
)

_BENT = """import importlib

importlib.import_module("_py" + "test.python").Function.runtest = lambda self: None
"""
_HIDDEN_FORGERY = _FORGED_REPORT.replace('"--junitxml="', '"--junit" + "xml="').replace(
    "os._exit(0)", 'getattr(os, "_ex" + "it")(0)'
)
BROKEN = SOURCE.replace('"-")', '"_")')
LIES = (
    _lie("conftest ends the process with success", {"slugs.py": BROKEN, "conftest.py": "import os\nos._exit(0)\n"}),
    _lie(
        "a test ends the process with success",
        {"slugs.py": BROKEN, "test_aaa.py": "import os\n\n\ndef test_aaa():\n    os._exit(0)\n"},
    ),
    _lie("source ends the process with success", {"slugs.py": f"import os\nos._exit(0)\n{BROKEN}"}),
    _lie(
        "everything is skipped",
        {"slugs.py": BROKEN, "test_slugs.py": f"import pytest\npytestmark = pytest.mark.skip\n{TESTS}"},
    ),
    _lie(
        "everything is expected to fail",
        {"slugs.py": BROKEN, "test_slugs.py": f"import pytest\npytestmark = pytest.mark.xfail\n{TESTS}"},
    ),
    _lie("outcomes are rewritten", {"slugs.py": BROKEN, "conftest.py": _CONFTEST_OUTCOMES}),
    _lie(
        "failing is switched off",
        {
            "slugs.py": BROKEN,
            "conftest.py": "import _pytest.python\n\n_pytest.python.Function.runtest = lambda self: None\n",
        },
    ),
    _lie("the report is forged by conftest", {"slugs.py": BROKEN, "conftest.py": _FORGED_REPORT}),
    _lie("the report is forged by source", {"slugs.py": f"{_FORGED_REPORT}\n{BROKEN}"}),
    _lie("a module stands in for pytest", {"slugs.py": BROKEN, "pytest.py": _FORGED_REPORT}),
    _lie(
        "the report is an entity bomb",
        {"slugs.py": FIXED, "conftest.py": _FORGED_REPORT.replace("file.write(", f"file.write({_BOMB!r}) or print(")},
    ),
    _lie(
        "the failing test is deleted",
        {"slugs.py": BROKEN, "test_slugs.py": TESTS.replace("def test_words", "def words")},
    ),
    _lie("the file of tests is deleted", {"slugs.py": BROKEN, "test_slugs.py": None}),
    _lie(
        "the failing test is emptied",
        {"slugs.py": BROKEN, "test_slugs.py": TESTS.replace('    assert slug("Two Words") == "two-words"\n', "")},
    ),
    _lie(
        "the expectation is edited to the wrong output",
        {"slugs.py": BROKEN, "test_slugs.py": TESTS.replace('"two-words"', '"two_words"')},
    ),
    _lie("the assertion is loosened", {"slugs.py": BROKEN, "test_slugs.py": TESTS.replace('== "two-words"', "!= ''")}),
    _lie(
        "source detects the test by the environment",
        {
            "slugs.py": SOURCE.replace(
                "    return title.lower",
                '    if os.environ.get("PYTEST_CURRENT_TEST"):\n        return "-".join(title.lower().split())\n    return title.lower',
            ).replace('"""Slugs."""', "import os"),
            "test_slugs.py": TESTS + NEW_TEST,
        },
    ),
    _lie(
        "source detects the test by modules",
        {
            "slugs.py": SOURCE.replace(
                "    return title.lower",
                '    if "pytest" in sys.modules:\n        return "-".join(title.lower().split())\n    return title.lower',
            ).replace('"""Slugs."""', "import sys"),
            "test_slugs.py": TESTS + NEW_TEST,
        },
    ),
    _lie(
        "source makes every test pass in a way that cannot be read",
        {"slugs.py": f"{_BENT}{BROKEN}", "test_slugs.py": TESTS + NEW_TEST},
    ),
    _lie(
        "the report is forged in a way that cannot be read",
        {"slugs.py": _HIDDEN_FORGERY + BROKEN, "test_slugs.py": TESTS + NEW_TEST},
    ),
    _lie("source skips what imports it", {"slugs.py": f'raise __import__("unit" + "test").SkipTest("no")\n{BROKEN}'}),
    _lie("source leaves with success at import", {"slugs.py": f"raise SystemExit(0)\n{BROKEN}"}),
    _lie(
        "a test ends the session with success",
        {
            "slugs.py": BROKEN,
            "test_aaa.py": 'import pytest\n\n\ndef test_aaa():\n    pytest.exit("done", returncode=0)\n',
        },
    ),
    _lie(
        "tests are left out by configuration",
        {"slugs.py": BROKEN, "pytest.ini": "[pytest]\naddopts = --ignore=test_slugs.py\n"},
    ),
    _lie(
        "tests are deselected by conftest", {"slugs.py": BROKEN, "conftest.py": 'collect_ignore = ["test_slugs.py"]\n'}
    ),
)

_MAKE = {
    "Makefile": "test:\n\t@sh tests/run.sh\n",
    "slug.sh": 'echo "$1" | tr A-Z a-z | tr " " -\n',
    "tests/run.sh": 'set -e\nfor t in tests/t_*.sh; do sh "$t"; done\n',
    "tests/t_one.sh": 'test "$(sh slug.sh One)" = one\n',
}
_SQUEEZED = 'echo "$1" | tr A-Z a-z | tr -s " " -\n'
_SPACES = 'test "$(sh slug.sh "a  b")" = a-b\n'


def _make(name: str, patch: Mapping[str, str | None], *allowed: str, lie: bool = False) -> Case:
    return Case(name, patch, frozenset(allowed), _MAKE, lie)


BY_EXIT_CODE = (
    _make("make: a fix with its test", {"slug.sh": _SQUEEZED, "tests/t_spaces.sh": _SPACES}, "proven"),
    _make("make: a fix without a test", {"slug.sh": _SQUEEZED}, "passing"),
    _make("make: a test that passes on base", {"slug.sh": _SQUEEZED, "tests/t_b.sh": "true\n"}, "passing"),
    _make("make: a broken fix", {"slug.sh": "echo x\n"}, "regressed"),
    _make(
        "make: the failing test is emptied", {"slug.sh": "echo x\n", "tests/t_one.sh": "true\n"}, *NOT_GREEN, lie=True
    ),
    _make(
        "make: the test target does nothing",
        {"slug.sh": "echo x\n", "Makefile": "test:\n\t@true\n"},
        *NOT_GREEN,
        lie=True,
    ),
)

CASES = (*HONEST, *BY_EXIT_CODE, *LIES)
