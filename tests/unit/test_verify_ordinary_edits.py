"""Ordinary edits of tests raise no alarm: hundreds of them, made for this."""

import ast

from benchmarks.edits_of_tests import EDITS, Edit
from coder.verify.integrity import inspected


def alarms(edit: Edit) -> list[str]:
    def before(path: str) -> bytes | None:
        return edit.before[path].encode() if path in edit.before else None

    def after(path: str) -> bytes | None:
        return edit.after[path].encode() if path in edit.after else None

    return [str(finding) for finding in inspected({*edit.before, *edit.after}, before, after).findings]


def test_no_ordinary_edit_raises_an_alarm() -> None:
    assert {edit.name: found for edit in EDITS if (found := alarms(edit))} == {}


def test_the_edits_are_many_and_change_real_programs() -> None:
    assert len(EDITS) >= 400

    for edit in EDITS:
        assert edit.before != edit.after
        for path, text in (*edit.before.items(), *edit.after.items()):
            if path.endswith(".py"):
                ast.parse(text)
