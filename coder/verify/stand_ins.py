"""Tests that replace by a stand-in the very thing that the patch changes: they prove the stand-in."""

import ast
from collections.abc import Iterator
from typing import Final

from coder.verify.basis import Finding

_PATCHERS: Final = frozenset({"patch", "object", "setattr", "patch_object", "when", "spy", "stub"})
_MIN_NAME = 3

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def changed_functions(old: ast.Module | None, new: ast.Module | None) -> frozenset[str]:
    """The functions and classes of a source file that a patch adds or changes."""
    was, now = _dumps(old), _dumps(new)
    return frozenset(name for name, dump in now.items() if was.get(name) != dump and not name.startswith("__"))


def _dumps(module: ast.Module | None) -> dict[str, str]:
    nodes = ast.walk(module) if module else ()
    return {node.name: ast.dump(node) for node in nodes if isinstance(node, Function) and len(node.name) >= _MIN_NAME}


def stand_ins(path: str, old: ast.Module | None, new: ast.Module | None, changed: frozenset[str]) -> Iterator[Finding]:
    """A finding for each changed function that the tests replace now and did not before."""
    was, now = _replaced(old, changed), _replaced(new, changed)
    for name in sorted(set(now) - set(was)):
        yield Finding(path, now[name], f"replaces {name}, which the patch changes, by a stand-in")


def _replaced(module: ast.Module | None, changed: frozenset[str]) -> dict[str, int]:
    """Which of the functions a file of tests puts something else in place of, with the line."""
    found: dict[str, int] = {}
    if module is None or not changed:
        return found
    imported = {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(module):
        names: list[str] = []
        if isinstance(node, ast.Call) and _last(node.func) in _PATCHERS:
            strings = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            names = [text.rpartition(".")[2] for text in strings]
        elif isinstance(node, ast.Assign):
            # Only what was imported can be replaced by its bare name; a local variable of that name replaces nothing.
            names = [
                _last(target)
                for target in node.targets
                if isinstance(target, ast.Attribute) or (isinstance(target, ast.Name) and target.id in imported)
            ]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in imported:
            names = [node.name]
        for name in names:
            if name in changed:
                found.setdefault(name, getattr(node, "lineno", 1))
    return found


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
