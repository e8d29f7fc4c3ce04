"""What the tests of a Python project need, as the project says it: extras, dependency groups, hatch, tox, nox, CI."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from configparser import RawConfigParser
from typing import Any

from coder.sandbox.setup_folder import Folder, strings, table

TEST_GROUPS = ("test", "tests", "testing", "dev")
"""Extras and dependency groups under which projects keep what their tests need."""
REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(?:\[[^\]]*\])?\s*(?:[=<>!~;@(].*)?")
HATCH_ENVIRONMENTS = ("default", "hatch-test", "test", "tests", "testing", "unit", "dev")
MAX_SAID = 10
"""How many further extras or groups are taken from what CI names."""

_EXTRAS = re.compile(r"(?:^|[\s\"'=/}])\.\[([A-Za-z0-9_., -]{1,200})\]", re.MULTILINE)
_OPTIONS = re.compile(r"--(extra|group|with|only-group)[ =\"',]+([A-Za-z0-9][A-Za-z0-9_.-]{0,60})")
_ELSEWHERE = re.compile(
    r"doc|lint|format|style|mypy|typ(?:e|ing)|release|publish|build|bench|profil|cuda|gpu|example|pre-?commit|tox|nox|gha"
)
"""Names of what is not for tests."""
_TOOLS = frozenset({"sphinx", "furo", "black", "flake8", "isort", "ruff", "pylint", "commitizen", "codespell", "twine"})
"""Programs for something else that stand in the same group; an old one can spoil the whole step."""


def extras(folder: Folder, project: dict[str, Any]) -> list[str]:
    """Extras for tests, wherever they are declared: by their names, or because tests elsewhere are run with them."""
    declared = dict.fromkeys(table(project, "project", "optional-dependencies"))
    declared |= dict.fromkeys(table(project, "tool", "poetry", "extras"))
    config = folder.ini("setup.cfg")
    if config.has_section("options.extras_require"):
        declared |= dict.fromkeys(config.options("options.extras_require"))
    said, script = _said(folder, project)[0], folder.text("setup.py")
    if any("--all-extras" in text for text in _texts(folder)):
        said |= set(declared)
    if "extras_require" in script:
        candidates = (*TEST_GROUPS, *said)
        written = (name for name in candidates if re.search(rf"""['"]{name}['"]\s*:|\b{name}\s*=\s*\[""", script))
        declared |= dict.fromkeys(written)
    return _chosen(declared, said)


def groups(folder: Folder, project: dict[str, Any]) -> list[str]:
    """Dependency groups for tests, in the same way."""
    return _chosen(table(project, "dependency-groups"), _said(folder, project)[1])


def group_lines(project: dict[str, Any], names: Iterable[str]) -> list[str]:
    """Plain requirements of dependency groups."""
    declared = table(project, "dependency-groups")
    return sorted({line for name in names for line in _group(declared, _plain(name), ())})


def hatch_lines(folder: Folder, project: dict[str, Any]) -> list[str]:
    """What hatch puts into the environments in which tests are run."""
    found: dict[str, None] = {}
    for environment in _hatch(folder, project):
        lines = strings(environment.get("dependencies")) + strings(environment.get("extra-dependencies"))
        found |= dict.fromkeys(line for line in lines if REQUIREMENT.fullmatch(line) and "{" not in line)
    return list(found)


def poetry_lines(project: dict[str, Any]) -> list[str]:
    """Requirements of Poetry's groups for tests, for pip: what has no lock, or one that cannot be had.

    https://python-poetry.org/docs/dependency-specification/
    """
    poetry = table(project, "tool", "poetry")
    tables = [table(poetry, "dev-dependencies")]
    tables += [table(poetry, "group", name, "dependencies") for name in TEST_GROUPS]
    found = {line for entries in tables for name, wish in entries.items() if (line := _of_poetry(name, wish))}
    return sorted(found)


def _of_poetry(name: str, wish: object) -> str:
    """One dependency; nothing for paths, URLs and what is for documents, style and types."""
    entry = wish if isinstance(wish, dict) else {"version": wish}
    version = entry.get("version", "*")
    if not REQUIREMENT.fullmatch(name) or _ELSEWHERE.search(name.lower()) or not isinstance(version, str):
        return ""
    if any(key in entry for key in ("path", "git", "url", "file")) or name.lower() in _TOOLS:
        return ""
    extras = f"[{','.join(strings(entry.get('extras')))}]" if strings(entry.get("extras")) else ""
    marker = f"; {entry['markers']}" if isinstance(entry.get("markers"), str) else ""
    limits = [_limits(part.strip()) for part in version.split(",")]
    return f"{name}{extras}{','.join(filter(None, limits))}{marker}"


def _limits(wish: str) -> str:
    """A caret or tilde as PEP 440 says it; a bare version is that one, and what pip reads stays."""
    match = re.fullmatch(r"([\^~]?)\s*v?(\d+(?:\.\d+)*)(\.\*)?", wish)
    if match is None:
        return wish if re.fullmatch(r"(?:[<>=!~]=?|===)\s*[\w.*+!-]+", wish) else ""
    sign, least, star = match.groups()
    numbers = [int(number) for number in least.split(".")]
    if not sign:
        return f"=={least}{star or ''}"
    significant = next((at for at, number in enumerate(numbers) if number), len(numbers) - 1)
    at = significant if sign == "^" else min(1, len(numbers) - 1)
    return f">={least},<{'.'.join(map(str, [*numbers[:at], numbers[at] + 1]))}"


def tox_arguments(folder: Folder) -> list[str]:
    """Arguments for pip from `[testenv] deps`; lines for some environments only are left out."""
    found: list[str] = []
    for line in _tox_lines(folder.ini("tox.ini"), "testenv", "deps", set()):
        file = re.fullmatch(r"-r\s*([\w./-]+)", line)
        if file and file[1] in folder.names:
            found += ["-r", shlex.quote(file[1])]
        elif REQUIREMENT.fullmatch(line) and "{" not in line:
            found.append(shlex.quote(line))
    return found


def _tox_lines(config: RawConfigParser, section: str, option: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    """The lines of an option of tox, those of other sections that it refers to (`{[section]option}`) among them, once."""
    seen.add((section, option))
    for raw in (config.get(section, option, fallback="") or "").splitlines():
        line = raw.partition(" #")[0].replace("{toxinidir}/", "").strip()
        other = re.fullmatch(r"\{\[([^\[\]{}]+)\]([\w-]+)\}", line)
        if other is None:
            yield line
        elif (other[1], other[2]) not in seen and len(seen) < MAX_SAID:
            yield from _tox_lines(config, other[1], other[2], seen)


def nox_arguments(folder: Folder) -> list[str]:
    """Arguments for pip from what sessions with `test` in their names install; other expressions are left out."""
    found: dict[str, None] = {}
    for session in re.split(r"^(?=@nox|def )", folder.text("noxfile.py"), flags=re.MULTILINE):
        if re.match(r"def \w*test\w*\(", session):
            for call in re.findall(r"session\.install\(([^()]{0,2000})\)", session):
                found |= dict.fromkeys(_pip_arguments(folder, re.findall(r"[\"']([^\"'\n{}]+)[\"']", call)))
    return list(found)


def _pip_arguments(folder: Folder, words: list[str]) -> Iterator[str]:
    for before, word in zip(["", *words], words, strict=False):
        if before == "-r" and word in folder.names:
            yield f"-r {shlex.quote(word)}"
        elif REQUIREMENT.fullmatch(word) and not before.startswith("-") and word not in folder.names:
            yield shlex.quote(word)


def _chosen(declared: Mapping[str, object], said: Iterable[str]) -> list[str]:
    """Of the declared names those that tests go by, then the others that were said; as they are declared."""
    known = {_plain(name): name for name in declared}
    usual = [known[name] for name in TEST_GROUPS if name in known]
    others = sorted({known[_plain(name)] for name in said if _plain(name) in known} - set(usual))
    return usual + [name for name in others if not _ELSEWHERE.search(name.lower())][:MAX_SAID]


def _said(folder: Folder, project: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Names of extras and of groups with which tests are run: in CI, by tox, nox and hatch."""
    named: set[str] = set()
    grouped: set[str] = set()
    for text in _texts(folder):
        named |= {name.strip() for match in _EXTRAS.finditer(text) for name in match[1].split(",")}
        for option, name in _OPTIONS.findall(text):
            (named if option == "extra" else grouped).add(name)
    config = folder.ini("tox.ini")
    for option, names in (("extras", named), ("dependency_groups", grouped)):
        if config.has_option("testenv", option):
            names |= set(re.findall(r"[A-Za-z0-9][A-Za-z0-9_.-]*", config.get("testenv", option) or ""))
    for environment in _hatch(folder, project):
        named |= set(strings(environment.get("features")))
        grouped |= set(strings(environment.get("dependency-groups")))
    return {name for name in named if re.fullmatch(r"[A-Za-z0-9_.-]+", name)}, grouped


def _texts(folder: Folder) -> tuple[str, ...]:
    """What says how tests are run."""
    files = ("tox.ini", "noxfile.py", "Makefile", "justfile", "Justfile")
    return (*map(folder.text, files), *folder.workflows())


def _hatch(folder: Folder, project: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for environments in (table(project, "tool", "hatch", "envs"), table(folder.toml("hatch.toml"), "envs")):
        yield from (table(environments, name) for name in HATCH_ENVIRONMENTS if name in environments)


def _group(declared: dict[str, Any], name: str, seen: tuple[str, ...]) -> list[str]:
    """Plain requirements of a group and of those that it includes.

    https://peps.python.org/pep-0735/
    """
    found: list[str] = []
    wanted = {_plain(key): value for key, value in declared.items()}.get(name)
    for entry in wanted if isinstance(wanted, list) and name not in seen else []:
        if isinstance(entry, str) and REQUIREMENT.fullmatch(entry.strip()):
            found.append(entry.strip())
        elif isinstance(entry, dict) and isinstance(inner := entry.get("include-group"), str):
            found += _group(declared, _plain(inner), (*seen, name))
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
