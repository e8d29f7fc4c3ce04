"""The look at what a patch does to tests: the same test before and after, never a count of smells."""

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from coder.verify.integrity_lines import known, line_findings
from coder.verify.tests_of import TestPaths, is_test, shadows_runner, tests_of
from coder.verify.verdict import Finding

Read = Callable[[str], bytes | None]
"""A file's bytes on one side of the patch; None where it does not exist."""

_SKIPS: Final = frozenset(
    {"skip", "skipif", "xfail", "skipIf", "skipUnless", "expectedFailure", "skipTest", "importorskip", "SkipTest"}
)
_RUNNER_HOOKS: Final = frozenset(
    {
        "pytest_runtest_makereport",
        "pytest_runtest_protocol",
        "pytest_runtest_call",
        "pytest_pyfunc_call",
        "pytest_report_teststatus",
        "pytest_runtestloop",
        "pytest_sessionfinish",
        "pytest_unconfigure",
        "pytest_cmdline_main",
        "pytest_cmdline_preparse",
        "pytest_load_initial_conftests",
        "pytest_collection_modifyitems",
        "pytest_ignore_collect",
        "pytest_collection_finish",
        "pytest_runtest_logreport",
        "pytest_make_collect_report",
        "pytest_exception_interact",
    }
)
_RUNNER_NAMES: Final = re.compile(r"\b_?pytest\b|\bPYTEST_|\bjunitxml\b|\bunittest\b|\bconftest\b|\.coder-report")
_PACKAGING: Final = frozenset({"setup.py", "noxfile.py", "tasks.py", "fabfile.py", "dodo.py"})
_TEST_SETTINGS: Final = re.compile(
    r"pytest|coverage|testpaths|addopts|fail_under|fail-under|filterwarnings|\"test|jest|mocha|vitest"
)

_MAX_SOURCE_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Test:
    """One test function with what can be weakened in it."""

    line: int
    assertions: int
    skips: int


def findings(paths: Iterable[str], before: Read, after: Read) -> tuple[Finding, ...]:
    """What a patch that touches `paths` does to the tests of the repository, sorted by place.

    A fatal finding means that the test runner itself may be bent: modules that shadow it, hooks that rewrite outcomes,
    processes ended from within tests, source that asks whether it is being tested.
    """
    touched = sorted(set(paths))
    kinds = tests_of(touched)
    found = [*_configuration(kinds, before, after), *_shadows(touched, before, after)]
    for path in touched:
        if known(path) and is_test(path):
            found.extend(line_findings(path, before(path), after(path)))
        if not path.endswith(".py"):
            continue
        old, new = _parsed(before(path)), _parsed(after(path))
        if isinstance(old, SyntaxError) or isinstance(new, SyntaxError):
            found.append(Finding(path, 1, "does not parse, so its tests cannot be compared"))
        elif is_test(path) or path in kinds.config:
            found.extend(_test_file(path, old, new))
        else:
            found.extend(_source_file(path, old, new))
    return tuple(sorted(found, key=lambda finding: (finding.path, finding.line, finding.what)))


def _configuration(kinds: TestPaths, before: Read, after: Read) -> Iterator[Finding]:
    for path in kinds.config:
        yield Finding(path, _first_change(before(path), after(path)), "decides how tests run, and was changed")
    for path in kinds.ci:
        yield Finding(
            path,
            _first_change(before(path), after(path)),
            "decides what continuous integration checks, and was changed",
        )
    for path in kinds.mixed:
        if path.endswith("package.json") and _test_scripts(before(path)) != _test_scripts(after(path)):
            yield Finding(
                path, _first_change(before(path), after(path)), "the script that runs the tests was changed", fatal=True
            )
            continue
        old, new = _lines(before(path)), _lines(after(path))
        changed = [line for line in (*new, *old) if (line in new) != (line in old) and _TEST_SETTINGS.search(line)]
        if changed:
            at = new.index(changed[0]) + 1 if changed[0] in new else old.index(changed[0]) + 1
            yield Finding(path, at, "its settings of tests or coverage were changed")


def _test_scripts(data: bytes | None) -> object:
    """What `npm test` runs by a package.json; unreadable ones run nothing."""
    try:
        package = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return None
    scripts = package.get("scripts") if isinstance(package, dict) else None
    return [scripts.get(name) for name in ("pretest", "test", "posttest")] if isinstance(scripts, dict) else None


def _shadows(paths: Iterable[str], before: Read, after: Read) -> Iterator[Finding]:
    for path in paths:
        if shadows_runner(path) and before(path) is None and after(path) is not None:
            yield Finding(path, 1, "would be imported instead of the test runner or the standard library", fatal=True)


def _parsed(data: bytes | None) -> ast.Module | SyntaxError | None:
    """The syntax tree; None where there is no file. What Python cannot even read counts as a syntax error."""
    if data is None:
        return None
    if len(data) > _MAX_SOURCE_BYTES:
        return SyntaxError("too large to look into")
    try:
        return ast.parse(data)
    except SyntaxError as exc:
        return exc
    except (ValueError, RecursionError, MemoryError) as exc:
        return SyntaxError(str(exc))


def _test_file(path: str, old: ast.Module | None, new: ast.Module | None) -> Iterator[Finding]:
    was, now = _tests(old), _tests(new)
    for name, test in was.items():
        if name not in now:
            yield Finding(path, test.line, f"the test {name} was deleted or renamed")
            continue
        if now[name].skips > test.skips:
            yield Finding(path, now[name].line, f"the test {name} may now be skipped or expected to fail")
        if now[name].assertions < test.assertions:
            what = f"the test {name} asserts less: {test.assertions} checks before, {now[name].assertions} now"
            yield Finding(path, now[name].line, what)
    if was and _module_skips(new) > _module_skips(old):
        yield Finding(path, 1, "a whole class or module of tests may now be skipped or not collected")
    yield from _new_lines(path, _exits(old), _exits(new), "ends the process from within a test run", fatal=True)
    yield from _new_lines(path, _hooks(old), _hooks(new), "bends how test outcomes are made or reported", fatal=True)


def _source_file(path: str, old: ast.Module | None, new: ast.Module | None) -> Iterator[Finding]:
    if path.rsplit("/", 1)[-1] in _PACKAGING:
        return
    yield from _new_lines(path, _awareness(old), _awareness(new), "code that knows of the test runner", fatal=True)
    yield from _new_lines(path, _exits(old), _exits(new), "ends the process without clean-up", fatal=False)


def _new_lines(
    path: str, old: Mapping[str, int], new: Mapping[str, int], what: str, *, fatal: bool
) -> Iterator[Finding]:
    """A finding for each thing that occurs in `new` only; the values are lines."""
    for name in sorted(set(new) - set(old)):
        yield Finding(path, new[name], f"{what}: {name}", fatal=fatal)


def _tests(module: ast.Module | None) -> dict[str, _Test]:
    """The test functions by qualified name."""
    found: dict[str, _Test] = {}
    if module is None:
        return found
    pending: list[tuple[str, ast.stmt]] = [("", node) for node in module.body]
    while pending:
        prefix, node = pending.pop(0)
        if isinstance(node, ast.ClassDef):
            pending.extend((f"{prefix}{node.name}.", inner) for inner in node.body)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            found[f"{prefix}{node.name}"] = _Test(node.lineno, _assertions(node), _skips(node))
        elif isinstance(node, ast.If | ast.Try | ast.With):
            pending.extend((prefix, inner) for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt))
    return found


def _assertions(test: ast.AST) -> int:
    """How often a test checks something: `assert`, `self.assertX`, `pytest.raises`, a mock's `assert_called…`."""
    count = 0
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            count += 1
        elif isinstance(node, ast.Call):
            name = _last_name(node.func)
            count += name.startswith(("assert", "fail")) or name in {"raises", "warns", "deprecated_call"}
    return count


def _skips(node: ast.AST) -> int:
    """Marks and calls that keep a test from counting."""
    return sum(
        (isinstance(inner, ast.Attribute) and inner.attr in _SKIPS)
        or (isinstance(inner, ast.Name) and inner.id in _SKIPS)
        for inner in ast.walk(node)
    )


def _module_skips(module: ast.Module | None) -> int:
    """Skips on classes and modules, and the names by which pytest leaves things out."""
    if module is None:
        return 0
    count = 0
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            count += sum(_skips(decorator) for decorator in node.decorator_list)
        elif isinstance(node, ast.Assign):
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
            count += bool(names & {"collect_ignore", "collect_ignore_glob", "__test__"})
            count += _skips(node.value) if "pytestmark" in names else 0
    return count + sum(_skips(node) for node in module.body if isinstance(node, ast.Expr | ast.If))


def _exits(module: ast.Module | None) -> dict[str, int]:
    """Calls that end the process behind the runner's back."""
    found: dict[str, int] = {}
    for node in ast.walk(module) if module else ():
        if isinstance(node, ast.Attribute | ast.Name):
            name = _last_name(node)
            if name in {"_exit", "abort", "_Exit"} or (name == "kill" and "os" in ast.dump(node)):
                found.setdefault(f"os.{name}", node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            found.update(
                {f"os.{alias.name}": node.lineno for alias in node.names if alias.name in {"_exit", "abort", "kill"}}
            )
    return found


def _hooks(module: ast.Module | None) -> dict[str, int]:
    """Hooks that decide outcomes, the runner's private parts, and assignments to its public ones."""
    found: dict[str, int] = {}
    for node in ast.walk(module) if module else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in _RUNNER_HOOKS:
            found.setdefault(node.name, node.lineno)
        elif isinstance(node, ast.Import):
            found.update({alias.name: node.lineno for alias in node.names if alias.name.split(".")[0] == "_pytest"})
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "_pytest":
            found.setdefault(node.module or "_pytest", node.lineno)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.search(r"\b_pytest\b|xmlpath|\.coder-report", node.value)
        ):
            found.setdefault(repr(node.value[:40]), node.lineno)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            root = ast.unparse(node)
            if root.startswith(("pytest.", "unittest.", "sys.exit", "os._exit")):
                found.setdefault(root[:60], node.lineno)
    return found


def _awareness(module: ast.Module | None) -> dict[str, int]:
    """Where source (not a docstring) names the test runner: imports, names and strings."""
    found: dict[str, int] = {}
    docstrings = _docstrings(module)
    for node in ast.walk(module) if module else ():
        texts: list[str] = []
        if isinstance(node, ast.Import):
            texts = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            texts = [node.module or ""]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            texts = [node.value]
        for text in texts:
            match = _RUNNER_NAMES.search(text)
            if match:
                found.setdefault(match[0], getattr(node, "lineno", 1))
    return found


def _docstrings(module: ast.Module | None) -> frozenset[int]:
    """The ids of nodes that are strings standing alone."""
    nodes = ast.walk(module) if module else ()
    return frozenset(id(node.value) for node in nodes if isinstance(node, ast.Expr))


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _lines(data: bytes | None) -> list[str]:
    return (data or b"").decode("utf-8", "replace").splitlines()


def _first_change(old: bytes | None, new: bytes | None) -> int:
    """The first line in which two files differ."""
    was, now = _lines(old), _lines(new)
    for number, (left, right) in enumerate(zip(was, now, strict=False), start=1):
        if left != right:
            return number
    return min(len(was), len(now)) + 1
