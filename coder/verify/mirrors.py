"""Source that answers a test's own inputs with the test's own expectations: a fix of the examples, maybe of nothing else.

No run can tell such a change from a fix, for it is green where the tests look. So people are told where to look. Only what
is plain is seen: a comparison with a literal, and the literal that it answers with, both new in the source and both in one
test of the patch. docs/decisions/0030-inputs-of-the-tests-in-the-source.md
"""

import ast
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from coder.verify.basis import Finding
from coder.verify.shape import Shape

_TRIVIAL: Final = frozenset({"0", "1", "2", "10", "100", "0.0", "1.0", "", " ", "\\n"})
"""Literals that stand in any program and any test."""
_MAX_SHOWN: Final = 60
_MAX_BYTES: Final = 1_000_000
"""Of a file so much is looked at."""
_LITERAL: Final = r"\(?(\"[^\"\n]*\"|'[^'\n]*'|`[^`\n]*`|-?\d[\w.]*)\)?"
_BY_LINES: Final = re.compile(
    rf"(?:===?|\bcase|\bwhen|\.equals\(|\.eql\?)[ \t]*+{_LITERAL}[\s)}}{{:]*+(?:then\s|\?|return\s)\s*+{_LITERAL}[ \t]*+(?=[;:,\r\n}}])"
    rf"|^[ \t]*+{_LITERAL}[ \t]*+=>[ \t]*+{_LITERAL}[ \t]*+,?[ \t\r]*+$",
    re.MULTILINE,
)
"""`if (x === 5) return 25`, `case 5: return 25`, `x === 5 ? 25 :`, `5 => 25`; also over the end of a line."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A literal that is compared with, and the one that is given for it; strings without their quotation marks."""

    line: int
    asked: str
    given: str


def mirrored(path: str, old: Iterable[Answer], new: Iterable[Answer], tests: Iterable[Shape]) -> Iterator[Finding]:
    """A finding for each answer, new in this source file, whose two sides stand in one of the `tests`.

    None where most of the new answers are no test's: it is a table of facts then, of which the tests take a sample.
    """
    known = {(one.asked, one.given) for one in old}
    wanted = [{_bare(constant) for constant in shape.constants} - _TRIVIAL for shape in tests]
    added = {(one.asked, one.given): one for one in new if (one.asked, one.given) not in known}
    found = [one for pair, one in added.items() if any({*pair} <= constants for constants in wanted)]
    for one in found if 2 * len(found) >= len(added) else ():
        what = f"answers {_shown(one.asked)}, an input of a test, with {_shown(one.given)}, which it expects"
        yield Finding(path, one.line, f"{what}: is it right for other inputs?", remedy="generalise")


def answers_in(module: ast.Module | None) -> Iterator[Answer]:
    """The answers of a source file in Python."""
    for node in ast.walk(module) if module else ():
        if isinstance(node, ast.If):
            yield from _pairs(node.lineno, _compared(node.test), _given(node.body))
        elif isinstance(node, ast.IfExp):
            yield from _pairs(node.lineno, _compared(node.test), _literals(node.body))
        elif isinstance(node, ast.match_case):
            asked = [
                literal
                for one in ast.walk(node.pattern)
                if isinstance(one, ast.MatchValue)
                for literal in _literals(one.value)
            ]
            yield from _pairs(node.pattern.lineno, asked, _given(node.body))
        elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.value, ast.Dict):
            # A table that is asked where it stands: {5: 25}[x], {5: 25}.get(x).
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                yield from _pairs(node.lineno, _literals(key), _literals(value))


def answers_by_lines(data: bytes | None) -> Iterator[Answer]:
    """The answers of a source file in a language whose syntax we do not parse."""
    text, line, counted = (data or b"")[:_MAX_BYTES].decode("utf-8", "replace"), 1, 0
    for match in _BY_LINES.finditer(text):
        line, counted = line + text.count("\n", counted, match.end()), match.end()
        asked, given = (_bare(group) for group in match.groups() if group)
        if asked != given:
            yield Answer(line, asked, given)


def _pairs(line: int, asked: Iterable[str], given: Collection[str]) -> Iterator[Answer]:
    return (Answer(line, one, two) for one in asked for two in given if one != two)


def _compared(test: ast.expr) -> list[str]:
    """The literals that a condition asks its values to be."""
    found: list[str] = []
    for node in ast.walk(test):
        if isinstance(node, ast.Compare) and all(isinstance(op, ast.Eq | ast.Is | ast.In) for op in node.ops):
            found += [literal for side in (node.left, *node.comparators) for literal in _literals(side)]
    return found


def _given(body: list[ast.stmt]) -> list[str]:
    """The literals of a branch that does nothing but give them."""
    if len(body) != 1 or not isinstance(body[0], ast.Return | ast.Assign):
        return []
    return _literals(body[0].value)


def _literals(node: ast.expr | None) -> list[str]:
    """A literal, or those of a display of literals."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [literal for one in node.elts for literal in _literals(one)]
    if isinstance(node, ast.UnaryOp):
        return _literals(node.operand)
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes | int | float):
        return [] if isinstance(node.value, bool) else [_bare(repr(node.value))]
    return []


def _bare(literal: str) -> str:
    """A literal without its quotation marks: shapes of other languages have none."""
    return re.sub(r"^b?(['\"`])(.*)\1$", r"\2", literal, flags=re.DOTALL)


def _shown(literal: str) -> str:
    return f"`{literal if len(literal) <= _MAX_SHOWN else f'{literal[:_MAX_SHOWN]}…'}`"
