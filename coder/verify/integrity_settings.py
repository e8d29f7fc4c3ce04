"""The look at what decides how tests run: runner settings, coverage thresholds, CI files, conftest.py."""

import ast
import configparser
import json
import posixpath
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Final

from coder.verify.basis import Finding
from coder.verify.launchers import scripts_of_tests
from coder.verify.tests_of import TestPaths

Tables = Mapping[str, object]
_FLOORS: Final = re.compile(r"(?:fail.?under|branches|functions|lines|statements|threshold)", re.IGNORECASE)
_TOOLS: Final = (
    "pytest",
    "coverage",
    "tox",
    "nox",
    "hatch",
    "pdm",
    "poe",
    "mutmut",
    "vitest",
    "jest",
    "mocha",
    "nyc",
    "c8",
    "ava",
)
_SECTIONS: Final = re.compile(r"tool:pytest|pytest|coverage:.*|testenv.*|tox|aliases|nosetests|unittest")
_MAKE_TARGET: Final = re.compile(r"(?m)^(?:test|check)[^:\n]*:[^\n]*(?:\n\t[^\n]*)*")


def settings_findings(kinds: TestPaths, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[Finding]:
    """What a patch changes of how tests run; `before` and `after` hold the files that exist on either side."""
    for path in kinds.ci:
        yield Finding(
            path, first_change(before, after, path), "decides what continuous integration checks, and was changed"
        )
    for path in kinds.config:
        if posixpath.basename(path) == "conftest.py":
            continue  # its syntax is looked at
        yield Finding(path, first_change(before, after, path), "decides how tests run, and was changed")
    for path in kinds.mixed:
        old, new = _settings(path, before.get(path)), _settings(path, after.get(path))
        if old.get("scripts") != new.get("scripts"):
            yield Finding(
                path, first_change(before, after, path), "the script that runs the tests was changed", fatal=True
            )
        elif not _tightened(old, new):
            yield Finding(path, _line_of(before, after, path), "its settings of tests or coverage were changed")


def _settings(path: str, data: bytes | None) -> Tables:
    """What of a file decides how tests run; what cannot be read decides all of it."""
    text = (data or b"").decode("utf-8", "replace")
    name = posixpath.basename(path)
    try:
        if name == "Cargo.toml":
            found: Tables = _of_cargo(tomllib.loads(text))
        elif name.endswith(".toml"):
            tool = tomllib.loads(text).get("tool", {})
            found = _chosen(tool) if isinstance(tool, dict) else {}
        elif name.endswith(".json"):
            package = json.loads(text or "{}")
            found = {"scripts": scripts_of_tests(data or b""), **_chosen(package)} if isinstance(package, dict) else {}
        elif name.endswith(".cfg"):
            found = _of_ini(text)
        else:
            found = {"targets": _MAKE_TARGET.findall(text)}
    except (ValueError, RecursionError, configparser.Error):
        return {"": text}
    return found


def _chosen(tables: Tables) -> Tables:
    return {key: tables[key] for key in _TOOLS if key in tables}


def _of_ini(text: str) -> Tables:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(text)
    return {section: dict(parser.items(section)) for section in parser.sections() if _SECTIONS.fullmatch(section)}


def _of_cargo(manifest: Tables) -> Tables:
    """Which targets have tests, and whether they are run by the harness that tells of them."""
    library = manifest.get("lib")
    chosen = (
        {key: library[key] for key in ("test", "doctest", "harness") if key in library}
        if isinstance(library, dict)
        else {}
    )
    targets = {key: manifest[key] for key in ("test", "example", "patch", "replace") if key in manifest}
    return {
        **targets,
        **chosen,
        "autotests": _at(manifest, "package", "autotests"),
        "profile": _at(manifest, "profile", "test"),
    }


def _at(table: object, *keys: str) -> object:
    for key in keys:
        table = table.get(key) if isinstance(table, Mapping) else None
    return table


def _tightened(old: object, new: object) -> bool:
    """Whether nothing differs but thresholds that were raised."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = {*old, *new}
        return all(
            _tightened(old.get(key), new.get(key))
            or (bool(_FLOORS.search(str(key))) and _raised(old.get(key), new.get(key)))
            for key in keys
        )
    return old == new


def _raised(old: object, new: object) -> bool:
    try:
        return float(str(new)) >= (0.0 if old is None else float(str(old)))
    except ValueError:
        return False


def first_change(before: Mapping[str, bytes], after: Mapping[str, bytes], path: str) -> int:
    """The first line in which two files differ."""
    was, now = _lines(before.get(path)), _lines(after.get(path))
    for number, (left, right) in enumerate(zip(was, now, strict=False), start=1):
        if left != right:
            return number
    return min(len(was), len(now)) + 1


def _line_of(before: Mapping[str, bytes], after: Mapping[str, bytes], path: str) -> int:
    """The first changed line that names a tool of tests, else the first changed one."""
    was, now = set(_lines(before.get(path))), _lines(after.get(path))
    words = re.compile("|".join((*_TOOLS, "testpaths", "addopts", "fail.?under", "filterwarnings")))
    changed = [number for number, line in enumerate(now, start=1) if line not in was and words.search(line)]
    return changed[0] if changed else first_change(before, after, path)


def _lines(data: bytes | None) -> list[str]:
    return (data or b"").decode("utf-8", "replace").splitlines()


# --- conftest.py ---------------------------------------------------------------------------------------------------------


def conftest_findings(
    path: str, old: ast.Module | None, new: ast.Module | None, elsewhere: frozenset[str]
) -> Iterator[Finding]:
    """What a change of a conftest.py may bend: hooks, what is collected, fixtures that all tests get or that exist already.

    New fixtures that tests ask for by name are ordinary, and so is moving one: `elsewhere` are the dumps of definitions that
    the patch's other files have.
    """
    was, now = _definitions(old), _definitions(new)
    for name, node in now.items():
        if name in was and ast.dump(was[name]) == ast.dump(node):
            continue
        what = _bends(name, node, known=name in was)
        if what:
            yield Finding(path, node.lineno, what)
    for name, node in was.items():
        if name not in now and isinstance(node, _Definition) and ast.dump(node) not in elsewhere:
            yield Finding(path, node.lineno, f"{name}, which tests use already, was taken away")


_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _bends(name: str, node: ast.stmt, *, known: bool) -> str:
    """What a statement that is new or changed may do to tests that do not ask for it."""
    plain = isinstance(node, _Definition | ast.Assign | ast.AnnAssign)
    if not plain or name.startswith("pytest_") or name in {"collect_ignore", "collect_ignore_glob"}:
        return f"decides how tests run, and was changed{f': {name}' if plain else ''}"
    if known:
        return f"{name}, which tests use already, was changed"
    return f"the fixture {name} is used by every test without being asked for" if _autouse(node) else ""


def definitions(module: ast.Module | None) -> frozenset[str]:
    """The dumps of what a module defines."""
    return frozenset(ast.dump(node) for node in _definitions(module).values())


def _definitions(module: ast.Module | None) -> dict[str, ast.stmt]:
    """The statements of a module by what they define; those that define nothing by their text."""
    found: dict[str, ast.stmt] = {}
    for node in module.body if module else ():
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            found[ast.unparse(node.targets[0])] = node
        else:
            found[ast.dump(node)] = node
    return found


def _autouse(node: ast.stmt) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(keyword.arg == "autouse" for one in decorators if isinstance(one, ast.Call) for keyword in one.keywords)
