"""The evidence as a document that others can check: an in-toto statement with the predicate `test-result`.

https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md; what it has no word for stands under
`coder`. Unsigned: it says what was run, and `coder verify` repeats that.
"""

import json
import re
from typing import Final

from pydantic import ConfigDict, Field, ValidationError

from coder.errors import InputError
from coder.publish.texts import Texts
from coder.types import Cell, Evidence, JsonObject, Value, Verdict, VerdictKind

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://in-toto.io/attestation/test-result/v0.1"
MAX_EVIDENCE_BYTES: Final = 1_000_000

_RESULTS: Final[dict[VerdictKind, str]] = {"proven": "PASSED", "passing": "WARNED", "unverified": "WARNED"}
_MAX_PROVING = 20
_MAX_CHARS = 300


def statement(
    texts: Texts, verdict: Verdict, evidence: Evidence, *, journal_digest: str, commit: str = ""
) -> JsonObject:
    """The statement: what was tested, how that ended, and what is needed to do it again.

    Of tests the counts are told and at most 20 proving ones; `commit` is left out where it is not made yet.
    """
    proving = list(evidence.proving_tests[:_MAX_PROVING])
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
                "verdict": verdict.kind,
                "base": evidence.base_sha,
                "tree": evidence.head_tree,
                "image_digest": evidence.image_digest,
                "journal_digest": journal_digest,
                "proving_tests": len(evidence.proving_tests),
                "cells": [_cell(cell) for cell in evidence.cells],
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
    }


def details(texts: Texts, document: JsonObject) -> str:
    """The statement folded away, for the end of a pull request's text."""
    text = json.dumps(document, ensure_ascii=True, indent=1)
    # Still the same JSON, with nothing in it that a forge or a browser might take for its own.
    text = re.sub(r"[<>&`@#]", lambda match: f"\\u{ord(match[0]):04x}", text).replace("/issues/", "\\/issues\\/")
    return f"<details>\n<summary>Evidence as an in-toto statement</summary>\n\n{texts.fence(text, len(text), 'json')}\n\n</details>"


# --- what somebody published, held against what came of doing it again ----------------------------------------------------


class _Counts(Value):
    passed: int
    failed: int
    errored: int
    skipped: int


class _Run(Value):
    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    tree: str
    exit_code: int | None
    counts: _Counts | None


class Published(Value):
    """The part of a published statement that can be held against another run."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    verdict: VerdictKind
    base: str
    tree: str
    image_digest: str
    proving_tests: int = Field(ge=0)
    cells: tuple[_Run, ...]


def published(data: bytes) -> Published:
    """The statement in `data`.

    Raises:
        InputError: It is none.
    """
    if len(data) > MAX_EVIDENCE_BYTES:
        raise InputError(f"the evidence has {len(data)} bytes; at most {MAX_EVIDENCE_BYTES} are read")
    try:
        document = json.loads(data)
        if document["_type"] != STATEMENT or document["predicateType"] != PREDICATE:
            raise InputError("the evidence is no in-toto statement with the predicate test-result")
        return Published.model_validate(document["predicate"]["coder"])
    except (ValueError, LookupError, TypeError, RecursionError) as exc:
        why = exc.errors()[0]["msg"] if isinstance(exc, ValidationError) else " ".join(str(exc).split())[:200]
        raise InputError(f"the evidence is no statement of ours: {why}") from exc


def contradictions(claim: Published, verdict: Verdict, evidence: Evidence) -> tuple[str, ...]:
    """In what the published evidence does not hold, a line each; none when it holds.

    Another image is no contradiction: other machines build their own.
    """
    pairs: list[tuple[str, object, object]] = [
        ("verdict", claim.verdict, verdict.kind),
        ("base commit", claim.base, evidence.base_sha),
        ("tree of the change", claim.tree, evidence.head_tree),
        ("number of proving tests", claim.proving_tests, len(evidence.proving_tests)),
        ("runs", [cell.name for cell in claim.cells], [cell.name for cell in evidence.cells]),
    ]
    for old, new in zip(claim.cells, evidence.cells, strict=False):
        pairs.extend(_cell_pairs(old, new))
    return tuple(f"{what}: published {was}, found {now}" for what, was, now in pairs if was != now)


def _cell_pairs(old: _Run, new: Cell) -> list[tuple[str, object, object]]:
    report = new.report
    lists = (report.passed, report.failed, report.errored, report.skipped)
    now = tuple(len(ids) for ids in lists) if report.by_id else None
    was = None if old.counts is None else tuple(old.counts.model_dump().values())
    return [
        (f"{new.name}: tree", old.tree, new.tree_sha),
        (f"{new.name}: exit code", old.exit_code, new.exit_code),
        (f"{new.name}: passed, failed, errors, skipped", was, now),
    ]
