"""Our verification as a check: what it concludes, what it says on which line, and that it fits."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coder.forge.protocol import CheckReport
from coder.publish.check_run import MAX_ANNOTATIONS, MAX_SUMMARY_UNITS, check_report
from coder.publish.claim import published_in
from coder.publish.texts import units
from coder.trace.events import Reviewed
from coder.types import Evidence, FileChange, Patch, Remark, Review, Verdict, VerdictKind
from tests.unit.publish_values import CLEAN, LIVE, NASTY, RED, SECRET, TOKEN, account, cell, hide

FILES = (FileChange(path="a.py", status="modified"), FileChange(path="gone.py", status="deleted"))


def evidence(**changes: Any) -> Evidence:
    fields: dict[str, Any] = {
        "cells": (cell("base+new tests", RED, 1), cell("head", CLEAN, 0)),
        "base_sha": "b" * 40,
        "head_tree": "e" * 40,
        "image": "i",
        "image_digest": "sha256:1",
    }
    return Evidence(**fields | changes)


def report(**changes: Any) -> CheckReport:
    patch = Patch(base_sha="b", tree_sha="e", diff="", files=FILES)
    values: dict[str, Any] = {"patch": patch, "evidence": evidence(), "verdict": Verdict(kind="proven"), **changes}
    return check_report(account(**values), redact=hide)


def reviewed(*remarks: Remark) -> Reviewed:
    return Reviewed(round=1, model="m", review=Review(remarks=remarks))


@pytest.mark.parametrize(
    ("kind", "conclusion"),
    [
        ("proven", "success"),
        ("passing", "neutral"),
        ("unverified", "neutral"),
        ("regressed", "failure"),
        ("refused", "failure"),
    ],
)
def test_the_verdict_decides(kind: VerdictKind, conclusion: str) -> None:
    assert report(verdict=Verdict(kind=kind)).conclusion == conclusion


def test_objections_and_findings_stand_on_their_lines_and_temper_a_success() -> None:
    verdict = Verdict(
        kind="proven", reasons=("a.py:7: the assertion was loosened", "failing on base: t.py::a", "b.py:1: x")
    )
    remarks = (Remark(path="a.py", line=3, what="overflow", must_fix=True), Remark(what="no place", must_fix=True))

    made = report(verdict=verdict, evidence=evidence(unexercised=("a.py:10-14",)), reviewed=reviewed(*remarks))

    assert [(one.path, one.line, one.level, one.message) for one in made.annotations] == [
        ("a.py", 3, "warning", "The reviewer objects: overflow"),
        ("a.py", 7, "warning", "the assertion was loosened"),
        ("a.py", 10, "notice", "Not exercised by any test: without it every test passes all the same."),
    ]
    assert made.conclusion == "neutral"
    assert report(evidence=evidence(unexercised=("a.py:10-14",))).conclusion == "success"


def test_the_evidence_is_in_it_and_can_be_read_again() -> None:
    assert published_in(report().summary).verdict == "proven"


def test_nothing_in_it_is_live_or_secret() -> None:
    verdict = Verdict(kind="regressed", reasons=(f"a.py:3: {NASTY}", NASTY), objections=(NASTY,))

    made = report(verdict=verdict, reviewed=reviewed(Remark(path="a.py", line=1, what=NASTY, must_fix=True)))

    told = "\n".join([made.title, made.summary, *(one.message for one in made.annotations)])
    assert len(made.annotations) == 2
    assert not LIVE.search(told), LIVE.search(told)
    assert SECRET not in told
    assert TOKEN not in told


@settings(max_examples=10, deadline=None)
@given(text=st.text(st.sampled_from("a@#`<&\n\U0001f389|: 1"), max_size=40), many=st.integers(0, 300))
def test_it_always_fits(text: str, many: int) -> None:
    reasons = tuple(f"a.py:{number}: {text * 100}" for number in range(many))
    remarks = tuple(Remark(path="a.py", line=number or None, what=text * 50, must_fix=True) for number in range(20))

    made = report(
        verdict=Verdict(kind="regressed", reasons=reasons),
        evidence=evidence(proving_tests=reasons, not_verified=reasons, unexercised=reasons),
        reviewed=reviewed(*remarks),
    )

    assert units(made.summary) <= MAX_SUMMARY_UNITS
    assert len(made.annotations) <= MAX_ANNOTATIONS
    assert all(one.line >= 1 and one.message for one in made.annotations)
