"""Reads XML reports (JUnit, and TRX of .NET) written by programs that may lie: no entity, no DTD, no unbounded size, no exception to the outside."""

import io
from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree

from coder.types import TestReport
from coder.verify.outcomes import (
    MAX_REPORT_BYTES,
    MAX_TESTS,
    Outcome,
    Outcomes,
    Reading,
    UnreadableError,
    relative,
    unreadable,
)

_MAX_DEPTH: Final = 64


def read_report(data: bytes) -> TestReport:
    """The outcomes by test id (`file::Class::name` where the report tells the file), each list sorted.

    An id that occurs more than once counts with its worst outcome: a test that passes and whose teardown fails has
    failed. Anything that is no such report gives `by_id=False` and the reason.
    """
    return read_reports([data]).report


def read_reports(parts: Sequence[bytes], root: str = "") -> Reading:
    """The same for a report that lies in several files; absolute paths in it are taken relative to `root`."""
    outcomes = Outcomes()
    for data in parts:
        if not data.strip():
            return Reading(unreadable("the test report is empty"))
        if len(data) > MAX_REPORT_BYTES:
            return Reading(unreadable(f"the test report is larger than {MAX_REPORT_BYTES // 1024 // 1024} MB"))
        try:
            for case in elements(data, "testcase", roots=("testsuite", "testsuites")):
                outcomes.add(_test_id(case, root), _outcome(case))
        # ValueError: defusedxml's refusals, unknown and multi-byte encodings; LookupError: an encoding Python has not.
        except (ParseError, ValueError, LookupError, UnreadableError) as exc:
            return Reading(unreadable(f"the test report cannot be read: {' '.join(str(exc).split())[:200]}"))
    return outcomes.reading()


def elements(data: bytes, tag: str, *, roots: Sequence[str]) -> Iterator[Element]:
    """The elements of a tag one by one, each forgotten when the next is asked for; namespaces are left out of tags.

    Raises:
        UnreadableError: It is another kind of document, too deep, or tells of too many. ParseError, ValueError,
            LookupError: It is no XML, has a DTD or entities, or an encoding that Python has not.
    """
    open_elements: list[Element] = []
    count = 0
    for event, element in defusedxml.ElementTree.iterparse(io.BytesIO(data), events=("start", "end"), forbid_dtd=True):
        if event == "start":
            element.tag = str(element.tag).rpartition("}")[2]
            open_elements.append(element)
            _check_place(open_elements, roots)
            continue
        open_elements.pop()
        if element.tag == tag:
            count += 1
            if count > MAX_TESTS:
                raise UnreadableError(f"more than {MAX_TESTS} tests")
            yield element
        if all(outer.tag != tag for outer in open_elements):
            element.clear()
            if open_elements:
                open_elements[-1].remove(element)


def _check_place(open_elements: list[Element], roots: Sequence[str]) -> None:
    """Refuse another kind of document, and nesting that no runner writes."""
    if open_elements[0].tag not in roots:
        raise UnreadableError(f"its root is <{str(open_elements[0].tag)[:40]}>")
    if len(open_elements) > _MAX_DEPTH:
        raise UnreadableError("its elements are nested too deep")


_TRX_OUTCOMES: Final[dict[str, Outcome]] = {
    "Passed": "passed",
    "Failed": "failed",
    "NotExecuted": "skipped",
    "Inconclusive": "skipped",
}


def read_trx(parts: Sequence[bytes], _root: str = "") -> Reading:
    """`dotnet test --logger trx`, a file for each project: ids are the tests' full names."""
    outcomes = Outcomes()
    for data in parts:
        if len(data) > MAX_REPORT_BYTES:
            return Reading(unreadable(f"the test report is larger than {MAX_REPORT_BYTES // 1024 // 1024} MB"))
        try:
            for result in elements(data, "UnitTestResult", roots=("TestRun",)):
                name = result.get("testName", "")
                outcomes.add(name, _TRX_OUTCOMES.get(result.get("outcome", ""), "errored"))
                message = next((inner.text for inner in result.iter("Message") if inner.text), "")
                if message:
                    outcomes.tell(f"{name}\n{message}\n\n")
        except (ParseError, ValueError, LookupError, UnreadableError) as exc:
            return Reading(unreadable(f"the test report cannot be read: {' '.join(str(exc).split())[:200]}"))
    return outcomes.reading()


_NOT_RUN: Final = frozenset({"notrun", "disabled", "skipped", "ignored"})


def _outcome(case: Element) -> Outcome:
    tags = {str(child.tag) for child in case}
    if "error" in tags:
        return "errored"
    if "failure" in tags:
        return "failed"
    # ctest tells of what it left out by an attribute only.
    return "skipped" if "skipped" in tags or case.get("status") in _NOT_RUN else "passed"


def _test_id(case: Element, root: str) -> str:
    """Pytest's node id as far as the report tells: its xunit1 family names the file, class names are dotted.

    A file that could not be collected has no class name; its id is the file.
    """
    file, classname, name = (case.get(key, "") for key in ("file", "classname", "name"))
    parts = [classname, name]
    if file.endswith(".php"):
        parts = [relative(file, root), (case.get("class") or classname).rpartition("\\")[2], name]
    elif file and not classname:
        parts = [file]
    elif file:
        module = file.removesuffix(".py").replace("/", ".")
        inside = classname[len(module) :] if classname == module or classname.startswith(f"{module}.") else classname
        parts = [file, *(part for part in inside.split(".") if part), name]
    return "::".join(part for part in parts if part)
