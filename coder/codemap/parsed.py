"""What is known of one blob once it was read: values only, shared by the index and the parser processes."""

import json
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

MAX_SIGNATURE: Final = 160
"""Characters of a signature that are kept."""

MAX_DEFINITIONS: Final = 4000
"""Definitions of one file; a file with more is generated, and its words still count for the file."""

if TYPE_CHECKING:
    Numbers = array[int]
else:
    Numbers = array  # Python 3.11 knows no `array[int]` at run time, and compiling its name takes a millisecond

COUNT_BITS: Final = 4
MAX_COUNTED: Final = (1 << COUNT_BITS) - 1

Status = Literal["parsed", "text", "unparsed", "skipped"]
"""`text`: no grammar, outlined by regular expression · `unparsed`: the parser died or ran out of time on it, outlined
likewise · `skipped`: binary, minified, generated or too large; a path and nothing else."""


class Definition(NamedTuple):
    """One named thing in a file. Lines count from 1, both ends inside; `depth` is 0 at the file's top level."""

    name: str
    kind: str
    line: int
    end_line: int
    depth: int
    signature: str


class Postings(NamedTuple):
    """In which documents of a blob its search words stand: document 0 is what lies outside all definitions, `i + 1` definition `i`."""

    lengths: Numbers = array("H", [0])
    """Of each document, in words."""
    words: tuple[str, ...] = ()
    sizes: Numbers = array("H")
    """Of each word, how many of `entries` are its own."""
    entries: Numbers = array("H")
    """Word by word, a document's number and how often the word counts in it: see `entry`."""


def entry(document: int, count: int) -> int:
    """A word's place in a blob, as one number of 16 bits."""
    return document << COUNT_BITS | min(count, MAX_COUNTED)


def times(entries: Numbers) -> int:
    """How often a word counts, over all its entries of a blob."""
    return sum(one & MAX_COUNTED for one in entries)


class Parsed(NamedTuple):
    """What is known of one blob; the definitions as the JSON in which they are sent and stored."""

    status: Status
    told: str = "[]"
    postings: Postings = Postings()

    @classmethod
    def of(cls, status: Status, definitions: Sequence[Definition], postings: Postings) -> "Parsed":
        """From values."""
        return cls(status, json.dumps(definitions, separators=(",", ":")), postings)

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """In order of their start, outer before inner."""
        return tuple(map(Definition._make, json.loads(self.told)))
