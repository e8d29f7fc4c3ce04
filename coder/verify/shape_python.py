"""The shapes of tests in Python, by their syntax trees."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from coder.verify.shape import Shape

SKIPS: Final = frozenset(
    {"skip", "skipif", "xfail", "skipIf", "skipUnless", "expectedFailure", "skipTest", "importorskip", "SkipTest"}
)
_REPEATED: Final = frozenset({"flaky", "retry", "rerun", "reruns"})
"""Marks by which a test is tried again; as calls they are what somebody's tests are about."""
_LOOSE_METHODS: Final = frozenset(
    {
        "assertTrue", "assertFalse", "assertIn", "assertNotIn", "assertNotEqual", "assertIsNot", "assertIsNotNone",
        "assertGreater", "assertGreaterEqual", "assertLess", "assertLessEqual", "assert_called", "assert_any_call",
    }
)  # fmt: skip
_RAISES: Final = frozenset({"raises", "warns", "deprecated_call"})
_ANY_ERROR: Final = frozenset({"Exception", "BaseException"})
_SWALLOWING: Final = frozenset({"AssertionError", "Exception", "BaseException"})
_MAX_ROWS: Final = 1_000

Function = ast.FunctionDef | ast.AsyncFunctionDef


def shapes(module: ast.Module | None) -> dict[str, Shape]:
    """The tests of a module by qualified name."""
    functions = dict(_functions(module.body)) if module else {}
    helpers = {name.rpartition(".")[2]: node for name, node in functions.items() if not _is_test(name)}
    return {name: _shape(node, helpers) for name, node in functions.items() if _is_test(name)}


def elsewhere(module: ast.Module | None) -> frozenset[str]:
    """The literals outside of tests: tables, constants, fixtures, helpers."""
    found: set[str] = set()
    for node in module.body if module else ():
        if not (isinstance(node, Function) and node.name.startswith("test")):
            found |= _constants(node)
    return frozenset(found)


def _functions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Function]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, Function):
            yield f"{prefix}{node.name}", node
        elif isinstance(node, ast.If):
            # Under a condition that never holds nothing is defined.
            yield from _functions([*([] if _never(node.test) else node.body), *node.orelse], prefix)
        elif isinstance(node, ast.Try | ast.With):
            yield from _functions(
                [inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt)], prefix
            )


def _is_test(name: str) -> bool:
    return name.rpartition(".")[2].startswith("test")


def _never(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and not test.value


def _shape(node: Function, helpers: Mapping[str, Function]) -> Shape:
    live = _live(node.body)
    called = _called(live)
    for helper in (helpers[name] for name in sorted(called & set(helpers))):
        if not any(_name(_bare(decorator)) == "fixture" for decorator in helper.decorator_list):
            live = [*live, *_live(helper.body)]
    counts = [_counted(part) for part in live]
    rows = _rows(node)
    marks = [_name(_bare(decorator)) for decorator in node.decorator_list]
    return Shape(
        line=node.lineno,
        strict=sum(strict for strict, _ in counts) * rows,
        loose=sum(loose for _, loose in counts) * rows,
        skips=skips(node),
        delays=sum(_name(inner) == "sleep" for inner in ast.walk(node)) + sum(mark in _REPEATED for mark in marks),
        constants=frozenset[str]().union(*(_constants(part) for part in (*live, *node.decorator_list))),
        names=frozenset(name for name in _called(live) if not _checks(name)),
    )


def _live(body: list[ast.stmt]) -> list[ast.AST]:
    """The statements that are reached and whose failure is told, and the expressions at the head of compound ones."""
    found: list[ast.AST] = []
    for node in body:
        if isinstance(node, ast.Assert) and _of_assert(node.test) == (0, 0):
            continue
        if isinstance(node, ast.If) and _never(node.test):
            found.extend(_live(node.orelse))
        elif isinstance(node, ast.Try) and any(_swallows(handler) for handler in node.handlers):
            found.extend(_live([*node.orelse, *node.finalbody]))
        elif blocks := [block for key in _BLOCKS if (block := getattr(node, key, []))]:
            heads = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr | ast.withitem)]
            handlers = [handler.body for handler in getattr(node, "handlers", [])]
            found.extend([*heads, *(inner for block in [*blocks, *handlers] for inner in _live(block))])
        else:
            found.append(node)
        if isinstance(node, ast.Return | ast.Raise):
            break
    return found


_BLOCKS: Final = ("body", "orelse", "finalbody")


def skips(node: ast.AST) -> int:
    """Marks and calls that keep a test from counting."""
    return sum(
        (isinstance(inner, ast.Attribute) and inner.attr in SKIPS and _of_runner(inner))
        or (isinstance(inner, ast.Name) and inner.id in SKIPS)
        for inner in ast.walk(node)
    )


def _of_runner(mark: ast.Attribute) -> bool:
    """Whether a name is the runner's: many things under test can `skip`."""
    return mark.attr != "skip" or _name(mark.value) in {"pytest", "_pytest", "mark", "unittest", "pt"}


def _swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a failing assertion ends here, and nothing is said of it."""
    kinds = {_name(node) for node in ast.walk(handler.type)} if handler.type else {"AssertionError"}
    told = any(
        isinstance(inner, ast.Raise | ast.Assert | ast.Call) for node in handler.body for inner in ast.walk(node)
    )
    return bool(kinds & _SWALLOWING) and not told


def _counted(part: ast.AST) -> tuple[int, int]:
    """Strict and loose checks of a statement or expression."""
    if isinstance(part, ast.Assert):
        return _of_assert(part.test)
    counts = [_of_call(inner) for inner in ast.walk(part) if isinstance(inner, ast.Call)]
    return sum(one for one, _ in counts), sum(two for _, two in counts)


def _of_assert(test: ast.expr) -> tuple[int, int]:
    if isinstance(test, ast.Constant):
        return 0, 0 if test.value else 1
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        counts = [_of_assert(value) for value in test.values]
        return sum(one for one, _ in counts), sum(two for _, two in counts)
    if not isinstance(test, ast.Compare):
        return 0, 1
    sides = [ast.dump(side) for side in (test.left, *test.comparators)]
    if len(set(sides)) == 1 and any(isinstance(inner, ast.Call) for inner in ast.walk(test.left)):
        return 0, 0  # what is compared with itself is not checked
    return (1, 0) if all(isinstance(op, ast.Eq | ast.Is) for op in test.ops) else (0, 1)


def _of_call(call: ast.Call) -> tuple[int, int]:
    name = _name(call.func)
    if name in _RAISES:
        return (0, 1) if call.args and _name(call.args[0]) in _ANY_ERROR else (1, 0)
    if not _checks(name):
        return 0, 0
    return (0, 1) if name in _LOOSE_METHODS else (1, 0)


def _checks(name: str) -> bool:
    return name.startswith(("assert", "fail")) or name in _RAISES


def _rows(node: Function) -> int:
    """How often a parametrised test runs, at least."""
    rows = 1
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and _name(decorator.func) == "parametrize" and len(decorator.args) > 1:
            table = decorator.args[1]
            if isinstance(table, ast.List | ast.Tuple | ast.Set):
                rows *= max(1, len(table.elts))
    return min(rows, _MAX_ROWS)


def _called(parts: Iterable[ast.AST]) -> frozenset[str]:
    names = {_name(inner.func) for part in parts for inner in ast.walk(part) if isinstance(inner, ast.Call)}
    return frozenset(names - {"", "parametrize", "param"})


def _constants(node: ast.AST) -> set[str]:
    """Literals, without docstrings and what is the same in every test."""
    aside = {
        id(inner.value)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant)
    }
    return {
        repr(inner.value)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Constant)
        and id(inner) not in aside
        and isinstance(inner.value, str | bytes | int | float | complex)
        and not isinstance(inner.value, bool)
    }


def _bare(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _name(node: ast.AST | None) -> str:
    """The last name of a dotted one."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
