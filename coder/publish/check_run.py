"""Our verification as a check of the commit: conclusion, title, summary, remarks on lines. Pure; the forge posts it."""

import re
from collections.abc import Callable, Iterator
from typing import Final, Literal

from coder.forge.protocol import Annotation, CheckReport
from coder.prompts import render
from coder.publish import sections
from coder.publish.account import Account
from coder.publish.evidence import details, statement
from coder.publish.template import Section
from coder.publish.texts import Texts, units
from coder.types import VerdictKind

MAX_SUMMARY_UNITS: Final = 65_000
"""GitHub takes 65,535 characters: https://docs.github.com/rest/checks/runs"""
MAX_ANNOTATIONS: Final = 50
"""As many as GitHub takes in one request."""
_MESSAGE_CHARS: Final = 1_000
_CONCLUSIONS: Final[dict[VerdictKind, Literal["success", "neutral", "failure"]]] = {
    "proven": "success",
    "passing": "neutral",
    "unverified": "neutral",
    "regressed": "failure",
    "refused": "failure",
}
_PLACE = re.compile(r"([^\s:][^:\n]{0,300}):(\d{1,7})(?:-\d{1,7})?(?:: ?(.*))?", re.DOTALL)
"""How findings name where they are: `path:12: what`, and parts that no test needs: `path:10-14`."""


def check_report(account: Account, *, redact: Callable[[str], str]) -> CheckReport:
    """The check of the account's commit; every text in it redacted and inert.

    A reviewer's standing objections and findings about tests make a success neutral: a person should look.
    """
    texts, verdict = Texts(redact), account.verdict
    remarks = tuple(_annotations(texts, account))[:MAX_ANNOTATIONS]
    conclusion = _CONCLUSIONS.get(verdict.kind, "neutral")
    if conclusion == "success" and any(remark.level != "notice" for remark in remarks):
        conclusion = "neutral"
    title = sections.VERDICT_WORDS[verdict.kind]
    return CheckReport(conclusion, title, _summary(texts, account), remarks)


def _summary(texts: Texts, account: Account) -> str:
    """Proof, what is not verified, the review; then the evidence if it still fits."""
    told = [
        Section("proof", "Proof", sections.proof(texts, account)),
        Section("not_verified", "Not verified, risks", sections.not_verified(texts, account)),
        Section("review", "Independent review", sections.review(texts, account.reviewed)),
    ]
    text = render("pull_request", sections=[section for section in told if section.text])
    document = statement(
        texts, account.verdict, account.evidence, journal_digest=account.journal_digest, commit=account.commit
    )
    folded = f"\n\n{details(texts, document)}" if account.evidence.cells else ""
    return text + (folded if units(text) + units(folded) <= MAX_SUMMARY_UNITS else "")


def _annotations(texts: Texts, account: Account) -> Iterator[Annotation]:
    """What is said of a line of a file that the change touches: objections, findings about tests, parts that no test needs."""
    paths = {change.path for change in account.patch.files if change.status != "deleted"}
    seen: set[tuple[str, int, str]] = set()
    for path, line, what, level in _remarks(account):
        if path not in paths or (path, line, what) in seen:
            continue
        seen.add((path, line, what))
        yield Annotation(path, max(1, line), texts.line(what, _MESSAGE_CHARS) or "look at this", level)


def _remarks(account: Account) -> Iterator[tuple[str, int, str, Literal["notice", "warning", "failure"]]]:
    reviewed = account.reviewed
    for remark in reviewed.review.remarks if reviewed is not None and reviewed.review is not None else ():
        what = f"The reviewer {'objects' if remark.must_fix else 'notes'}: {remark.what}"
        yield remark.path, remark.line or 1, what, "warning" if remark.must_fix else "notice"
    worse: Literal["warning", "failure"] = (
        "failure" if _CONCLUSIONS.get(account.verdict.kind) == "failure" else "warning"
    )
    for reason in (*account.verdict.reasons, *account.verdict.objections):
        if (place := _PLACE.fullmatch(reason.strip())) and place[3]:
            yield place[1], int(place[2]), place[3], worse
    for part in account.evidence.unexercised:
        if place := _PLACE.fullmatch(part):
            yield (
                place[1],
                int(place[2]),
                "Not exercised by any test: without it every test passes all the same.",
                "notice",
            )
