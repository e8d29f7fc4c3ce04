"""What a grammar is given of a source text: what it cannot read is blanked, and every other byte stays in its place."""

import re
from typing import Final

from coder.codemap.languages import Language

_INK: Final = re.compile(rb"[^\r\n]")
_OPEN: Final = b"<script"
_CLOSE: Final = b"</script"


def readable(source: bytes, language: Language) -> bytes:
    """`source` with blanks for what the grammar of `language` cannot read; as long as before, line by line."""
    if language.is_embedded:
        return _scripts(source)
    if not language.unread:
        return source
    return re.sub(language.unread.encode(), lambda found: _INK.sub(b" ", found[0]), source)


def _scripts(source: bytes) -> bytes:
    """Nothing but what stands between `<script …>` and `</script>`."""
    kept = bytearray(_INK.sub(b" ", source))
    lower = source.lower()
    at = lower.find(_OPEN)
    while at >= 0:
        start = lower.find(b">", at) + 1
        if not start:
            break
        end = lower.find(_CLOSE, start)
        end = len(source) if end < 0 else end
        kept[start:end] = source[start:end]
        at = lower.find(_OPEN, end)
    return bytes(kept)
