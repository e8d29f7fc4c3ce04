"""Handing in: what was looked at last counts, and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.sandbox.protocol import Sandbox
from coder.tools.base import Toolbox
from coder.tools.submit import Submit
from coder.trace.events import Answered, ToolFinished
from coder.trace.journal import Journal, JournalStore
from coder.types import Checkpoint, Completion, Message, ToolCall, ToolOutput, Usage
from tests.contract.sandbox_support import committed, local_backend

WORDS = {"title": "t", "summary": "s", "rationale": [{"path": "a.txt", "reason": "r"}]}


class Hand:
    """Hands in as the loop does: an answer with calls of `submit`, each journalled with its result."""

    def __init__(self, sandbox: Sandbox, journal: Journal) -> None:
        self.sandbox, self.journal = sandbox, journal
        self._step = 0

    def submits(self, *, confirm: tuple[bool, ...]) -> list[ToolOutput]:
        """What one answer comes to that calls `submit` so many times."""
        self._step += 1
        made = [
            ToolCall(id=str(n), name="submit", arguments=json.dumps({**WORDS, "confirm": c}))
            for n, c in enumerate(confirm)
        ]
        message = Message(role="assistant", tool_calls=tuple(made))
        completion = Completion(message=message, finish_reason="tool_calls", usage=Usage(), cost_usd=0.0, model="m")
        self.journal.append(Answered(step=self._step, completion=completion))
        outputs = []
        for call in made:
            output = Toolbox([Submit(self.sandbox, self.journal)]).call(call).output
            self.journal.append(
                ToolFinished(step=self._step, call_id=call.id, name=call.name, output=output, duration_s=0.0)
            )
            outputs.append(output)
        return outputs

    def submit(self, *, confirm: bool = True) -> ToolOutput:
        (output,) = self.submits(confirm=(confirm,))
        return output


@pytest.fixture
def hand(tmp_path: Path) -> Iterator[Hand]:
    (tmp_path / "repository").mkdir()
    pack = committed(tmp_path / "repository", {"a.txt": b"one\n"})
    store = JournalStore(tmp_path / "journal.sqlite")
    with local_backend() as (provider, image), provider.open(image, pack, labels={}) as sandbox:
        yield Hand(sandbox, store.open("run"))
    store.close()


def test_the_first_call_shows_the_change_whatever_it_says(hand: Hand) -> None:
    hand.sandbox.write("a.txt", b"two\n")

    look, final = hand.submit(), hand.submit()

    assert "diff --git a/a.txt b/a.txt" in look.content
    assert "Reproduced:" in look.content
    assert look.submission is None
    assert final.submission is not None
    assert final.submission.rationale[0].path == "a.txt"


def test_without_confirm_it_is_shown_again_and_never_handed_in(hand: Hand) -> None:
    hand.sandbox.write("a.txt", b"two\n")

    outputs = [hand.submit(confirm=False) for _ in range(3)]

    assert all("+two" in output.content and output.submission is None for output in outputs)


def test_what_changed_since_the_look_is_shown_before_it_counts(hand: Hand) -> None:
    hand.sandbox.write("a.txt", b"two\n")
    hand.submit(confirm=False)
    hand.sandbox.write("b.txt", b"left over\n")

    moved, final = hand.submit(), hand.submit()

    assert moved.submission is None
    assert moved.content.startswith("The change is not the one that you looked at last.")
    assert "+left over" in moved.content
    assert final.submission is not None


def test_only_the_last_look_counts(hand: Hand) -> None:
    hand.sandbox.write("a.txt", b"two\n")
    hand.submit(confirm=False)
    hand.sandbox.write("a.txt", b"three\n")
    hand.submit(confirm=False)
    hand.sandbox.write("a.txt", b"two\n")

    assert hand.submit().submission is None


def test_a_look_that_was_not_read_yet_does_not_count(hand: Hand) -> None:
    hand.sandbox.write("a.txt", b"two\n")

    both = hand.submits(confirm=(False, True))

    assert [output.submission for output in both] == [None, None]
    assert hand.submit().submission is not None


def test_a_new_process_knows_what_was_looked_at(hand: Hand, tmp_path: Path) -> None:
    hand.sandbox.write("a.txt", b"two\n")
    hand.submit(confirm=False)
    store = JournalStore(tmp_path / "journal.sqlite")

    final = Hand(hand.sandbox, store.open("run")).submit()

    store.close()
    assert final.submission is not None


def test_an_answer_without_a_change_is_looked_at_too(hand: Hand) -> None:
    nothing, final = hand.submit(), hand.submit()

    assert "Nothing is changed." in nothing.content
    assert final.submission is not None


def test_the_look_is_bounded_and_names_files_that_are_too_large_to_be_part_of_it(hand: Hand) -> None:
    hand.sandbox.exec("head -c 17000000 /dev/zero > huge.bin; seq 1 90000 > long.txt", timeout_s=60)

    look = hand.submit().content

    assert len(look) < 14_000
    assert "diff --git a/long.txt b/long.txt" in look
    assert "Not part of it, because no file of more than 16 MiB can be: huge.bin." in look
    assert "call submit again with confirm=true" in look


def test_the_look_says_when_nothing_was_run_since_the_last_edit(hand: Hand) -> None:
    def finished(name: str, checkpoint: Checkpoint | None = None) -> None:
        output = ToolOutput(content="done")
        hand.journal.append(
            ToolFinished(step=0, call_id="x", name=name, output=output, duration_s=0.0, checkpoint=checkpoint)
        )

    hand.sandbox.write("a.txt", b"two\n")
    edited = Checkpoint(step=0, tree_sha="t", diff_blob="b")
    finished("run_tests")
    finished("edit", edited)
    untried = hand.submit(confirm=False).content
    finished("run", edited)

    assert "Nothing was run since the last edit" in untried
    assert "Nothing was run" not in hand.submit(confirm=False).content
