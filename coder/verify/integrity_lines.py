"""The look at tests in languages whose syntax we do not parse: the same named test before and after, by its lines.

Careful rather than complete: a test is known by its name, and only what is lost from it, or newly keeps it from running, is
told. What a runner reports by id is compared elsewhere, so a miss here is not a pass.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from coder.verify.verdict import Finding

MAX_SOURCE_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Language:
    """How tests look, a line each. `name` has the test's name in its one group that matches."""

    name: re.Pattern[str]
    skip: re.Pattern[str]
    check: re.Pattern[str]
    comment: re.Pattern[str]
    mark: re.Pattern[str] | None = None
    """What stands above a function that is a test, where its name does not tell."""


_SLASHES: Final = re.compile(r"^\s*(?://|\*|/\*).*$")
_JAVASCRIPT: Final = _Language(
    re.compile(
        r"^\s*(?:test|it|xit|xtest|fit)(?:\.(?:skip|only|todo|failing|concurrent))*\(\s*(?:\"((?:[^\"\\]|\\.)+)\"|'((?:[^'\\]|\\.)+)'|`([^`]+)`)"
    ),
    re.compile(r"\b(?:test|it|describe|suite)\.(?:skip|only|todo|failing)\b|\b(?:xit|xtest|xdescribe|fit|fdescribe)\("),
    re.compile(r"\bexpect\s*\(|\bassert(?:\.\w+)*\s*\(|\bt\.(?:is|deepEqual|true|false|throws|ok|equal)\("),
    _SLASHES,
)
_GO: Final = _Language(
    re.compile(r"^func (Test\w+|Fuzz\w+)\("),
    re.compile(r"\b\w+\.Skip(?:f|Now)?\("),
    re.compile(r"\b\w+\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\(|\b(?:assert|require)\.\w+\("),
    _SLASHES,
)
_RUST: Final = _Language(
    re.compile(r"^\s*(?:pub )?(?:async )?fn (\w+)\("),
    re.compile(r"#\[ignore\b"),
    re.compile(r"\b(?:debug_)?assert\w*!\s*[(\[{]|\bpanic!\s*\(|#\[should_panic"),
    _SLASHES,
    re.compile(r"^\s*#\[(?:\w+::)*(?:test|rstest|test_case)\b"),
)
_JAVA: Final = _Language(
    re.compile(r"^\s*(?:public |protected |private )?(?:fun |void )\s*(?:`([^`]+)`|(\w+))\s*\("),
    re.compile(r"@(?:Disabled|Ignore)\b"),
    re.compile(r"\b(?:assert\w*|fail|verify)\s*\("),
    _SLASHES,
    re.compile(r"^\s*@(?:Test|ParameterizedTest|RepeatedTest|Property)\b"),
)
_LANGUAGES: Final[Mapping[str, _Language]] = {
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"), _JAVASCRIPT),
    ".go": _GO,
    ".rs": _RUST,
    ".java": _JAVA,
    ".kt": _JAVA,
}


@dataclass(frozen=True, slots=True)
class _Test:
    line: int
    checks: int
    skips: int


def known(path: str) -> bool:
    """Whether the tests in a file of this name can be looked at."""
    return posixpath.splitext(path)[1] in _LANGUAGES


def line_findings(path: str, before: bytes | None, after: bytes | None) -> Iterator[Finding]:
    """What a file of tests loses; a name that occurs twice on either side is not compared."""
    language = _LANGUAGES[posixpath.splitext(path)[1]]
    if before is None or max(len(before), len(after or b"")) > MAX_SOURCE_BYTES:
        return
    old, new = _tests(before, language), _tests(after or b"", language)
    for name, test in old.items():
        now = new.get(name)
        if now is None:
            if test.checks:
                yield Finding(path, test.line, f"the test {name} was deleted or renamed")
            continue
        if now.skips > test.skips:
            yield Finding(path, now.line, f"the test {name} may now be skipped, or others left out for it")
        if now.checks < test.checks:
            what = f"the test {name} asserts less: {test.checks} checks before, {now.checks} now"
            yield Finding(path, now.line, what)


def _tests(data: bytes, language: _Language) -> dict[str, _Test]:
    """The tests by name: from the line that names one, with what stands directly above it, to the next."""
    found: dict[str, _Test] = {}
    twice: set[str] = set()
    current, line, checks, skips, above = "", 0, 0, 0, 0
    marked = language.mark is None
    for number, raw in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        text = "" if language.comment.match(raw) else raw
        match = language.name.match(text)
        if match:
            _keep(found, twice, current, _Test(line, checks, skips))
            current = next(group for group in match.groups() if group) if marked else ""
            marked = language.mark is None
            line, checks, skips, above = number, 0, above, 0
        marked = marked or bool(language.mark and language.mark.match(text))
        marks = len(language.skip.findall(text))
        # A mark on a line of its own belongs to the test that it stands above.
        if marks and not match and re.match(r"\s*[#@]", text):
            above += marks
            continue
        skips += marks
        checks += len(language.check.findall(text))
    _keep(found, twice, current, _Test(line, checks, skips))
    return {name: test for name, test in found.items() if name not in twice}


def _keep(found: dict[str, _Test], twice: set[str], name: str, test: _Test) -> None:
    if name in found:
        twice.add(name)
    if name:
        found[name] = test
