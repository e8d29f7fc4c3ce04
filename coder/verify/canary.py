"""A test that must fail, run beside green ones: code that makes every test look green gives itself away."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from coder.sandbox.protocol import Sandbox
from coder.verify.cells import run_cell
from coder.verify.commands import TestCommand

MAX_FILES: Final = 40
"""Files of green tests that are run before it; they import what was changed."""


@dataclass(frozen=True, slots=True)
class Song:
    """What the run with the failing test showed."""

    canary: Literal["failed", "missed", "green"]
    """failed: as it must. missed: it does not occur in the report. green: it is reported as anything else, so what the
    report says of the other tests is worth nothing."""
    unsteady: tuple[str, ...]
    """Tests that passed before and did not this time."""


def sing(sandbox: Sandbox, tree_sha: str, command: TestCommand, green: Sequence[str], timeout_s: float) -> Song:
    """Write a failing test under a new name, run it after the files of the `green` tests, and see what is said of it.

    The sandbox is spoilt by it.
    """
    name = f"test_{secrets.token_hex(6)}"
    sandbox.write(f"{name}.py", f"def {name}():\n    found = [1]\n    assert found == [2]\n".encode())
    files = list(dict.fromkeys(test.split("::", 1)[0] for test in green))[:MAX_FILES]
    report = run_cell(sandbox, "head", tree_sha, command.selecting([*files, f"{name}.py"]), timeout_s).report
    own = f"{name}.py::{name}"
    ran = frozenset(files)
    again = frozenset(report.passed)
    unsteady = tuple(test for test in green if test not in again and test.split("::", 1)[0] in ran)
    if own in {*report.failed, *report.errored}:
        return Song("failed", unsteady)
    return Song("green" if own in {*report.passed, *report.skipped} else "missed", unsteady)
