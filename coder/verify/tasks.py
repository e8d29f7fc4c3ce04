"""What the name of a task stands for: make, just, tox, nox, poe, hatch, pdm, pixi, pipenv. Text to be read, never to be run.

A line that names no task stands for itself. Nothing is expanded but what is written out: a line with a shell's own syntax, or
with something that only its tool could fill in, is left as it is, and nobody takes it for a known command.
"""

import configparser
import re
import shlex
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

Read = Callable[[str], bytes]

_MAX_BYTES: Final = 200_000
_MAX_DEPTH: Final = 4
_MAX_LINES: Final = 200
_MAX_TASKS: Final = 200
_MAX_VALUE_CHARS: Final = 500
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=.*")
_RUN: Final = frozenset({"uv", "poetry", "pdm", "hatch", "pipenv", "rye", "pixi", "conda", "micromamba", "pipx"})
"""Programs that run others in an environment by `… run`."""
_BEFORE: Final = frozenset({"uvx", "xvfb-run", "time", "env", "nice", "command", "exec"})
_WITH_VALUE: Final = frozenset(
    {
        "--with",
        "--with-requirements",
        "--python",
        "-p",
        "--extra",
        "--group",
        "--only-group",
        "--no-group",
        "--env-file",
    }
    | {"-e", "--environment", "--from", "-n", "--name", "--index", "--server-args", "--rcfile", "--source", "--env"}
)
_ELSEWHERE: Final = frozenset(
    {"--directory", "--project", "--manifest-path", "-C", "--cwd", "-f", "--file", "--justfile"}
)
"""Options by which a program works in another folder or by another file."""
TASKS: Final = ("test", "tests", "unit", "test-unit", "unit-test", "unittest", "unittests", "pytest")
"""Names that people give to the task that runs the tests."""


class Tasks:
    """The tasks of one repository."""

    def __init__(self, known: Collection[str], read: Read) -> None:
        self._place = _Place(frozenset(known), read)

    def spoken(self, line: str) -> tuple[str, ...]:
        """The simple commands that a line of a shell comes to, without what only starts them in an environment."""
        return tuple(islice(_expanded(line, self._place, 0), _MAX_LINES))

    def of_tests(self) -> Iterator[tuple[str, ...]]:
        """What the tasks that are named for tests come to, for each tool that has one."""
        for tool, launcher in _TOOLS:
            name = next((name for name in TASKS if _task(tool, [name], self._place) is not None), None)
            if name is not None:
                yield self.spoken(f"{launcher} {name}")


@dataclass(slots=True)
class _Place:
    """The files of a repository's root, each read once."""

    known: frozenset[str]
    read: Read
    left: int = _MAX_TASKS
    """Tasks that may still be looked up: files by strangers can name each other for ever."""
    _texts: dict[str, str] = field(default_factory=dict)
    _tables: dict[str, object] = field(default_factory=dict)

    def text(self, path: str) -> str:
        """The text of a file; empty where there is none, or a very large one."""
        if path not in self._texts:
            data = self.read(path) if path in self.known else b""
            self._texts[path] = data.decode("utf-8", "replace") if len(data) <= _MAX_BYTES else ""
        return self._texts[path]

    def toml(self, path: str) -> object:
        if path not in self._tables:
            try:
                self._tables[path] = tomllib.loads(self.text(path))
            except (ValueError, RecursionError):
                self._tables[path] = {}
        return self._tables[path]


def _expanded(line: str, place: _Place, depth: int) -> Iterator[str]:
    try:
        split = [shlex.split(part, comments=True) for part in line.split("&&")]
    except ValueError:  # a quotation that does not end
        return
    if any(words[:1] in (["cd"], ["pushd"]) for words in split):
        return  # what follows runs in another folder
    for words in split:
        tool, inner = _unwrapped(words)
        if not inner:
            continue
        task = None
        if depth < _MAX_DEPTH:
            task = _task(tool, inner, place) or _task(inner[0], inner[1:], place)
        if task is None:
            yield shlex.join(inner)
        for one in task or ():
            yield from _expanded(one, place, depth + 1)


def _unwrapped(words: Sequence[str]) -> tuple[str, list[str]]:
    """The words behind assignments and launchers, and the launcher whose tasks they may name; nothing for other folders."""
    left, tool = list(words), ""
    while left:
        if _ASSIGNMENT.fullmatch(left[0]):
            left = left[1:]
        elif left[0] in _RUN and left[1:2] == ["run"]:
            tool, left = left[0], _behind_options(left[2:])
        elif left[0] in _BEFORE:
            left = _behind_options(left[1:])
        elif left[0] == "coverage" and left[1:2] == ["run"] and "-m" in left:
            return "", left[left.index("-m") + 1 :]
        elif re.fullmatch(r"python[\d.]*", left[0]) and left[1:2] == ["-m"] and left[2:3] != ["unittest"]:
            left = [{"poethepoet": "poe"}.get(left[2], left[2]) if left[2:] else "", *left[3:]]
        else:
            break
    return tool, left


def _behind_options(words: list[str]) -> list[str]:
    """What follows the options of a launcher."""
    at = 0
    while at < len(words) and (words[at].startswith(("-", "+"))):
        option = words[at].partition("=")[0]
        if option in _ELSEWHERE:
            return []
        at += 2 if option in _WITH_VALUE and "=" not in words[at] else 1
        if option == "--":
            break
    return words[at:]


def _task(tool: str, words: Sequence[str], place: _Place) -> list[str] | None:
    """The lines that a task stands for; None where the words name none."""
    find = _FINDERS.get(tool)
    if find is None or place.left <= 0 or any(word.partition("=")[0] in _ELSEWHERE for word in words):
        return None
    place.left -= 1
    return find(words, place)


def _by_name(find: "Finder") -> "Wordy":
    """For a tool that is told a task by its first word."""

    def found(words: Sequence[str], place: _Place) -> list[str] | None:
        name = next((word for word in words if not word.startswith("-") and not _ASSIGNMENT.fullmatch(word)), "")
        return find(name, place) if name else None

    return found


def _named(words: Sequence[str], options: Collection[str]) -> str:
    """The environment or session that a call names; empty where it names none, or several."""
    for at, word in enumerate(words):
        option, _, value = word.partition("=")
        if option in options:
            value = value or "".join(words[at + 1 : at + 2])
            return "" if "," in value else value
    return ""


# --- make and just -----------------------------------------------------------------------------------------------------


def _make(target: str, place: _Place) -> list[str] | None:
    """A recipe, after those of what it needs first."""
    text = next((text for name in ("GNUmakefile", "makefile", "Makefile") if (text := place.text(name))), "")
    text = text.replace("\\\n", " ")
    variables = {
        m[1]: m[2].strip() for m in re.finditer(r"(?m)^([A-Za-z_]\w*)[ \t]*(?:[:?]{0,2})=[ \t]*([^\n#]*)", text)
    }
    rule = re.search(rf"(?m)^{re.escape(target)}[ \t]*::?(?!=)([^\n]*)((?:\n(?:\t[^\n]*|[ \t]*))*)", text)
    if rule is None:
        return None
    needs = re.sub(r"[#|;].*", "", rule[1]).split()
    recipe = [line.strip().lstrip("@-+ ") for line in rule[2].split("\n") if line.startswith("\t")]
    lines = [f"make {need}" for need in needs if need in TASKS] + recipe
    return [_with(line, {"MAKE": "make", **variables}) for line in lines if line]


def _with(line: str, variables: dict[str, str]) -> str:
    """A line of a recipe with its variables; one that nobody sets is empty, as make has it."""
    for _ in range(_MAX_DEPTH):
        line, times = re.subn(r"\$[({]([A-Za-z_]\w*)[)}]", lambda match: variables.get(match[1], ""), line[:2_000])
        if not times:
            break
    return line


def _just(name: str, place: _Place) -> list[str] | None:
    text = next((text for file in ("justfile", "Justfile", ".justfile") if (text := place.text(file))), "")
    rule = re.search(rf"(?m)^@?{re.escape(name)}(?:[ \t][^:\n]*)?:(?!=)[^\n]*((?:\n(?:[ \t]+[^\n]*|))*)", text)
    if rule is None:
        return None
    lines = (line.strip().lstrip("@-") for line in rule[1].split("\n"))
    return [re.sub(r"\{\{\s*\*?\w+\s*\}\}", "", line).strip() for line in lines if line]


# --- tasks in pyproject.toml and beside it -----------------------------------------------------------------------------


def _poe(name: str, place: _Place) -> list[str] | None:
    return _lines(_at(_tool(place), "poe", "tasks", name), "poe")


def _pdm(name: str, place: _Place) -> list[str] | None:
    return _lines(_at(_tool(place), "pdm", "scripts", name), "pdm run")


def _rye(name: str, place: _Place) -> list[str] | None:
    return _lines(_at(_tool(place), "rye", "scripts", name), "rye run")


def _pipenv(name: str, place: _Place) -> list[str] | None:
    return _lines(_at(place.toml("Pipfile"), "scripts", name), "pipenv run")


def _pixi(name: str, place: _Place) -> list[str] | None:
    for root in (place.toml("pixi.toml"), _at(_tool(place), "pixi")):
        features = _at(root, "feature")
        tables = [root, *(features.values() if isinstance(features, dict) else ())]
        for table in tables:
            found = _lines(_at(table, "tasks", name), "pixi run")
            if found is not None:
                return found
    return None


def _hatch(name: str, place: _Place) -> list[str] | None:
    """A script, by its environment where that is named: `hatch run types:check`; `hatch test` is pytest else."""
    environment, _, script = name.rpartition(":")
    for root in (_at(_tool(place), "hatch", "envs"), _at(place.toml("hatch.toml"), "envs")):
        environments = root if isinstance(root, dict) else {}
        for one in [environment] if environment else ["default", *environments]:
            again = f"hatch run {environment}:" if environment else "hatch run "
            found = _lines(_at(environments, one, "scripts", script), again)
            if found is not None:
                return found
    configured = isinstance(_at(_tool(place), "hatch", "envs", "hatch-test"), dict)
    return _hatch_test(place) if name == "test" and configured else None


def _hatch_test(place: _Place) -> list[str]:
    """https://hatch.pypa.io/latest/config/internal/testing/."""
    arguments = _at(_tool(place), "hatch", "envs", "hatch-test", "default-args")
    words = [word for word in arguments if isinstance(word, str)] if isinstance(arguments, list) else []
    tests = ["tests"] if any(path.startswith("tests/") for path in place.known) else []
    return [shlex.join(["pytest", *(words or tests)])]


def _lines(task: object, again: str) -> list[str] | None:
    """The lines of a task: text, a list of them, or a table that says what they are; None where it is none of it."""
    if isinstance(task, str):
        return [re.sub(r"\{args(?::([^{}]*))?\}", r"\1", task)]
    if isinstance(task, list):
        return [line for part in task if (line := _part(part, again))] or None
    if not isinstance(task, dict) or task.get("cwd") not in {None, ".", "./"} or "working_dir" in task:
        return None
    inner = next((task[key] for key in ("cmd", "shell", "script", "sequence", "composite") if key in task), None)
    is_words = "cmd" in task and isinstance(inner, list) and all(isinstance(word, str) for word in inner)
    return [shlex.join(map(str, inner))] if is_words and isinstance(inner, list) else _lines(inner, again)


def _part(part: object, again: str) -> str:
    """A part of a sequence: the name of another task, or a line."""
    if isinstance(part, dict):
        part = part.get("cmd") or part.get("ref")
    if not isinstance(part, str):
        return ""
    is_name = re.fullmatch(r"[\w.:-]+", part) is not None and part not in {"pytest", "py.test"}
    return f"{again.rstrip()} {part}".replace(": ", ":") if is_name else part


def _tool(place: _Place) -> dict[str, object]:
    found = _at(place.toml("pyproject.toml"), "tool")
    return found if isinstance(found, dict) else {}


def _at(value: object, *keys: str) -> object:
    """What stands under `keys`; None where a table is missing on the way."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


# --- tox and nox -------------------------------------------------------------------------------------------------------


def _tox(words: Sequence[str], place: _Place) -> list[str] | None:
    """The commands of an environment, by its own section where it has one."""
    environment = _named(words, {"-e", "--env"})
    legacy = _at(_tool(place), "tox", "legacy_tox_ini")
    texts = [place.text("tox.ini"), place.text("setup.cfg"), legacy if isinstance(legacy, str) else ""]
    for parser in map(_ini, texts):
        for section in (f"testenv:{environment}", "testenv"):
            text = parser.get(section, "commands", fallback=None)
            if text:
                return list(_of_tox(text))
    for root in (place.toml("tox.toml"), _tool(place).get("tox")):
        for table in (_at(root, "env", environment), _at(root, "env_run_base")):
            commands = _at(table, "commands")
            if isinstance(commands, list):
                return [shlex.join(_tox_words(command)) for command in commands if isinstance(command, list)]
    return None


def _ini(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error:
        return configparser.RawConfigParser()
    return parser


def _of_tox(text: str) -> Iterator[str]:
    text = re.sub(r"\{(?:toxinidir|tox_root)\}/?", "", text.replace("\\\n", " "))
    text = re.sub(r"\{(?:env)?python\}", "python3", text)
    for line in re.sub(r"\{posargs(?::([^{}]*))?\}", r"\1", text).splitlines():
        yield line.strip(" -")


def _tox_words(command: Iterable[object]) -> Iterator[str]:
    for word in command:
        if isinstance(word, str):
            yield from ([] if word == "{posargs}" else [word])
        elif isinstance(default := _at(word, "default"), list):
            yield from (str(one) for one in default)


def _nox(words: Sequence[str], place: _Place) -> list[str] | None:
    """What `session.run` is given, as far as it is written out there; of all sessions where none is named."""
    if "noxfile.py" not in place.known:
        return None
    wanted = re.sub(r"[-(]\d.*", "", _named(words, {"-s", "--session", "--sessions"})).replace("-", "_")
    found = []
    for block in re.split(r"(?m)^(?=@nox)", place.text("noxfile.py")):
        names = re.findall(r"""(?m)^def (\w+)|\bname\s*=\s*["']([\w.-]+)["']""", block)
        if wanted and wanted not in {name.replace("-", "_") for pair in names for name in pair}:
            continue
        for match in re.finditer(r"session\.run\(([^()]*)\)", block):
            plain = re.sub(r"\w+\s*=\s*(?:\{[^{}]*\}|\[[^\[\]]*\]|[\"'][^\"'\n]*[\"'])", "", match[1])
            said = re.findall(r"""["']([^"'\n]*)["']""", plain)
            if said:
                found.append(shlex.join(said))
    return found


Finder = Callable[[str, _Place], list[str] | None]
Wordy = Callable[[Sequence[str], _Place], list[str] | None]
_FINDERS: Final[Mapping[str, Wordy]] = {
    "tox": _tox,
    "nox": _nox,
    **dict.fromkeys(("make", "gmake"), _by_name(_make)),
    "just": _by_name(_just),
    "poe": _by_name(_poe),
    "hatch": _by_name(_hatch),
    "pdm": _by_name(_pdm),
    "rye": _by_name(_rye),
    "pixi": _by_name(_pixi),
    "pipenv": _by_name(_pipenv),
}
_TOOLS: Final = (
    *(("tox", "tox"), ("nox", "nox"), ("poe", "poe"), ("hatch", "hatch run"), ("pdm", "pdm run"), ("rye", "rye run")),
    *(("pixi", "pixi run"), ("pipenv", "pipenv run"), ("make", "make"), ("just", "just")),
)
"""Where a task for tests is looked for, in this order, and how it is called."""
