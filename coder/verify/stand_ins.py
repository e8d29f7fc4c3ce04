"""Tests that replace by a stand-in the very thing that the patch changes: they prove the stand-in."""

import ast
import posixpath
import re
from collections.abc import Collection, Iterator
from typing import Final

from coder.verify.basis import Finding

_PATCHERS: Final = frozenset({"patch", "object", "setattr", "patch_object", "when", "spy", "stub"})
_MIN_NAME = 3

_MODULE: Final = re.compile(
    r"\b(?:jest|vi|vitest|mock|td)\.(?:mock|doMock|setMock|unstable_mockModule|module|replace|replaceEsm)\(\s{0,20}(?:import\(\s{0,9})?"
    r"""(["'`])(?P<module>(?:\.{1,2}|[@~])/[^"'`\n]{1,200})\1"""
)
"""How tests in JavaScript put another module in the place of one of the repository's own."""
_ACTUAL: Final = re.compile(r"requireActual|importActual|importOriginal")
_FACTORY_CHARS: Final = 400
_SUFFIX: Final = re.compile(r"(?:/index)?\.[cm]?[jt]sx?$")

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


def module_stand_ins(path: str, old: bytes | None, new: bytes | None, changed: Collection[str]) -> Iterator[Finding]:
    """A finding for each changed source file in whose place a test in JavaScript puts another module now, and did not before.

    Not so where the rest of the module stays what it is: then it is some part beside what is tested.
    """
    stems = {_SUFFIX.sub("", one): one for one in changed if _SUFFIX.search(one)}
    was, now = (_modules(path, (data or b"").decode("utf-8", "replace"), stems) for data in (old, new))
    for stem in sorted(now.keys() - was.keys()):
        yield Finding(path, now[stem], f"replaces {stems[stem]}, which the patch changes, by a stand-in")


def _modules(path: str, text: str, stems: Collection[str]) -> dict[str, int]:
    """Which of the files a test puts something else in place of, with the line."""
    found: dict[str, int] = {}
    for match in _MODULE.finditer(text):
        name = _SUFFIX.sub("", match["module"])
        if name.startswith("."):
            meant = {posixpath.normpath(posixpath.join(posixpath.dirname(path), name))}
        else:
            meant = {stem for stem in stems if f"/{stem}".endswith(name[1:])}
        if not _ACTUAL.search(text, match.end(), match.end() + _FACTORY_CHARS):
            for stem in meant.intersection(stems):
                found.setdefault(stem, text.count("\n", 0, match.start()) + 1)
    return found


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
