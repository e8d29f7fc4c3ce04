"""Reports of .NET, nextest and ctest as these write them, and what is no such report."""

import pytest

from coder.verify.cells import believed
from coder.verify.junit import read_report, read_trx
from coder.verify.lines import read_nextest, read_tap
from coder.verify.runners import REPORT, given

TRX = b"""\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>
<TestRun id="1" name="a" xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010">
  <Times creation="2026-01-01T00:00:00"/>
  <Results>
    <UnitTestResult testName="Shop.CartTests.Adds" outcome="Passed" duration="00:00:00.01"/>
    <UnitTestResult testName="Shop.CartTests.Rounds(value: 2)" outcome="Failed">
      <Output><ErrorInfo><Message>Assert.Equal() Failure: Expected 3, Actual 4</Message><StackTrace>at x</StackTrace></ErrorInfo></Output>
    </UnitTestResult>
    <UnitTestResult testName="Shop.CartTests.Later" outcome="NotExecuted"/>
    <UnitTestResult testName="Shop.CartTests.Odd" outcome="Aborted"/>
  </Results>
  <ResultSummary outcome="Failed"><Counters total="4"/></ResultSummary>
</TestRun>
"""

NEXTEST = b"""    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.02s
------------
 Nextest run ID 0b9f with nextest profile: default
    Starting 3 tests across 2 binaries (1 test skipped)
        PASS [   0.004s] (1/3) shop tests::adds
  stdout
    running 1 test
    test tests::adds ... ok

    test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.00s

        FAIL [   0.005s] (2/3) shop tests::rounds
  stdout
    assertion `left == right` failed
  TRY 2 noise
        PASS [   0.004s] (3/3) shop::outer adds
    test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.00s
------------
     Summary [   0.009s] 3 tests run: 2 passed, 1 failed, 1 skipped
        FAIL [   0.005s] (2/3) shop tests::rounds
error: test run failed
"""


def test_dotnet_tells_ids_outcomes_and_why() -> None:
    reading = read_trx([TRX, TRX.replace(b"CartTests", b"TaxTests")])

    assert reading.report.passed == ("Shop.CartTests.Adds", "Shop.TaxTests.Adds")
    assert reading.report.failed == ("Shop.CartTests.Rounds(value: 2)", "Shop.TaxTests.Rounds(value: 2)")
    assert reading.report.skipped == ("Shop.CartTests.Later", "Shop.TaxTests.Later")
    assert reading.report.errored == ("Shop.CartTests.Odd", "Shop.TaxTests.Odd")
    assert "Expected 3, Actual 4" in reading.output


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<testsuites/>",
        b"<TestRun><Results>",
        b'<!DOCTYPE b [<!ENTITY a "b">]><TestRun>&a;</TestRun>',
        b"<TestRun>" + b"<a>" * 100,
    ],
)
def test_what_is_no_report_of_dotnet_tells_nothing(data: bytes) -> None:
    assert not read_trx([data]).report.by_id


def test_nextest_names_failures_twice_and_counts_them_once() -> None:
    report = read_nextest(NEXTEST, "").report

    assert report.passed == ("shop::outer::adds", "shop::tests::adds")
    assert report.failed == ("shop::tests::rounds",)
    assert report.problem is None


def test_lines_between_those_of_nextest_do_not_add_up() -> None:
    forged = NEXTEST.replace(b"  TRY 2 noise", b"        PASS [   0.001s] shop tests::forged")

    assert "3 tests, 2 of them green" in (read_nextest(forged, "").report.problem or "")
    assert not read_nextest(NEXTEST.split(b"     Summary")[0], "").report.by_id


def test_a_process_that_ends_before_its_test_does_passes_nothing_by_nextest() -> None:
    early = NEXTEST.replace(b"    test result: ok. 1 passed", b"    noise")

    assert "ended with success before shop::tests::adds" in (read_nextest(early, "").report.problem or "")


def test_ctest_tells_what_it_left_out_by_an_attribute() -> None:
    report = read_report(
        b'<testsuite><testcase name="good" classname="good" status="run"/><testcase name="off" classname="off" status="disabled"/>'
        b'<testcase name="gone" classname="gone" status="notrun"><skipped message="x"/></testcase></testsuite>'
    )

    assert (report.passed, report.skipped) == (("good::good",), ("gone::gone", "off::off"))


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("cargo nextest run --workspace", "nextest"),
        ("dotnet test src/a.sln", "dotnet"),
        ("python -m nose2 -v", "nose2"),
        ("nose2", "nose2"),
    ],
)
def test_these_runners_are_known(command: str, kind: str) -> None:
    made = given(command)

    assert made.kind == kind
    assert made.shown == command
    assert (REPORT in made.command) is (kind != "dotnet")


def test_a_green_report_of_a_red_run_is_doubtful() -> None:
    report = believed(
        read_trx([TRX.replace(b'"Failed"', b'"Passed"').replace(b"Aborted", b"Passed")]).report, 1, "dotnet"
    )

    assert "exit code is 1" in (report.problem or "")


TAPE = b"""TAP version 13
# parse
ok 1 keeps the order
ok 2 should be equal
# stringify
ok 3 should be equal
not ok 4 should be equal
  ---
    operator: equal
  ...
# later
ok 5 not yet # SKIP no network

1..5
# tests 5
# pass  4
# fail  1
"""


def test_tap_is_read_by_the_titles_above_its_checks() -> None:
    reading = read_tap(TAPE, "")

    assert reading.report.passed == ("parse",)
    assert reading.report.failed == ("stringify",)
    assert reading.report.skipped == ("later",)
    assert reading.report.problem is None
    assert "not ok 4" in reading.output


def test_tap_of_ava_names_each_test() -> None:
    report = read_tap(b"TAP version 13\n# a\nok 1 - a\n# b\nnot ok 2 - b # TODO mend\n1..2\n", "").report

    assert (report.passed, report.skipped) == (("a",), ("b",))


def test_notes_of_ava_are_no_titles() -> None:
    text = b"TAP version 13\nok 1 - f > a\n#   note\nok 2 - f > b\nnot ok 3 - f > c\n\n1..3\n"

    report = read_tap(text, "").report

    assert (report.passed, report.failed) == (("f > a", "f > b"), ("f > c",))


@pytest.mark.parametrize(
    "text",
    [
        TAPE.replace(b"1..5", b""),
        TAPE.replace(b"ok 3", b"ok 3 forged\nok 3"),
        b"everything is fine\n",
        b"",
    ],
)
def test_tap_that_does_not_run_to_its_end_or_does_not_count_is_none(text: bytes) -> None:
    assert not read_tap(text, "").report.by_id


def test_tap_with_another_plan_is_doubted() -> None:
    assert read_tap(TAPE.replace(b"1..5", b"1..6"), "").report.problem == "TAP plans 6 checks, and 5 are told"
