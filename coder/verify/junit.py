"""Reads JUnit reports written by programs that may lie: no entity, no DTD, no unbounded size, no exception to the outside."""

import hashlib
import io
from collections.abc import Iterator
from typing import Final, Literal
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree

from coder.types import TestReport

MAX_REPORT_BYTES: Final = 32 * 1024 * 1024
"""A larger report is not read; pytest writes about 150 bytes for a passing test."""

MAX_TESTS: Final = 200_000
_MAX_ID_CHARS = 400
_MAX_DEPTH = 64

_Outcome = Literal["passed", "skipped", "failed", "errored"]
_SEVERITY: Final[dict[_Outcome, int]] = {"passed": 0, "skipped": 1, "failed": 2, "errored": 3}


class _UnreadableError(Exception):
    """The report breaks one of our bounds."""


def unreadable(problem: str) -> TestReport:
    """A report that tells nothing, and why."""
    return TestReport(by_id=False, problem=problem)


def read_report(data: bytes) -> TestReport:
    """The outcomes by test id (`file::Class::name` where the report tells the file), each list sorted.

    An id that occurs more than once counts with its worst outcome: a test that passes and whose teardown fails has
    failed. Anything that is no such report gives `by_id=False` and the reason.
    """
    if not data.strip():
        return unreadable("the test report is empty")
    if len(data) > MAX_REPORT_BYTES:
        return unreadable(f"the test report is larger than {MAX_REPORT_BYTES // 1024 // 1024} MB")
    outcomes: dict[str, _Outcome] = {}
    try:
        for case in _cases(data):
            name, outcome = _test_id(case), _outcome(case)
            if name not in outcomes or _SEVERITY[outcome] > _SEVERITY[outcomes[name]]:
                outcomes[name] = outcome
    # ValueError: defusedxml's refusals, unknown and multi-byte encodings; LookupError: an encoding Python has not.
    except (ParseError, ValueError, LookupError, _UnreadableError) as exc:
        return unreadable(f"the test report cannot be read: {' '.join(str(exc).split())[:200]}")
    by_outcome: dict[_Outcome, list[str]] = {"passed": [], "skipped": [], "failed": [], "errored": []}
    for name in sorted(outcomes):
        by_outcome[outcomes[name]].append(name)
    return TestReport(
        by_id=True,
        passed=tuple(by_outcome["passed"]),
        failed=tuple(by_outcome["failed"]),
        errored=tuple(by_outcome["errored"]),
        skipped=tuple(by_outcome["skipped"]),
    )


def _cases(data: bytes) -> Iterator[Element]:
    """The `testcase` elements one by one, each forgotten when the next is asked for."""
    open_elements: list[Element] = []
    count = 0
    for event, element in defusedxml.ElementTree.iterparse(io.BytesIO(data), events=("start", "end"), forbid_dtd=True):
        if event == "start":
            open_elements.append(element)
            _check_place(open_elements)
            continue
        open_elements.pop()
        if element.tag == "testcase":
            count += 1
            if count > MAX_TESTS:
                raise _UnreadableError(f"more than {MAX_TESTS} tests")
            yield element
        if all(outer.tag != "testcase" for outer in open_elements):
            element.clear()
            if open_elements:
                open_elements[-1].remove(element)


def _check_place(open_elements: list[Element]) -> None:
    """Refuse what is no JUnit report, and nesting that no runner writes."""
    if open_elements[0].tag not in {"testsuite", "testsuites"}:
        raise _UnreadableError(f"its root is <{str(open_elements[0].tag)[:40]}>")
    if len(open_elements) > _MAX_DEPTH:
        raise _UnreadableError("its elements are nested too deep")


def _outcome(case: Element) -> _Outcome:
    tags = {str(child.tag) for child in case}
    if "error" in tags:
        return "errored"
    if "failure" in tags:
        return "failed"
    return "skipped" if "skipped" in tags else "passed"


def _test_id(case: Element) -> str:
    """Pytest's node id as far as the report tells: its xunit1 family names the file, class names are dotted.

    A file that could not be collected has no class name; its id is the file.
    """
    file, classname, name = (case.get(key, "") for key in ("file", "classname", "name"))
    parts = [file, classname, name]
    if file and not classname:
        parts = [file]
    elif file:
        module = file.removesuffix(".py").replace("/", ".")
        inside = classname[len(module) :] if classname == module or classname.startswith(f"{module}.") else classname
        parts = [file, *(part for part in inside.split(".") if part), name]
    return _bounded("::".join(part for part in parts if part) or "(unnamed)")


def _bounded(name: str) -> str:
    """`name`, or its beginning and a digest of all of it."""
    if len(name) <= _MAX_ID_CHARS:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name[:_MAX_ID_CHARS]}…{digest}"
