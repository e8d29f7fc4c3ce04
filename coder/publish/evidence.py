"""The evidence as a document that others can check: an in-toto statement with the predicate `test-result`.

https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md; what it has no word for stands under
`coder`. Unsigned: it says what was run, and `coder verify` repeats that.
"""

import json
import re
from typing import Final

from coder import __version__
from coder.publish.texts import Texts
from coder.types import Cell, Evidence, JsonObject, Verdict, VerdictKind

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://in-toto.io/attestation/test-result/v0.1"
SUMMARY: Final = "Evidence as an in-toto statement"
"""What the fold in a pull request's text is called."""

_RESULTS: Final[dict[VerdictKind, str]] = {"proven": "PASSED", "passing": "WARNED", "unverified": "WARNED"}
_MAX_LISTED = 20
_MAX_CHARS = 300
_MAX_FOLD_CHARS = 10_000


def statement(
    texts: Texts, verdict: Verdict, evidence: Evidence, *, journal_digest: str, commit: str = ""
) -> JsonObject:
    """The statement: what was tested, how that ended, and what is needed to do it again.

    Of tests the counts are told and at most 20 proving ones; `commit` is left out where it is not made yet.
    """
    proving = list(evidence.proving_tests[:_MAX_LISTED])
    digest = {"gitTree": evidence.head_tree} | ({"gitCommit": commit} if commit else {})
    algorithm, _, value = evidence.image_digest.partition(":")
    document: JsonObject = {
        "_type": STATEMENT,
        "subject": [{"name": "change", "digest": digest}],
        "predicateType": PREDICATE,
        "predicate": {
            "result": _RESULTS.get(verdict.kind, "FAILED"),
            "configuration": [
                {"name": "base", "digest": {"gitCommit": evidence.base_sha}},
                {"name": evidence.image, "digest": {algorithm: value or algorithm}},
            ],
            "passedTests": proving,
            "coder": {
                "version": __version__,
                "verdict": verdict.kind,
                "base": evidence.base_sha,
                "tree": evidence.head_tree,
                "image_digest": evidence.image_digest,
                "journal_digest": journal_digest,
                "proving_tests": len(evidence.proving_tests),
                "cells": [_cell(cell) for cell in evidence.cells],
                "test_files": list(evidence.test_files[:_MAX_LISTED]),
                "not_verified": list(evidence.not_verified[:_MAX_LISTED]),
            },
        },
    }
    return {key: _clean(texts, value) for key, value in document.items()}


def _clean(texts: Texts, value: object) -> object:
    """Every text in it visible, without secrets and short: where it comes from does not matter then."""
    if isinstance(value, str):
        return texts.clean(value, _MAX_CHARS)
    if isinstance(value, dict):
        return {texts.clean(key, _MAX_CHARS): _clean(texts, inner) for key, inner in value.items()}
    return [_clean(texts, inner) for inner in value] if isinstance(value, list) else value


def _cell(cell: Cell) -> JsonObject:
    report = cell.report
    counts = {
        "passed": len(report.passed),
        "failed": len(report.failed),
        "errored": len(report.errored),
        "skipped": len(report.skipped),
    }
    return {
        "name": cell.name,
        "tree": cell.tree_sha,
        "command": cell.command,
        "exit_code": cell.exit_code,
        "duration_s": cell.duration_s,
        "counts": counts if report.by_id else None,
    } | {key: text for key, text in (("taken_from", cell.kept_as), ("first_run", cell.at_first)) if text}


def _without_lists(document: JsonObject) -> JsonObject:
    """Only what can be held against another run: names of tests may be long, and all of them together too long to publish."""
    predicate = {key: value for key, value in document["predicate"].items() if key != "passedTests"}
    own = {key: value for key, value in predicate["coder"].items() if key not in {"test_files", "not_verified"}}
    return document | {"predicate": predicate | {"coder": own}}


def details(texts: Texts, document: JsonObject) -> str:
    """The statement folded away, for the end of a pull request's text."""
    text = json.dumps(document, ensure_ascii=True, indent=1)
    if len(text) > _MAX_FOLD_CHARS:
        text = json.dumps(_without_lists(document), ensure_ascii=True, indent=1)
    # Still the same JSON, with nothing in it that a forge or a browser might take for its own.
    text = re.sub(r"[<>&`@#]", lambda match: f"\\u{ord(match[0]):04x}", text).replace("/issues/", "\\/issues\\/")
    return f"<details>\n<summary>{SUMMARY}</summary>\n\n{texts.fence(text, len(text), 'json')}\n\n</details>"
