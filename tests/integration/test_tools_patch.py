"""Patches, going back, and asking, on a real work tree through the real runner."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.sandbox.protocol import Sandbox
from coder.tools.apply_patch import ApplyPatch
from coder.tools.ask import Ask
from coder.tools.base import Toolbox
from coder.tools.rollback import Rollback
from coder.trace.events import ToolFinished
from coder.trace.journal import Journal, JournalStore
from coder.types import Checkpoint, TestCounts, ToolCall, ToolOutput
from tests.contract.sandbox_support import committed, local_backend, out
from tests.values import NoSyntax

FILES = {
    "app/money.py": b"def half(n):\n    return n / 2\n",
    "run.sh": b"#!/bin/sh\necho hi\n",
    "win.txt": b"one\r\ntwo\r\n",
    "old.txt": b"old\n",
}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    pack = committed(tmp_path, FILES)
    with local_backend() as (provider, image), provider.open(image, pack, labels={}) as opened:
        yield opened


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    store = JournalStore(tmp_path / "journal.sqlite")
    yield store.open("run")
    store.close()


@pytest.fixture
def toolbox(sandbox: Sandbox, journal: Journal) -> Toolbox:
    return Toolbox([ApplyPatch(sandbox, NoSyntax()), Ask(), Rollback(sandbox, journal)])


def call(toolbox: Toolbox, name: str, /, **arguments: object) -> ToolOutput:
    return toolbox.call(ToolCall(id="1", name=name, arguments=json.dumps(arguments))).output


def patch(toolbox: Toolbox, *lines: str) -> ToolOutput:
    return call(toolbox, "apply_patch", input="\n".join(["*** Begin Patch", *lines, "*** End Patch"]))


def test_a_patch_changes_adds_moves_and_deletes(toolbox: Toolbox, sandbox: Sandbox) -> None:
    output = patch(
        toolbox,
        "*** Update File: app/money.py",
        " def half(n):",
        "-    return n / 2",
        "+    return n // 2",
        "*** Update File: win.txt",
        "-two",
        "+2",
        "*** Update File: run.sh",
        "*** Move to: bin/run.sh",
        "-echo hi",
        "+echo ho",
        "*** Add File: new/file.txt",
        "+first",
        "*** Delete File: old.txt",
    )

    assert output.content.splitlines()[1:] == [
        "M app/money.py",
        "M win.txt",
        "M run.sh -> bin/run.sh",
        "A new/file.txt",
        "D old.txt",
    ]
    assert sandbox.read("app/money.py") == b"def half(n):\n    return n // 2\n"
    assert sandbox.read("win.txt") == b"one\r\n2\r\n"
    assert sandbox.read("new/file.txt") == b"first\n"
    assert out(sandbox, "bin/run.sh; ls") == "ho\napp\nbin\nlink\nnew\nwin.txt\n"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("*** Update File: app/mony.py", "-x"), "there is no such file. Did you mean app/money.py?"),
        (("*** Add File: win.txt", "+x"), "it exists: update it"),
        (("*** Update File: win.txt", "*** Move to: run.sh"), "that exists"),
        (("*** Delete File: .git/config",), "`.git` is not part"),
        (("*** Delete File: ../outside",), "../outside"),
        (("*** Add File: run.sh/x", "+x"), "run.sh/x"),
        (("*** Update File: win.txt", "-three"), "does not fit"),
    ],
)
def test_a_patch_that_does_not_fit_changes_nothing(
    toolbox: Toolbox, sandbox: Sandbox, lines: tuple[str, ...], says: str
) -> None:
    before = sandbox.checkpoint()

    output = patch(toolbox, "*** Delete File: old.txt", "*** Add File: early.txt", "+x", *lines)

    assert output.is_error
    assert says in output.content
    assert sandbox.checkpoint() == before


def finished(journal: Journal, sandbox: Sandbox, step: int, tests: TestCounts | None = None) -> None:
    blob = journal.put_blob(sandbox.diff().encode())
    stand = Checkpoint(step=step, tree_sha=sandbox.checkpoint(), diff_blob=blob) if tests is None else None
    output = ToolOutput(content="", tests=tests)
    name = "edit" if tests is None else "run_tests"
    journal.append(
        ToolFinished(step=step, call_id=f"c{step}", name=name, output=output, duration_s=0, checkpoint=stand)
    )


def test_going_back_restores_the_tree_of_a_step(toolbox: Toolbox, sandbox: Sandbox, journal: Journal) -> None:
    start = sandbox.checkpoint()
    sandbox.write("a.txt", b"1\n")
    finished(journal, sandbox, 3)
    third = sandbox.checkpoint()
    finished(journal, sandbox, 4, TestCounts(passed=7, failed=1, errored=1, selection=("t.py",)))
    sandbox.write("a.txt", b"2\n")
    finished(journal, sandbox, 6)

    listed = call(toolbox, "rollback").content
    back = call(toolbox, "rollback", step=5)

    assert listed.splitlines() == [
        "step 0: the start",
        "step 3: edit; then tests: 7 passed, 2 failed in t.py",
        "step 6: edit",
    ]
    assert not back.is_error
    assert sandbox.checkpoint() == third
    assert not call(toolbox, "rollback", step=1).is_error
    assert sandbox.checkpoint() == start
    assert not call(toolbox, "rollback", step=6).is_error
    assert sandbox.read("a.txt") == b"2\n"
    assert call(toolbox, "rollback", step=7).is_error
    assert not call(toolbox, "rollback", step=0).is_error
    assert sandbox.checkpoint() == start


def test_a_question_ends_the_segment(toolbox: Toolbox) -> None:
    output = call(toolbox, "ask", question="Which of the two?")

    assert output.question == "Which of the two?"
    assert output.submission is None
