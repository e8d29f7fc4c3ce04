"""What is known of one blob once it was read: values only, shared by the index and the parser processes."""

from typing import Final, Literal, NamedTuple

MAX_SIGNATURE: Final = 160
"""Characters of a signature that are kept."""

MAX_DEFINITIONS: Final = 4000
"""Definitions of one file; a file with more is generated, and its words still count for the file."""

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


class Parsed(NamedTuple):
    """One blob's definitions, and search words: `documents[0]` outside all definitions, `documents[i + 1]` of `definitions[i]`.

    A document is words joined by spaces; a word stands as often as it counts.
    """

    status: Status
    definitions: tuple[Definition, ...] = ()
    documents: tuple[str, ...] = ("",)
