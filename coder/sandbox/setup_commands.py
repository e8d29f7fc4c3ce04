"""What a setup phase runs, detected from the marker files in the repository's root. A pure decision."""

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

VENV = "/opt/coder/venv"
"""Made by the python image, outside the work tree; its `bin` is first on every sandbox's PATH."""
TEST_GROUPS = ("test", "tests", "testing", "dev")
"""Extras and dependency groups under which projects keep what their tests need."""
PIP = f"{VENV}/bin/python -m pip install --no-input --disable-pip-version-check --no-cache-dir"


def detected(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """The commands that make the repository's tests runnable; none when nothing is to be installed."""
    kinds: tuple[Callable[[Mapping[str, bytes]], tuple[str, ...]], ...] = (_python, _node, _go)
    return tuple(command for kind in kinds for command in kind(files))


def _python(files: Mapping[str, bytes]) -> tuple[str, ...]:
    project = _pyproject(files)
    installs = [f"{PIP} -r {shlex.quote(path)}" for path in _requirement_files(files)]
    if _is_package(files, project):
        extras = [name for name in TEST_GROUPS if name in _table(project, "project", "optional-dependencies")]
        target = shlex.quote(f".[{','.join(extras)}]" if extras else ".")
        if _backend(project) == "setuptools":
            # With the distribution's setuptools a project without dependencies needs no network.
            installs.append(f"{PIP} --no-build-isolation -e {target} || {PIP} -e {target}")
        else:
            installs.append(f"{PIP} -e {target}")
    groups = _group_requirements(project)
    if groups:
        installs.append(f"{PIP} {shlex.join(groups)}")
    return tuple(installs)


def _requirement_files(files: Mapping[str, bytes]) -> list[str]:
    pattern = re.compile(r"(?:dev[-_]|test[-_])?requirements(?:[-_](?:dev|test|tests))?\.txt")
    return sorted(path for path in files if pattern.fullmatch(path) and _has_requirements(files[path]))


def _has_requirements(content: bytes) -> bool:
    lines = content.decode("utf-8", "replace").splitlines()
    return any(line.strip() and not line.strip().startswith("#") for line in lines)


def _pyproject(files: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        return tomllib.loads(files.get("pyproject.toml", b"").decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}


def _table(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        values = values.get(name, {})
        if not isinstance(values, dict):
            return {}
    return dict(values)


def _is_package(files: Mapping[str, bytes], project: dict[str, Any]) -> bool:
    poetry = _table(project, "tool", "poetry")
    declared = "build-system" in project or "name" in _table(project, "project") or "name" in poetry
    return declared or "setup.py" in files


def _backend(project: dict[str, Any]) -> str:
    backend = _table(project, "build-system").get("build-backend", "setuptools.build_meta")
    return str(backend).partition(".")[0]


def _group_requirements(project: dict[str, Any]) -> list[str]:
    """Plain requirements of PEP 735 groups that tests need; the distribution's pip does not know groups yet."""
    groups = _table(project, "dependency-groups")
    found: list[str] = []
    for name in TEST_GROUPS:
        entries = groups.get(name, [])
        if isinstance(entries, list):
            found += [entry for entry in entries if isinstance(entry, str) and not entry.startswith("-")]
    return sorted(set(found))


def _node(files: Mapping[str, bytes]) -> tuple[str, ...]:
    if "package.json" not in files:
        return ()
    if "pnpm-lock.yaml" in files:
        return ("npx --yes pnpm@9 install --frozen-lockfile",)
    if "yarn.lock" in files:
        return ("npx --yes yarn@1 install --frozen-lockfile",)
    if "package-lock.json" in files or "npm-shrinkwrap.json" in files:
        return ("npm ci --no-audit --no-fund",)
    try:
        package = json.loads(files["package.json"])
    except ValueError:
        return ()
    wanted = isinstance(package, dict) and (package.get("dependencies") or package.get("devDependencies"))
    return ("npm install --no-audit --no-fund --no-package-lock",) if wanted else ()


def _go(files: Mapping[str, bytes]) -> tuple[str, ...]:
    content = files.get("go.mod", b"").decode("utf-8", "replace")
    return ("go mod download",) if re.search(r"^\s*require\b", content, re.MULTILINE) else ()
