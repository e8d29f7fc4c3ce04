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
    assert as_predicted("AssertionError", Evidence(base_sha="b", head_tree="h", image="i", image_digest="d")) is None


@pytest.mark.parametrize(
    ("expected", "words"), [("AssertionError", "**as predicted**"), ("KeyError", "**not as predi")]
)
def test_the_proof_tells_it(expected: str, words: str) -> None:
    outcome = Outcome(kind="submitted", submission=Submission(title="t", summary="s", expected_failure=expected))

    assert words in body(outcome=outcome, evidence=ran())
