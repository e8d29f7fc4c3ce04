"""The one way from anybody's text to text of ours: hidden characters out, secrets out, cut to size, made inert."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from coder.publish.inert import (
    ZERO_WIDTH_SPACE,
    fenced,
    inert,
    inline_code,
    one_line,
    plain,
    plain_line,
    quoted,
    visible,
)
from coder.redact import Redactor

BODY_UNITS: Final = 65_000
"""GitHub takes 65,536 characters; what is left over is for the forge's hidden marker. Counted in UTF-16 units, which are
never fewer than characters."""

_RAW_FACTOR: Final = 8
_MIN_RAW_CHARS: Final = 8_000
"""Of a long text only so much more than is shown is looked at, so that what is left of a token at that edge is not shown."""

_MARKER: Final = "[…]"
_FENCE_OR_HEADING = re.compile(r"^(\s*)(`{3,}|~{3,}|#{1,6}\s|=+\s*$|-{2,}\s*$)")


class Texts:
    """Makes strangers' texts fit to be published. `redact` takes out the secrets that this run knows of."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._patterns = Redactor(())

    def clean(self, text: str, max_chars: int) -> str:
        """Visible, without secrets, of at most about `max_chars` characters; the middle goes first. Not yet inert."""
        text = middle_cut(text, max(_RAW_FACTOR * max_chars, _MIN_RAW_CHARS))
        # Redaction sees what the reader would see: an invisible character cannot hold the halves of a token apart.
        return middle_cut(self._patterns.full(self._redact(visible(text))), max_chars)

    def line(self, text: str, max_chars: int = 300) -> str:
        """One line of Markdown prose."""
        return one_line(_head(self.clean(text, 4 * max_chars), max_chars))

    def quote(self, text: str, max_chars: int) -> str:
        """A block quote: somebody else's words, whatever they hold."""
        return quoted(self.clean(text, max_chars))

    def prose(self, text: str, max_chars: int) -> str:
        """Lines of Markdown that keep lists and boxes; what could reach beyond them, a fence or a heading, is broken."""
        lines = inert(self.clean(text, max_chars)).strip("\n").split("\n")
        return "\n".join(_FENCE_OR_HEADING.sub(rf"\1{ZERO_WIDTH_SPACE}\2", line) for line in lines)

    def code(self, text: str, max_chars: int = 200) -> str:
        """A code span for a name, a path, a command, an id."""
        return inline_code(_head(self.clean(text, 4 * max_chars), max_chars))

    def fence(self, text: str, max_chars: int, language: str = "text") -> str:
        """A code block with the output of a program."""
        return fenced(self.clean(text, max_chars), language)

    def title(self, text: str, max_chars: int) -> str:
        """One line for where Markdown means nothing: titles and subjects."""
        return _head(plain_line(self.clean(text, 4 * max_chars)), max_chars)

    def message(self, text: str, max_chars: int) -> str:
        """Several lines for where Markdown means nothing: the body of a commit message."""
        return plain(self.clean(text, max_chars)).strip()


def units(text: str) -> int:
    """The length in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def middle_cut(text: str, max_chars: int) -> str:
    """`text` with as much of its middle left out as it is too long."""
    if len(text) <= max_chars:
        return text
    half = max(1, max_chars // 2)
    return f"{text[:half].rstrip()}\n{_MARKER}\n{text[-half:].lstrip()}"


def fitting(lines: Iterable[str], max_units: int, *, more: str = "… and {} more") -> list[str]:
    """As many of `lines` as fit into `max_units`; what is left out is counted in a last line made of `more`."""
    kept: list[str] = []
    used = left_out = 0
    for line in lines:
        cost = units(line) + 1
        if left_out or used + cost > max_units:
            left_out += 1
            continue
        kept.append(line)
        used += cost
    return [*kept, more.format(left_out)] if left_out else kept


def _head(text: str, max_chars: int) -> str:
    """The beginning of `text`, cut between words where there is one near."""
    text = " ".join(text.split())
    if len(text) <= max_chars:
        return text
    cut = text[: max_chars - 1]
    space = cut.rfind(" ")
    return f"{cut[:space] if space > max_chars * 2 // 3 else cut}…"
