"""Ways to look right without being right, and honest code that looks like them."""

import pytest

from coder.verify.basis import Finding
from coder.verify.integrity import findings
from coder.verify.tests_of import tests_of as kinds_of


def found(path: str, new: str, old: str = "", beside: str = "") -> list[Finding]:
    before = {path: old.encode(), **({beside: b"x = 1\n"} if beside else {})}
    after = {path: new.encode(), **({beside: b"x = 2\n"} if beside else {})}
    return list(findings(after, before.get, after.get))


@pytest.mark.parametrize(
    "source",
    [
        "class S(str):\n    def __eq__(self, other):\n        return True\n",
        "class S(str):\n    __eq__ = lambda a, b: True\n",
        "S = type('S', (str,), {'__eq__': lambda a, b: True, '__hash__': None})\n",
        "class S: ...\nS.__contains__ = lambda a, b: True\n",
        "class S: ...\nsetattr(S, '__eq__', lambda a, b: True)\n",
    ],
)
def test_a_value_that_equals_anything_makes_every_run_worthless(source: str) -> None:
    (one,) = found("src/a.py", source)

    assert one.fatal
    assert "a comparison that always holds" in one.what
    assert found("src/a.py", f"{source}\nx = 1\n", old=source) == []
    assert found("tests/test_a.py", source) == [], "tests use such values for what they do not care about"


@pytest.mark.parametrize(
    "source",
    [
        "class S:\n    def __eq__(self, other):\n        return self.x == other.x\n",
        "class S:\n    def __eq__(self, other):\n        if self is other:\n            return True\n        return NotImplemented\n",
        "class S:\n    def __ne__(self, other):\n        return False\n",
        "table = {'eq': lambda a, b: True, '__eq__': check}\n",
        "setattr(s, 'x', lambda: True)\n",
    ],
)
def test_ordinary_comparisons_are_no_findings(source: str) -> None:
    assert found("src/a.py", source) == []


@pytest.mark.parametrize(
    "body",
    [
        "assert 'join' in open('slugs.py').read()",
        "assert 'join' in (ROOT / 'src/slugs.py').read_text()",
        "assert 'join' in inspect.getsource(slugs)",
        "assert 'join' in inspect.getsource(pkg.slugs.slug)",
    ],
)
def test_a_test_that_reads_what_it_should_run_is_told(body: str) -> None:
    (one,) = found("tests/test_a.py", f"def test_a():\n    {body}\n", beside="src/slugs.py")

    assert not one.fatal
    assert one.what == "looks at the text of src/slugs.py instead of running it"
    assert one.line == 2


@pytest.mark.parametrize(
    "body",
    [
        "assert open('expected.txt').read() == slug('a')",
        "assert subprocess.check_output(['python', 'slugs.py']) == b'a'",
        "assert inspect.getsource(other)",
        "assert 'slugs.py' in listing()",
    ],
)
def test_a_test_that_runs_it_or_reads_something_else_is_not(body: str) -> None:
    assert found("tests/test_a.py", f"def test_a():\n    {body}\n", beside="src/slugs.py") == []


def test_cmake_may_not_take_failures_for_something_else() -> None:
    lie = "add_test(NAME t COMMAND t)\nset_tests_properties(t PROPERTIES WILL_FAIL TRUE)\n"

    (one,) = found("sub/CMakeLists.txt", lie)

    assert (one.line, one.fatal) == (2, True)
    assert found("CMakeLists.txt", lie, old=f"{lie}# x\n") == []
    assert found("CMakeLists.txt", "add_test(NAME t COMMAND t) # WILL_FAIL\n") == []


@pytest.mark.parametrize(
    "path",
    [
        ".npmrc",
        "web/.npmrc",
        ".cargo/config.toml",
        "crates/a/.cargo/config",
        "vite.config.ts",
        "bunfig.toml",
        ".yarnrc.yml",
        ".env",
    ],
)
def test_what_can_put_another_program_in_the_place_of_the_tests_decides_how_they_run(path: str) -> None:
    kinds = kinds_of([path])

    assert kinds.config == (path,)
    assert path in kinds.restored, "the old tests run as base ran them"


def test_a_module_of_go_from_elsewhere_is_told() -> None:
    old = b"module a\n\nrequire github.com/stretchr/testify v1.8.0\n"
    new = old + b"\nreplace (\n\tgithub.com/stretchr/testify => ./calm // quicker\n\ta/b => ../b\n)\n"

    found = findings(["go.mod"], {"go.mod": old}.get, {"go.mod": new}.get)

    assert [(one.line, one.fatal) for one in found] == [(6, True), (7, False)]
    assert findings(["go.mod"], {"go.mod": new}.get, {"go.mod": new.replace(b"1.8.0", b"1.9.0")}.get) == ()
