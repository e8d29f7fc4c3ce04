"""What the scripts of a package.json come to: the one call of a runner that we know, and what builds for it before."""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from coder.verify import runners
from coder.verify.runners import TestCommand

_MAX_DEPTH: Final = 4
_MAX_PARTS: Final = 60
_NAMES: Final = (
    "test",
    "test:unit",
    "test:ci",
    "test-unit",
    "unit",
    "tests",
    "unit-test",
    "test:all",
    "jest",
    "vitest",
    "mocha",
)
"""Scripts that people give the tests, the first of these wins."""
_UNITS: Final = ("test:unit", "test-unit", "unit", "unit-test", "test:mocha", "test:jest", "test:vitest", "test:cli")
_MANAGERS: Final = frozenset({"npm", "pnpm", "yarn", "bun"})
_CHECKERS: Final = frozenset(
    {
        "eslint",
        "prettier",
        "standard",
        "xo",
        "biome",
        "stylelint",
        "tslint",
        "knip",
        "publint",
        "attw",
        "dprint",
        "oxlint",
    }
    | {
        "tsd",
        "size-limit",
        "commitlint",
        "markdownlint",
        "cspell",
        "madge",
        "depcheck",
        "echo",
        "nsp",
        "snyk",
        "ls-lint",
    }
)
"""Programs whose failure says nothing of the tests; `lint` scripts count among them."""


def script_command(scripts: Mapping[str, object], dependencies: Collection[str] = ()) -> TestCommand | None:
    """How a package's tests are run: by its script for them; None where it has none.

    Of a script that tells no runner, the one that the package depends on, if it is one, is called without it.
    """
    name = next((name for name in _NAMES if _usable(scripts.get(name))), None)
    if name is None:
        return None
    # What is hooked to it would run in each cell: the runner is called behind the part of it that the tests need.
    hooked = any(isinstance(scripts.get(hook), str) for hook in ("pretest", "posttest"))
    made = runners.npm(str(scripts[name]).strip()) if name == "test" and not hooked else None
    if made is not None and made.kind != "exit_code":
        return made
    # Of a script that calls several runners, the one for units.
    calls = [_inner(one, scripts) for one in (name, *_UNITS) if _usable(scripts.get(one))]
    return (
        next(filter(None, calls), None)
        or _depended(str(scripts[name]), dependencies)
        or TestCommand("npm test --silent" if name == "test" else f"npm run {name} --silent", "exit_code")
    )


def _depended(script: str, dependencies: Collection[str]) -> TestCommand | None:
    """The one runner among the dependencies, where the script does nothing but call a program that we do not know."""
    runner = [name for name in runners.PLAIN_CALLS if name in dependencies]
    words = _first_words(script)
    if len(runner) != 1 or not words or words[0] in {"node", "tsx", "bash", "sh", "make", "deno", "bun", *_MANAGERS}:
        return None
    return runners.in_package(runners.PLAIN_CALLS[runner[0]], ())


def _first_words(script: str) -> list[str]:
    """The words of the first command of a script."""
    try:
        return shlex.split(script.split("&&", 1)[0])
    except ValueError:
        return []


def _usable(script: object) -> bool:
    return isinstance(script, str) and bool(script.strip()) and "no test specified" not in script


def _inner(name: str, scripts: Mapping[str, object]) -> TestCommand | None:
    """The one call of a runner among the parts of a script; None where there is none, or several."""
    parts = list(_parts(name, scripts, 0))
    calls = [at for at, part in enumerate(parts) if runners.script_kind(part) is not None]
    if len(calls) != 1 or len(parts) > _MAX_PARTS:
        return None
    before = [part for part in parts[: calls[0]] if not _checks_only(part)]
    return runners.in_package(parts[calls[0]], [*_hook(f"pre{name}", scripts), *before])


def _hook(name: str, scripts: Mapping[str, object]) -> list[str]:
    """What a script's hook does beside checking; where it works in other folders, all of it."""
    parts = list(_parts(name, scripts, 0))
    needed = [part for part in parts if not _checks_only(part)]
    whole = needed == parts or len(parts) > _MAX_PARTS or any(part.startswith("cd ") for part in parts)
    return [f"npm run --silent {name}"] if needed and whole else needed


def _parts(name: str, scripts: Mapping[str, object], depth: int) -> Iterator[str]:
    """The commands of a script; scripts that it calls are looked into where they call a runner."""
    script = scripts.get(name)
    for part in str(script).split("&&") if isinstance(script, str) else ():
        part_ = part.strip()
        inner = _called(part_, scripts)
        parts = [one for called in inner for one in _parts(called, scripts, depth + 1)] if depth < _MAX_DEPTH else []
        if any(runners.script_kind(one) is not None for one in parts):
            yield from parts[: _MAX_PARTS + 1]
        elif part_:
            yield part_


def _called(part: str, scripts: Mapping[str, object]) -> list[str]:
    """The scripts that a command calls by name; none where it hands them arguments."""
    try:
        words = shlex.split(part)
    except ValueError:
        return []
    if words[:1] in (["run-s"], ["npm-run-all"]):
        names = [word for word in words[1:] if not word.startswith("-")]
        return names if all(name in scripts for name in names) else []
    if len(words) < 2 or words[0] not in _MANAGERS:  # noqa: PLR2004 — a manager and what it is told
        return []
    left = [word for word in words[1:] if word not in {"--silent", "-s", "run", "run-script"}]
    return left if len(left) == 1 and left[0] in scripts else []


def _checks_only(part: str) -> bool:
    words = [word for word in part.split() if not re.match(r"[A-Za-z_]\w*=|npx$", word)]
    program = words[0].rpartition("/")[2] if words else ""
    script = words[-1] if program in _MANAGERS else ""
    return (
        program in _CHECKERS
        or "--noEmit" in words
        or re.search(r"(?:^|:)(?:(?:es|style)?lint|format|prettier|typecheck|types?|check)\b", script) is not None
    )
