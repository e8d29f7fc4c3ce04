"""The evidence as a document: what it tells, and what holds it to be false."""

import json
import re
from typing import Any

import pytest

from coder.errors import InputError
from coder.publish.claim import comparison, contradictions, published, published_in
from coder.publish.evidence import details, statement
from coder.publish.texts import Texts
from coder.types import Evidence, Verdict
from tests.unit.publish_values import CLEAN, NASTY, RED, SECRET, TOKEN, body, cell, hide

PROVEN = Verdict(kind="proven", reasons=("why",))


def evidence(**changes: Any) -> Evidence:
    values: dict[str, Any] = {
        "cells": (cell("base", CLEAN, 0), cell("base+new tests", RED, 1), cell("head", CLEAN, 0)),
        "base_sha": "b" * 40,
        "head_tree": "e" * 40,
        "image": "python",
        "image_digest": "sha256:1",
        "proving_tests": ("t.py::a",),
    }
    return Evidence(**{**values, **changes})


def document(found: Evidence | None = None, verdict: Verdict = PROVEN) -> bytes:
    made = statement(Texts(hide), verdict, found or evidence(), journal_digest="d" * 64, commit="c" * 40)
    return json.dumps(made).encode()


def test_it_is_an_in_toto_statement_on_the_tree() -> None:
    made = json.loads(document())

    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert made["subject"][0]["digest"] == {"gitTree": "e" * 40, "gitCommit": "c" * 40}
    assert made["predicate"]["result"] == "PASSED"
    assert made["predicate"]["passedTests"] == ["t.py::a"]
    assert made["predicate"]["coder"]["cells"][1]["counts"] == {"passed": 1, "failed": 1, "errored": 0, "skipped": 0}


def test_of_many_tests_only_counts_are_told() -> None:
    made = json.loads(document(evidence(proving_tests=tuple(f"t.py::{n}" for n in range(5_000)))))

    assert len(made["predicate"]["passedTests"]) == 20
    assert made["predicate"]["coder"]["proving_tests"] == 5_000


def test_evidence_holds_against_itself() -> None:
    assert contradictions(published(document()), PROVEN, evidence()) == ()


def test_another_image_is_no_contradiction() -> None:
    assert contradictions(published(document()), PROVEN, evidence(image="x", image_digest="sha256:2")) == ()


@pytest.mark.parametrize(
    ("found", "verdict", "what"),
    [
        (evidence(), Verdict(kind="passing"), "verdict"),
        (evidence(head_tree="f" * 40), PROVEN, "tree of the change"),
        (evidence(base_sha="f" * 40), PROVEN, "base commit"),
        (evidence(proving_tests=()), PROVEN, "number of proving tests"),
        (evidence(cells=evidence().cells[:2]), PROVEN, "runs"),
        (evidence(cells=(cell("base", RED, 0), *evidence().cells[1:])), PROVEN, "base: passed"),
        (evidence(cells=(cell("base", CLEAN, None), *evidence().cells[1:])), PROVEN, "base: exit code"),
    ],
)
def test_what_comes_out_otherwise_is_a_contradiction(found: Evidence, verdict: Verdict, what: str) -> None:
    lines = contradictions(published(document()), verdict, found)

    assert len(lines) == 1
    assert lines[0].startswith(what)


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b"x" * 1_000_001, document().replace(b"cells", b"cel")],
)
def test_what_is_no_statement_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="the evidence"):
        published(data)


def test_the_text_of_a_pull_request_carries_it_inert_and_readable() -> None:
    nasty = evidence(cells=(cell("base", CLEAN, 0).model_copy(update={"command": NASTY}),), proving_tests=(NASTY,))
    made = statement(Texts(hide), PROVEN, nasty, journal_digest="d")

    text = details(Texts(hide), made)

    inner = re.search(r"```json\n(.*)\n```", text, re.DOTALL)
    assert inner is not None
    assert json.loads(inner[1])["predicate"]["coder"]["verdict"] == "proven"
    assert SECRET not in text
    assert TOKEN not in text
    assert "<script" not in text
    assert text.count("</details>") == 1
    assert "Evidence as an in-toto statement" in body()


def test_it_is_found_again_in_the_pull_request_whatever_the_model_wrote() -> None:
    forged = details(Texts(hide), json.loads(document(verdict=Verdict(kind="passing"))))
    text = body(verdict=PROVEN).replace("Because.", forged)

    claim = published_in(text.replace("\n", "\r\n"))

    assert claim.verdict == "proven"
    with pytest.raises(InputError, match="no evidence"):
        published_in("> <summary>Evidence as an in-toto statement</summary>")


def test_another_image_and_command_are_told_and_no_contradiction() -> None:
    found = evidence(
        image_digest="sha256:2", cells=tuple(c.model_copy(update={"command": "x"}) for c in evidence().cells)
    )

    lines = comparison(published(document()), PROVEN, found)

    assert {line.what for line in lines if line.result == "note"} == {
        "image",
        *(f"{c.name}: command" for c in found.cells),
    }
    assert not [line for line in lines if line.result == "differs"]
    assert "published sha256:1, found sha256:2" in str(next(line for line in lines if line.what == "image"))
