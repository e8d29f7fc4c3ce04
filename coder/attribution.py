"""Whose fault a red check is, by experiment: the failing tests, several times on base and on head, in our own sandboxes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from coder.forge.protocol import FailedJob
from coder.types import Cell
from coder.verify.runners import TestCommand, given
from coder.verify.runs import Runs

TIMES = 3
"""Runs of each side: fewer cannot tell a flaky test from a broken one."""
MAX_SUSPECTS = 50
MAX_LOG_CHARS = 12_000
_AROUND = 12
"""Lines of a log that are kept around one that names a failure."""

_SUSPECTS = (
    re.compile(r"^(?:FAILED|ERROR) (?P<test>[\w./\\-]+\.py(?:::[^\s]+)*)", re.MULTILINE),
    re.compile(r"^[ \t]*--- FAIL: (?P<test>(?:Test|Example|Fuzz)\w*(?:/\S+)?)", re.MULTILINE),
    re.compile(r"^[ \t]*FAIL\s+(?P<test>[\w./@-]+\.(?:[cm]?[jt]sx?))", re.MULTILINE),
    re.compile(r"^rspec (?P<test>\./\S+_spec\.rb)", re.MULTILINE),
    re.compile(r"^test (?P<test>[\w:]+) \.\.\. FAILED", re.MULTILINE),
)
"""How runners name what failed: pytest, go test, Jest and Vitest, RSpec, cargo test."""
_COMMAND = re.compile(r"^##\[group\]Run (?P<command>(?!\S+/\S+@)\S[^\n]{0,500})$", re.MULTILINE)
"""A step of a workflow that is a command; `owner/action@version` is none."""
_TELLING = re.compile(r"FAIL|Error|error:|Traceback|panic:|not ok|assert", re.IGNORECASE)

Kind = Literal["caused", "pre_existing", "flaky", "not_reproduced"]


@dataclass(frozen=True, slots=True)
class Attribution:
    """What the experiment showed, a line for each test; `log` is what of the job's log tells something."""

    kind: Kind
    lines: tuple[str, ...]
    log: str = ""


def experiment(jobs: Sequence[FailedJob], runs: Runs, *, base_tree: str, head_tree: str, seconds: float) -> Attribution:
    """Run what failed on head and on base, and say whose fault it is. `seconds` is the time for each side.

    Raises:
        SandboxError: No sandbox can be had.
    """
    log = "\n".join(job.log for job in jobs)
    named, excerpt = suspects(log), trimmed(log)
    places = list(dict.fromkeys(test.split("::", 1)[0] for test in named))
    # What CI ran may be another command than ours; without names of tests it is the only trace.
    tests = given(command) if not places and (command := failing_command(log)) else runs.tests
    head = runs.again("head", head_tree, _there(tests, places, runs, head_tree), times=TIMES, seconds=seconds)
    if not any(red(cell) for cell in head):
        return Attribution("not_reproduced", _not_seen(head, tests), excerpt)
    base = runs.again("base", base_tree, _there(tests, places, runs, base_tree), times=TIMES, seconds=seconds)
    found = attributed(base, head)
    return Attribution(found.kind, found.lines, excerpt)


def _there(tests: TestCommand, places: Sequence[str], runs: Runs, tree: str) -> TestCommand:
    """The command for those of the failing files that a tree has; names that are no files are left to the runner."""
    files = runs.trees.files(tree)
    return tests.selecting([place for place in places if ("/" not in place and "." not in place) or place in files])


def _not_seen(head: Sequence[Cell], tests: TestCommand) -> tuple[str, ...]:
    return (f"`{tests.shown}` did not fail in {len(head)} runs here: the check's machine differs from our sandbox",)


def attributed(base: Sequence[Cell], head: Sequence[Cell]) -> Attribution:
    """What runs of both sides say together; the worst that is sure comes first. Pure."""
    names = sorted({name for cell in head for name in failing(cell)})
    lines: dict[Kind, list[str]] = {"caused": [], "flaky": [], "pre_existing": []}
    for name in names:
        on_head, on_base = (sum(name in failing(cell) for cell in side) for side in (head, base))
        if on_head < len(head) or 0 < on_base < len(base):
            kind: Kind = "flaky"
            text = f"failed {on_head} of {len(head)} times on head and {on_base} of {len(base)} times on base"
        elif on_base and on_base == len(base):
            kind, text = "pre_existing", "fails on base too, each time"
        else:
            kind, text = "caused", f"failed each of {len(head)} times on head and never on base"
        lines[kind].append(f"{name}: {text}")
    kind = next((one for one in ("caused", "flaky", "pre_existing") if lines[one]), "not_reproduced")
    return Attribution(kind, tuple(line for group in lines.values() for line in group)[:MAX_SUSPECTS])


def failing(cell: Cell) -> frozenset[str]:
    """The tests that were red in one run; the whole command where only its exit code is known."""
    names = frozenset(cell.report.failed) | frozenset(cell.report.errored)
    return names or (frozenset({f"`{cell.command}`"}) if red(cell) else frozenset())


def red(cell: Cell) -> bool:
    """Whether a run failed."""
    return cell.exit_code != 0 or bool(cell.report.failed or cell.report.errored)


def suspects(log: str) -> tuple[str, ...]:
    """The tests that a job's log names as failed, as they can be selected."""
    found = (match["test"] for pattern in _SUSPECTS for match in pattern.finditer(log))
    return tuple(dict.fromkeys(found))[:MAX_SUSPECTS]


def failing_command(log: str) -> str:
    """The command of a workflow that failed last, empty when none can be seen."""
    end = log.rfind("##[error]")
    steps = list(_COMMAND.finditer(log, 0, end if end >= 0 else len(log)))
    return steps[-1]["command"].strip() if steps else ""


def trimmed(log: str) -> str:
    """The lines of a log around its failures, the last ones first to stay."""
    lines = log.splitlines()
    wanted = {
        near for at, line in enumerate(lines) if _TELLING.search(line) for near in range(at - _AROUND, at + _AROUND)
    }
    kept = [line[:500] for at, line in enumerate(lines) if at in wanted] or [line[:500] for line in lines[-200:]]
    return "\n".join(kept)[-MAX_LOG_CHARS:]
