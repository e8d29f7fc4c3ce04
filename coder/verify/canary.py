"""A test that must fail, run beside green ones: code that makes every test look green gives itself away."""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from coder.sandbox.protocol import Sandbox
from coder.types import TestReport
from coder.verify.cells import run_cell
from coder.verify.runners import CARGO, Kind, TestCommand, cargo

MAX_FILES: Final = 40
"""Files of green tests that are run before it; they import what was changed."""
_MAX_PLACES = 8
"""Where a runner starts a process for each file or package, so many of them get a failing test."""
_MAX_SOURCE_BYTES = 1_000_000

_BY_ASSERT: Final = (
    "const one = [() => a(false), () => a.ok(0), () => a.equal(1, 2), () => a.strictEqual(1, 2),"
    " () => a.deepEqual([1], [2]), () => a.deepStrictEqual([1], [2]), () => a.throws(() => {{}})];"
)
_BY_EXPECT: Final = (
    "const one = [() => expect(1).toBe(2), () => expect([1]).toEqual([2]), () => expect(0).toBeTruthy(),"
    " () => expect(() => {{}}).toThrow()];"
)
_SEEN: Final = (
    "const seen = one.filter((f) => {{ try {{ f(); return false; }} catch {{ return true; }} }});"
    ' if (seen.length === one.length) throw new Error("seen");'
)
"""Fails only where each way of checking something fails: checks that do nothing make it green."""

_FAILING: Final[Mapping[Kind, str]] = {
    "node": f'import {{{{ test as {{name}} }}}} from "node:test";\nimport {{name}}_a from "node:assert";\n'
    f'{{name}}("{{name}}", () => {{{{ const a = {{name}}_a; {_BY_ASSERT} {_SEEN} }}}});\n',
    "vitest": f'import {{{{ test as {{name}}, expect as {{name}}_e }}}} from "vitest";\n'
    f'{{name}}("{{name}}", () => {{{{ const expect = {{name}}_e; {_BY_EXPECT} {_SEEN} }}}});\n',
    "jest": f'test("{{name}}", () => {{{{ {_BY_EXPECT} {_SEEN} }}}});\n',
    "mocha": '(typeof it === "function" ? it : test)("{name}", () => {{ throw new Error("seen"); }});\n',
}
_NODE_COMMONJS: Final = (
    f'require("node:test").test("{{name}}", () => {{{{ const a = require("node:assert"); {_BY_ASSERT} {_SEEN} }}}});\n'
)
_ES_MODULE: Final = re.compile(r"(?m)^[^\S\n]*(?:import\b(?!\s*\()|export\b)")


def is_module(text: str) -> bool:
    """Whether JavaScript is written as a module, which takes no `require`."""
    return _ES_MODULE.search(text) is not None


@dataclass(frozen=True, slots=True)
class Song:
    """What the run with the failing test showed."""

    canary: Literal["failed", "missed", "green", "untried"]
    """failed: as it must. missed: it does not occur in the report. green: it is reported as anything else, so what the
    report says of the other tests is worth nothing. untried: we know no way to add a test for this runner."""
    unsteady: tuple[str, ...]
    """Tests that passed before and did not this time."""


def can_sing(kind: Kind) -> bool:
    """Whether a failing test can be added for this runner."""
    return kind in {"pytest", "nextest"} or kind in _WRITERS


def sing(sandbox: Sandbox, tree_sha: str, command: TestCommand, green: Sequence[str], timeout_s: float) -> Song:
    """Write a failing test under a new name, run it beside the `green` tests, and see what is said of it.

    The sandbox is spoilt by it.
    """
    if command.kind == "nextest":
        # Each of its tests is a process of its own, where no other would be seen to end with it.
        command, green = cargo(CARGO), _crate_files(sandbox)
    name = f"test_{secrets.token_hex(6)}"
    places = list(dict.fromkeys(test.split("::", 1)[0] for test in green))
    if command.kind == "pytest":
        places = places[:MAX_FILES]
        sandbox.write(f"{name}.py", f"def {name}():\n    found = [1]\n    assert found == [2]\n".encode())
        own, chosen = [f"{name}.py::{name}"], [*places, f"{name}.py"]
    else:
        own = _WRITERS.get(command.kind, _nowhere)(sandbox, command, places[:_MAX_PLACES], name)
        beside = [test.split("::", 1)[0] for test in own if command.kind in _BY_CLASS]
        chosen = [*places[:_MAX_PLACES], *beside] if own and command.kind not in _ONE_PROCESS else []
    report = run_cell(sandbox, "head", tree_sha, command.selecting(chosen), timeout_s).report
    again, ran = frozenset(report.passed), frozenset(chosen or places)
    unsteady = tuple(test for test in green if test not in again and test.split("::", 1)[0] in ran)
    possible = can_sing(command.kind) and (own or command.kind not in {*_APPENDED, *_ONE_PROCESS, *_BY_CLASS})
    return Song(_heard(report, own) if possible else "untried", unsteady)


def _heard(report: TestReport, own: Sequence[str]) -> Literal["failed", "missed", "green"]:
    """What a report says of the tests that must fail: every one of them counts."""
    green, red = (
        {name.removesuffix("()") for name in names} for names in ((*report.passed, *report.skipped), report.red)
    )
    if {*own} & green:
        return "green"
    return "failed" if own and {*own} <= red else "missed"


Writer = Callable[[Sandbox, TestCommand, Sequence[str], str], list[str]]


def _nowhere(_sandbox: Sandbox, _command: TestCommand, _places: Sequence[str], _name: str) -> list[str]:
    return []


def _go(sandbox: Sandbox, _command: TestCommand, packages: Sequence[str], name: str) -> list[str]:
    """A file of tests in each package; the ids of the tests in them."""
    safe = [package for package in packages if re.fullmatch(r"[\w.~/-]+", package) and not package.startswith("-")]
    if not safe:
        return []
    listed = sandbox.exec(
        f"pwd -P; go list -f '{{{{.ImportPath}}}} {{{{.Dir}}}} {{{{.Name}}}}' {' '.join(safe)}", timeout_s=120
    )
    root, *lines = listed.output.strip().split("\n")
    own = []
    for line in lines:
        match = re.fullmatch(rf"(\S+) {re.escape(root)}(/\S+)? (\w+)", line)
        if match is None:
            continue
        folder = f"{match[2].strip('/')}/" if match[2] else ""
        text = f'package {match[3]}\n\nimport "testing"\n\nfunc Test_{name}(t *testing.T) {{ t.Fatal("seen") }}\n'
        sandbox.write(f"{folder}{name}_test.go", text.encode())
        own.append(f"{match[1]}::Test_{name}")
    return own


def _javascript(sandbox: Sandbox, command: TestCommand, files: Sequence[str], name: str) -> list[str]:
    """A failing test behind the others of each file; the ids of the tests."""
    own = []
    for file in files:
        try:
            text = sandbox.read(file, max_bytes=_MAX_SOURCE_BYTES).decode("utf-8", "surrogateescape")
        except (OSError, ValueError):
            continue
        modern = file.endswith((".mjs", ".mts")) or is_module(text)
        template = _FAILING[command.kind] if modern or command.kind != "node" else _NODE_COMMONJS
        added = f"{text}\n;{template.format(name=name)}"
        sandbox.write(file, added.encode("utf-8", "surrogateescape"))
        own.append(f"{file}::{name}")
    return own


_APPENDED: Final[Mapping[Kind, tuple[str, str, str]]] = {
    "cargo": (
        ".rs",
        "\n#[cfg(test)]\nmod {name} {{\n    #[test]\n    fn seen() {{\n        assert_eq!(1, 2);\n    }}\n}}\n",
        "{name}::seen",
    ),
    "rspec": (".rb", '\nRSpec.describe("{name}") {{ it("is seen") {{ expect([1]).to eq([2]) }} }}\n', "{name} is seen"),
}
"""What is put behind a file of tests, files of which ending, and the id that it has there."""


def _appended(sandbox: Sandbox, command: TestCommand, places: Sequence[str], name: str) -> list[str]:
    """A failing test behind the others of each file; where the files are not found (a workspace of crates), none."""
    own = []
    ending, template, test = _APPENDED[command.kind]
    for place in places:
        # cargo's places begin with the target's name.
        file = place.rpartition(":")[2]
        try:
            text = sandbox.read(file, max_bytes=_MAX_SOURCE_BYTES) if file.endswith(ending) else b""
        except (OSError, ValueError):
            continue
        if text and b"\n__END__" not in text:
            sandbox.write(file, text + template.format(name=name).encode())
            own.append(f"{place}::{test.format(name=name)}")
    return own


def _crate_files(sandbox: Sandbox) -> list[str]:
    """The files of tests of the uppermost crate, as the places of cargo's ids."""
    files = [path for path in sandbox.list_files() if re.fullmatch(r"tests/[\w-]+\.rs", path)]
    return [f"{path[6:-3].replace('-', '_')}:{path}" for path in files]


def _phpunit(sandbox: Sandbox, _command: TestCommand, files: Sequence[str], name: str) -> list[str]:
    """A file of its own beside the others: PHPUnit runs all of them in one process."""
    folder = next((file.rpartition("/")[0] for file in files if file.endswith("Test.php")), None)
    if folder is None:
        return []
    kind = f"Seen{name.rpartition('_')[2]}Test"
    path = f"{folder}/{kind}.php".lstrip("/")
    check = "public function testSeen(): void { $this->assertSame([1], [2]); }"
    sandbox.write(path, f"<?php\nfinal class {kind} extends \\PHPUnit\\Framework\\TestCase {{ {check} }}\n".encode())
    return [f"{path}::{kind}::testSeen"]


def _minitest(sandbox: Sandbox, _command: TestCommand, _tests: Sequence[str], name: str) -> list[str]:
    """A failing test behind those of the first file of tests; minitest's ids name no files."""
    files = [path for path in sandbox.list_files() if _MINITEST_FILE.search(path)]
    kind = f"Seen{name.rpartition('_')[2]}"
    for file in files[:_MAX_PLACES]:
        text = sandbox.read(file, max_bytes=_MAX_SOURCE_BYTES)
        if b"initest" in text and b"\n__END__" not in text:
            check = "def test_seen; assert_equal(1, 2); end"
            sandbox.write(file, text + f"\nclass {kind} < Minitest::Test\n  {check}\nend\n".encode())
            return [f"{kind}#test_seen"]
    return []


def _python_class(sandbox: Sandbox, _command: TestCommand, classes: Sequence[str], name: str) -> list[str]:
    """A failing test behind those of each module; ids are `module.Class`, and the module's folder may be a root of imports."""
    listed, own = sandbox.list_files(), []
    for module in dict.fromkeys(place.rpartition(".")[0] for place in classes):
        path = f"{module.replace('.', '/')}.py"
        file = next((one for one in listed if module and f"/{one}".endswith(f"/{path}")), None)
        if file is not None:
            kind = f"Seen{name.rpartition('_')[2]}"
            text = sandbox.read(file, max_bytes=_MAX_SOURCE_BYTES)
            sandbox.write(file, text + _UNITTEST.format(name=name, kind=kind).encode())
            own.append(f"{module}.{kind}::test_seen")
    return own


_UNITTEST: Final = """

import unittest as {name}


class {kind}({name}.TestCase):
    def test_seen(self):
        ways = [
            lambda: self.assertEqual(1, 2),
            lambda: self.assertTrue(0),
            lambda: self.assertIn(1, []),
            lambda: self.assertRaises(OSError, int),
        ]
        for way in ways:
            try:
                way()
            except AssertionError:
                continue
            return
        raise AssertionError("seen")
"""
"""Like those of JavaScript: it fails only where each way of checking does."""


def _java(sandbox: Sandbox, _command: TestCommand, classes: Sequence[str], name: str) -> list[str]:
    """A class of its own beside each of these, in the words of what that one imports."""
    listed, own = sandbox.list_files(), []
    for package in dict.fromkeys(place.rpartition(".")[0] for place in classes):
        inside = [place.partition("$")[0] for place in classes if place.rpartition(".")[0] == package]
        ends = tuple(f"/{place.replace('.', '/')}.java" for place in inside)
        file = next((one for one in listed if f"/{one}".endswith(ends)), None)
        text = sandbox.read(file, max_bytes=_MAX_SOURCE_BYTES).decode("utf-8", "replace") if file else ""
        found = next(((mark, check) for word, mark, check in _JAVA if re.search(rf"\b{word}\b", text)), None)
        if file is None or found is None:
            continue
        kind, (mark, check) = f"Seen{name.rpartition('_')[2]}Test", found
        head = f"package {package};\n\n" if package else ""
        body = f"@{mark} public void seen() {{ {check}.assertEquals(1, 2); }}"
        folder = file.rpartition("/")[0]
        sandbox.write(f"{folder}/{kind}.java".lstrip("/"), f"{head}public class {kind} {{\n    {body}\n}}\n".encode())
        own.append(f"{package}.{kind}::seen".lstrip("."))
    return own


_JAVA: Final = (
    (r"org\.junit\.jupiter", "org.junit.jupiter.api.Test", "org.junit.jupiter.api.Assertions"),
    (r"org\.testng", "org.testng.annotations.Test", "org.testng.Assert"),
    (r"org\.junit\.(?:Test|\*)", "org.junit.Test", "org.junit.Assert"),
)
"""A word of a test file, and the annotation and the checks of the library that it speaks of."""

_MINITEST_FILE: Final = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_test)\.rb$")
_ONE_PROCESS: Final = frozenset({"phpunit", "minitest", "unittest", "nose2"})
"""Runners that take all files in one process: one failing test is beside all others."""
_BY_CLASS: Final = frozenset({"maven", "gradle"})
"""Runners that are told the classes to run, the new one too."""

_WRITERS: Final[Mapping[Kind, Writer]] = {
    "go": _go,
    "phpunit": _phpunit,
    "minitest": _minitest,
    "unittest": _python_class,
    "nose2": _python_class,
    "maven": _java,
    "gradle": _java,
    **dict.fromkeys(_FAILING, _javascript),
    **dict.fromkeys(_APPENDED, _appended),
}
