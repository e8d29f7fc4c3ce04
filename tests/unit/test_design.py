"""Ratchets: the shape of the code, kept by tests."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from coder import errors
from coder.tools.apply_patch import ApplyPatchArguments
from coder.tools.ask import AskArguments
from coder.tools.base import Arguments, schema
from coder.tools.codemap import CodeMapArguments
from coder.tools.edit import EditArguments
from coder.tools.files import ListArguments, ReadArguments, SearchArguments
from coder.tools.plan import PlanArguments
from coder.tools.recall import RecallArguments
from coder.tools.remember import RememberArguments
from coder.tools.rollback import RollbackArguments
from coder.tools.run import ProcessesArguments, RunArguments, RunTestsArguments
from coder.tools.submit import SubmitArguments

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(p for name in ("coder", "webhooks", "tests", "benchmarks") for p in (ROOT / name).rglob("*.py"))
PRODUCT = [p for p in SOURCES if p.relative_to(ROOT).parts[0] in {"coder", "webhooks"}]
TOOLS: dict[str, type[Arguments]] = {
    "apply_patch": ApplyPatchArguments,
    "ask": AskArguments,
    "code_map": CodeMapArguments,
    "edit": EditArguments,
    "list": ListArguments,
    "plan": PlanArguments,
    "processes": ProcessesArguments,
    "read": ReadArguments,
    "recall": RecallArguments,
    "remember": RememberArguments,
    "rollback": RollbackArguments,
    "run": RunArguments,
    "run_tests": RunTestsArguments,
    "search": SearchArguments,
    "submit": SubmitArguments,
}


def definitions(kind: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kind):
                yield f"{path.relative_to(ROOT)}:{getattr(node, 'name', '')}", node


def length(node: ast.AST) -> int:
    return (getattr(node, "end_lineno", 0) or 0) - getattr(node, "lineno", 0) + 1


def test_no_file_is_longer_than_400_lines() -> None:
    assert {str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 400} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    assert {name: length(node) for name, node in definitions(ast.FunctionDef) if length(node) > 60} == {}


def test_no_class_is_longer_than_250_lines_or_has_more_than_15_methods() -> None:
    classes = list(definitions(ast.ClassDef))
    methods = {
        name: len([n for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("__")])
        for name, node in classes
        if isinstance(node, ast.ClassDef)
    }

    assert {name: length(node) for name, node in classes if length(node) > 250} == {}
    assert {name: count for name, count in methods.items() if count > 15} == {}


def test_the_loop_stays_a_page() -> None:
    assert len((ROOT / "coder/agent/loop.py").read_text().splitlines()) <= 120


@pytest.mark.parametrize("module", ["coder.cli", "coder.settings", "coder.codemap.map"])
def test_starting_loads_no_heavy_library(module: str) -> None:
    program = f"import sys, {module}; print([m for m in ('litellm', 'docker', 'github', 'dbos', 'fastapi') if m in sys.modules])"

    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT)

    assert shown.stdout.strip() == "[]"


def test_a_map_loads_no_library_of_the_other_commands() -> None:
    heavy = (
        *("pydantic", "typer", "click", "rich", "yaml", "asyncio", "importlib.metadata"),
        *("dataclasses", "inspect", "logging", "socket", "shutil", "tempfile", "tree_sitter", "coder.codemap.parse"),
    )
    program = f"import sys, coder.local_map; print([m for m in {heavy} if m in sys.modules])"

    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT)

    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_has_a_prompt_and_a_strict_schema(name: str) -> None:
    assert (ROOT / "coder/prompts/tools" / f"{name}.md").read_text().strip()

    def check(node: dict[str, object]) -> None:
        assert "type" in node, node
        assert "$ref" not in node
        if node["type"] == "object":
            assert node["additionalProperties"] is False
            properties = node["properties"]
            assert isinstance(properties, dict)
            for inner in properties.values():
                check(inner)
        if node["type"] == "array":
            items = node["items"]
            assert isinstance(items, dict)
            check(items)

    check(schema(TOOLS[name]))


def test_the_system_prompt_and_the_tools_fit_into_16_kb() -> None:
    prompts = ROOT / "coder/prompts"
    text = (prompts / "system.md").read_text() + "".join(p.read_text() for p in (prompts / "tools").glob("*.md"))
    schemas = "".join(json.dumps(schema(arguments)) for arguments in TOOLS.values())

    assert len((text + schemas).encode()) <= 16 * 1024


def test_every_error_is_ours_and_has_a_code_of_its_own() -> None:
    classes = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, Exception)]
    found = [e for e in classes if issubclass(e, errors.CoderError)]
    # One that is a kind of another has its code.
    codes = [e.exit_code for e in found if "exit_code" in vars(e)]

    assert found == classes
    assert len(set(codes)) == len(codes)
    assert all(64 <= code <= 79 for code in codes)


def test_every_configuration_file_is_toml() -> None:
    files = [*(ROOT / "configs").rglob("*.toml"), *(ROOT / "sandbox_images").rglob("*.toml")]

    assert files
    for path in files:
        tomllib.loads(path.read_text())


def test_every_command_in_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text()
    blocks = "\n".join(re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL))
    coder = {m[1] for m in re.finditer(r"(?m)^(?:\$ )?coder ([a-z-]+)", blocks)}
    make = {m[1] for m in re.finditer(r"(?m)^(?:\$ )?make ([a-z]+)", blocks)}
    helped = subprocess.run(
        [sys.executable, "-m", "coder", "--help"], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout
    targets = (ROOT / "Makefile").read_text()

    assert coder
    assert {name for name in coder if f" {name} " not in helped} == set()
    assert {name for name in make if f"\n{name}:" not in targets} == set()


def test_nothing_committed_names_this_kind_of_machine() -> None:
    git = shutil.which("git")
    assert git is not None
    tracked = subprocess.run([git, "ls-files", "-z"], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    hosts = ["py" + "pi.org", "python" + "hosted.org", "registry.npm" + "js.org", "deb." + "debian.org"]

    found = [
        name
        for name in tracked.split("\0")
        if name and (ROOT / name).is_file() and any(h in (ROOT / name).read_text("utf-8", "replace") for h in hosts)
    ]

    assert found == []
