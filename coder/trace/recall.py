"""Finding what was said and seen earlier in a run, also what has left the conversation: full-text search over the journal."""

import re
import sqlite3
from dataclasses import dataclass

from coder.trace.events import Answered, ToolFinished
from coder.trace.journal import Journal

MAX_HITS = 8
_SNIPPET_TOKENS = 48


@dataclass(frozen=True, slots=True)
class Hit:
    """One place: the step, what it is, and the lines around the words."""

    step: int
    what: str
    """`thought`, or the name of a tool."""
    snippet: str


class Recall:
    """The memory of one run. Follows its journal; whole outputs come from the journal's blobs."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._read = 0
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.execute("CREATE VIRTUAL TABLE memory USING fts5(step UNINDEXED, what UNINDEXED, text)")

    def close(self) -> None:
        """Let go of the index."""
        self._db.close()

    def search(self, words: str) -> list[Hit]:
        """The places that match best, whole words or their beginnings; the best first."""
        self._follow()
        terms = re.findall(r"\w+", words)[:20]
        if not terms:
            return []
        query = " OR ".join(f'"{term}"*' for term in terms)
        sql = (
            "SELECT step, what, snippet(memory, 2, '', '', ' … ', ?) FROM memory WHERE memory MATCH ? "
            "ORDER BY bm25(memory), step DESC LIMIT ?"
        )
        return [Hit(*row) for row in self._db.execute(sql, (_SNIPPET_TOKENS, query, MAX_HITS))]

    def step(self, number: int) -> list[tuple[str, str]]:
        """Tool names and whole outputs of one step, in call order."""
        found = [e for e in self._journal.events if isinstance(e, ToolFinished) and e.step == number]
        return [(event.name, self._whole(event)) for event in found]

    def _follow(self) -> None:
        events = self._journal.events
        for event in events[self._read :]:
            if isinstance(event, Answered):
                message = event.completion.message
                self._add(event.step, "thought", "\n".join(filter(None, [message.reasoning_content, message.content])))
            elif isinstance(event, ToolFinished) and event.name != "recall":  # else it would find itself
                self._add(event.step, event.name, self._whole(event))
        self._read = len(events)

    def _add(self, step: int, what: str, text: str) -> None:
        self._db.execute("INSERT INTO memory VALUES (?, ?, ?)", (step, what, text))

    def _whole(self, event: ToolFinished) -> str:
        if event.full_blob is None:
            return event.output.content
        return self._journal.blob(event.full_blob).decode("utf-8", "replace")
