"""Necessity: each part of a change is taken out and the tests run again; what nothing depends on is told."""

import ast
import difflib
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from coder.errors import SandboxError
from coder.types import Cell
from coder.verify.rules import ProofRules
from coder.verify.runners import TestCommand
from coder.verify.runs import Alteration, Bench, Runs
from coder.verify.tests_of import tests_of

Read = Callable[[str], bytes | None]

NEAR_LINES: Final = 2
"""Changes with no more lines between them than this belong together."""
_MAX_BYTES: Final = 400_000
_MAX_LINES: Final = 8_000
"""difflib is quadratic in the worst case."""
_MAX_SHOWN_LINES: Final = 12
_PROSE: Final = frozenset({".md", ".rst", ".txt", ".adoc", ".svg", ".png", ".jpg", ".gif", ".lock", ".po", ".pot"})
_COMMENTS: Final = ("#", "//", "/*", "*", "--", ";", '"""', "'''")


@dataclass(frozen=True, slots=True)
class Hunk:
    """A part of a change: lines of a file on head, and the file as it would be without them."""

    path: str
    first: int
    last: int
    """Lines on head; `last` is before `first` where lines were only taken away."""
    without: bytes | None
    """None: the file is new, and is not there without it."""
    shown: str
    """Its lines as a diff, shortened."""

    @override
    def __str__(self) -> str:
        """Where it is, as people write it."""
        if self.without is None:
            return f"{self.path} (the new file)"
        return f"{self.path}:{self.first}" if self.last <= self.first else f"{self.path}:{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Necessity:
    """What taking parts out showed."""

    tried: int = 0
    unneeded: tuple[Hunk, ...] = ()
    """Without these every test that was run passed all the same."""
    left: int = 0
    """Parts that were not tried: too many, or no time left."""
    whole_suite: bool = True
    """Whether the whole suite ran without each of the unneeded ones, and not the proving tests only."""
    stopped: str = ""
    """Why not all of them were tried; empty when all were."""

    @property
    def lines(self) -> tuple[str, ...]:
        """What people must know of it, a line each."""
        by = "any test" if self.whole_suite else "the proving tests"
        told = [f"not exercised by {by}: {hunk}" for hunk in self.unneeded]
        if self.left:
            of = f"{self.tried} of {self.tried + self.left} parts of the change"
            told.append(f"whether each part is needed was tried for {of}: {self.stopped}")
        return tuple(told)

    @property
    def offer(self) -> str:
        """What the model is told, once; empty when every part is needed."""
        if not self.unneeded:
            return ""
        by = "every test" if self.whole_suite else "every proving test"
        parts = "\n\n".join(f"{hunk}\n{hunk.shown}" for hunk in self.unneeded)
        return (
            f"The change is proven, and this is no fault that must be mended: {by} passes without each of these parts, taken "
            "out one at a time. Take out what the issue does not ask for, or add a test that needs it; leave what is needed "
            f"for a reason that no test can show, and say that reason in your summary.\n\n{parts}"
        )


def hunks(paths: Iterable[str], before: Read, after: Read) -> tuple[Hunk, ...]:
    """The parts of a change to source: no tests, no prose, no comments, nothing binary or very large."""
    touched = sorted(set(paths))
    kinds = tests_of(touched)
    aside = {*kinds.tests, *kinds.config, *kinds.ci, *kinds.mixed}
    found: list[Hunk] = []
    for path in touched:
        if path in aside or posixpath.splitext(path)[1].lower() in _PROSE:
            continue
        old, new = before(path), after(path)
        if new is None or any(b"\0" in data or len(data) > _MAX_BYTES for data in (old or b"", new)):
            continue  # what deleting a file does, only putting it back would tell
        found.extend(hunk for hunk in _file_hunks(path, old, new) if _acts(path, new, hunk.without))
    return tuple(found)


def _file_hunks(path: str, old: bytes | None, new: bytes) -> Iterator[Hunk]:
    now = new.splitlines(keepends=True)
    if old is None:
        yield Hunk(path, 1, len(now), None, _shown([], now))
        return
    was = old.splitlines(keepends=True)
    if len(was) + len(now) > _MAX_LINES:
        yield Hunk(path, 1, len(now), old, "(a large file)")
        return
    groups: list[list[int]] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        if groups and j1 - groups[-1][3] <= NEAR_LINES and i1 - groups[-1][1] <= NEAR_LINES:
            groups[-1][1], groups[-1][3] = i2, j2
        else:
            groups.append([i1, i2, j1, j2])
    for i1, i2, j1, j2 in groups:
        without = b"".join([*now[:j1], *was[i1:i2], *now[j2:]])
        yield Hunk(path, j1 + 1, j2, without, _shown(was[i1:i2], now[j1:j2]))


def _shown(was: Sequence[bytes], now: Sequence[bytes]) -> str:
    lines = [*(b"-" + line for line in was), *(b"+" + line for line in now)]
    text = [line.rstrip(b"\r\n").decode("utf-8", "replace") for line in lines[:_MAX_SHOWN_LINES]]
    more = [f"… {len(lines) - _MAX_SHOWN_LINES} more lines"] if len(lines) > _MAX_SHOWN_LINES else []
    return "\n".join([*text, *more])


def _acts(path: str, new: bytes, without: bytes | None) -> bool:
    """Whether the part could make a difference to anything: no comments, no docstrings, no blank lines."""
    if without is None:
        return True
    if path.endswith(".py"):
        left, right = _meaning(new), _meaning(without)
        return left is None or right is None or left != right
    return _bare(new) != _bare(without)


def _meaning(data: bytes) -> str | None:
    """The syntax tree without docstrings; None where there is none."""
    try:
        module = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(module):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return ast.dump(module)


def _bare(data: bytes) -> list[str]:
    lines = (line.strip() for line in data.decode("utf-8", "replace").splitlines())
    return [line for line in lines if line and not line.startswith(_COMMENTS)]


def ablate(parts: Sequence[Hunk], proving: Sequence[str], head: Cell, runs: Runs) -> Necessity:
    """Take the parts out one at a time, in one fresh sandbox, and run the proving tests; then the suite, while there is time.

    The largest come first. It ends at the rules' `max_hunks` parts and `ablation_s` seconds of test runs.
    """
    rules = runs.rules
    chosen = sorted(parts, key=lambda hunk: hunk.first - hunk.last)[: rules.max_hunks]
    if len(parts) < 2 or not chosen or rules.ablation_s <= 0:  # noqa: PLR2004 — without its only part a change is none
        return Necessity(left=len(parts) if len(parts) > 1 else 0, stopped="it is switched off")
    runs.progress(f"round {runs.number}: testing the change without each of {len(chosen)} parts")
    begun, tried, unneeded = runs.spent_s, 0, list[Hunk]()
    proof = _Wanted(frozenset(proving), runs.only(proving))
    try:
        with runs.bench(head.tree_sha) as bench:
            for hunk in chosen:
                if runs.spent_s - begun >= rules.ablation_s:
                    break
                tried += 1
                if _passes(bench, head, hunk, proof, runs):
                    unneeded.append(hunk)
            whole = runs.spent_s - begun + len(unneeded) * head.duration_s <= rules.ablation_s
            tests = runs.suite(head.tree_sha)
            if whole and proof.tests != tests:
                suite = _Wanted(frozenset(head.report.passed), tests)
                unneeded = [hunk for hunk in unneeded if _passes(bench, head, hunk, suite, runs)]
    except SandboxError:
        # Whatever a change with a part taken out does to a sandbox, the verdict rests on other runs.
        return Necessity(left=len(parts), stopped="the sandbox died of a change with one taken out")
    found = tuple(sorted(unneeded, key=lambda hunk: (hunk.path, hunk.first)))
    left = len(parts) - tried
    stopped = _stopped(tried, len(chosen), rules) if left else ""
    return Necessity(tried, found, left, whole_suite=whole, stopped=stopped)


def _stopped(tried: int, chosen: int, rules: ProofRules) -> str:
    if tried < chosen:
        return f"the {rules.ablation_s:g} seconds for it were used up"
    return f"no more than {rules.max_hunks} are, the largest first"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Tests that must pass, and the command that runs them."""

    names: frozenset[str]
    tests: TestCommand


def _passes(bench: Bench, head: Cell, hunk: Hunk, wanted: _Wanted, runs: Runs) -> bool:
    """Whether the wanted tests pass without the part."""
    report = runs.altered(bench, head.tree_sha, wanted.tests, Alteration(hunk.path, hunk.without)).report
    return wanted.names <= {*report.passed}
