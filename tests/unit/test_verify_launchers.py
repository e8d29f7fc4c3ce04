"""A patch that changes what starts the tests is told; one that changes what they test is not."""

import json

import pytest

from coder.verify.integrity import inspected
from coder.verify.launchers import ends_with_success, launched, scripts_of_tests

FILES = {
    "check.sh": b"#!/bin/sh\nset -e\npython3 tools/check_all.py && ./build/verify.sh && ./shop One\n",
    "tools/check_all.py": b"import shop\n",
    "build/verify.sh": b"true\n",
    "shop.py": b"x = 1\n",
    "shop": b"#!/bin/sh\n",
    "tests/all.sh": b"exit 0\n",
    "Makefile": b"test: shop.py\n\t@sh check.sh\n\tpython3 shop.py --self-test\n",
    "package.json": json.dumps({"scripts": {"test": "npm run unit", "unit": "node scripts/unit.js"}}).encode(),
    "scripts/unit.js": b"require('../lib')\n",
}


@pytest.mark.parametrize(
    ("command", "path", "fatal"),
    [
        ("sh check.sh", "check.sh", True),
        ("./check.sh", "check.sh", True),
        ("./shop --self-test", "shop", True),
        ("CI=1 bash -e check.sh --all", "check.sh", True),
        ("true && sh check.sh", "build/verify.sh", True),
        ("sh check.sh", "tools/check_all.py", True),
        ("make test", "check.sh", True),
        ("make test", "tools/check_all.py", True),
        ("make test", "shop.py", False),
        ("npm test --silent", "scripts/unit.js", False),
    ],
)
def test_a_program_that_starts_the_tests_is_found_behind_scripts(command: str, path: str, *, fatal: bool) -> None:
    found = list(launched(command, [path, "shop.txt"], FILES.get))

    assert [(one.path, one.fatal) for one in found] == [(path, fatal)]


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("sh check.sh", "shop.py"),
        ("sh tests/all.sh", "tests/all.sh"),
        ("python3 -m pytest -q", "shop.py"),
        ("make", "x.py"),
    ],
)
def test_what_is_tested_starts_nothing(command: str, path: str) -> None:
    assert list(launched(command, [path], FILES.get)) == []


def test_scripts_that_call_each_other_end() -> None:
    loop = {"a.sh": b"sh check_b.sh\n", "check_b.sh": b"sh a.sh\nmake\nnpm test\n", "Makefile": b"test:\n\tmake test\n"}

    assert len(list(launched("sh a.sh", ["check_b.sh"], loop.get))) == 1


@pytest.mark.parametrize("package", [b"", b"[]", b'{"scripts": 1}', b'{"scripts": {"test": 1}}', b"[" * 100_000])
def test_what_is_no_package_has_no_scripts(package: bytes) -> None:
    assert scripts_of_tests(package) == {}


def test_scripts_behind_the_one_for_tests_are_its_own() -> None:
    scripts = {"test": "run-s unit", "preunit": "tsc", "unit": "jest", "start": "node .", "postunit": "true"}

    assert {*scripts_of_tests(json.dumps({"scripts": scripts}).encode())} == {"test", "preunit", "unit", "postunit"}


def alarm(path: str, old: str, new: str) -> list[tuple[str, bool]]:
    before, after = {path: old.encode()}, {path: new.encode()}
    return [(one.what, one.fatal) for one in inspected([path], before.get, after.get).findings]


def test_a_script_that_the_script_for_tests_calls_is_not_changed_unseen() -> None:
    def package(unit: str, start: str = "node .") -> str:
        return json.dumps({"scripts": {"test": "npm run unit", "unit": unit, "start": start}})

    assert alarm("package.json", package("jest"), package("jest || true")) == [
        ("the script that runs the tests was changed", True)
    ]
    assert alarm("package.json", package("jest"), package("jest", "node ./server")) == []


@pytest.mark.parametrize(
    "added",
    [
        "[lib]\ntest = false\n",
        "[lib]\nharness = false\n",
        '[[test]]\nname = "a"\ntest = false\n',
        "[profile.test]\nopt-level = 3\n",
    ],
)
def test_cargo_is_not_told_to_leave_tests_out_unseen(added: str) -> None:
    manifest = '[package]\nname = "a"\nversion = "1"\n\n[dependencies]\nserde = "1"\n'

    assert alarm("Cargo.toml", manifest, f"{manifest}\n{added}") == [
        ("its settings of tests or coverage were changed", False)
    ]
    assert alarm("Cargo.toml", manifest, manifest.replace('serde = "1"', 'serde = "2"')) == []


@pytest.mark.parametrize(
    "path",
    [
        "hamcrest/__init__.py",
        "assertpy.py",
        "node_modules/chai/index.js",
        "vendor/github.com/stretchr/testify/assert/a.go",
    ],
)
def test_libraries_that_check_are_not_brought_along_unseen(path: str) -> None:
    found = inspected([path], lambda _: None, {path: b"x = 1\n"}.get).findings

    assert [one.fatal for one in found] == [True]


@pytest.mark.parametrize(
    "line",
    [
        "process.exit(0)",
        "process.exitCode = 0",
        "  os.Exit(0)",
        "std::process::exit(0);",
        "sys.exit()",
        "raise SystemExit(0)",
        "exit(0);",
        "trap 'exit 0' EXIT",
    ],
)
def test_source_that_ends_the_process_with_success_is_told(line: str) -> None:
    found = list(ends_with_success("a.js", b"start()\n", f"start()\n{line}\n".encode()))

    assert [(one.line, one.fatal) for one in found] == [(2, True)]
    assert list(ends_with_success("a.js", f"{line}\n".encode(), f"start()\n{line}\n".encode())) == []


@pytest.mark.parametrize("line", ["process.exit(1)", "os.Exit(code)", "sys.exit(main())", "exit(2);", "on_exit(0)"])
def test_source_that_ends_it_otherwise_is_not(line: str) -> None:
    assert list(ends_with_success("a.js", None, line.encode())) == []
