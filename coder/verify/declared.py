"""How a repository's own files say that its tests are run: CI workflows, and the tasks of its tools. Text to be read, never to be run.

Only a command of a runner that we know is taken from there, and only when there is one: CI that runs five things does not say
which of them is the suite.
"""

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

import yaml

from coder.verify.pytest_line import pytest_command
from coder.verify.runners import TestCommand, given
from coder.verify.tasks import Tasks

Read = Callable[[str], bytes]

_WORKFLOW: Final = re.compile(r"\.github/workflows/[^/]+\.ya?ml")
_MAX_FILES: Final = 20
_MAX_BYTES: Final = 200_000
_MAX_NODES: Final = 20_000
"""Anchors in YAML make small files into large trees."""


def declared(known: Collection[str], read: Read) -> TestCommand | None:
    """The one command of a known runner that CI runs, else that of a task for tests; None where there is none, or several."""
    tasks = Tasks(known, read)
    by_ci = (command for line in _workflows(known, read) for command in tasks.spoken(line))
    found = only(by_ci, known)
    return found or next((command for lines in tasks.of_tests() if (command := only(lines, known))), None)


def behind(line: str, known: Collection[str], read: Read) -> TestCommand | None:
    """The one command of a known runner that a task comes to; None where there is none, or several, or it names no task."""
    return only(Tasks(known, read).spoken(line), known)


def only(lines: Iterable[str], known: Collection[str]) -> TestCommand | None:
    """The one command among simple ones; calls that differ in options of plug-ins are one."""
    found: dict[str, TestCommand] = {}
    for line in lines:
        command = _command(line, known)
        if command is not None:
            found.setdefault(f"{command.spare or command.command}\0{command.everything}", command)
    return found.popitem()[1] if len(found) == 1 else None


def _command(line: str, known: Collection[str]) -> TestCommand | None:
    """A simple command as one that tells test ids; None for all else, and for what only CI could fill in."""
    if not line or re.search(r"[$`{}<>|;&\\]", line):
        return None
    words = shlex.split(line)
    if words[0] in {"pytest", "py.test"}:
        return pytest_command(words[1:], known)
    made = given(f"python3 -m {line}" if words[0] == "unittest" else line)
    return made if made.kind not in {"exit_code", "pytest"} else None


# --- where commands stand ----------------------------------------------------------------------------------------------


def _workflows(known: Collection[str], read: Read) -> Iterator[str]:
    """The lines that the steps of all workflows run in the repository's root."""
    for path in sorted(path for path in known if _WORKFLOW.fullmatch(path))[:_MAX_FILES]:
        data = read(path)
        if len(data) > _MAX_BYTES:
            continue
        try:
            workflow = yaml.safe_load(data)
        except (yaml.YAMLError, ValueError, RecursionError):
            continue
        for step in _steps(workflow):
            text = step.get("run")
            if isinstance(text, str) and step.get("working-directory") in {None, ".", "./"}:
                yield from text.replace("\\\n", " ").splitlines()


def _steps(workflow: object) -> Iterator[dict[str, object]]:
    """The steps of all jobs that run where nothing else is said of the folder."""
    if not isinstance(workflow, dict) or "defaults" in workflow:
        return
    jobs = workflow.get("jobs")
    seen = 0
    for job in jobs.values() if isinstance(jobs, dict) else ():
        steps = job.get("steps") if isinstance(job, dict) and "defaults" not in job else None
        for step in steps if isinstance(steps, list) else ():
            seen += 1
            if seen > _MAX_NODES:
                return
            if isinstance(step, dict):
                yield step
