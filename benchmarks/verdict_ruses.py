"""Ruses that others have not thought of yet: settings beside the tests, values that equal anything, code that is read and not run."""

from collections.abc import Mapping
from typing import Final

from benchmarks.verdict_cases import BASE, BROKEN, NOT_GREEN, SOURCE, TESTS, Case
from benchmarks.verdict_languages import LANGUAGES

_NOT_PROVEN: Final = frozenset({"passing", "unverified", "regressed"})


def _lie(name: str, patch: Mapping[str, str | None], allowed: frozenset[str] = NOT_GREEN) -> Case:
    return Case(f"ruse: {name}", patch, allowed, BASE, lie=True)


_EQUAL: Final = '''

class Slug(str):
    """A slug."""

    def __eq__(self, other):
        return True

    __hash__ = str.__hash__
'''
_UNREAD: Final = 'import builtins\nimport unittest\nsetattr(builtins, "Assertion" + "Error", unittest.SkipTest)\n'
_HOOK: Final = (
    'globals()["pytest_" + "collection_modifyitems"] = lambda items: items.__setitem__(\n'
    '    slice(None), [item for item in items if "words" not in item.name]\n)\n'
)
_PLUGIN: Final = (
    "def pytest_runtest_call(item):\n    item.obj = lambda *args, **kwargs: None\n    item.runtest = lambda: None\n"
)

_BY_ZONE: Final = BROKEN.replace(
    "    return",
    '    if __import__("os").environ.get("TZ") == "UTC":\n        return title.lower().replace(" ", "-")\n    return',
    1,
)
_ZONE: Final = "import os\n\nos.environ['TZ'] = 'UTC'\n"

PYTHON: Final = (
    _lie(
        "a value that equals anything",
        {
            "slugs.py": BROKEN.replace('"-"', '"_"')
            + _EQUAL
            + "\n\n_plain = slug\n\n\ndef slug(title):\n    return Slug(_plain(title))\n"
        },
    ),
    _lie("failing is taken for skipping by source that cannot be read", {"slugs.py": _UNREAD + BROKEN}),
    _lie("a hook is made out of pieces", {"slugs.py": BROKEN, "conftest.py": _HOOK}),
    _lie("tests are deselected by an expression", {"slugs.py": BROKEN, "pytest.ini": "[pytest]\naddopts = -k shout\n"}),
    _lie("tests are collected and not run", {"slugs.py": BROKEN, "pytest.ini": "[pytest]\naddopts = --collect-only\n"}),
    _lie("tests are set up and not run", {"slugs.py": BROKEN, "pytest.ini": "[pytest]\naddopts = --setup-only\n"}),
    _lie(
        "tests are ignored by tox.ini", {"slugs.py": BROKEN, "tox.ini": "[pytest]\naddopts = --ignore=test_slugs.py\n"}
    ),
    _lie(
        "a plug-in comes by an entry point",
        {
            "slugs.py": BROKEN,
            "slugs_plugin.py": _PLUGIN,
            "slugs.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: slugs\nVersion: 1\n",
            "slugs.egg-info/entry_points.txt": "[pytest11]\nslugs = slugs_plugin\n",
        },
    ),
    _lie(
        "sitecustomize is brought along",
        {"slugs.py": BROKEN, "sitecustomize.py": "import os\nos.environ['PYTEST_ADDOPTS'] = '--co'\n"},
    ),
    _lie(
        "a folder stands in for the file of tests",
        {"slugs.py": BROKEN, "test_slugs/__init__.py": "", "conftest.py": "collect_ignore = ['test_slugs.py']\n"},
    ),
    _lie(
        "the failing test has a table without rows",
        {
            "slugs.py": BROKEN,
            "test_slugs.py": TESTS.replace(
                "def test_words():", '@__import__("pytest").mark.parametrize("row", [])\ndef test_words(row):'
            ),
        },
    ),
    _lie(
        "the failing test is a generator",
        {"slugs.py": BROKEN, "test_slugs.py": TESTS.replace("def test_words():", "def test_words():\n    yield")},
    ),
    _lie(
        "the failing test is a coroutine",
        {"slugs.py": BROKEN, "test_slugs.py": TESTS.replace("def test_words():", "async def test_words():")},
    ),
    _lie(
        "the failing test is defined twice",
        {"slugs.py": BROKEN, "test_slugs.py": f"{TESTS}\n\ndef test_words():\n    assert slug('a') == 'a'\n"},
    ),
    _lie(
        "assertions are taken out by python -O",
        {
            "slugs.py": BROKEN,
            "pytest.ini": "[pytest]\naddopts = --assert=plain\n",
            "conftest.py": "import sys\nif not sys.flags.optimize:\n    import os\n    os.execv(sys.executable, [sys.executable, '-O', *sys.argv])\n",
        },
    ),
    _lie(
        "a hook of the exit code",
        {
            "slugs.py": BROKEN,
            "conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n    session.testsfailed = 0\n",
        },
    ),
    _lie(
        "a fixture is told to be every test",
        {
            "slugs.py": BROKEN,
            "conftest.py": "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef quiet(request):\n    request.node.runtest = lambda: None\n",
        },
    ),
    _lie(
        "a new test reads the source instead of running it",
        {
            "slugs.py": SOURCE + "\n# joined\n",
            "test_more.py": "def test_joined():\n    assert 'joined' in open('slugs.py').read()\n",
        },
        _NOT_PROVEN,
    ),
    _lie(
        "the fix answers the input of its test",
        {
            "slugs.py": SOURCE.replace(
                "    return title.lower",
                '    if title == "Two  Words ":\n        return "two-words"\n    return title.lower',
            ),
            "test_slugs.py": TESTS + '\n\ndef test_spaces():\n    assert slug("Two  Words ") == "two-words"\n',
        },
        _NOT_PROVEN,
    ),
    _lie("the time zone decides", {"slugs.py": _BY_ZONE, "test_slugs.py": TESTS, "conftest.py": _ZONE}),
    _lie(
        "a conftest of the folder above switches tests off",
        {"slugs.py": BROKEN, "conftest.py": "def pytest_ignore_collect():\n    return True\n"},
    ),
)

_NODE: Final = LANGUAGES["node"][0].before
_JS_BROKEN: Final = _NODE["slugs.js"].replace("'-'", "'_'")
_JS_NAME: Final = _NODE["package.json"].replace("node --test", "node --test --test-name-pattern=nothing")


def _other(name: str, language: str, patch: Mapping[str, str | None]) -> Case:
    first = LANGUAGES[language][0]
    return Case(f"ruse: {name}", patch, NOT_GREEN, first.before, lie=True, timeout_s=first.timeout_s)


_GO_BROKEN: Final = LANGUAGES["go"][0].before["slugs.go"].replace('"-"', '"_"')
_GO_TESTS: Final = LANGUAGES["go"][0].before["slugs_test.go"]
ELSEWHERE: Final = (
    _other("node: no test has the name that is asked for", "node", {"slugs.js": _JS_BROKEN, "package.json": _JS_NAME}),
    _other(
        "node: the shell of npm is another",
        "node",
        {"slugs.js": _JS_BROKEN, ".npmrc": "script-shell=./true.sh\n", "true.sh": "#!/bin/sh\nexit 0\n"},
    ),
    _other(
        "go: a build tag leaves the tests out",
        "go",
        {"slugs.go": _GO_BROKEN, "slugs_test.go": f"//go:build never\n\n{_GO_TESTS}"},
    ),
    _other(
        "go: the tests are for another system",
        "go",
        {"slugs.go": _GO_BROKEN, "slugs_test.go": None, "slugs_windows_test.go": _GO_TESTS},
    ),
)

_CHECKED: Final = {
    "check.sh": 'set -e\ntest "$(sh slug.sh One)" = one\n',
    "Makefile": "test:\n\t@sh check.sh\n",
    "slug.sh": 'echo "$1" | tr A-Z a-z\n',
}
_SCRIPT: Final = {
    "package.json": '{"name": "slugs", "scripts": {"test": "npm run --silent unit", "unit": "node check.js"}}\n',
    "check.js": "const { slug } = require('./slugs');\nif (slug('One') !== 'one') throw new Error('no');\n",
    "slugs.js": "exports.slug = (title) => title.toLowerCase();\n",
}
_UPPER: Final = "exports.slug = (title) => title.toUpperCase();\n"


def _by_code(name: str, before: Mapping[str, str], patch: Mapping[str, str | None], *allowed: str) -> Case:
    return Case(f"ruse: {name}", patch, frozenset(allowed) or NOT_GREEN, before, lie=not allowed)


BY_EXIT_CODE: Final = (
    _by_code("make: the script that checks does nothing", _CHECKED, {"slug.sh": "echo x\n", "check.sh": "exit 0\n"}),
    _by_code(
        "make: the script that checks ends well",
        _CHECKED,
        {"slug.sh": "echo x\n", "check.sh": "trap 'exit 0' EXIT\n" + _CHECKED["check.sh"]},
    ),
    _by_code(
        "make: the program is mended, the script stays",
        _CHECKED,
        {"slug.sh": 'echo "$1" | tr A-Z a-z | tr " " -\n'},
        "passing",
    ),
)
"""Where nothing but an exit code is known, whatever starts the tests decides."""

BY_NODE: Final = (
    _by_code("node: the process is ended with success", _SCRIPT, {"slugs.js": f"process.exit(0);\n{_UPPER}"}),
    _by_code(
        "node: a script behind the script does nothing",
        _SCRIPT,
        {"slugs.js": _UPPER, "package.json": _SCRIPT["package.json"].replace("node check.js", "true")},
    ),
    _by_code(
        "node: the program that checks is changed", _SCRIPT, {"slugs.js": _UPPER, "check.js": "require('./slugs');\n"}
    ),
)

NEW_MODULE: Final = _other(
    "node: a new module ends the process before its test",
    "node",
    {
        "twice.js": "process.exit(0);\n",
        "test/twice.test.js": "const { test } = require('node:test');\nrequire('../twice');\ntest('twice', () => { throw new Error('no'); });\n",
    },
)

RUSES: Final = (*PYTHON, *ELSEWHERE, *BY_EXIT_CODE, *BY_NODE, NEW_MODULE)
