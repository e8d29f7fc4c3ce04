"""Reads the JSON that test runners write: go test, node:test, Jest, Vitest, Mocha, RSpec. Hostile until proved otherwise."""

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from coder.types import JsonObject
from coder.verify.outcomes import MAX_REPORT_BYTES, Outcome, Outcomes, Reading, UnreadableError, relative, unreadable

Reader = Callable[[bytes, str], Reading]
"""Reads a report; the second argument is the repository's root inside the sandbox."""

_GO_OUTCOMES: Final[dict[str, Outcome]] = {"pass": "passed", "fail": "failed", "skip": "skipped"}
_GO_FRAME: Final = re.compile(r"=== (?:RUN|PAUSE|CONT|NAME) ")
_GO_NOT_BUILT: Final = re.compile(r"FAIL\t(\S+) \[(?:build|setup) failed\]\s*")
_JEST_OUTCOMES: Final[dict[str, Outcome]] = {
    "passed": "passed",
    "focused": "passed",
    "failed": "failed",
    "pending": "skipped",
    "skipped": "skipped",
    "todo": "skipped",
    "disabled": "skipped",
}
_RSPEC_OUTCOMES: Final[dict[str, Outcome]] = {"passed": "passed", "failed": "failed", "pending": "skipped"}
_MOCHA_STATS: Final = re.compile(r'\{\n  "stats": \{')
_MAX_DEPTH = 64


def guarded(read: Callable[[bytes, str, Outcomes], str | None], data: bytes, root: str) -> Reading:
    """What `read` gathers from `data`; anything it cannot make sense of is a reason and no exception.

    `read` gives a problem that makes the whole report doubtful, or None.
    """
    if not data.strip():
        return Reading(unreadable("the test report is empty"))
    if len(data) > MAX_REPORT_BYTES:
        return Reading(unreadable(f"the test report is larger than {MAX_REPORT_BYTES // 1024 // 1024} MB"))
    outcomes = Outcomes()
    try:
        problem = read(data, root, outcomes)
    except (ValueError, RecursionError, UnreadableError) as exc:
        return Reading(unreadable(f"the test report cannot be read: {' '.join(str(exc).split())[:200]}"))
    return outcomes.reading(problem)


def read_go(data: bytes, root: str) -> Reading:
    """`go test -json`: ids `import/path::TestName/sub`; a package that does not build or dies is an error of its own id."""
    return guarded(_go, data, root)


def _go(data: bytes, _root: str, outcomes: Outcomes) -> None:
    run = _GoRun(outcomes)
    events = 0
    for event in _events(data, outcomes):
        events += 1
        package, test, action = (_text(event.get(key)) for key in ("Package", "Test", "Action"))
        if action == "output":
            run.printed(package, test, _text(event.get("Output")))
        elif action == "build-output":  # Go 1.24 and later; before, the compiler's words stand on stderr
            run.compiled(_text(event.get("ImportPath")), _text(event.get("Output")))
        elif action == "run":
            run.open.setdefault((package, test), [])
        elif action in _GO_OUTCOMES and test:
            run.ended(package, test, _GO_OUTCOMES[action])
        elif action in _GO_OUTCOMES:
            run.package_ended(package, red=action == "fail", build=_text(event.get("FailedBuild")))
    if not events and not outcomes.by_id:
        raise UnreadableError("no event of go test")


class _GoRun:
    """The tests that have begun, with what they print, until they end."""

    def __init__(self, outcomes: Outcomes) -> None:
        self.open: dict[tuple[str, str], list[str]] = {}
        self._outcomes = outcomes
        self._red: set[str] = set()
        self._builds: dict[str, list[str]] = {}
        """What the compiler said, by what it built."""

    def compiled(self, build: str, text: str) -> None:
        self._builds.setdefault(build, []).append(text)

    def printed(self, package: str, test: str, text: str) -> None:
        if not _GO_FRAME.match(text):
            self.open.setdefault((package, test), []).append(text)

    def ended(self, package: str, test: str, outcome: Outcome) -> None:
        self._outcomes.add(f"{package}::{test}", outcome)
        text = "".join(self.open.pop((package, test), []))
        if outcome == "failed":
            self._red.add(package)
            self._outcomes.tell(f"{package}: {text}")

    def package_ended(self, package: str, *, red: bool, build: str = "") -> None:
        """What has begun in the package and did not end has not passed; a red one without a red test is an error."""
        own = "".join(self.open.pop((package, ""), []))
        unfinished = [test for of, test in self.open if of == package]
        for test in unfinished:
            self._outcomes.add(f"{package}::{test}", "errored")
            self._outcomes.tell("".join(self.open.pop((package, test))))
        if red and not unfinished and package not in self._red:
            self._outcomes.add(package, "errored")
        if red:
            self._outcomes.tell("".join([*self._builds.get(build, ()), own]))


def _events(data: bytes, outcomes: Outcomes) -> Iterator[JsonObject]:
    """The events, a line each; the lines between them that tell of packages that do not build are noted."""
    for line in data.decode("utf-8", "replace").split("\n"):
        if line.startswith("{"):
            event = json.loads(line)
            if not isinstance(event, dict) or not isinstance(event.get("Action"), str):
                raise UnreadableError("a line that is no event of go test")
            yield event
        elif match := _GO_NOT_BUILT.fullmatch(line):
            outcomes.add(match[1], "errored")
            outcomes.tell(f"{line}\n")


def read_node(data: bytes, root: str) -> Reading:
    """The lines of our own reporter of node:test: ids `file::suite::test`; a file that does not load is its own id."""
    return guarded(_node, data, root)


def _node(data: bytes, root: str, outcomes: Outcomes) -> None:
    below: dict[str, list[tuple[int, list[str], Outcome]]] = {}
    for line in data.decode("utf-8", "replace").split("\n"):
        event = json.loads(line or "{}")
        if not isinstance(event, dict):
            raise UnreadableError("a line that tells of no test")
        if not event:  # the reporter begins with {}, so that a run without tests is not a run without a report
            continue
        file, name = relative(_text(event.get("file")), root), _text(event.get("name"))
        failed = event.get("t") == "test:fail"
        skipped = event.get("skip") not in {None, False} or event.get("todo") not in {None, False}
        outcome: Outcome = "skipped" if skipped else "failed" if failed else "passed"
        depth = event.get("nesting")
        if not isinstance(depth, int) or not 0 <= depth <= _MAX_DEPTH:
            raise UnreadableError("a test without a place")
        if relative(name, root) == file or posixpath.basename(name) == file:
            outcomes.add(file, "errored" if failed else outcome)
            continue
        # A parent is told after its children.
        pending = below.setdefault(file, [])
        done = [(level, [name, *path], what) for level, path, what in pending if level > depth]
        pending[:] = [entry for entry in pending if entry[0] <= depth] + [(depth, [name], outcome)]
        if depth:
            pending.extend(done)
        else:
            _told(file, [*done, (0, [name], outcome)], outcomes)
            pending.clear()
    for file, pending in below.items():
        _told(file, pending, outcomes)


def _told(file: str, tests: Iterable[tuple[int, list[str], Outcome]], outcomes: Outcomes) -> None:
    for _level, path, outcome in tests:
        outcomes.add("::".join([file, *path]), outcome)


def read_jest(data: bytes, root: str) -> Reading:
    """`jest --json`, and Vitest's JSON, which is alike: ids `file::suite::test`; a file that does not load is its own id."""
    return guarded(_jest, data, root)


def _jest(data: bytes, root: str, outcomes: Outcomes) -> str | None:
    report = _table(json.loads(data))
    if not isinstance(report.get("testResults"), list):
        raise UnreadableError("it has no testResults")
    count = 0
    for suite in map(_table, report["testResults"]):
        file, tests = relative(_text(suite.get("name")), root), _list(suite.get("assertionResults"))
        red = False
        for test in map(_table, tests):
            outcome = _JEST_OUTCOMES.get(_text(test.get("status")), "errored")
            # Vitest 1 begins with an empty title.
            titles = [_text(title) for title in _list(test.get("ancestorTitles")) if title]
            outcomes.add("::".join([file, *titles, _text(test.get("title"))]), outcome)
            red = red or outcome in {"failed", "errored"}
            count += 1
        if suite.get("status") == "failed" and not red:
            outcomes.add(file, "errored")
        if suite.get("status") == "failed":
            why = [_text(line) for test in tests for line in _list(_table(test).get("failureMessages"))]
            outcomes.tell("\n".join([file, _text(suite.get("message")) or "\n".join(why), ""]))
    told = report.get("numTotalTests")
    return None if told == count else f"the test report lists {count} tests and counts {str(told)[:20]}"


def read_mocha(data: bytes, root: str) -> Reading:
    """Mocha's JSON: ids `file::full title`. A failing hook is an error of its own id."""
    return guarded(_mocha, data, root)


def _mocha(data: bytes, root: str, outcomes: Outcomes) -> None:
    text = data.decode("utf-8", "replace")
    # Before 9.2 it has no file for it: the document stands among what the tests print.
    starts = [match.start() for match in _MOCHA_STATS.finditer(text)]
    report = _table(json.JSONDecoder().raw_decode(text, starts[-1])[0] if starts else json.loads(text))
    if not isinstance(report.get("stats"), dict) or not isinstance(report.get("tests"), list):
        raise UnreadableError("it is no report of Mocha")
    kinds: tuple[tuple[str, Outcome], ...] = (("passes", "passed"), ("pending", "skipped"), ("failures", "failed"))
    for key, outcome in kinds:
        for test in map(_table, _list(report.get(key))):
            name = f"{relative(_text(test.get('file')), root)}::{_text(test.get('fullTitle'))}"
            hook = outcome == "failed" and re.match(r'"(?:before|after)', _text(test.get("title")))
            outcomes.add(name, "errored" if hook else outcome)
            if outcome == "failed":
                error = _table(test.get("err"))
                outcomes.tell(f"{name}\n{_text(error.get('stack') or error.get('message'))}\n\n")


def read_rspec(data: bytes, root: str) -> Reading:
    """RSpec's JSON: ids `file::full description`. What breaks outside of examples is a problem of the whole."""
    return guarded(_rspec, data, root)


def _rspec(data: bytes, root: str, outcomes: Outcomes) -> str | None:
    report = _table(json.loads(data))
    if not isinstance(report.get("examples"), list):
        raise UnreadableError("it is no report of RSpec")
    for example in map(_table, report["examples"]):
        file = relative(relative(_text(example.get("file_path")), ""), root)
        name = f"{file}::{_text(example.get('full_description'))}"
        outcomes.add(name, _RSPEC_OUTCOMES.get(_text(example.get("status")), "errored"))
        if example.get("status") == "failed":
            outcomes.tell(f"{name}\n{_text(_table(example.get('exception')).get('message'))}\n\n")
    outside = _table(report.get("summary")).get("errors_outside_of_examples_count", 0)
    return f"{str(outside)[:20]} errors outside of examples" if outside else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _table(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}
