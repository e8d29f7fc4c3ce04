import pytest

from coder.types import Cell, Evidence, Outcome, Submission, TestReport
from coder.verify.prediction import as_predicted
from tests.unit.publish_values import body

OUTPUT = "E   AssertionError: assert 'two--words' == 'two-words'\nFAILED test_slugs.py::test_spaces"


def ran(output: str = OUTPUT, exit_code: int | None = 1) -> Evidence:
    cell = Cell(
        name="base+new tests",
        tree_sha="t",
        command="pytest",
        exit_code=exit_code,
        duration_s=1,
        report=TestReport(by_id=True, failed=("test_slugs.py::test_spaces",)),
        output_tail=output,
    )
    return Evidence(cells=(cell,), base_sha="b", head_tree="h", image="i", image_digest="sha256:1")


@pytest.mark.parametrize(
    ("expected", "outcome"),
    [
        ("AssertionError: 'two--words' == 'two-words'", True),
        ("test_spaces fails with an AssertionError", True),
        ("slug gives `two--words`", True),
        ("KeyError: 'name'", False),
        ("it says `three`, not `four`", False),
        ("the parser overflows on unicode surrogates", False),
        ("", None),
        ("it fails", None),
    ],
)
def test_a_prediction_is_held_against_what_was_printed(expected: str, *, outcome: bool | None) -> None:
    assert as_predicted(expected, ran()) is outcome


def test_without_a_red_run_there_is_nothing_to_compare() -> None:
    assert as_predicted("AssertionError", ran(exit_code=0)) is None
    assert as_predicted("never returns", ran("", exit_code=None)) is None
    assert as_predicted("AssertionError", Evidence(base_sha="b", head_tree="h", image="i", image_digest="d")) is None


@pytest.mark.parametrize(("code", "outcome"), [(0, False), (1, None), (None, None)])
def test_a_suite_that_does_not_report_with_or_without_the_new_tests_bears_nothing_out(
    code: int | None, *, outcome: bool | None
) -> None:
    new = ran().cells[0].model_copy(update={"report": TestReport(by_id=False, problem="no report")})
    base = new.model_copy(update={"name": "base", "exit_code": code})
    evidence = ran().model_copy(update={"cells": (base, new)})

    assert as_predicted("KeyError: 'name'", evidence) is outcome


@pytest.mark.parametrize(
    ("expected", "words"), [("AssertionError", "**as predicted**"), ("KeyError", "**not as predi")]
)
def test_the_proof_tells_it(expected: str, words: str) -> None:
    outcome = Outcome(kind="submitted", submission=Submission(title="t", summary="s", expected_failure=expected))

    assert words in body(outcome=outcome, evidence=ran())


REAL = {
    "rspec": "  1) Slug is bad\n     Failure/Error: it('is bad') { expect(1).to eq(2) }\n\n       expected: 2\n            got: 1\n",
    "minitest": "  1) Failure:\nSlugTest#test_bad [/workspace/test/x_test.rb:4]:\nExpected: 1\n  Actual: 2\n",
    "phpunit": "1) SlugTest::testBad\nFailed asserting that 2 is identical to 1.\n\n/workspace/tests/XTest.php:5\n",
    "mocha": "mocha/x.js::s bad\nAssertionError [ERR_ASSERTION]: 1 == 2\n    at Context.<anonymous> (mocha/x.js:4:20)\n",
    "vitest": " FAIL  vitest/x.spec.mjs > s > bad\nAssertionError: expected 1 to be 2 // Object.is equality\n",
    "cargo": "---- tests::bad stdout ----\nthread 'tests::bad' panicked at src/lib.rs:9:\nassertion `left == right` failed\n  left: 1\n right: 2\n",
    "go": "--- FAIL: TestBad (0.00s)\n    slug_test.go:7: got 1, want 2\n",
}
"""What these runners printed."""


@pytest.mark.parametrize("runner", REAL)
def test_predictions_hold_against_what_runners_print(runner: str) -> None:
    evidence = ran(REAL[runner])

    assert as_predicted("expected 2 but got 1", evidence) is True
    assert as_predicted("it says `three`, not `four`", evidence) is False


def test_another_failure_on_base_bears_nothing_out() -> None:
    output = "=== FAILURES ===\n___ test_old ___\nE   KeyError: 'name'\n___ test_spaces ___\nE   AssertionError: 1 == 2\n=== end"
    evidence = ran(output).model_copy(update={"proving_tests": ("test_slugs.py::test_spaces",)})

    assert as_predicted("KeyError: 'name'", evidence) is False
    assert as_predicted("AssertionError", evidence) is True
