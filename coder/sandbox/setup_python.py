"""Setup steps of a Python project: from its lock file where it has one, else from requirements, extras and groups."""

import re
import shlex
from collections.abc import Iterable
from typing import Any

from coder.sandbox.setup_folder import Folder, Step, strings, table
from coder.sandbox.setup_python_tests import (
    REQUIREMENT,
    TEST_GROUPS,
    extras,
    group_lines,
    groups,
    hatch_lines,
    nox_arguments,
    poetry_lines,
    tox_arguments,
)

VENV = "/opt/coder/venv"
"""Made by the python image, outside the work tree; its `bin` is first on every sandbox's PATH."""
PIP = "pip-install"
"""The python image's own program: uv into `VENV`, and pip where uv fails."""
UV = "/opt/coder/uv/bin/uv"
"""Where the python image has uv, when it could get it."""
TOOL_FOLDER = "/var/tmp/coder-tool"  # noqa: S108  (in the container; gone when the setup phase ends)
EXPORTED = "/var/tmp/coder-locked.txt"  # noqa: S108

_TOPREQUIREMENTS = re.compile(
    r"(?:(?:dev|test|tests|testing)[-_.])?requirements(?:[-_.](?:dev|develop|test|tests|testing|ci))?\.(?:txt|pip)"
)
_FOLDERREQUIREMENTS = re.compile(
    r"requirements/(?:(?:base|main|common|core|prod|production|requirements|dev|develop|development|test|tests|testing|ci)"
    r"(?:[-_]requirements)?)\.(?:txt|pip)"
)
_PLAIN_BUILD = {"setuptools", "wheel"}
_VERSION = re.compile(r"(?:cpython-?|python-?)?(\d+(?:\.\d+){0,2})\s*")
_MAX_COMMAND_CHARACTERS = 100_000
"""Linux takes 128 KiB in one argument of a program."""


def python_steps(folder: Folder) -> tuple[Step, ...]:
    """What makes the tests of the Python project in `folder` runnable; none when nothing is to be installed."""
    project = folder.toml("pyproject.toml")
    locked = _locked(folder, project)
    installs = [locked] if locked else [*_requirement_steps(folder), *_package_steps(folder, project)]
    if not locked:
        tests = _test_steps(folder, project, installs)
        installs += [*tests, *(_own_again(folder, project) if tests else [])]
    checks = [folder.step(_version_check(wish), on_failure="flag") for wish in _wished_versions(folder, project)]
    return (*checks, *installs)


# --- locks ------------------------------------------------------------------------------------------------------------


def _locked(folder: Folder, project: dict[str, Any]) -> Step | None:
    """One step that installs what the lock file says; without lock tool or network to it, what the project says."""
    loose = [step.command for step in (*_requirement_steps(folder), *_package_steps(folder, project))]
    tests = _test_steps(folder, project, ())
    loose += [" || ".join((step.command, *step.fallbacks)) for step in tests]
    loose += [step.command for step in _own_again(folder, project) if tests]
    plain = " && ".join(f"{{ {command}; }}" for command in loose)
    fallbacks = [plain] if plain else []
    if folder.has("uv.lock"):
        get = f"uv={UV}; [ -x $uv ] || {{ {_tool('uv')} && uv={TOOL_FOLDER}/bin/uv; }}"
        return folder.step(_exported(folder, project, get, f"$uv {_uv_export(folder, project)}"), *fallbacks)
    if folder.has("poetry.lock"):
        return folder.step(_poetry(folder, project), *fallbacks)
    if folder.has("pdm.lock"):
        export = f"{TOOL_FOLDER}/bin/pdm export --format requirements --without-hashes --output {EXPORTED}"
        return folder.step(_exported(folder, project, _tool("pdm"), export), *fallbacks)
    requirements = _pipfile(folder)
    if requirements:
        wanted = shlex.join(requirements)
        names = shlex.join(sorted({re.split(r"[^A-Za-z0-9._-]", line)[0] for line in requirements}))
        return folder.step(f"{PIP} {wanted}", f"{PIP} {names}") if len(wanted) < _MAX_COMMAND_CHARACTERS else None
    return None


def _tool(name: str) -> str:
    """Install a lock tool apart from the project's own environment."""
    return f"python3 -m venv {TOOL_FOLDER} && PIP_INSTALL_PYTHON={TOOL_FOLDER}/bin/python {PIP} -q {name}"


def _exported(folder: Folder, project: dict[str, Any], get: str, export: str) -> str:
    own = f" && {{ {_editable(project, '.', '--no-deps')}; }}" if _is_package(folder, project) else ""
    return f"{get} && {export} && {PIP} -r {EXPORTED}{own}"


def _uv_export(folder: Folder, project: dict[str, Any]) -> str:
    declared = table(project, "project", "optional-dependencies")
    wanted = [f"--extra {name}" for name in extras(folder, project) if name in declared]
    wanted += [f"--group {name}" for name in groups(folder, project)]
    own = ["--no-emit-project"] if not table(project, "tool", "uv", "workspace") else ["--all-packages"]
    return " ".join(["export -q --frozen --no-hashes --no-python-downloads", *own, *wanted, f"-o {EXPORTED}"])


def _poetry(folder: Folder, project: dict[str, Any]) -> str:
    declared = table(project, "tool", "poetry", "group")
    optional = [name for name in TEST_GROUPS if table(declared, name).get("optional") is True]
    options = [f"--with {','.join(optional)}" if optional else ""]
    options += [f"--extras {name}" for name in extras(folder, project)]
    # Poetry installs into the environment that is active.
    install = (
        f"VIRTUAL_ENV={VENV} POETRY_CACHE_DIR=/var/tmp/coder-poetry {TOOL_FOLDER}/bin/poetry install --no-interaction"
    )
    return " ".join([_tool("poetry"), "&&", install, *filter(None, options)])


def _pipfile(folder: Folder) -> list[str]:
    """Requirements of a Pipfile.lock, else of the Pipfile."""
    if folder.has("Pipfile.lock"):
        lock = folder.json("Pipfile.lock")
        sections = [table(lock, "default"), table(lock, "develop")]
    else:
        pipfile = folder.toml("Pipfile")
        sections = [table(pipfile, "packages"), table(pipfile, "dev-packages")]
    return sorted(
        {line for section in sections for name, wish in section.items() if (line := _pipfile_line(name, wish))}
    )


def _pipfile_line(name: str, wish: object) -> str:
    entry = wish if isinstance(wish, dict) else {"version": wish}
    if not REQUIREMENT.fullmatch(name) or not table({"x": entry}, "x"):
        return ""
    extras = f"[{','.join(strings(entry.get('extras')))}]" if strings(entry.get("extras")) else ""
    git, path = entry.get("git"), entry.get("path")
    if isinstance(git, str):
        ref = f"@{entry['ref']}" if isinstance(entry.get("ref"), str) else ""
        return f"{name}{extras} @ git+{git}{ref}"
    if isinstance(path, str):
        return f"{path if path.startswith('.') else './' + path}{extras}"
    version = str(entry.get("version") or "*")
    marker = f"; {entry['markers']}" if isinstance(entry.get("markers"), str) else ""
    return f"{name}{extras}{'' if version == '*' else version}{marker}"


# --- requirements, the package itself, its tests ----------------------------------------------------------------------


def _requirement_steps(folder: Folder) -> list[Step]:
    """A step for each requirements file; what only development or tests want does not stop the setup."""
    paths = sorted(p for p in folder.names if _TOPREQUIREMENTS.fullmatch(p) or _FOLDERREQUIREMENTS.fullmatch(p))
    wanted = [path for path in paths if _has_requirements(folder.text(path))]
    main = re.compile(r"requirements\.txt|requirements/(?:base|main|common|core|requirements)\.txt")
    wanted.sort(key=lambda path: (not main.fullmatch(path), path))
    return [
        folder.step(f"{PIP} -r {shlex.quote(path)}", on_failure="stop" if main.fullmatch(path) else "flag")
        for path in wanted
    ]


def _has_requirements(content: str) -> bool:
    return any(line.strip() and not line.strip().startswith("#") for line in content.splitlines())


def _is_package(folder: Folder, project: dict[str, Any]) -> bool:
    if table(project, "tool", "poetry").get("package-mode") is False or table(project, "tool", "uv").get("package") is (
        False
    ):
        return False
    declared = "build-system" in project or "name" in table(project, "project")
    return declared or "name" in table(project, "tool", "poetry") or folder.has("setup.py")


def _package_steps(folder: Folder, project: dict[str, Any]) -> list[Step]:
    """The project itself; without its extras when those cannot be had."""
    if not _is_package(folder, project):
        return []
    wanted = extras(folder, project)
    plain = _editable(project, ".")
    if not wanted:
        return [folder.step(plain)]
    return [folder.step(_editable(project, f".[{','.join(wanted)}]"), plain)]


def _own_again(folder: Folder, project: dict[str, Any]) -> list[Step]:
    """The project once more, where what its tests want has put a release of it in its place: they would test that one.

    Test tools need packaging, attrs or pluggy, too, and a development version is too low or a pre-release to them.
    """
    if not _is_package(folder, project):
        return []
    program = (
        "import importlib.metadata as m, json, pathlib, sys; here = pathlib.Path.cwd().as_uri(); "
        "known = (json.loads(d.read_text('direct_url.json') or '{}') for d in m.distributions()); "
        "sys.exit(not any(one.get('url') == here for one in known))"
    )
    own = _editable(project, ".", "--no-deps")
    return [folder.step(f'{VENV}/bin/python -c "{program}" || {{ {own}; }}', on_failure="flag")]


def _editable(project: dict[str, Any], target: str, *options: str) -> str:
    command = " ".join([PIP, *options, "-e", shlex.quote(target)])
    system = table(project, "build-system")
    backend = str(system.get("build-backend", "setuptools.build_meta")).partition(".")[0]
    needs = {re.split(r"[^A-Za-z0-9_-]", need.strip())[0].lower() for need in strings(system.get("requires"))}
    if backend == "setuptools" and needs <= _PLAIN_BUILD and "backend-path" not in system:
        # With the distribution's setuptools a project without dependencies needs no network.
        isolated = " ".join([PIP, "--no-build-isolation", *options, "-e", shlex.quote(target)])
        return f"{isolated} || {command}"
    return command


def _test_steps(folder: Folder, project: dict[str, Any], before: Iterable[Step]) -> list[Step]:
    """PEP 735 groups (the distribution's pip does not know them), hatch's environments and Poetry's groups, else tox or nox."""
    lines = [*group_lines(project, groups(folder, project)), *hatch_lines(folder, project)]
    lines = list(dict.fromkeys([*lines, *poetry_lines(project)]))
    if lines:
        names = [re.split(r"[\s=<>!~;@]", line)[0] for line in lines]
        loose = [] if names == lines else [f"{PIP} {shlex.join(dict.fromkeys(names))}"]
        return [folder.step(f"{PIP} {shlex.join(lines)}", *loose, on_failure="flag")]
    known = any("test" in step.command or "dev" in step.command for step in before)
    wanted = [] if known or extras(folder, project) else tox_arguments(folder) or nox_arguments(folder)
    return [folder.step(f"{PIP} {' '.join(wanted)}", on_failure="note")] if wanted else []


# --- the version ------------------------------------------------------------------------------------------------------


def _wished_versions(folder: Folder, project: dict[str, Any]) -> list[str]:
    """Version specifiers that the project puts on Python."""
    found = []
    required = table(project, "project").get("requires-python")
    poetry = table(project, "tool", "poetry", "dependencies").get("python")
    config = folder.ini("setup.cfg")
    if not isinstance(required, str) and config.has_option("options", "python_requires"):
        required = config.get("options", "python_requires")
    if isinstance(required, str):
        found.append(required)
    elif isinstance(poetry, str) and (caret := re.fullmatch(r"(?:\^|>=)\s*(\d+\.\d+)[\d.]*(?:,.*)?", poetry.strip())):
        found.append(f">={caret[1]}")
    pinned = (
        _VERSION.fullmatch(folder.text(".python-version").strip().splitlines()[0])
        if (folder.text(".python-version").strip())
        else None
    )
    if pinned:
        # The patch release of a pin is a habit; an older minor release is another language.
        found.append(f">={'.'.join(pinned[1].split('.')[:2])}")
    return [wish for wish in dict.fromkeys(found) if re.fullmatch(r"[\d.*,<>=!~\s]{1,80}", wish)]


def _version_check(wish: str) -> str:
    program = (
        "import platform, sys; from pip._vendor.packaging.specifiers import SpecifierSet; "
        "v = platform.python_version(); ok = SpecifierSet(sys.argv[1]).contains(v, prereleases=True); "
        "print('ok' if ok else f'THE PROJECT ASKS FOR PYTHON {sys.argv[1]}, THE IMAGE HAS {v}'); sys.exit(not ok)"
    )
    return f'{VENV}/bin/python -c "{program}" {shlex.quote(wish)}'
