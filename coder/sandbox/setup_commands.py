"""What a setup phase runs, detected from the manifests of a repository and of its parts. A pure decision."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from coder.sandbox.setup_folder import Folder, Step
from coder.sandbox.setup_node import has_tests, has_workspaces, node_steps
from coder.sandbox.setup_others import cpp_steps, go_steps, java_steps, php_steps, ruby_steps, rust_steps
from coder.sandbox.setup_python import python_steps

MAX_DEPTH = 3
"""How far below the top a project is looked for."""
MAX_ROOTS = 8
"""How many projects of one language are set up."""
MAX_LANGUAGES = 3
"""How many languages one image holds."""

SKIPPED = frozenset(
    {"node_modules", "vendor", "third_party", "thirdparty", "testdata", "fixtures", "fixture", "examples", "example"}
    | {"samples", "sample", "demo", "demos", "templates", "template", "doc", "docs", "benchmarks", "site-packages"}
    | {"test", "tests", "e2e", "__tests__", "dist", "build", "target"}
)
"""Folders whose manifests are somebody else's, or the subject of tests."""


@dataclass(frozen=True, slots=True)
class _Language:
    """How one language's projects are found and set up."""

    manifests: frozenset[str]
    steps: Callable[[Folder], tuple[Step, ...]]
    locks: frozenset[str] = frozenset()
    """Further files that the result depends on."""


_LANGUAGES: Mapping[str, _Language] = {
    "python": _Language(
        frozenset({"pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "Pipfile.lock", "tox.ini", ".python-version"}),
        python_steps,
        frozenset({"uv.lock", "poetry.lock", "pdm.lock", "MANIFEST.in", "constraints.txt"}),
    ),
    "node": _Language(
        frozenset({"package.json"}),
        node_steps,
        frozenset({"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "pnpm-workspace.yaml"})
        | {".npmrc", ".yarnrc", ".yarnrc.yml", ".nvmrc", ".node-version"},
    ),
    "go": _Language(frozenset({"go.mod", "go.work"}), go_steps, frozenset({"go.sum", "go.work.sum"})),
    "cpp": _Language(frozenset({"configure.ac"}), cpp_steps, frozenset({"Makefile.am"})),
    "rust": _Language(frozenset({"Cargo.toml"}), rust_steps, frozenset({"Cargo.lock", "rust-toolchain.toml"})),
    "java": _Language(
        frozenset({"pom.xml", "build.gradle", "build.gradle.kts"}),
        java_steps,
        frozenset({"settings.gradle", "settings.gradle.kts", "gradle.lockfile", "gradle.properties"}),
    ),
    "ruby": _Language(frozenset({"Gemfile"}), ruby_steps, frozenset({"Gemfile.lock", ".ruby-version"})),
    "php": _Language(frozenset({"composer.json"}), php_steps, frozenset({"composer.lock"})),
}


@dataclass(frozen=True, slots=True)
class Detected:
    """What a repository's manifests ask for."""

    steps: tuple[Step, ...] = ()
    languages: tuple[str, ...] = ()
    """Names of the images that the steps need, the main one first."""
    inputs: tuple[str, ...] = ()
    """The files that the result of the steps depends on, as far as is known without running them."""

    @property
    def commands(self) -> tuple[str, ...]:
        """Everything that may be run, in order."""
        return tuple(part for step in self.steps for part in (step.folder, step.command, *step.fallbacks))


def detected(files: Mapping[str, bytes], main: str = "python") -> Detected:
    """What makes the repository's tests runnable. Failures in other languages than `main` do not stop the setup."""
    places = folders(files)
    steps: list[Step] = []
    languages: list[str] = []
    inputs: set[str] = set()
    for name in sorted(_LANGUAGES, key=lambda name: name != main):
        found = _of_language(_LANGUAGES[name], places)
        if found and len(languages) < MAX_LANGUAGES:
            languages.append(name)
            steps += [step if name == main else step.softened() for one in found for step in one[1]]
            inputs |= {path for folder, _ in found for path in _inputs(folder, _LANGUAGES[name])}
    return Detected(tuple(steps), tuple(languages), tuple(sorted(inputs)))


def given(files: Mapping[str, bytes], commands: tuple[str, ...], main: str = "python") -> Detected:
    """Commands that somebody gave: each must succeed, and whichever manifest there is may bear on them."""
    inputs = {path for folder in folders(files) for one in _LANGUAGES.values() for path in _inputs(folder, one)}
    steps = tuple(Step(command) for command in commands)
    return Detected(steps, detected(files, main).languages if commands else (), tuple(sorted(inputs)))


def folders(files: Mapping[str, bytes]) -> list[Folder]:
    """Folders that may hold a project, the outermost first, each with the names in it."""
    names: dict[str, set[str]] = {}
    for path in files:
        parts = path.split("/")
        if len(parts) <= MAX_DEPTH + 1 and not any(part in SKIPPED or part.startswith(".") for part in parts[:-1]):
            names.setdefault("/".join(parts[:-1]), set()).add(parts[-1])
        if len(parts) > 1 and parts[-2] == "requirements" and len(parts) <= MAX_DEPTH + 2:
            names.setdefault("/".join(parts[:-2]), set()).add(f"requirements/{parts[-1]}")
    order = sorted(names, key=lambda path: (path.count("/") + bool(path), path))
    return [Folder(path, files, frozenset(names[path])) for path in order]


def _of_language(language: _Language, places: list[Folder]) -> list[tuple[Folder, tuple[Step, ...]]]:
    """The outermost projects and their steps: what lies below a project belongs to it."""
    found: list[tuple[Folder, tuple[Step, ...]]] = []
    covered: list[str] = []
    for folder in places:
        known = not folder.names.isdisjoint(_names(folder, language))
        inside = any(folder.path.startswith(f"{root}/") or not root for root in covered)
        if not known or inside or len(found) >= MAX_ROOTS or (found and _untested(language, folder, found[0][0])):
            continue
        steps = language.steps(folder)
        if steps:
            found.append((folder, steps))
            if _covers(language, folder):
                covered.append(folder.path)
    return found


def _covers(language: _Language, folder: Folder) -> bool:
    """Whether a project speaks for the folders below; a bare package.json at the top often is for one tool only."""
    return language.steps is not node_steps or bool(folder.path) or has_workspaces(folder)


def _untested(language: _Language, folder: Folder, first: Folder) -> bool:
    """Whether a package below one with tests has none: a website, say, whose dependencies no test needs."""
    return language.steps is node_steps and not first.path and has_tests(first) and not has_tests(folder)


def _names(folder: Folder, language: _Language) -> set[str]:
    """The manifests of a language in a folder."""
    loose = {name for name in folder.names if "requirements" in name} if language.steps is python_steps else set()
    return loose | (folder.names & language.manifests)


def _inputs(folder: Folder, language: _Language) -> list[str]:
    wanted = _names(folder, language) | (folder.names & language.locks)
    return [f"{folder.path}/{name}" if folder.path else name for name in wanted]
