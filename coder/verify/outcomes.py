"""Outcomes of tests by id, gathered from a report whose writer may lie: bounded in number and size, the worst one counts."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final, Literal

from coder.types import TestReport

MAX_REPORT_BYTES: Final = 32 * 1024 * 1024
"""A larger report is not read; pytest writes about 150 bytes for a passing test."""

MAX_TESTS: Final = 200_000
MAX_OUTPUT_CHARS: Final = 40_000
_MAX_ID_CHARS = 400

Outcome = Literal["passed", "skipped", "failed", "errored"]
_SEVERITY: Final[dict[Outcome, int]] = {"passed": 0, "skipped": 1, "failed": 2, "errored": 3}


class UnreadableError(Exception):
    """A report breaks one of our bounds, or is none; never leaves `coder.verify`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a report tells, and the output of failing tests where it holds that too."""

    report: TestReport
    output: str = ""


@dataclass(slots=True)
class Outcomes:
    """Collects outcomes. An id that occurs more than once counts with its worst outcome."""

    by_id: dict[str, Outcome] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)
    """Texts that tell why tests failed."""
    _seen: int = 0
    _kept: int = 0

    def add(self, name: str, outcome: Outcome) -> None:
        """Note one outcome.

        Raises:
            UnreadableError: There are more than any suite has.
        """
        self._seen += 1
        if self._seen > MAX_TESTS:
            raise UnreadableError(f"more than {MAX_TESTS} tests")
        name = bounded(name or "(unnamed)")
        if name not in self.by_id or _SEVERITY[outcome] > _SEVERITY[self.by_id[name]]:
            self.by_id[name] = outcome

    def tell(self, text: str) -> None:
        """Keep a text on a failure, as long as there is room."""
        if self._kept < MAX_OUTPUT_CHARS:
            self.output.append(plain(text[: MAX_OUTPUT_CHARS - self._kept]))
            self._kept += len(text)

    def reading(self, problem: str | None = None) -> Reading:
        """All of it, each list sorted."""
        by_outcome: dict[Outcome, list[str]] = {"passed": [], "skipped": [], "failed": [], "errored": []}
        for name in sorted(self.by_id):
            by_outcome[self.by_id[name]].append(name)
        report = TestReport(
            by_id=True,
            passed=tuple(by_outcome["passed"]),
            failed=tuple(by_outcome["failed"]),
            errored=tuple(by_outcome["errored"]),
            skipped=tuple(by_outcome["skipped"]),
            problem=problem,
        )
        return Reading(report, "".join(self.output))


def unreadable(problem: str) -> TestReport:
    """A report that tells nothing, and why."""
    return TestReport(by_id=False, problem=problem)


def bounded(name: str) -> str:
    """`name` on one line and in valid Unicode; of a long one its beginning and a digest of all of it."""
    name = plain(" ".join(name.split("\n")))
    if len(name) <= _MAX_ID_CHARS:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[:_MAX_ID_CHARS]}…{digest}"


def plain(text: str) -> str:
    """`text` without halves of surrogate pairs, which JSON can carry and no file or wire of ours can."""
    return text.encode("utf-8", "replace").decode()


def function_of(name: str) -> str:
    """A test's id without what tells one row of its table from another: `t.py::test[1-a]`, `pkg::Test/one`."""
    return re.sub(r"(::[^/\[]*)[/\[].*", r"\1", name, count=1)


def relative(path: str, root: str) -> str:
    """A file's path relative to the repository's root, as far as it lies there."""
    path = path.removeprefix("file://")
    return path.removeprefix(f"{root}/") if root else path.removeprefix("./")
