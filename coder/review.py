"""An independent review: a second model reads problem and change with a rubric. Its objections count, its praise does not."""

import secrets
from collections.abc import Collection, Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coder.agent import budget
from coder.agent.window import CHARS_PER_TOKEN
from coder.errors import ModelError
from coder.model.protocol import CompletionRequest, ModelClient
from coder.prompts import render
from coder.trace.events import Reviewed
from coder.trace.journal import Journal
from coder.trace.state import spent
from coder.types import Cell, Completion, Limits, Message, Problem, Remark, Review, ToolSpec, VerdictKind

DEADLINE_S: Final = 600.0
"""Wall clock of the call with its retries."""
MAX_OUTPUT_TOKENS: Final = 8_192
MAX_REMARKS: Final = 20
_MAX_DIFF_CHARS: Final = 240_000
_PROBLEM_CHARS: Final = 40_000
_WORDS: Final = 1_000
_SUMMARY: Final = 2_000
_TOOL: Final = "review"
_REVIEWED: Final[frozenset[VerdictKind]] = frozenset({"proven", "passing", "unverified"})


class _Said(BaseModel):
    """One remark as the model writes it."""

    model_config = ConfigDict(extra="ignore")

    path: str = ""
    line: int = 0
    severity: Literal["must_fix", "note"]
    what: str = Field(min_length=1)


class _Answer(BaseModel):
    """The arguments of `review`."""

    model_config = ConfigDict(extra="ignore")

    summary: str = ""
    remarks: list[_Said] = Field(max_length=200)


def worth_a_review(verdict: VerdictKind) -> bool:
    """Whether a change with this verdict is shown to a reviewer; the tests' own objections come first."""
    return verdict in _REVIEWED


def review(
    model: ModelClient,
    journal: Journal,
    limits: Limits,
    *,
    number: int,
    problem: Problem,
    diff: str,
    paths: Collection[str],
    verdict: VerdictKind,
    cells: Sequence[Cell],
) -> Reviewed:
    """Ask `model` what it objects to in round `number`; journalled, and paid within what the run has left.

    Whatever goes wrong with the review ends no run: the event says why there is none.
    """
    messages, partial = _question(problem, diff, verdict, cells, model.profile.window_tokens)
    event = Reviewed(round=number, model=model.profile.name)
    used = spent(journal.entries)
    prompt_chars = sum(len(message.content or "") for message in messages) + len(str(_spec().parameters))
    room = budget.room(int(prompt_chars / CHARS_PER_TOKEN), model.profile, limits, used)
    if reason := budget.exhausted(limits, used) or ("" if room else budget.worst_call(model.profile, limits, used)):
        event = event.model_copy(update={"problem": reason})
    else:
        request = CompletionRequest(
            messages,
            (_spec(),),
            min(room, MAX_OUTPUT_TOKENS),
            DEADLINE_S,
            cache_key=f"{journal.run_id}:review",
            max_cost_usd=limits.max_cost_usd - used.cost_usd,
        )
        try:
            completion = model.complete(request)
        except ModelError as exc:
            event = event.model_copy(update={"problem": f"the reviewer could not be asked: {exc}"[:300]})
        else:
            event = _read(event, completion, paths, partial=partial)
    stored = journal.append(event)
    return stored if isinstance(stored, Reviewed) else event


def objections(reviewed: Reviewed | None) -> tuple[Remark, ...]:
    """What the reviewer wants mended."""
    review_of = reviewed.review if reviewed else None
    return tuple(remark for remark in review_of.remarks if remark.must_fix) if review_of else ()


def objection_text(reviewed: Reviewed, *, verdict: VerdictKind, rounds_left: int, nonce: str) -> str:
    """The reviewer's objections as the author is told them: as data."""
    remarks = [" ".join(f"{r.place}: {r.what}".removeprefix(": ").split()) for r in objections(reviewed)]
    shown = [remark.replace(nonce, "") for remark in remarks]
    return render("review_objection", verdict=verdict, remarks=shown, rounds_left=rounds_left, nonce=nonce)


def _question(
    problem: Problem, diff: str, verdict: VerdictKind, cells: Sequence[Cell], window_tokens: int
) -> tuple[tuple[Message, ...], bool]:
    """The two messages, and whether the change had to be cut."""
    nonce = secrets.token_hex(8)
    most = min(_MAX_DIFF_CHARS, window_tokens * 2)  # 3 characters a token, and a third of the window for the rest
    cut = len(diff) > most
    shown = f"{diff[: most // 2]}\n[…]\n{diff[-most // 2 :]}" if cut else diff
    words = [f"{problem.title}\n\n{problem.body.body}", *(f"Comment:\n{c.body}" for c in problem.comments if c.trusted)]
    text = render(
        "review_request",
        nonce=nonce,
        problem="\n\n".join(words).replace(nonce, "")[:_PROBLEM_CHARS],
        verdict=verdict,
        runs=", ".join(f"{cell.name}: {_counts(cell)}" for cell in cells) or "Nothing was run",
        cut=cut,
        diff=shown.replace(nonce, "").encode("utf-8", "replace").decode(),
    )
    system = render("review_system", nonce=nonce)
    return (Message(role="system", content=system), Message(role="user", content=text)), cut


def _counts(cell: Cell) -> str:
    report = cell.report
    if not report.by_id:
        return f"exit code {cell.exit_code}"
    return f"{len(report.passed)} passed, {len(report.failed) + len(report.errored)} failed"


def _spec() -> ToolSpec:
    text = {"type": "string"}
    remark = {
        "type": "object",
        "additionalProperties": False,
        "required": ["path", "line", "severity", "what"],
        "properties": {
            "path": text | {"description": "File of the change; empty: about the whole."},
            "line": {"type": "integer", "description": "Line in the new file; 0: about the whole file."},
            "severity": {"type": "string", "enum": ["must_fix", "note"]},
            "what": text | {"description": "What goes wrong, with which input, and why. At most 100 words."},
        },
    }
    return ToolSpec(
        name=_TOOL,
        description=render("review_tool"),
        parameters={
            "type": "object",
            "additionalProperties": False,
            "required": ["summary", "remarks"],
            "properties": {
                "summary": text | {"description": "What you judged and what you could not, in three sentences."},
                "remarks": {"type": "array", "items": remark},
            },
        },
    )


def _read(event: Reviewed, completion: Completion, paths: Collection[str], *, partial: bool) -> Reviewed:
    """The event with the answer, and the review in it if it is one."""
    calls = [call for call in completion.message.tool_calls if call.name == _TOOL]
    changes: dict[str, object] = {"completion": completion}
    try:
        answer = _Answer.model_validate_json(calls[0].arguments if len(calls) == 1 else "")
    except ValidationError as exc:
        why = exc.errors()[0]["msg"] if len(calls) == 1 else f"{len(calls)} calls of `{_TOOL}`"
        return event.model_copy(update=changes | {"problem": f"the answer was no review: {why}"[:300]})
    remarks = sorted((_remark(said, paths) for said in answer.remarks), key=lambda remark: not remark.must_fix)
    found = Review(summary=answer.summary[:_SUMMARY], remarks=tuple(remarks[:MAX_REMARKS]), partial=partial)
    return event.model_copy(update=changes | {"review": found})


def _remark(said: _Said, paths: Collection[str]) -> Remark:
    """Of the places that it names only those count that the change touches."""
    known = said.path in paths
    line = said.line if known and 0 < said.line < 10_000_000 else None  # noqa: PLR2004 — no file has that many
    return Remark(
        path=said.path if known else "", line=line, what=said.what[:_WORDS], must_fix=said.severity == "must_fix"
    )
