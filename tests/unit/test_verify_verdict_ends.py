"""Verdicts on suites that do not come to their end, on base or at all."""

import pytest

from coder.verify.basis import Cells
from coder.verify.verdict import verdict
from tests.unit.verify_values import four, unread


def test_a_hang_on_base_is_told_with_what_would_prove_it() -> None:
    judged = verdict(four(base_new=unread("base+new tests", None, "killed after 900 s")))

    assert judged.kind == "passing"
    assert "base with the new tests: killed after 900 s" in judged.reasons
    assert "let the new test itself give up" in judged.objections[0]


@pytest.mark.parametrize(("end", "sent_back"), [("lint died after 7 s", 0), ("1 test failed", 1)])
def test_what_fails_the_same_way_without_the_patch_is_not_sent_back(end: str, sent_back: int) -> None:
    base = unread("base", 2, output="eslint:\nlint died after 5 s\n")

    judged = verdict(Cells(base, unread("head", 2, output=f"x\n{end}"), exit_codes_only=True))

    assert judged.kind == "unverified"
    assert len(judged.objections) == sent_back
    assert "base's output ends: lint died after 5 s" in judged.reasons


@pytest.mark.parametrize(("base", "sent_back"), [("x\nprocess.exit at 7", 0), ("out of memory", 1), ("", 1)])
def test_a_suite_that_dies_the_same_way_without_the_patch_is_not_sent_back(base: str, sent_back: int) -> None:
    head = unread("head", 1, output="process.exit at 9\n")

    judged = verdict(Cells(unread("base", 1, output=base), head))

    assert judged.kind == "unverified"
    assert len(judged.objections) == sent_back
    assert len(judged.reasons) == 2
