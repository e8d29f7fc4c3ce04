"""Which lines of existing tests a patch replaces, how they are shown, and what comes of a patch that does no more harm."""

from dataclasses import replace

import pytest

from coder.types import Cell
from coder.verify.basis import Cells, Finding
from coder.verify.expectations import changed_lines
from coder.verify.verdict import CHANGED_EXPECTATION, verdict
from tests.unit.verify_values import OLD, RED, cell, four, unread


def shown(old: bytes | None, new: bytes | None, path: str = "tests/test_a.py") -> list[str]:
    return [str(finding) for finding in changed_lines([path], lambda _: old, lambda _: new)]


def test_each_replaced_line_is_shown_with_what_stood_there() -> None:
    old = b"def test_a():\n    assert f(1) == 1\n    assert f(2) == 2\n"
    new = b"def test_a():\n    assert f(1) == 1\n    assert f(2) == 4\n\n\ndef test_b():\n    assert f(3) == 9\n"

    assert shown(old, new) == ["tests/test_a.py:3: `assert f(2) == 4` was `assert f(2) == 2` on base"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("slug gives 'a_b', it must give 'a-b'", "; the issue's text has both values"),
        ("It must give a-b.", "; the issue's text has the new value, not the old"),
        ("Why a_b?", "; the issue's text has the old value, not the new"),
        ("xa-bc and a_bb", "; the issue's text has neither value"),
        ("", ""),
        (" ", ""),
    ],
)
def test_the_issues_text_is_held_against_what_is_exchanged(asked: str, said: str) -> None:
    old, new = b'assert slug("a b", 1) == "a_b"\n', b'assert slug("a b", 1) == "a-b"\n'

    (line,) = changed_lines(["t.py"], lambda _: old, lambda _: new, asked=asked)

    assert str(line).endswith(f"on base{said}")


def test_of_a_line_that_exchanges_no_values_nothing_is_said_of_the_issue() -> None:
    (line,) = changed_lines(["t.py"], lambda _: b"assert f(1)\n", lambda _: b"assert g(1)\n", asked="1")
    (number,) = changed_lines(["t.py"], lambda _: b"assert f() == 2\n", lambda _: b"assert f() == 3\n", asked="3.5 2.")

    assert str(line).endswith("on base")
    assert str(number).endswith("; the issue's text has the old value, not the new")


def test_new_files_additions_and_data_are_no_changed_expectations() -> None:
    assert shown(None, b"assert 1\n") == []
    assert shown(b"assert 1\n", None) == []
    assert shown(b"a\n", b"a\nb\n") == []
    assert shown(b"a\0\n", b"b\0\n") == []


def test_what_is_long_or_hostile_is_cut() -> None:
    old = b"".join(b"x = %d\ny\n" % number for number in range(50))
    new = b"".join(b"x = `@all %d\ny\n" % (number + 1) + b"z" * 300 for number in range(50))

    lines = shown(old, new)

    assert 0 < len(lines) <= 12
    assert all(len(line) < 400 for line in lines)
    assert all(line.count("`") in {0, 4} for line in lines)
    assert shown(b"a\n" * 20, b"b\n" * 20) == ["tests/test_a.py:1: 20 lines of tests were rewritten"]
    assert shown(b"a\n" * 9_000, b"b\n" * 9_000) == []


LINE = Finding("t.py", 3, "`assert f() == 2` was `assert f() == 1` on base")


def contradicted(**changes: Cell) -> Cells:
    """A test of base that asks for something else now, beside one that is as it was."""
    cells = {
        "base": cell("base", [OLD, RED]),
        "base_new": cell("base+new tests", [OLD], [RED]),
        "head": cell("head", [OLD, RED]),
        "head_old": cell("head+old tests", [OLD], [RED]),
    }
    return replace(four(**{**cells, **changes}), changed=frozenset({"t.py"}), rewritten=(LINE,))


def test_a_test_that_was_edited_to_fit_is_shown_and_never_called_proven() -> None:
    judged = verdict(contradicted())

    assert judged.kind == "unverified"
    assert judged.reasons[0] == f"{CHANGED_EXPECTATION}: 1 test of base now asking for something else: {RED}"
    assert str(LINE) in judged.reasons
    assert any("1 of the 2 tests that passed on base" in reason for reason in judged.reasons)
    assert "which of its sentences asks for it" in judged.objections[0]


@pytest.mark.parametrize(
    "cells",
    [
        contradicted(base_new=cell("base+new tests", [OLD, RED])),
        contradicted(head_old=cell("head+old tests", [], [OLD, RED])),
        contradicted(base_new=unread("base+new tests", 2)),
        contradicted(head=cell("head", [OLD, RED], problem="it lies", exit_code=1)),
        contradicted(head=cell("head", [OLD], skipped=[RED])),
        replace(contradicted(), changed=frozenset({"u.py"})),
    ],
)
def test_where_more_is_wrong_it_is_no_mere_change_of_expectation(cells: Cells) -> None:
    judged = verdict(cells)

    assert judged.kind == "unverified"
    assert not judged.reasons[0].startswith(CHANGED_EXPECTATION)


def test_a_changed_expectation_beside_a_new_failure_is_a_regression() -> None:
    assert verdict(contradicted(head=cell("head", [RED], [OLD]))).kind == "regressed"
