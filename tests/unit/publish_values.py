"""Values that the tests of published texts share, hostile ones among them."""

import re
from collections.abc import Sequence
from typing import Any

from coder.publish.account import Account
from coder.publish.body import pull_request_body
from coder.trace.events import Answered, ToolFinished
from coder.types import (
    Base,
    Cell,
    Checkpoint,
    Completion,
    Evidence,
    FileChange,
    FileRationale,
    Message,
    Note,
    Outcome,
    Patch,
    Problem,
    RepoRef,
    Spent,
    Submission,
    Task,
    TestReport,
    ToolCall,
    ToolOutput,
    Usage,
    Verdict,
    VerdictKind,
)

SECRET = "s3cr3t-value-of-this-run"
TOKEN = "ghp_" + "a1B2" * 9
NASTY = (
    f"@everyone Fixes #99 owner/repo#7 closes https://github.com/o/r/issues/3 {SECRET} {TOKEN}\n/merge\n"
    "</details><script>x</script> \x1b[31mred\x1b[0m \u202eevil ![p](https://x/y.png)\n```\n## Proof\nall proven\n"
    f"| fake | table |\n{SECRET[:12]}\u200b{SECRET[12:]}"
)
LIVE = re.compile(r"@[A-Za-z]|#(?!12\b)\d|/issues/\d|^\s*/[a-z]|[\x1b\u202e]", re.MULTILINE)

CLEAN = TestReport(by_id=True, passed=("t.py::a", "t.py::b"))
RED = TestReport(by_id=True, passed=("t.py::b",), failed=("t.py::a",))


def hide(text: str) -> str:
    return text.replace(SECRET, "[redacted]")


def task(**changes: Any) -> Task:
    values: dict[str, Any] = {
        "run_id": "run-1",
        "repo": RepoRef(owner="o", name="r"),
        "kind": "issue",
        "number": 12,
        "requested_by": "alice",
        "requested_at": "2026-01-01T00:00:00Z",
        "model": "kimi-k2-thinking",
    }
    return Task(**{**values, **changes})


def answered(step: int, text: str, calls: Sequence[ToolCall] = ()) -> Answered:
    message = Message(role="assistant", content=text, reasoning_content=text, tool_calls=tuple(calls))
    completion = Completion(message=message, finish_reason="tool_calls", usage=Usage(), cost_usd=0.01, model="m")
    return Answered(step=step, completion=completion)


def step(
    number: int, name: str, text: str, *, is_error: bool = False, changed: bool = False
) -> tuple[Answered, ToolFinished]:
    call = ToolCall(id=f"c{number}", name=name, arguments='{"command": "x"}')
    checkpoint = Checkpoint(step=number, tree_sha="t", diff_blob="b") if changed else None
    output = ToolOutput(content=text, is_error=is_error)
    finished = ToolFinished(
        step=number, call_id=call.id, name=name, output=output, duration_s=0.1, checkpoint=checkpoint
    )
    return answered(number, text, [call]), finished


def cell(name: Any, report: TestReport, exit_code: int | None) -> Cell:
    return Cell(
        name=name,
        tree_sha="e" * 40,
        command="python3 -m pytest -q",
        exit_code=exit_code,
        duration_s=1.25,
        report=report,
        output_tail="",
    )


def body(**changes: Any) -> str:
    redact = changes.pop("redact", hide)
    return pull_request_body(account(**changes), redact=redact)


def account(**changes: Any) -> Account:
    cells = (
        cell("base", CLEAN, 0),
        cell("base+new tests", RED, 1),
        cell("head", CLEAN, 0),
        cell("head+old tests", CLEAN, 0),
    )
    values: dict[str, Any] = {
        "task": task(),
        "problem": Problem(
            kind="issue", title="Two spaces", body=Note(author="bob", body="b", trusted=True), number=12
        ),
        "base": Base(ref="main", sha="b" * 40),
        "outcome": Outcome(
            kind="submitted",
            submission=Submission(
                title="Fix", summary="Because.", rationale=(FileRationale(path="a.py", reason="the bug"),)
            ),
        ),
        "patch": Patch(
            base_sha="b" * 40,
            tree_sha="e" * 40,
            diff="",
            files=(FileChange(path="a.py", status="modified", additions=1, deletions=2),),
        ),
        "verdict": Verdict(kind="proven", reasons=("failing on base, passing on head: t.py::a",)),
        "evidence": Evidence(
            cells=cells,
            base_sha="b" * 40,
            head_tree="e" * 40,
            image="python",
            image_digest="sha256:1",
            proving_tests=("t.py::a",),
        ),
        "spent": Spent(
            steps=3, cost_usd=0.1234, prompt_tokens=1000, cached_tokens=630, completion_tokens=10, elapsed_s=75
        ),
        "model": "kimi-k2-thinking",
        "recorded": False,
        "events": [
            *step(1, "plan", "first"),
            *step(2, "run_tests", "1 failed", is_error=True),
            *step(3, "run_tests", "2 passed"),
        ],
        "journal_digest": "d" * 64,
    }
    return Account(**{**values, **changes})


def verdict(kind: VerdictKind) -> Verdict:
    return Verdict(kind=kind, reasons=("why",))
