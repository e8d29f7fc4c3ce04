"""The look at what a patch does to tests: the same test before and after, never a count of smells."""

import ast
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from coder.verify.basis import Finding
from coder.verify.integrity_settings import conftest_findings, definitions, settings_findings
from coder.verify.mirrors import answers_by_lines, answers_in, mirrored
from coder.verify.ruses import equal_to_anything, reads_source, replaced_modules, turned_outcomes
from coder.verify.shape import Shape, compared, fresh
from coder.verify.shape_lines import known, line_shapes, skips_outside
from coder.verify.shape_python import elsewhere, shapes, skips
from coder.verify.stand_ins import changed_functions, module_stand_ins, stand_ins
from coder.verify.tests_of import is_test, shadows_runner, tests_of

Read = Callable[[str], bytes | None]
"""A file's bytes on one side of the patch; None where it does not exist."""

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
_PLACES: Final = re.compile(r"^(?:CI|GITHUB_ACTIONS|CONTINUOUS_INTEGRATION)$|\.coder(?![\w.])|^\.coder$|^/workspace\b")
_MAX_SOURCE_BYTES: Final = 1_000_000
_WHOLE: Final = "a whole class or module of tests may now be skipped or not collected"

Module = ast.Module | None
Pair = tuple[Module, Module]
"""A file before and after."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the look at a patch's tests found."""

    findings: tuple[Finding, ...]
    accounted: frozenset[tuple[str, str]]
    """Tests that are gone by path and name, while others check what they checked: renamed, moved, made rows of a table."""


def findings(paths: Iterable[str], before: Read, after: Read) -> tuple[Finding, ...]:
    """What a patch that touches `paths` does to the tests of the repository, sorted by place."""
    return inspected(paths, before, after).findings


def inspected(paths: Iterable[str], before: Read, after: Read) -> Inspection:
    """The same, with the tests that are accounted for.

    A fatal finding means that the test runner itself may be bent: modules that shadow it, hooks that rewrite outcomes,
    processes ended from within tests, source that asks whether it is being tested.
    """
    touched = sorted(set(paths))
    kinds = tests_of(touched)
    old = {path: data for path in touched if (data := before(path)) is not None}
    new = {path: data for path in touched if (data := after(path)) is not None}
    found = [*settings_findings(kinds, old, new), *_shadows(touched, old, new)]
    modules: dict[str, Pair] = {}
    for path in touched:
        if path.endswith(".py"):
            pair = _parsed(old.get(path)), _parsed(new.get(path))
            if isinstance(pair[0], SyntaxError) or isinstance(pair[1], SyntaxError):
                found.extend(
                    _unparsed(path, old.get(path), new.get(path), compares=is_test(path) or path in kinds.config)
                )
            else:
                modules[path] = pair[0], pair[1]
    tests = {path: pair for path, pair in modules.items() if is_test(path) or path in kinds.config}
    sources = {path: pair for path, pair in modules.items() if path not in tests}
    for path, pair in tests.items():
        others = frozenset[str]().union(*(definitions(now) for other, (_, now) in tests.items() if other != path))
        found.extend(_test_file(path, *pair, others))
    for path, pair in sources.items():
        found.extend(_source_file(path, *pair))
    for path, pair in tests.items():
        found.extend(reads_source(path, *pair, sources))
    for path in touched:
        found.extend(turned_outcomes(path, old.get(path), new.get(path)))
        found.extend(replaced_modules(path, old.get(path), new.get(path)))
        found.extend(_left_out(path, old.get(path), new.get(path)))
    found.extend(_replaced(touched, tests, sources, (old, new)))
    was, now, pool = _shapes(touched, tests, old, new)
    comparison = compared(was, now, pool)
    found.extend(comparison.findings)
    found.extend(_mirrored(touched, sources, (old, new), fresh(was, now)))
    ordered = tuple(sorted(found, key=lambda finding: (finding.path, finding.line, finding.what)))
    return Inspection(ordered, comparison.accounted)


def _replaced(
    touched: Iterable[str],
    tests: Mapping[str, Pair],
    sources: Mapping[str, Pair],
    sides: tuple[Mapping[str, bytes], Mapping[str, bytes]],
) -> Iterator[Finding]:
    """Stand-ins in tests for what the patch changes: functions in Python, modules in JavaScript."""
    changed = frozenset[str]().union(*(changed_functions(*pair) for pair in sources.values()))
    for path, pair in tests.items():
        yield from stand_ins(path, *pair, changed)
    ours, (old, new) = [path for path in touched if not is_test(path)], sides
    for path in touched:
        if is_test(path):
            yield from module_stand_ins(path, old.get(path), new.get(path), ours)


def _mirrored(
    touched: Iterable[str],
    sources: Mapping[str, Pair],
    sides: tuple[Mapping[str, bytes], Mapping[str, bytes]],
    tests: Collection[Shape],
) -> Iterator[Finding]:
    """What the source answers as its `tests` put it, in every language that we can look at."""
    for path, (was, now) in sources.items():
        yield from mirrored(path, answers_in(was), answers_in(now), tests)
    for path in touched:
        if known(path) and not is_test(path):
            was_text, now_text = (side.get(path) for side in sides)
            yield from mirrored(path, answers_by_lines(was_text), answers_by_lines(now_text), tests)


def _shapes(
    touched: Iterable[str], tests: Mapping[str, Pair], old: Mapping[str, bytes], new: Mapping[str, bytes]
) -> tuple[dict[str, dict[str, Shape]], dict[str, dict[str, Shape]], frozenset[str]]:
    """The tests of all files before and after, and the literals that stand beside them after."""
    was = {path: shapes(pair[0]) for path, pair in tests.items()}
    now = {path: shapes(pair[1]) for path, pair in tests.items()}
    pool = frozenset[str]().union(*(elsewhere(pair[1]) for pair in tests.values()))
    for path in touched:
        if known(path) and is_test(path):
            was[path], _ = line_shapes(path, old.get(path))
            now[path], beside = line_shapes(path, new.get(path))
            pool |= beside
    return was, now, pool


def _shadows(paths: Iterable[str], old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Iterator[Finding]:
    for path in paths:
        if shadows_runner(path) and path not in old and path in new:
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


def _unparsed(path: str, old: bytes | None, new: bytes | None, *, compares: bool) -> Iterator[Finding]:
    """What can be told of a file in words that our own Python does not know, such as those of a later one: by its lines.

    Code that no Python can read ends no run well.
    """
    if compares and old is not None:
        yield Finding(path, 1, "does not parse, so its tests cannot be compared")
    was = {line.strip() for line in (old or b"").splitlines()}
    for number, line in enumerate((new or b"").splitlines(), start=1):
        text = line.partition(b"#")[0].decode("utf-8", "replace")
        for what, pattern, fatal in _TELLING:
            if line.strip() not in was and (match := pattern.search(text)) and (fatal is None or not compares):
                yield Finding(path, number, f"{what}: {match[0]}", fatal=compares if fatal is None else fatal)


_TELLING: Final = (
    ("ends the process without clean-up", re.compile(r"\b(?:_exit|_Exit|os\.abort|os\.kill)\b"), None),
    ("code that knows of the test runner", _RUNNER_NAMES, True),
    (
        "code that knows where tests are run",
        re.compile(r"""["'](?:CI|GITHUB_ACTIONS|CONTINUOUS_INTEGRATION)["']"""),
        False,
    ),
)
"""What a line tells, and whether it is fatal; None: in tests it is. What else is of no matter in tests."""


def _test_file(path: str, old: Module, new: Module, others: frozenset[str]) -> Iterator[Finding]:
    if path.rpartition("/")[2] == "conftest.py":
        yield from conftest_findings(path, old, new, others)
    if old and _module_skips(new) > _module_skips(old):
        yield Finding(path, 1, _WHOLE)
    yield from _new_lines(path, _exits(old), _exits(new), "ends the process from within a test run", fatal=True)
    yield from _new_lines(path, _hooks(old), _hooks(new), "bends how test outcomes are made or reported", fatal=True)


def _source_file(path: str, old: ast.Module | None, new: ast.Module | None) -> Iterator[Finding]:
    if path.rsplit("/", 1)[-1] in _PACKAGING:
        return
    yield from _new_lines(path, _awareness(old), _awareness(new), "code that knows of the test runner", fatal=True)
    yield from _new_lines(path, {}, equal_to_anything(old, new), "a comparison that always holds", fatal=True)
    yield from _new_lines(path, _exits(old), _exits(new), "ends the process without clean-up", fatal=False)
    yield from _new_lines(path, _places(old), _places(new), "code that knows where tests are run", fatal=False)


def _new_lines(
    path: str, old: Mapping[str, int], new: Mapping[str, int], what: str, *, fatal: bool
) -> Iterator[Finding]:
    """A finding for each thing that occurs in `new` only; the values are lines."""
    for name in sorted(set(new) - set(old)):
        yield Finding(path, new[name], f"{what}: {name}", fatal=fatal)


def _left_out(path: str, old: bytes | None, new: bytes | None) -> Iterator[Finding]:
    """A finding for a file of tests in another language, some or all of which are left out now."""
    if old is not None and known(path) and is_test(path) and skips_outside(path, new) > skips_outside(path, old):
        yield Finding(path, 1, _WHOLE)


def _module_skips(module: ast.Module | None) -> int:
    """Skips on classes and modules, and the names by which pytest leaves things out."""
    if module is None:
        return 0
    count = 0
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            count += sum(skips(decorator) for decorator in node.decorator_list)
        elif isinstance(node, ast.Assign):
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
            count += bool(names & {"collect_ignore", "collect_ignore_glob", "__test__"})
            count += skips(node.value) if "pytestmark" in names else 0
    return count + sum(skips(node) for node in module.body if isinstance(node, ast.Expr | ast.If))


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


def _places(module: ast.Module | None) -> dict[str, int]:
    """Where source names what only a place that runs tests has: the variables of CI, our own files."""
    docstrings = _docstrings(module)
    found: dict[str, int] = {}
    for node in ast.walk(module) if module else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            match = _PLACES.search(node.value)
            if match:
                found.setdefault(match[0], node.lineno)
    return found


def _docstrings(module: ast.Module | None) -> frozenset[int]:
    """The ids of nodes that are strings standing alone."""
    nodes = ast.walk(module) if module else ()
    return frozenset(id(node.value) for node in nodes if isinstance(node, ast.Expr))


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
