"""A failing test is put where each runner finds it, and what the report says of it is what counts."""

import json
import re
from collections.abc import Callable, Mapping

import pytest
from typing_extensions import override

from coder.types import ExecResult
from coder.verify.canary import can_sing, sing
from coder.verify.runners import Kind, TestCommand
from tests.unit.verify_fakes import FakeSandbox, Run

Told = Callable[[Mapping[str, bytes]], bytes]


class Files(FakeSandbox):
    """A work tree in memory, whose runner reports on what it holds."""

    def __init__(self, files: Mapping[str, bytes], told: Told) -> None:
        super().__init__([Run(exit_code=1)], lambda: None, [])
        self.files, self._told = dict(files), told

    @override
    def exec(
        self, command: str, *, timeout_s: float, cwd: str = ".", env: Mapping[str, str] | None = None
    ) -> ExecResult:
        return ExecResult(exit_code=0 if command.startswith("rm ") else 1, output="/w\n", duration_s=0)

    @override
    def read(self, path: str, *, max_bytes: int = 4_000_000) -> bytes:
        if path.startswith(".coder-report"):
            return self._told(self.files)
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    @override
    def write(self, path: str, data: bytes) -> None:
        self.files[path] = data

    @override
    def list_files(self) -> tuple[str, ...]:
        return tuple(sorted(self.files))


class Scattered(Files):
    """The same, with the report where the runners of Java leave one per class."""

    @override
    def exec(
        self, command: str, *, timeout_s: float, cwd: str = ".", env: Mapping[str, str] | None = None
    ) -> ExecResult:
        if command.startswith("find "):
            return ExecResult(exit_code=0, output="./.coder-report/TEST-a.xml\n", duration_s=0)
        return super().exec(command, timeout_s=timeout_s, cwd=cwd, env=env)


def of_cargo(outcome: str) -> Told:
    def told(files: Mapping[str, bytes]) -> bytes:
        found = re.findall(r"mod (test_\w+)", files["src/lib.rs"].decode())
        lines = ["     Running unittests src/lib.rs (target/debug/deps/x-0a1b)", "test tests::good ... ok"]
        lines += [f"test {name}::seen ... {outcome}" for name in found]
        red = len(found) if outcome == "FAILED" else 0
        lines.append(f"test result: X. {1 + len(found) - red} passed; {red} failed; 0 ignored; 0 measured")
        return "\n".join(lines).encode()

    return told


def of_rspec(files: Mapping[str, bytes]) -> bytes:
    names = re.findall(r'describe\("(test_\w+)"\)', files["spec/a_spec.rb"].decode())
    examples = [
        {"file_path": "./spec/a_spec.rb", "full_description": f"{name} is seen", "status": "failed"} for name in names
    ]
    return json.dumps({"examples": examples, "summary": {}}).encode()


def of_phpunit(files: Mapping[str, bytes]) -> bytes:
    cases = "".join(
        f'<testcase name="testSeen" class="{match[1]}" file="/w/{path}"><failure/></testcase>'
        for path in files
        if (match := re.fullmatch(r"tests/(Seen\w+Test)\.php", path))
    )
    return f"<testsuites><testsuite>{cases}</testsuite></testsuites>".encode()


def of_minitest(files: Mapping[str, bytes]) -> bytes:
    names = re.findall(r"class (Seen\w+)", files["test/a_test.rb"].decode())
    lines = [f"{name}#test_seen = 0.00 s = F" for name in names]
    return "\n".join([*lines, f"{len(names)} runs, 1 assertions, {len(names)} failures, 0 errors, 0 skips"]).encode()


def of_python(classname: str) -> Told:
    def told(files: Mapping[str, bytes]) -> bytes:
        found = re.findall(r"class (Seen\w+)", files["src/pkg/test_a.py"].decode())
        cases = "".join(
            f'<testcase classname="{classname}.{name}" name="test_seen"><failure/></testcase>' for name in found
        )
        return f"<testsuite>{cases}</testsuite>".encode()

    return told


def of_java(ending: str) -> Told:
    def told(files: Mapping[str, bytes]) -> bytes:
        found = [
            match[1] for path in files if (match := re.fullmatch(r"m/src/test/java/a/b/(Seen\w+Test)\.java", path))
        ]
        written = b"".join(files.values())
        assert all(f"package a.b;\n\npublic class {name} ".encode() in written for name in found)
        return (
            "".join(f'<testcase classname="a.b.{name}" name="seen{ending}"><error/></testcase>' for name in found)
            .join(("<testsuite>", "</testsuite>"))
            .encode()
        )

    return told


def of_crate(files: Mapping[str, bytes]) -> bytes:
    names = re.findall(r"mod (test_\w+)", files["tests/it-is.rs"].decode())
    lines = [f"test {name}::seen ... FAILED" for name in names]
    result = f"test result: FAILED. 0 passed; {len(names)} failed; 0 ignored; 0 measured"
    return "\n".join(["     Running tests/it-is.rs (target/debug/deps/it_is-0a1b)", *lines, result]).encode()


OF_PYTHON = {"src/pkg/__init__.py": b"", "src/pkg/test_a.py": b"import unittest\n"}
OF_JAVA = {"m/src/test/java/a/b/CartTest.java": b"package a.b;\nimport org.junit.jupiter.api.Test;\n"}


@pytest.mark.parametrize(
    ("kind", "files", "green", "told"),
    [
        ("nose2", OF_PYTHON, "pkg.test_a.Cart::test_good", of_python("pkg.test_a")),
        ("nextest", {"tests/it-is.rs": b"use x;\n"}, "x::it-is::good", of_crate),
        ("cargo", {"src/lib.rs": b"mod tests {}\n"}, "x:src/lib.rs::tests::good", of_cargo("FAILED")),
        ("rspec", {"spec/a_spec.rb": b"RSpec\n"}, "spec/a_spec.rb::A is good", of_rspec),
        ("phpunit", {"tests/ATest.php": b"<?php\n"}, "tests/ATest.php::ATest::testGood", of_phpunit),
        ("minitest", {"lib/a.rb": b"1", "test/a_test.rb": b"Minitest\n"}, "ATest#test_good", of_minitest),
    ],
)
def test_a_failure_that_is_told_is_seen(kind: Kind, files: Mapping[str, bytes], green: str, told: Told) -> None:
    sandbox = Files(files, told)

    song = sing(sandbox, "t", TestCommand("run {select}", kind), [green], 9)

    assert can_sing(kind)
    assert song.canary == "failed"
    assert sandbox.files != files


@pytest.mark.parametrize(("kind", "ending"), [("maven", ""), ("gradle", "()")])
def test_java_gets_a_class_of_its_own_beside_the_tests(kind: Kind, ending: str) -> None:
    sandbox = Scattered(OF_JAVA, of_java(ending))

    song = sing(sandbox, "t", TestCommand("run {select}", kind), ["a.b.CartTest::good"], 9)

    assert song.canary == "failed"
    assert b"@org.junit.jupiter.api.Test" in b"".join(data for path, data in sandbox.files.items() if "Seen" in path)


@pytest.mark.parametrize(("outcome", "canary"), [("ok", "green"), ("ignored", "green"), ("hidden", "missed")])
def test_a_failure_that_is_told_as_anything_else_gives_the_runner_away(outcome: str, canary: str) -> None:
    told = of_cargo(outcome)
    if outcome == "hidden":
        told = lambda _: of_cargo("ok")({"src/lib.rs": b""})  # noqa: E731 — a reporter that leaves it out

    song = sing(Files({"src/lib.rs": b"x\n"}, told), "t", TestCommand("x", "cargo"), ["x:src/lib.rs::tests::good"], 9)

    assert song.canary == canary


@pytest.mark.parametrize(
    ("kind", "green"),
    [
        ("cargo", "x:src/gone.rs::tests::good"),
        ("cargo", "doc x::src/lib.rs - answer"),
        ("rspec", "spec/end_spec.rb::A is good"),
        ("phpunit", "tests/data.php::good"),
        ("minitest", "ATest#test_good"),
        ("unittest", "gone.Cart::test_good"),
        ("maven", "a.CartTest::good"),
        ("nextest", "x::it-is::good"),
    ],
)
def test_where_no_place_for_it_is_found_nothing_is_claimed(kind: Kind, green: str) -> None:
    files = {"spec/end_spec.rb": b"x\n__END__\n", "src/lib.rs": b"x\n"}
    sandbox = Files(files, of_cargo("FAILED"))

    song = sing(sandbox, "t", TestCommand("x", kind), [green], 9)

    assert song.canary == "untried"
    assert sandbox.files == files
