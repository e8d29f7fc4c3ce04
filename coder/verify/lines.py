"""Reads the stable lines of runners that have no machine-readable report: cargo test, unittest, minitest.

Programs under test print among these lines, so the runner's own counts must agree with what was found.
"""

import re
from collections import Counter
from typing import Final

from coder.verify.outcomes import Outcome, Outcomes, Reading, UnreadableError
from coder.verify.reports import guarded

_CARGO_TARGET: Final = re.compile(
    r"\s*(?:Running (?:unittests )?(\S+)(?: \((?:.*/)?(\S+)-[0-9a-f]+(?:\.exe)?\))?|Doc-tests (\S+))\s*"
)
_CARGO_TEST: Final = re.compile(r"test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)(?:, .*)?")
_CARGO_RESULT: Final = re.compile(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;.*")
_CARGO_OUTCOMES: Final[dict[str, Outcome]] = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}

_UNITTEST: Final = re.compile(
    r"(?<![\w.])([\w.]++) \(([\w.]++)\)(?: \.\.\.|\n.* \.\.\.) (ok|FAIL|ERROR|expected failure|skipped .*)$",
    re.MULTILINE,
)
_UNITTEST_OUTCOMES: Final[dict[str, Outcome]] = {"ok": "passed", "FAIL": "failed", "ERROR": "errored"}
_UNITTEST_RAN: Final = re.compile(r"^Ran (\d+) tests? in [\d.]+s$", re.MULTILINE)
_MINITEST: Final = re.compile(r"([^\s#]+#.+) = \d+\.\d+ s = ([.FES])")
_MINITEST_RAN: Final = re.compile(r"(\d+) (?:runs|tests), \d+ assertions, (\d+) failures, (\d+) errors, (\d+) skips.*")
_MINITEST_OUTCOMES: Final[dict[str, Outcome]] = {".": "passed", "F": "failed", "E": "errored", "S": "skipped"}


def read_cargo(data: bytes, root: str) -> Reading:
    """The output of `cargo test`: ids `target::module::test`; doc tests without their line, which any edit moves."""
    return guarded(_cargo, data, root)


def _cargo(data: bytes, _root: str, outcomes: Outcomes) -> str | None:
    target, problem, results = "", None, 0
    here: Counter[Outcome] = Counter()
    seen: Counter[str] = Counter()
    for line in _lines(data):
        if match := _CARGO_TARGET.fullmatch(line):
            target = f"{match[2] or ''}:{match[1]}" if match[1] else f"doc {match[3]}"
        elif match := _CARGO_TEST.fullmatch(line):
            name = re.sub(r" \(line \d+\)", "", f"{target}::{match[1]}")
            seen[name] += 1
            outcome = _CARGO_OUTCOMES[match[2]]
            here[outcome] += 1
            outcomes.add(f"{name} #{seen[name]}" if seen[name] > 1 else name, outcome)
        elif match := _CARGO_RESULT.fullmatch(line):
            results += 1
            if [here[kind] for kind in ("passed", "failed", "skipped")] != [int(number) for number in match.groups()]:
                problem = f"the lines on {target or 'a target'} do not add up to its result"
            here.clear()
    if not results:
        raise UnreadableError("no result of cargo test: it did not build, or died")
    return problem


_NEXTEST_TEST: Final = re.compile(
    r"\s*(PASS|FAIL|FLAKY \d+/\d+|LEAK|SIG\w+|ABORT|TIMEOUT|FAIL \+ LEAK)\s+\[\s*>?\s*[\d.]+s\]\s+(?:\(\s*\d+/\d+\)\s+)?(\S+)\s+(\S.*)"
)
_NEXTEST_SUMMARY: Final = re.compile(r"\s*Summary \[\s*[\d.]+s\]\s+(\d+)(?:/\d+)? tests? run: (\d+) passed.*")
_NEXTEST_ENDED: Final = re.compile(r"    test result: ok\. 1 passed; 0 failed;.*")
"""What the process of a test prints last. nextest itself only asks for its exit code, which a program under test can give."""
_NEXTEST_GREEN: Final = ("PASS", "FLAKY", "LEAK")


def read_nextest(data: bytes, root: str) -> Reading:
    """The output of `cargo nextest run`: ids `package::binary::test` as it prints them. It names failures twice."""
    return guarded(_nextest, data, root)


def _nextest(data: bytes, _root: str, outcomes: Outcomes) -> str | None:
    told: tuple[int, int] | None = None
    green: dict[str, bool] = {}
    ended, name = set[str](), ""
    for line in _lines(data):
        if _NEXTEST_ENDED.fullmatch(line):
            ended.add(name)
        elif match := _NEXTEST_TEST.fullmatch(line):
            name = f"{match[2]}::{match[3]}"
            green[name] = match[1].startswith(_NEXTEST_GREEN)
            outcomes.add(name, "passed" if green[name] else "failed")
        elif match := _NEXTEST_SUMMARY.fullmatch(line):
            told = int(match[1]), int(match[2])
    if told is None:
        raise UnreadableError("no summary of nextest: it did not build, or died")
    found = len(green), sum(green.values())
    if found != told:
        return f"nextest counts {told[0]} tests, {told[1]} of them green, and {found[0]} and {found[1]} are told"
    early = [name for name, passed in green.items() if passed and name not in ended]
    return f"its process ended with success before {early[0]} did, by what it printed" if early else None


def read_unittest(data: bytes, root: str) -> Reading:
    """The output of `python -m unittest -v`: ids `module.Class::test`."""
    return guarded(_unittest, data, root)


def _unittest(data: bytes, _root: str, outcomes: Outcomes) -> str | None:
    text = data.decode("utf-8", "replace")
    found = 0
    for name, place, end in _UNITTEST.findall(text):
        found += 1
        outcomes.add(
            f"{place.removesuffix(f'.{name}')}::{name}", _UNITTEST_OUTCOMES.get(end.split(" ", 1)[0], "skipped")
        )
    ran = _UNITTEST_RAN.findall(text)
    if len(ran) != 1:
        raise UnreadableError("no count of unittest, or several")
    return None if int(ran[0]) == found else f"unittest ran {ran[0]} tests, and {found} are told"


def read_minitest(data: bytes, root: str) -> Reading:
    """The output of minitest's `-v`: ids `Class#test`."""
    return guarded(_minitest, data, root)


def _minitest(data: bytes, _root: str, outcomes: Outcomes) -> str | None:
    counts: Counter[Outcome] = Counter()
    told: list[int] | None = None
    for line in _lines(data):
        if match := _MINITEST.fullmatch(line):
            counts[_MINITEST_OUTCOMES[match[2]]] += 1
            outcomes.add(match[1], _MINITEST_OUTCOMES[match[2]])
        elif match := _MINITEST_RAN.fullmatch(line):
            numbers = [int(number) for number in match.groups()]
            told = numbers if told is None else [a + b for a, b in zip(told, numbers, strict=True)]
    if told is None:
        raise UnreadableError("no count of minitest")
    found = [counts.total(), counts["failed"], counts["errored"], counts["skipped"]]
    return None if found == told else f"minitest counts {told[0]} tests, and {found[0]} are told"


_TAP: Final = re.compile(r"(not )?ok (\d+)(?:\s+(- )?(.*?))?(?:\s+# (skip|todo)\b.*)?", re.IGNORECASE)
_TAP_PLAN: Final = re.compile(r"1\.\.(\d+)(?:\s+#.*)?")
_TAP_ASIDE: Final = re.compile(r"(?:tests|pass|fail|skip|todo|ok)\b(?:\s+\d+)?|TAP\b.*")
"""Comments that count, behind the plan."""


def read_tap(data: bytes, root: str) -> Reading:
    """TAP, as tape and AVA print it: ids are the tests' titles. Of one with several checks the worst counts.

    tape's titles stand in comments above the checks, AVA's in the checks; its comments are notes. https://testanything.org/tap-version-13-specification.html
    """
    return guarded(_tap, data, root)


def _tap(data: bytes, _root: str, outcomes: Outcomes) -> str | None:
    title, plan, number = "", None, 0
    for line in _lines(data):
        if line.startswith("# ") and not _TAP_ASIDE.fullmatch(line[2:]):
            title = line[2:].strip()
        elif match := _TAP_PLAN.fullmatch(line):
            plan = int(match[1])
        elif match := _TAP.fullmatch(line):
            number += 1
            if int(match[2]) != number:
                raise UnreadableError(f"check {match[2]} of TAP stands where {number} must")
            name = match[4] if match[3] else title or match[4]
            outcomes.add(name or f"check {number}", _tap_outcome(match))
            if match[1] and not match[5]:
                outcomes.tell(f"{line}\n")
    if plan is None:
        raise UnreadableError("no plan of TAP: the tests did not run to their end")
    return None if plan == number else f"TAP plans {plan} checks, and {number} are told"


def _tap_outcome(match: re.Match[str]) -> Outcome:
    return "skipped" if match[5] else "failed" if match[1] else "passed"


def _lines(data: bytes) -> list[str]:
    text = re.sub(r"\x1b\[[0-9;]*m", "", data.decode("utf-8", "replace"))
    return [line.rstrip("\r") for line in text.split("\n")]
