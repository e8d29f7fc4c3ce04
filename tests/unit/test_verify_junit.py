import pytest

from coder.types import TestReport
from coder.verify import outcomes
from coder.verify.cells import believed
from coder.verify.junit import read_report
from coder.verify.outcomes import MAX_REPORT_BYTES


def suite(*cases: str) -> bytes:
    return f'<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest">{"".join(cases)}</testsuite></testsuites>'.encode()


def case(name: str, inner: str = "", *, classname: str = "tests.test_x", file: str | None = "tests/test_x.py") -> str:
    where = f' file="{file}"' if file else ""
    return f'<testcase classname="{classname}" name="{name}"{where}>{inner}</testcase>'


def test_ids_are_those_of_pytest() -> None:
    report = read_report(
        suite(
            case("test_a"),
            case("test_b[1.5-x]", classname="tests.test_x.TestY"),
            case("test_c", classname="tests.test_x.TestY.TestZ"),
            case("test_d", classname="SomeJavaTest", file=None),
            case("tests.test_uncollected", classname="", file="tests/test_uncollected.py"),
        )
    )

    assert report.by_id
    assert report.passed == (
        "SomeJavaTest::test_d",
        "tests/test_uncollected.py",
        "tests/test_x.py::TestY::TestZ::test_c",
        "tests/test_x.py::TestY::test_b[1.5-x]",
        "tests/test_x.py::test_a",
    )


def test_outcomes_are_told_apart() -> None:
    report = read_report(
        suite(
            case("passed", "<system-out>x</system-out><properties/>"),
            case("failed", '<failure message="m">text</failure>'),
            case("errored", "<error/>"),
            case("skipped", '<skipped type="pytest.xfail"/>'),
        )
    )

    ids = [
        [name.split("::")[1] for name in outcome]
        for outcome in (report.passed, report.failed, report.errored, report.skipped)
    ]
    assert ids == [["passed"], ["failed"], ["errored"], ["skipped"]]


def test_a_duplicate_counts_with_its_worst_outcome() -> None:
    report = read_report(
        suite(case("a"), case("a", "<error/>"), case("b", "<failure/>"), case("b"), case("c"), case("c"))
    )

    assert report.errored == ("tests/test_x.py::a",)
    assert report.failed == ("tests/test_x.py::b",)
    assert report.passed == ("tests/test_x.py::c",)


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><testsuites>&c;</testsuites>'
)
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><testsuites>&e;</testsuites>'


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"no xml", "cannot be read"),
        (suite(case("a"))[:-20], "cannot be read"),
        (b"<html><testcase name='a'/></html>", "root is <html>"),
        (LAUGHS.encode(), "cannot be read"),
        (OUTSIDE.encode(), "cannot be read"),
        (b'<?xml version="1.0" encoding="no-such"?><testsuites/>', "cannot be read"),
        (b'<?xml version="1.0" encoding="utf-7"?><testsuites/>', "cannot be read"),
        (b"\xff\xfe<testsuites/>", "cannot be read"),
        (b"<testsuites>" + b"<a>" * 200_000, "nested too deep"),
        (b"<testsuites>" + b"<testcase name='a'/>" * 200_001 + b"</testsuites>", "more than 200000 tests"),
        (b"<" * (MAX_REPORT_BYTES + 1), "larger than 32 MB"),
    ],
)
@pytest.mark.timeout(60)
def test_what_is_no_report_gives_a_reason(data: bytes, problem: str) -> None:
    report = read_report(data)

    assert not report.by_id
    assert report.problem is not None
    assert problem in report.problem
    assert "passwd" not in report.problem


def test_a_monstrous_id_is_bounded_and_still_distinct() -> None:
    report = read_report(suite(case("a" * 5000 + "1"), case("a" * 5000 + "2"), "<testcase/>"))

    assert len(report.passed) == 3
    assert max(map(len, report.passed)) < outcomes._MAX_ID_CHARS + 20


@pytest.mark.parametrize(
    ("report", "exit_code", "by_id", "problem"),
    [
        (TestReport(by_id=True, passed=("a",)), 0, "ids", None),
        (TestReport(by_id=True, failed=("a",)), 1, "ids", None),
        (TestReport(by_id=True, skipped=("a",)), 0, "ids", None),
        (TestReport(by_id=True, failed=("a",)), 0, "ids", "lists failures, but the exit code is 0"),
        (TestReport(by_id=True, passed=("a",)), 1, "ids", "lists no failure, but the exit code is 1"),
        (TestReport(by_id=True, passed=("a",)), 139, "ids", "exit code is 139"),
        (TestReport(by_id=True), 0, "none", "without tests"),
        (TestReport(by_id=True), 5, "ids", None),
        (TestReport(by_id=False, problem="p"), 0, "none", "p"),
    ],
)
def test_exit_code_and_report_must_agree(report: TestReport, exit_code: int, by_id: str, problem: str | None) -> None:
    found = believed(report, exit_code)

    assert found.by_id == (by_id == "ids")
    assert (found.problem is None) == (problem is None)
    assert problem is None or problem in (found.problem or "")
