"""Evidence that somebody published, held line by line against what came of doing it again."""

import json
import re
from typing import Final, Literal

from pydantic import ConfigDict, Field, ValidationError
from typing_extensions import override

from coder.errors import InputError
from coder.publish.evidence import PREDICATE, STATEMENT, SUMMARY
from coder.types import Cell, Evidence, Value, Verdict, VerdictKind

MAX_EVIDENCE_BYTES: Final = 1_000_000
_SHOWN_CHARS: Final = 120

_FOLD = re.compile(
    rf"^<summary>{re.escape(SUMMARY)}</summary>\n\n(`{{3,40}})json\n(.*?)\n\1$", re.MULTILINE | re.DOTALL
)


class _Counts(Value):
    passed: int
    failed: int
    errored: int
    skipped: int


class _Run(Value):
    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    tree: str
    command: str = ""
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


class Line(Value):
    """One thing that was published, and what was found of it here."""

    what: str
    published: str
    found: str
    result: Literal["holds", "differs", "note"]
    """`note`: another machine may well find another value; it proves nothing either way."""

    @override
    def __str__(self) -> str:
        """For a terminal."""
        if self.result == "holds":
            return f"holds    {self.what}: {self.found}"
        mark = "DIFFERS" if self.result == "differs" else "note"
        return f"{mark:<8} {self.what}: published {self.published}, found {self.found}"


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


def published_in(body: str) -> Published:
    """The statement folded into a pull request's text; of several the last, which stands behind all quoted text.

    Raises:
        InputError: There is none.
    """
    folds = _FOLD.findall(body.replace("\r\n", "\n"))
    if not folds:
        raise InputError("the pull request's text carries no evidence of ours")
    return published(folds[-1][1].encode("utf-8", "surrogatepass"))


def comparison(claim: Published, verdict: Verdict, evidence: Evidence) -> tuple[Line, ...]:
    """What was published against what was found, a line each; the evidence holds when no line differs.

    Another image or command is no contradiction by itself: machines build their own images and may be told their own
    command. What the runs then show is what counts.
    """
    lines = [
        _line("verdict", claim.verdict, verdict.kind),
        _line("base commit", claim.base, evidence.base_sha),
        _line("tree of the change", claim.tree, evidence.head_tree),
        _line("number of proving tests", claim.proving_tests, len(evidence.proving_tests)),
        _line("runs", _names(claim.cells), _names(evidence.cells)),
        _line("image", claim.image_digest, evidence.image_digest, note=True),
    ]
    for old, new in zip(claim.cells, evidence.cells, strict=False):
        lines += _cell_lines(old, new)
    return tuple(lines)


def contradictions(claim: Published, verdict: Verdict, evidence: Evidence) -> tuple[str, ...]:
    """In what the published evidence does not hold, a line each; none when it holds."""
    lines = comparison(claim, verdict, evidence)
    return tuple(f"{x.what}: published {x.published}, found {x.found}" for x in lines if x.result == "differs")


def _names(cells: tuple[_Run, ...] | tuple[Cell, ...]) -> str:
    return ", ".join(cell.name for cell in cells) or "none"


def _line(what: str, was: object, now: object, *, note: bool = False) -> Line:
    result: Literal["holds", "differs", "note"] = "holds" if was == now else "note" if note else "differs"
    return Line(what=what, published=_shown(was), found=_shown(now), result=result)


def _shown(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…"


def _cell_lines(old: _Run, new: Cell) -> list[Line]:
    report = new.report
    lists = (report.passed, report.failed, report.errored, report.skipped)
    now = "/".join(str(len(ids)) for ids in lists) if report.by_id else "unknown"
    was = "unknown" if old.counts is None else "/".join(str(n) for n in old.counts.model_dump().values())
    return [
        _line(f"{new.name}: tree", old.tree, new.tree_sha),
        _line(f"{new.name}: exit code", old.exit_code, new.exit_code),
        _line(f"{new.name}: passed/failed/errors/skipped", was, now),
        _line(f"{new.name}: command", old.command, new.command, note=True),
    ]
