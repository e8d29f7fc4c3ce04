"""Plug-ins that break with the pytest that is installed: without the one that the traceback names, the suite starts."""

import re
from dataclasses import replace
from typing import Final

from coder.errors import SandboxError
from coder.verify.runners import TO_THE_END, TestCommand
from coder.verify.runs import Runs

MAX_LEFT_OUT: Final = 3
"""So many plug-ins are left out at most: what needs more is another environment."""
_LIST: Final = (
    "python3 -c 'from importlib.metadata import distributions as found\n"
    'for one in found():\n for e in one.entry_points:\n  if e.group == "pytest11": print(e.name, e.value)\''
)
_TIMEOUT_S: Final = 60.0
_FRAME: Final = re.compile(r"(?:site|dist)-packages/([\w./-]+?)(?:/__init__)?\.py\b")
_INVALID: Final = re.compile(r"PluginValidationError: (?:unknown hook .* in plugin .*?/|Plugin ')([\w./-]+)")
_NAME: Final = re.compile(r"[\w.-]{1,100}")


def settled_without_plugins(base_tree: str, runs: Runs) -> None:
    """Leave out of the command what keeps pytest from starting on base, if that is a plug-in installed beside it.

    Only base decides, which the patch cannot touch, and every cell is run alike. A plug-in that the repository itself is
    does not lie where packages are installed, and stays.
    """
    begun = runs.tests
    for _ in range(MAX_LEFT_OUT):
        base = runs.cell("base", base_tree)
        name = broken(base.output_tail, _installed(base_tree, runs)) if _places(base.output_tail) else ""
        if not name or name in runs.left_out:
            break
        runs.left_out = (*runs.left_out, name)
        runs.tests = without_plugin(runs.tests, name)
        if runs.cell("base", base_tree).report.by_id:
            return
    runs.tests, runs.left_out = begun, ()


def _installed(tree_sha: str, runs: Runs) -> str:
    try:
        with runs.open(tree_sha) as sandbox:
            return sandbox.exec(_LIST, timeout_s=_TIMEOUT_S).output
    except SandboxError:
        return ""


def broken(output: str, installed: str) -> str:
    """The name of the plug-in whose code is the last in a traceback; empty where it is none of the installed ones.

    `installed` has a line each: the name by which pytest knows it, and its module.
    """
    lines = (line.split() for line in installed.splitlines())
    modules = {words[1].split(":")[0].replace(".", "/"): words[0] for words in lines if len(words) == 2}  # noqa: PLR2004 — name and module
    for place in reversed(_places(output)):
        for module, name in modules.items():
            # A plug-in of a package is named by any of the package's files.
            package = module.partition("/")[0]
            if _NAME.fullmatch(name) and (place in {name, package} or place.startswith(f"{package}/")):
                return name
    return ""


def _places(output: str) -> list[str]:
    """The installed files that a traceback goes through, and plug-ins that pytest names itself; the deepest last."""
    frames = [match[1] for match in _FRAME.finditer(output)]
    return [*(place for place in frames if not place.startswith("_pytest")), *_INVALID.findall(output)]


def without_plugin(tests: TestCommand, name: str) -> TestCommand:
    """The same command, with a plug-in of pytest left out."""
    return replace(tests, command=tests.command.replace(TO_THE_END, f"-p no:{name} {TO_THE_END}", 1))
