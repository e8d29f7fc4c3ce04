"""How a repository's own files say that its tests are run: CI workflows, tox and nox. Text to be read, never to be run.

Only a command of a runner that we know is taken from there, and only when there is one: CI that runs five things does not say
which of them is the suite.
"""

import configparser
import re
import shlex
from collections.abc import Callable, Collection, Iterator
from typing import Final

import yaml

from coder.verify.runners import TestCommand, given

Read = Callable[[str], bytes]

_WORKFLOW: Final = re.compile(r"\.github/workflows/[^/]+\.ya?ml")
_MAX_FILES: Final = 20
_MAX_BYTES: Final = 200_000
_MAX_NODES: Final = 20_000
"""Anchors in YAML make small files into large trees."""

_RUNNER_PREFIX: Final = re.compile(
    r"^(?:[A-Z_][A-Z0-9_]*=\S*\s+)*(?:(?:uv|poetry|pdm|hatch|pipenv|rye) run(?:\s+--?[\w-]+(?:=\S+)?)*\s+|coverage run(?:\s+--?[\w-]+(?:=\S+)?)*\s+-m\s+|xvfb-run\s+|time\s+)*"
)
_PYTEST: Final = re.compile(r"^(?:python3?\s+-m\s+)?(?:pytest|py\.test)\b")
_UNITTEST: Final = re.compile(r"^(?:python3?\s+-m\s+)?unittest\b")
_KEPT_WITH_VALUE: Final = frozenset({"-m", "-k", "--ignore", "--deselect", "--ignore-glob"})


def declared(known: Collection[str], read: Read, *, wrappers_only: bool = False) -> TestCommand | None:
    """The one command of a known runner that CI runs, else that of tox or nox; None when there is none, or several."""
    for find in (_tox, _nox) if wrappers_only else (_workflows, _tox, _nox):
        commands = {command for line in find(known, read) if (command := _command(line, known)) is not None}
        if len(commands) == 1:
            return commands.pop()
    return None


def _command(line: str, known: Collection[str]) -> TestCommand | None:
    """A line of a shell as a command that tells test ids; None for all else, and for what only CI could fill in."""
    line = _RUNNER_PREFIX.sub("", line.strip(), count=1)
    if not line or re.search(r"[$`{}<>|;&\\]", line):
        return None
    if _PYTEST.match(line):
        try:
            words = _plain_pytest(line)
        except ValueError:  # a quotation that does not end
            return None
        there = all(_is_there(word, known) for word in words if not word.startswith("-"))
        return given(shlex.join(["python3", "-m", "pytest", "-q", "--tb=short", *words])) if there else None
    made = given(f"python3 -m {line}" if line.startswith("unittest") else line)
    return made if made.kind not in {"exit_code", "pytest"} else None


def _is_there(word: str, known: Collection[str]) -> bool:
    """Whether the repository has this file or folder; of `-m "not slow"` the value is kept with its option."""
    place = word.split("::", 1)[0].removeprefix("./").rstrip("/")
    return place in {"", "."} or any(path == place or path.startswith(f"{place}/") for path in known)


def _plain_pytest(line: str) -> list[str]:
    """What chooses tests is kept, in one word each; what needs a plug-in or only shapes the output is not."""
    words = shlex.split(_PYTEST.sub("", line))
    kept: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        option = word.split("=", 1)[0]
        if option in _KEPT_WITH_VALUE:
            # -m and -k take their value as the next word only; in one word it begins without a sign.
            value = word.split("=", 1)[1] if "=" in word else "".join(words[at + 1 : at + 2])
            at += "=" not in word
            kept.append(f"{option}{'=' if option.startswith('--') else ''}{value}")
        elif not word.startswith("-") and not (at and _takes_value(words[at - 1])):
            kept.append(word)
        at += 1
    return kept


def _takes_value(word: str) -> bool:
    """Whether an option that we drop is followed by its value."""
    return word in {
        "-n",
        "-o",
        "-p",
        "-c",
        "-W",
        "-r",
        "--cov",
        "--junitxml",
        "--junit-xml",
        "--durations",
        "--timeout",
        "--tb",
    } or (word in {"--cov-report", "--cov-config", "--rootdir", "--maxfail", "--dist", "--color", "--log-level"})


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


def _tox(known: Collection[str], read: Read) -> Iterator[str]:
    """The commands of `[testenv]`."""
    if "tox.ini" not in known:
        return
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(read("tox.ini")[:_MAX_BYTES].decode("utf-8", "replace"))
    except configparser.Error:
        return
    text = parser.get("testenv", "commands", fallback="") or ""
    for line in text.replace("\\\n", " ").splitlines():
        yield re.sub(r"\{posargs(?::[^{}]*)?\}|\{(?:env)?python\}", "", line.replace("{envpython}", "python3")).strip(
            " -"
        )


def _nox(known: Collection[str], read: Read) -> Iterator[str]:
    """What `session.run` is given in a noxfile, as far as it is written out there."""
    if "noxfile.py" not in known:
        return
    text = read("noxfile.py")[:_MAX_BYTES].decode("utf-8", "replace")
    for match in re.finditer(r"session\.run\(([^()]*)\)", text):
        words = re.findall(r"""["']([^"'\n]*)["']""", match[1])
        if words:
            yield shlex.join(words)
