"""How a run went so far, for its status comment: the model's plan as a checklist, and earlier rounds folded away."""

import re
from collections.abc import Sequence
from typing import Final

from coder.publish.sections import VERDICT_WORDS
from coder.publish.texts import Texts, fitting
from coder.trace.events import Continued, Event, Finished, RunStarted, ToolFinished

_ITEM: Final = re.compile(r"\[(?P<mark>[ ~x-])\] (?P<text>.*)")
_LINES: Final = {" ": "- [ ] {}", "~": "- [ ] {} (now)", "x": "- [x] {}", "-": "- [x] ~~{}~~"}
_MAX_ITEMS: Final = 30
_MAX_ROUNDS_CHARS: Final = 2_000


def checklist(texts: Texts, events: Sequence[Event]) -> str:
    """The plan as the model wrote it down last; empty where it wrote none."""
    last = next((e for e in reversed(events) if isinstance(e, ToolFinished) and e.name == "plan"), None)
    items = [_ITEM.fullmatch(line) for line in last.output.content.splitlines()] if last is not None else []
    lines = [_LINES[item["mark"]].format(texts.line(item["text"], 200)) for item in items if item is not None]
    return "\n".join(lines[:_MAX_ITEMS])


def earlier(texts: Texts, events: Sequence[Event]) -> str:
    """What was asked for before, in this run and others, and how each of it ended; empty in the first round of the first run."""
    lines: list[str] = []
    asked = ""
    for event in events:
        if isinstance(event, RunStarted):
            asked = f"asked for by {texts.code(event.task.requested_by, 60)}"
        elif isinstance(event, Continued):
            asked = f"{event.followup.kind.replace('_', ' ')} by {texts.code(event.followup.note.author, 60)}"
        elif isinstance(event, Finished):
            kind = event.result.outcome.kind
            ended = {"asked": "waited for a word", "stopped": "stopped"}.get(kind)
            lines.append(f"- {asked}: {ended or VERDICT_WORDS[event.result.verdict.kind]}")
    if not lines:
        return ""
    shown = "\n".join(fitting(lines, _MAX_ROUNDS_CHARS, more="- … and {} more"))
    return f"<details><summary>Earlier: {len(lines)}</summary>\n\n{shown}\n\n</details>"
