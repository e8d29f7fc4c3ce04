"""The shapes of tests in languages whose syntax we do not parse: a named test and its lines, to the next one.

Careful rather than complete: what a runner reports by id is compared elsewhere, so a miss here is not a pass.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from coder.verify.shape import Shape

MAX_SOURCE_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Language:
    """How tests look, a line each. `name` has the test's name in its one group that matches."""

    name: re.Pattern[str]
    skip: re.Pattern[str]
    check: re.Pattern[str]
    comment: re.Pattern[str]
    loose: re.Pattern[str] = re.compile(r"(?!)")
    """Of the lines with a check, those that compare with no expectation."""
    message: re.Pattern[str] = re.compile(r"(?!)")
    """Lines whose literals are for people."""
    other: re.Pattern[str] = re.compile(r"(?!)")
    """Where something else begins, and the test before it ends."""
    mark: re.Pattern[str] | None = None
    """What stands above a function that is a test, where its name does not tell."""
    table: re.Pattern[str] = re.compile(r"(?!)")
    """Where a test of rows begins, which gets its names from them: all of a file count as one."""


_SLASHES: Final = re.compile(r"^\s*(?://|\*|/\*).*$")
_HASH: Final = re.compile(r"^\s*#(?!\[).*$")
_JAVASCRIPT: Final = _Language(
    re.compile(
        r"^\s*(?:test|it|xit|xtest|fit)(?:\.(?:skip|only|todo|failing|concurrent))*\(\s*(?:\"((?:[^\"\\]|\\.)+)\"|'((?:[^'\\]|\\.)+)'|`([^`]+)`)"
    ),
    re.compile(
        r"\b(?:test|it|describe|suite)\.(?:skip|only|todo|failing)\b|\b(?:xit|xtest|xdescribe|fit|fdescribe)\("
        r"|\{\s*(?:skip|todo|only)\s*:"
    ),
    re.compile(r"\bexpect\s*\(|\bassert(?:\.\w+)*\s*\(|\bt\.(?:is|deepEqual|true|false|throws|ok|equal)\("),
    _SLASHES,
    re.compile(
        r"\.(?:toBeTruthy|toBeFalsy|toBeDefined|toContain|toMatchObject|toBeGreaterThan\w*|toBeLessThan\w*)\(|\.not\.|assert(?:\.ok)?\("
    ),
    other=re.compile(
        r"^\s*(?:[xf]?describe|suite|context|(?:before|after)(?:Each|All)?|setup|teardown)(?:\.\w+)*\s*\("
    ),
    table=re.compile(r"^\s*(?:test|it|xit|xtest|fit)(?:\.\w+)*\.each\b"),
)
_GO: Final = _Language(
    re.compile(r"^func (Test\w+|Fuzz\w+)\("),
    re.compile(r"\b\w+\.Skip(?:f|Now)?\("),
    re.compile(r"\b\w+\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\(|\b(?:assert|require)\.\w+\("),
    _SLASHES,
    re.compile(r"\b(?:assert|require)\.(?:NotNil|True|False|NotEmpty|Contains|NotEqual)\("),
    message=re.compile(r"\b\w+\.(?:Error|Errorf|Fatal|Fatalf|Log|Logf)\("),
    other=re.compile(r"^func\b"),
)
_RUST: Final = _Language(
    re.compile(r"^\s*(?:pub )?(?:async )?fn (\w+)\("),
    re.compile(r"#\[ignore\b|^\s*#!\[cfg\b"),
    re.compile(r"\b(?:debug_)?assert\w*!\s*[(\[{]|\bpanic!\s*\(|#\[should_panic"),
    _SLASHES,
    re.compile(r"\bassert(?:_ne)?!\s*[(\[{]"),
    mark=re.compile(r"^\s*#\[(?:\w+::)*(?:test|rstest|test_case)\b"),
)
_JAVA: Final = _Language(
    re.compile(r"^\s*(?:public |protected |private )?(?:fun |void )\s*(?:`([^`]+)`|(\w+))\s*\("),
    re.compile(r"@(?:Disabled|Ignore)\b|\bassume(?:True|False|That)\s*\("),
    re.compile(r"\b(?:assert\w*|fail|verify)\s*\("),
    _SLASHES,
    re.compile(r"\bassert(?:True|False|NotNull|NotEquals|NotSame)\s*\("),
    mark=re.compile(r"^\s*@(?:Test|ParameterizedTest|RepeatedTest|Property)\b"),
)
_RUBY: Final = _Language(
    re.compile(r"^\s*(?:def (test_\w+[?!]?)|(?:x?it|specify|example|test)\s*\(?\s*(?:\"([^\"]+)\"|'([^']+)'))"),
    re.compile(
        r"^\s*(?:xit|xdescribe|xcontext|fit|fdescribe)\b|^\s*(?:skip|pending)\b|,\s*(?::skip|:focus|skip:|pending:)|\{\s*skip\b|\bfilter_run\w*"
    ),
    re.compile(r"\bexpect\s*[({]|\b(?:assert|refute)\w*\b|\.(?:must|wont)_\w+|\.should\b"),
    _HASH,
    re.compile(r"\b(?:be_truthy|be_falsey|include|not_to|refute\w*|assert_includes)\b|\bassert[ (]"),
    other=re.compile(r"^\s*(?:def|class|module)\b"),
)
_PHP: Final = _Language(
    re.compile(r"^\s*(?:final |public )*function (test\w+)\s*\("),
    re.compile(r"markTestSkipped|markTestIncomplete"),
    re.compile(r"(?:\$this->|self::|static::)(?:assert\w+|expectException\w*|fail)\s*\("),
    re.compile(r"^\s*(?://|#(?!\[)|\*|/\*).*$"),
    re.compile(r"assert(?:True|False|NotNull|NotEquals|NotSame|NotEmpty|Contains)\s*\("),
    other=re.compile(r"^\s*(?:(?:final|abstract|public|protected|private|static)\s+)*(?:function|class|trait)\b"),
)
_LANGUAGES: Final[Mapping[str, _Language]] = {
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"), _JAVASCRIPT),
    ".go": _GO,
    ".rs": _RUST,
    ".java": _JAVA,
    ".kt": _JAVA,
    ".rb": _RUBY,
    ".php": _PHP,
}
_DELAY: Final = re.compile(
    r"\b(?:time\.Sleep|Thread\.sleep|thread::sleep|sleep|usleep|retryTimes)\s*\(|\bretry:\s*\d|\bPromise\b.*\bsetTimeout\b"
)
_LITERAL: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`|\b\d[\w.]*")
_CALL: Final = re.compile(r"\b([A-Za-z_]\w*+)[!?]?\s*+\(")
_TABLES: Final = "of rows"
_MAX_LINE: Final = 1_000
"""So much of a line is looked at: no person reads further, and generated lines make patterns slow."""
_ASIDE: Final = frozenset(
    {"if", "for", "while", "switch", "func", "fn", "function", "it", "test", "describe", "expect", "require"}
)


@dataclass(slots=True)
class _Open:
    """A test whose lines are being read."""

    name: str = ""
    line: int = 0
    strict: int = 0
    loose: int = 0
    skips: int = 0
    delays: int = 0
    constants: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def read(self, text: str, language: _Language) -> None:
        """Take one more line in."""
        checks = len(language.check.findall(text))
        loose = min(checks, len(language.loose.findall(text)))
        self.strict, self.loose = self.strict + checks - loose, self.loose + loose
        self.delays += len(_DELAY.findall(text))
        if not language.message.search(text):
            self.constants |= {literal.strip("\"'`") for literal in _LITERAL.findall(text)}
        self.names |= {
            name for name in _CALL.findall(text) if name not in _ASIDE and not name.startswith(("assert", "to"))
        }

    def closed(self) -> Shape:
        constants, names = frozenset(self.constants - {self.name}), frozenset(self.names - {self.name})
        return Shape(self.line, self.strict, self.loose, self.skips, self.delays, constants, names)


def known(path: str) -> bool:
    """Whether the tests in a file of this name can be looked at."""
    return posixpath.splitext(path)[1] in _LANGUAGES


def line_shapes(path: str, data: bytes | None) -> tuple[dict[str, Shape], frozenset[str]]:
    """The tests of a file by name, and the literals that stand outside of them; those of one name are taken together."""
    if data is None or len(data) > MAX_SOURCE_BYTES:
        return {}, frozenset()
    language = _LANGUAGES[posixpath.splitext(path)[1]]
    found: dict[str, Shape] = {}
    current, outside, above = _Open(), set[str](), 0
    marked = language.mark is None
    for number, raw in enumerate(_lines(data), start=1):
        text = "" if language.comment.match(raw) else raw
        match, table = language.name.match(text), language.table.match(text)
        if match or table or language.other.match(text):
            outside |= _keep(found, current)
            name = next(group for group in match.groups() if group) if match else _TABLES if table else ""
            current = _Open(name if marked else "", number, skips=above)
            marked, above = language.mark is None, 0
        marked = marked or bool(language.mark and language.mark.match(text))
        marks = len(language.skip.findall(text))
        # A mark on a line of its own belongs to the test that it stands above.
        if marks and not match and re.match(r"\s*[#@]", text):
            above += marks
            continue
        current.skips += marks
        current.read(text, language)
    outside |= _keep(found, current)
    return found, frozenset(outside)


def skips_outside(path: str, data: bytes | None) -> int:
    """Marks and calls that leave tests out and stand in none of them: on a class, in what runs before each, in settings."""
    if data is None or len(data) > MAX_SOURCE_BYTES:
        return 0
    language = _LANGUAGES[posixpath.splitext(path)[1]]
    lines = (line for line in _lines(data) if not language.comment.match(line))
    inside = sum(shape.skips for shape in line_shapes(path, data)[0].values())
    return sum(len(language.skip.findall(line)) for line in lines) - inside


def _lines(data: bytes) -> list[str]:
    return [line[:_MAX_LINE] for line in data.decode("utf-8", "replace").splitlines()]


def _keep(found: dict[str, Shape], test: _Open) -> set[str]:
    """Put a test away that has ended; what is none gives its literals."""
    if not test.name:
        return test.constants
    shape, first = test.closed(), found.get(test.name)
    found[test.name] = shape if first is None else first.joined(shape)
    return set()
