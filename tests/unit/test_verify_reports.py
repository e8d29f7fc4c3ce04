"""Reports as runners write them: go, node, Jest, Vitest, Mocha and cargo as they wrote it here, the others made in their shape; and hostile ones."""

import json
from collections.abc import Callable

import pytest

from coder.types import JsonObject
from coder.verify import lines, reports
from coder.verify.outcomes import Reading

GO = rb"""{"Action":"run","Package":"e/x","Test":"TestA"}
{"Action":"output","Package":"e/x","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"pass","Package":"e/x","Test":"TestA","Elapsed":0}
{"Action":"run","Package":"e/x","Test":"TestB/s_1"}
{"Action":"output","Package":"e/x","Test":"TestB/s_1","Output":"    x_test.go:4: bad\n"}
{"Action":"fail","Package":"e/x","Test":"TestB/s_1","Elapsed":0}
{"Action":"skip","Package":"e/x","Test":"TestS","Elapsed":0}
{"Action":"fail","Package":"e/x","Elapsed":0.003}
{"Action":"run","Package":"e/x/ex","Test":"TestE"}
{"Action":"fail","Package":"e/x/ex","Elapsed":0.004}
FAIL	e/x/sub [build failed]
"""
NODE = rb"""{}
{"t":"test:pass","name":"one","nesting":0,"file":"/w/a.test.js"}
{"t":"test:pass","name":"in","nesting":1,"file":"/w/a.test.js"}
{"t":"test:pass","name":"deep","nesting":2,"file":"/w/a.test.js"}
{"t":"test:fail","name":"mid","nesting":1,"file":"/w/a.test.js"}
{"t":"test:fail","name":"suite","nesting":0,"file":"/w/a.test.js"}
{"t":"test:fail","name":"later","nesting":0,"file":"/w/a.test.js","todo":true}
{"t":"test:pass","name":"not now","nesting":0,"file":"/w/a.test.js","skip":"why"}
{"t":"test:fail","name":"/w/c.test.js","nesting":0,"file":"/w/c.test.js"}
{"t":"test:pass","name":"esm","nesting":0,"file":"file:///w/d.test.mjs"}
"""
CARGO = b"""   Compiling x v0.1.0 (/w)
     Running unittests src/lib.rs (target/debug/deps/x-b885370c02d1f6ea)

running 4 tests
test tests::good ... ok
test tests::ign ... ignored
test tests::bad ... FAILED
test tests::pan - should panic ... ok

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.13s

   Doc-tests x

running 2 tests
test src/lib.rs - a (line 2) ... ok
test src/lib.rs - a (line 5) ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.22s
"""


def jest(tests: list[JsonObject], **more: object) -> bytes:
    suite = {"name": "/w/a.test.js", "status": "failed", "message": "why", "assertionResults": tests}
    broken = {"name": "/w/b.test.js", "status": "failed", "message": "no", "assertionResults": []}
    return json.dumps({"numTotalTests": len(tests), "testResults": [suite, broken], **more}).encode()


JEST = [
    {"ancestorTitles": ["outer"], "title": "good", "status": "passed"},
    {"ancestorTitles": ["outer"], "title": "bad", "status": "failed"},
    {"ancestorTitles": [], "title": "later", "status": "todo"},
]


def test_go_tells_tests_packages_and_what_did_not_end() -> None:
    reading = reports.read_go(GO, "")

    assert reading.report.passed == ("e/x::TestA",)
    assert reading.report.failed == ("e/x::TestB/s_1",)
    assert reading.report.errored == ("e/x/ex::TestE", "e/x/sub")
    assert reading.report.skipped == ("e/x::TestS",)
    assert "x_test.go:4: bad" in reading.output


def test_go_tells_what_the_compiler_said_wherever_it_stands() -> None:
    build = "e/x [e/x.test]"
    events: list[dict[str, str]] = [
        {"ImportPath": build, "Action": "build-output", "Output": "# e/x\n"},
        {"ImportPath": build, "Action": "build-output", "Output": "./x.go:9:2: undefined: slices\n"},
        {"ImportPath": build, "Action": "build-fail"},
        {"Action": "start", "Package": "e/x"},
        {"Action": "output", "Package": "e/x", "Output": "FAIL\te/x [build failed]\n"},
        {"Action": "fail", "Package": "e/x", "FailedBuild": build},
        {"Action": "pass", "Package": "e/y"},
    ]
    reading = reports.read_go("\n".join(map(json.dumps, events)).encode(), "")

    assert reading.report.errored == ("e/x",)
    assert "./x.go:9:2: undefined: slices" in reading.output


def test_node_tells_files_and_nests() -> None:
    report = reports.read_node(NODE, "/w").report

    assert report.passed == ("a.test.js::one", "a.test.js::suite::in", "a.test.js::suite::mid::deep", "d.test.mjs::esm")
    assert report.failed == ("a.test.js::suite", "a.test.js::suite::mid")
    assert report.errored == ("c.test.js",)
    assert report.skipped == ("a.test.js::later", "a.test.js::not now")


def test_a_node_run_without_tests_is_a_report() -> None:
    assert reports.read_node(b"{}\n", "/w").report.by_id


def test_jest_tells_suites_and_files_that_do_not_load() -> None:
    reading = reports.read_jest(jest(JEST), "/w")

    assert reading.report.passed == ("a.test.js::outer::good",)
    assert reading.report.failed == ("a.test.js::outer::bad",)
    assert reading.report.errored == ("b.test.js",)
    assert reading.report.skipped == ("a.test.js::later",)
    assert reading.report.problem is None


def test_counts_that_do_not_add_up_are_a_problem() -> None:
    assert reports.read_jest(jest(JEST, numTotalTests=9), "/w").report.problem is not None
    assert lines.read_cargo(CARGO.replace(b"test tests::ign ... ignored\n", b""), "").report.problem is not None


def test_mocha_tells_hooks_apart() -> None:
    failures = [{"file": "/w/a.js", "title": '"before all" hook', "fullTitle": "h", "err": {"stack": "at line 3"}}]
    passes = [{"file": "/w/a.js", "title": "good", "fullTitle": "outer good"}]
    data = json.dumps({"stats": {}, "tests": [], "passes": passes, "pending": [], "failures": failures}).encode()

    reading = reports.read_mocha(data, "/w")

    assert reading.report.passed == ("a.js::outer good",)
    assert reading.report.errored == ("a.js::h",)
    assert "at line 3" in reading.output


def test_what_an_old_mocha_prints_is_found_among_the_rest() -> None:
    passes = [{"file": "/w/a.js", "title": "good", "fullTitle": "good"}]
    document = json.dumps({"stats": {}, "tests": [], "passes": passes}, indent=2).replace("{}", "{\n  }")
    data = f'{{"stats": 1}}\nprinted by a test{document}------|------\nAll files | 100\n'.encode()

    assert reports.read_mocha(data, "/w").report.passed == ("a.js::good",)
    assert reports.read_mocha(b"printed by a test\n", "/w").report.problem is not None


def test_rspec_tells_what_breaks_outside() -> None:
    examples = [{"file_path": "./spec/a_spec.rb", "full_description": "A adds", "status": "passed"}]
    summary = {"errors_outside_of_examples_count": 1}

    report = reports.read_rspec(json.dumps({"examples": examples, "summary": summary}).encode(), "/w").report

    assert report.passed == ("spec/a_spec.rb::A adds",)
    assert report.problem == "1 errors outside of examples"


def test_cargo_tells_targets_and_doc_tests_without_lines() -> None:
    report = lines.read_cargo(CARGO, "").report

    assert report.passed == (
        "doc x::src/lib.rs - a",
        "doc x::src/lib.rs - a #2",
        "x:src/lib.rs::tests::good",
        "x:src/lib.rs::tests::pan",
    )
    assert report.failed == ("x:src/lib.rs::tests::bad",)
    assert report.skipped == ("x:src/lib.rs::tests::ign",)
    assert report.problem is None


def test_unittest_and_minitest_are_read_by_their_lines() -> None:
    unit = b"test_a (t.T.test_a) ... ok\ntest_b (t.T)\nWhat it does ... FAIL\n\nRan 2 tests in 0.001s\n\nFAILED\n"
    mini = (
        b"TestA#test_x = 0.00 s = .\nTestA#test_y = 0.01 s = F\n2 runs, 2 assertions, 1 failures, 0 errors, 0 skips\n"
    )

    by_unit, by_mini = lines.read_unittest(unit, "").report, lines.read_minitest(mini, "").report

    assert (by_unit.passed, by_unit.failed, by_unit.problem) == (("t.T::test_a",), ("t.T::test_b",), None)
    assert (by_mini.passed, by_mini.failed, by_mini.problem) == (("TestA#test_x",), ("TestA#test_y",), None)


@pytest.mark.parametrize(
    "read",
    [
        reports.read_go,
        reports.read_node,
        reports.read_jest,
        reports.read_mocha,
        reports.read_rspec,
        lines.read_cargo,
        lines.read_unittest,
        lines.read_minitest,
    ],
)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n \n",
        b"\xff\xfe\x00",
        b"{",
        b"[" * 100_000,
        b'{"t": 1, "nesting": -1}',
        b'{"t": "test:pass", "nesting": 999}',
        b"null\n[]",
        b'{"testResults": 3}',
        b"x" * (32 * 1024 * 1024 + 1),
    ],
    ids=range(10),
)
def test_what_is_no_report_tells_nothing(read: Callable[[bytes, str], Reading], data: bytes) -> None:
    report = read(data, "/w").report

    assert not report.by_id
    assert report.problem


def test_too_many_tests_are_no_report() -> None:
    line = b'{"Action":"pass","Package":"p","Test":"T"}\n'

    assert "more than" in (reports.read_go(line * 200_001, "").report.problem or "")
