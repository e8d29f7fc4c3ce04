"""What the model is told when somebody adds to a run that had ended or waits."""

import re
from dataclasses import dataclass

from coder.agent.fence import fenced
from coder.prompts import render
from coder.trace.events import Opened, Reopened
from coder.types import Followup, Message, Note

_FENCE = re.compile(r"<data-([0-9a-f]{8,64})>")
_HEADINGS = {
    "answer": "Your question is answered by",
    "approve": "The plan is approved by",
    "revise": "Something else is asked for by",
    "review": "The change is reviewed by",
    "check_failure": "A check of the change failed; the end of its log, as told by",
    "rebase": "The base branch is to be merged into yours, says",
    "continue": "You are to go on, says",
    "steer": "While you worked, this was said by",
    "stop": "You were stopped by",
}
_FIX = "Do what is asked, run the tests that matter for it, and `submit` again, title and summary about what you add now. The change is judged against the base commit as before."
_TASKS = {
    "answer": "Go on with this answer.",
    "approve": "Carry the plan out now: `edit` works, and the work tree is the base commit. Then `submit`.",
    "review": "Answer every comment by a change, or say in the summary of `submit` why not; name the file and line that you mean. "
    + _FIX,
    "check_failure": "Find out why it failed, mend it, and `submit` again.",
    "continue": "Go on where you stopped.",
    "rebase": "Resolve every conflict such that both changes hold, run the tests that matter, and `submit`.",
    "steer": "Heed this from here on, and go on with the work.",
    "stop": "Nothing more is to be done now.",
}
_PLAN = "Revise the plan and hand it in again by `submit`; nothing may be changed yet."


@dataclass(frozen=True, slots=True)
class _Part:
    heading: str
    text: str


def followup_message(followup: Followup, opened: Opened, reopened: Reopened | None, *, may_edit: bool) -> Message:
    """Who said what, fenced as in the opening, what others did to the branch meanwhile, and what to do now.

    Text of people who may not write to the repository is left out and listed; a check's log has no author and is shown.
    """
    nonce = nonce_of(opened)
    shown, withheld = _parts(followup)
    text = render(
        "followup",
        nonce=nonce,
        parts=[_Part(part.heading, _fenced(part.text, nonce)) for part in shown],
        withheld=", ".join(withheld),
        foreign=_listed(reopened.foreign if reopened else (), nonce),
        conflicts=_listed(reopened.conflicts if reopened else (), nonce),
        is_published=reopened is not None and reopened.head_sha is not None and not reopened.foreign,
        task=_TASKS.get(followup.kind, _FIX) if may_edit else _PLAN,
    )
    return Message(role="user", content=text)


def _parts(followup: Followup) -> tuple[list[_Part], list[str]]:
    """What is shown, and what is not, a phrase each."""
    note = followup.note
    shown, withheld = [], []
    if note.trusted or followup.kind == "check_failure":
        shown.append(_Part(f"{_HEADINGS[followup.kind]} {_who(note)}:", note.body))
    else:
        withheld.append(f"what {_line(note.author)} wrote")
    for thread in followup.threads:
        place = _line(f"{thread.path}:{thread.line}" if thread.line else thread.path)
        if thread.note.trusted:
            shown.append(_Part(f"On {place}, {_who(thread.note)}:", thread.note.body))
        else:
            withheld.append(f"a comment of {_line(thread.note.author)} on {place}")
    return shown, withheld


def _who(note: Note) -> str:
    return f"{_line(note.author)} ({'may write to the repository' if note.trusted else 'not a person with write permission'})"


def _line(text: str) -> str:
    """A name on one line: it stands outside of the fences."""
    return " ".join(text.split())[:200]


def nonce_of(opened: Opened) -> str:
    """The mark of the fences: the one that the system prompt names: text in its fences is data."""
    system = opened.messages[0].content if opened.messages else ""
    found = _FENCE.search(system or "")
    return found[1] if found else "followup"


def _listed(lines: tuple[str, ...], nonce: str) -> str:
    return _fenced("\n".join(lines), nonce) if lines else ""


def _fenced(text: str, nonce: str) -> str:
    return fenced(text, nonce) or "(no words)"
