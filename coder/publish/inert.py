"""Text by strangers and programs, made safe to stand in a GitHub comment, a title or a commit message.

Three steps, always in this order: `visible` (nothing hidden is left that could hold a secret together or apart), then
redaction, then one of `inert`, `fenced`, `inline_code`. All of it is linear in the length of the text.
"""

import re
from typing import Final

ZERO_WIDTH_SPACE: Final = "\u200b"
"""Put into what GitHub would act on; the eye does not see it, GitHub's parsers do."""

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]?"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*+(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS …: titles, links, clipboard
    r"|\x1b[ -/]*+[0-~]?"
)
_LINE_BREAKS = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")

_MENTION = re.compile(r"@(?=[A-Za-z0-9_\[-])")
_REFERENCE = re.compile(r"(#|\bGH-|/(?:issues|pull|pulls|discussions)/)(?=\d)", re.IGNORECASE)
_COMMAND = re.compile(r"(?m)^([ \t>*+-]{0,40}/)(?=[A-Za-z])")
_MARKUP = re.compile(r"&(?=[#A-Za-z])|<(?=[A-Za-z/!?])")
_IMAGE = re.compile(r"!(?=\[)")


def visible(text: str) -> str:
    """`text` without terminal escapes, control, bidi, zero-width and other invisible characters; newlines are LF."""
    text = _ESCAPES.sub("", text)
    text = _LINE_BREAKS.sub("\n", text)
    return _SURROGATES.sub("\ufffd", _HIDDEN.sub("", text))


def inert(text: str) -> str:
    """Prose: `visible`, and no mention, reference, closing keyword, bot command, HTML or remote image in it is live.

    Other Markdown stays; put it in a block quote (`quoted`) when it must not pass for ours.
    """
    text = _MARKUP.sub(lambda match: "&amp;" if match[0] == "&" else "&lt;", visible(text))
    return _IMAGE.sub(f"!{ZERO_WIDTH_SPACE}", _harmless(text))


def one_line(text: str) -> str:
    """Prose for a list item: `inert`, on one line, and no list, heading or quote marker in front."""
    return _unmarked(inert(text))


def plain(text: str) -> str:
    """Text for where Markdown and HTML mean nothing, a commit message: nothing in it is live, nothing is escaped."""
    return _harmless(visible(text))


def plain_line(text: str) -> str:
    """`plain` on one line, for a title or the subject of a commit."""
    return _unmarked(plain(text))


def quoted(text: str) -> str:
    """Prose as a block quote: neither an open fence nor a heading in it can reach what stands behind."""
    return "\n".join(f"> {line}".rstrip() for line in inert(text).strip("\n").split("\n"))


def fenced(text: str, language: str = "text") -> str:
    """Program output as a code block whose fence is longer than any inside; mentions and references in it are dead too."""
    body = _harmless(visible(text)).strip("\n")
    fence = "`" * (max(2, *(len(run) for run in re.findall(r"`+", body)), 0) + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def inline_code(text: str) -> str:
    """A name, path or command as a code span that also survives in a table cell."""
    body = " ".join(_harmless(visible(text)).split()).replace("|", "\\|")
    if not body:
        return ""
    ticks = "`" * (max(0, *(len(run) for run in re.findall(r"`+", body)), 0) + 1)
    padding = " " if body[0] == "`" or body[-1] == "`" else ""
    return f"{ticks}{padding}{body}{padding}{ticks}"


def _unmarked(text: str) -> str:
    """`text` on one line without what Markdown takes for a list, heading, quote or rule in front."""
    return re.sub(r"^(?:[#>*+|=~-]+(?:\s|$)\s*)+", "", " ".join(text.split()))


def _harmless(text: str) -> str:
    """What GitHub and its bots act on wherever it stands, broken."""
    text = _MENTION.sub(f"@{ZERO_WIDTH_SPACE}", text)
    text = _REFERENCE.sub(rf"\1{ZERO_WIDTH_SPACE}", text)
    return _COMMAND.sub(rf"\1{ZERO_WIDTH_SPACE}", text)
