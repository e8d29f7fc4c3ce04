"""The test runners that we know: how each is made to tell outcomes by test id."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from coder.verify.jest import unseen_arguments
from coder.verify.selection import SELECTIONS, files_of

REPORT: Final = "{report}"
"""Stands in a command for the report's path, which is new for every run."""
SELECT: Final = "{select}"
"""Stands in a command for the tests that are chosen; `everything` takes its place when none are."""

TO_THE_END: Final = "--continue-on-collection-errors"  # a file that cannot be imported says nothing of the others
CARGO: Final = "cargo test --offline --no-fail-fast"
PYTEST: Final = f"python3 -m pytest -q --tb=short --maxfail=0 {TO_THE_END} -o junit_family=xunit1 --junitxml={REPORT}"

_NODE_REPORTER: Final = (
    "data:text/javascript,export default async function*(s){yield '{}\\n';for await(const{type:t,data:d}of s)"
    'if(t=="test:pass"||t=="test:fail")yield JSON.stringify({t,name:d.name,nesting:d.nesting,file:d.file,skip:d.skip,'
    "todo:d.todo})+'\\n'}"
)
"""A reporter of node:test that tells the file of each test, which its TAP does not before Node 22."""

_SIMPLE: Final = re.compile(r"[^;&|<>`$(){}\n\\]*")
"""A command line without the shell's own syntax: words may be put into it and behind it."""

Kind = Literal[
    "pytest",
    "junit",
    "unittest",
    "nose2",
    "go",
    "node",
    "jest",
    "vitest",
    "mocha",
    "tap",
    "cargo",
    "nextest",
    "dotnet",
    "maven",
    "gradle",
    "rspec",
    "minitest",
    "phpunit",
    "ctest",
    "exit_code",
]


@dataclass(frozen=True, slots=True)
class TestCommand:
    """A command that runs the tests from the repository's root.

    `exit_code`: nothing but whether it failed is known. Every other kind tells outcomes by test id, in the report that
    `{report}` in the command names.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    command: str
    kind: Kind
    report_path: str | None = None
    """A fixed path where the command leaves a JUnit report, for a given command without `{report}`."""
    plain: str = ""
    """The command as a person would type it, when that is not the command without its report."""
    everything: str = ""
    """What stands for all tests where `{select}` is."""
    spare: str = ""
    """The command without options that the environment may not know, or that disturb the tests; empty where there are none."""

    progress: str = ""
    """What tells how far a run came that was killed; empty where the output does."""

    @property
    def shown(self) -> str:
        """The command as a person would type it, without the report."""
        if self.plain:
            return " ".join(self.plain.replace(SELECT, self.everything).split()).removesuffix(" --")
        command = self.command.replace(SELECT, self.everything).rstrip()
        return re.sub(rf"\s+(?:{TO_THE_END}|-o junit_family=xunit1|--junitxml[= ]{re.escape(REPORT)})", "", command)

    def line(self, report: str) -> str:
        """What the shell is given, with the report going to `report`."""
        return self.command.replace(SELECT, self.everything).replace(REPORT, report)

    def selecting(self, tests: Sequence[str]) -> "TestCommand":
        """The same, for some files, folders or ids only; what cannot be selected runs whole."""
        if not tests or self.kind not in SELECTIONS:
            return self
        if self.kind == "pytest" and SELECT not in self.command:
            return replace(self, command=f"{self.command} {shlex.join(['--', *tests])}")
        words = SELECTIONS[self.kind](tests)
        return replace(self, everything=shlex.join(words)) if words and SELECT in self.command else self

    def widened(self, tests: Sequence[str]) -> "TestCommand":
        """The same, with those of `tests` that lie outside of the places it names; where it names none it runs all there is."""
        places = [place.removeprefix("./").rstrip("/") for place in shlex.split(self.everything)]
        if self.kind != "pytest" or not places or {"", "."} & {*places}:
            return self
        outside = [test for test in tests if not any(test == place or test.startswith(f"{place}/") for place in places)]
        return replace(self, everything=shlex.join([*shlex.split(self.everything), *files_of(outside)]))

    def spared(self) -> "TestCommand":
        """The same, without the options that may be unknown where it runs."""
        return replace(self, command=self.spare, spare="") if self.spare else self

    def by_exit_code(self) -> "TestCommand":
        """The same tests, judged by nothing but whether they fail."""
        return TestCommand(self.shown, "exit_code")


def go(flags: str = "") -> TestCommand:
    """`go test`; nothing is taken from its cache of results."""
    full = f"go test -json -count=1{flags} {SELECT} > {REPORT}"
    return TestCommand(full, "go", plain=f"go test{flags} {SELECT}", everything="./...")


def cargo(command: str) -> TestCommand:
    """`cargo test`, by its lines."""
    return TestCommand(_teed(f"{command} {SELECT}"), "cargo", plain=f"{command} {SELECT}")


def nextest(command: str) -> TestCommand:
    """`cargo nextest run`, by its lines."""
    told = "--status-level all --final-status-level none --success-output immediate --failure-output immediate"
    full = f"{command} --no-fail-fast {told}"
    return TestCommand(_teed(full), "nextest", plain=command)


def dotnet(command: str) -> TestCommand:
    """.NET, by the report of each project."""
    return TestCommand(f"{command} --logger trx", "dotnet", plain=command)


def nose2(command: str) -> TestCommand:
    """nose2, by its own JUnit plug-in."""
    said = f"--plugin nose2.plugins.junitxml --junit-xml --junit-xml-path {REPORT}"
    return TestCommand(f"{command} {said}", "nose2", plain=command)


def maven(command: str) -> TestCommand:
    """Maven, by the reports of surefire."""
    return TestCommand(f"{command} {SELECT}", "maven", plain=f"{command} {SELECT}")


def gradle(command: str) -> TestCommand:
    """Gradle, by the reports of its test tasks."""
    return TestCommand(f"{_GRADLE_HOME}; {command} {SELECT}", "gradle", plain=f"{command} {SELECT}")


_GRADLE_HOME: Final = (
    'kept=$GRADLE_USER_HOME; [ -z "$kept" ] || [ -w "$kept" ] || { export GRADLE_USER_HOME=${TMPDIR:-/tmp}/gradle-home; '
    '[ -d "$GRADLE_USER_HOME" ] || { mkdir "$GRADLE_USER_HOME"; cp -rs "$kept/." "$GRADLE_USER_HOME" 2> /dev/null; '
    "find \"$GRADLE_USER_HOME\" -type l '(' -name '*.lock' -o -name '*.lck' -o -name '*.bin' ')' "
    "-exec sed -i '' {} +; }; }"
)
"""Gradle writes to its home, which tests may not where it was filled: links to what lies there, and copies of what it locks."""


def rspec(command: str) -> TestCommand:
    """RSpec, by its JSON."""
    shown = f"{command} {SELECT}"
    return TestCommand(f"{command} --format progress --format json --out {REPORT} {SELECT}", "rspec", plain=shown)


def minitest(command: str) -> TestCommand:
    """Minitest, by its verbose lines."""
    return TestCommand(_teed(command), "minitest", plain=command)


def phpunit(command: str) -> TestCommand:
    """PHPUnit, by its JUnit report."""
    return TestCommand(f"{command} --log-junit {REPORT} {SELECT}", "phpunit", plain=f"{command} {SELECT}")


def unittest(command: str) -> TestCommand:
    """The standard library's runner, by its verbose lines."""
    return TestCommand(_teed(f"{command} -v"), "unittest", plain=command)


def npm(script: str) -> TestCommand:
    """`npm test` where `script` is what package.json says it runs."""
    kind = script_kind(script)
    if kind == "tap":
        return in_package(script)
    if kind == "node":
        return _node(script)
    if kind is not None:
        full = f"npm test --silent -- {_APPENDED[kind]} {SELECT}"
        spare = unseen_arguments(script, f"{_BIN}; ", f"{_APPENDED[kind]} {SELECT}")
        full = _kept(full) if kind == "mocha" else full
        return TestCommand(full, kind, plain=f"npm test --silent -- {SELECT}", spare=spare)
    return TestCommand("npm test --silent", "exit_code")


def script_kind(command: str) -> Kind | None:
    """The kind of a simple command in a package's script, when it calls a runner that can be made to report."""
    words = _words(command)
    if words[:1] == ["node"]:
        return "node" if "--test" in words and "--test-reporter" not in command else None
    return _JS_RUNNERS.get(words[0].rpartition("/")[2]) if words else None


def in_package(call: str, before: Sequence[str] = ()) -> TestCommand:
    """A call of a runner by one of a package's scripts, after what the script does `before`."""
    kind, first = script_kind(call), " && ".join([*before, ""])
    if kind == "node":
        made = _node(call)
        return replace(made, command=f"{_BIN}; {first}{made.command}", plain=f"{first}{made.plain}")
    shown = f"{first}{call} {SELECT}"
    if kind == "tap":
        option = _TAP_OPTIONS.get(_words(call)[0].rpartition("/")[2], "")
        return TestCommand(_teed(f"{_BIN}; {first}{call}{option} {SELECT}"), kind, plain=shown)
    full = f"{_BIN}; {first}{call} {_APPENDED[kind] if kind else ''} {SELECT}"
    spare = unseen_arguments(call, f"{_BIN}; {first}", f"{_APPENDED['jest']} {SELECT}")
    return TestCommand(_kept(full) if kind == "mocha" else full, kind or "exit_code", plain=shown, spare=spare)


_BIN: Final = 'export PATH="$PWD/node_modules/.bin:$PATH"'
_JS_RUNNERS: Final[dict[str, Kind]] = {
    "jest": "jest",
    "react-scripts": "jest",
    "vitest": "vitest",
    "mocha": "mocha",
    "_mocha": "mocha",
    "tape": "tap",
    "ava": "tap",
    "tap": "tap",
    "borp": "tap",
}
_TAP_OPTIONS: Final[Mapping[str, str]] = {
    # It ends after 10 idle seconds, too few on a busy machine.
    "ava": " --tap --timeout=2m",
    "tap": " --reporter=tap",
    "borp": " --reporter=tap",
}
"""How those are told to print it that do not by themselves."""
_JS_WRAPPERS: Final = frozenset({"npx", "cross-env", "c8", "nyc"})
_APPENDED: Final[dict[Kind, str]] = {
    "jest": f"--json --outputFile={REPORT}",
    "vitest": f"--run --reporter=default --reporter=json --outputFile.json={REPORT}",
    "mocha": f"--reporter json --reporter-option output={REPORT}",
}
PLAIN_CALLS: Final[Mapping[str, str]] = {"vitest": "vitest run", "jest": "jest", "mocha": "mocha", "ava": "ava"}
"""How a runner is called that finds its tests by itself."""


def _node(script: str) -> TestCommand:
    """node:test; its options must stand before the files, so npm cannot append them."""
    head, _, tail = script.partition("--test")
    match = re.match(r"((?:\s+(?:-r|--require|--import|--loader|--experimental-loader)\s+\S+|\s+-\S+)*)(.*)", tail)
    options, files = (match[1], match[2]) if match else ("", tail)
    reporters = f"--test-reporter=spec --test-reporter-destination=stdout --test-reporter={shlex.quote(_NODE_REPORTER)}"
    run = f"{head}{reporters} --test-reporter-destination={REPORT} --test{options} {SELECT}"
    full = f'PATH="$PWD/node_modules/.bin:$PATH" {run}'
    return TestCommand(full, "node", plain=f"{head}--test{options} {SELECT}", everything=files.strip())


def _words(script: str) -> list[str]:
    """The words of a simple command, without assignments and wrappers before it; none where a shell would do more."""
    if not _SIMPLE.fullmatch(script):
        return []
    try:
        words = shlex.split(script)
    except ValueError:
        return []
    at = 0
    while at < len(words) and (words[at] in _JS_WRAPPERS or re.match(r"[A-Za-z_]\w*=|-", words[at])):
        at += 1
    if words[at : at + 1] == ["node"] and "".join(words[at + 2 : at + 3]) in _JS_RUNNERS:
        at += 2  # a script of the repository's own that starts what it is told
    return words[at:]


def _teed(command: str) -> str:
    """The command with all that it prints also in the report, and its own exit code."""
    return f"set -o pipefail; {command} 2>&1 | tee -- {REPORT}"


def _kept(command: str) -> str:
    """The command with what it prints as the report where it writes none: Mocha takes a file for one since 9.2 only."""
    keep = f'[ -s {REPORT} ] || cp -- "$printed" {REPORT}'
    shown = """sed -u '/^  "stats": {$/,$d'"""
    return f'set -o pipefail; printed=$(mktemp); {command} | tee -- "$printed" | {shown}; code=$?; {keep}; (exit $code)'


def given(command: str) -> TestCommand:
    """What an operator or a repository's own settings ask for.

    A plain call of a known runner is made to report by test id; another command is judged by its exit code unless it
    says with `{report}` where a JUnit report goes.
    """
    command = command.strip()
    if REPORT in command:
        return TestCommand(command, "pytest")
    for pattern, made in _GIVEN:
        if re.fullmatch(rf"(?:{pattern})(?:\s{_SIMPLE.pattern})?", command):
            return made(command)
    return TestCommand(command, "exit_code")


def _given_pytest(command: str) -> TestCommand:
    return TestCommand(f"{command} {TO_THE_END} -o junit_family=xunit1 --maxfail=0 --junitxml={REPORT}", "pytest")


def _given_go(command: str) -> TestCommand:
    rest = command.removeprefix("go test").strip()
    flags = rest.removesuffix("./...").strip()
    if flags and not re.fullmatch(r"(?:-[\w.=,/-]+(?:\s+|$))+", flags):
        return TestCommand(f"go test -json {rest} > {REPORT}", "go", plain=command)
    return go(f" {flags}" if flags else "")


_PYTHON: Final = r"(?:(?:uv run|poetry run)\s+)?(?:python3?\s+-m\s+)?"
_GIVEN: Final[tuple[tuple[str, Callable[[str], TestCommand]], ...]] = (
    (rf"{_PYTHON}(?:py\.test|pytest)", _given_pytest),
    (rf"{_PYTHON}unittest", unittest),
    (rf"{_PYTHON}nose2", nose2),
    (r"cargo nextest run", nextest),
    (r"dotnet test", dotnet),
    (r"go test", _given_go),
    (r"cargo test", cargo),
    (r"(?:mvn|\./mvnw)\s[^;]*\b(?:test|verify)", maven),
    (r"(?:gradle|\./gradlew)\s[^;]*\b(?:test|check)", gradle),
    (r"(?:bundle exec )?(?:bin/)?rspec", rspec),
    (r"(?:php\s+)?(?:\./)?vendor/bin/phpunit|phpunit", phpunit),
    (r"(?:npx\s+)?(?:jest|vitest|mocha|ava|tape|tap|borp)", in_package),
    (r"node(?:\s\S+)*\s--test", npm),
)
