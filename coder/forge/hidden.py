"""Takes text that a person cannot see out of what people wrote, so that a prompt shows what they saw.

Pure, and linear in the length of the text: every pattern either cannot fail after it began or is bounded.
"""

import re
import unicodedata
from dataclasses import dataclass

# Format characters that carry meaning in ordinary writing stay out of this: joiners inside emoji and Indic words are
# taken out too, which changes looks but no words.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u2800\u3164\ufe00-\ufe0e\ufeff"
    "\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_EMOJI_STYLE = re.compile("\ufe0f")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_MODEL_TOKEN = re.compile(r"<([|\uff5c][^|\uff5c<>\n]{1,64}[|\uff5c])>")
_TAG = re.compile(r"<(?=[A-Za-z/]|[!?][A-Za-z])[^<>]{0,4000}>?")
_ATTRIBUTE = re.compile(r"""\s[A-Za-z:_-]{1,40}\s{0,4}=\s{0,4}(?:"[^"]*"|'[^']*'|[^\s"'>]+)""")
_HIDING = re.compile(r"(?i)\b(?:hidden\b|style\s{0,4}=|alt\s{0,4}=|title\s{0,4}=|srcset\s{0,4}=|aria-label\s{0,4}=)")
_IMAGE_ALT = re.compile(r"!\[([^\]\[\n]{1,2000})\](?=[(\[])")
_LINK_TITLE = re.compile(r"""(\]\([^()\s]{0,2000})\s{1,4}(?:"[^"\n]{0,2000}"|'[^'\n]{0,2000}')\)""")
_LINK_COMMENT = re.compile(r"(?m)^ {0,3}\[([^\]\[\n]{1,500})\]:[ \t]{0,20}(\S{1,2000})([^\n]*)$")
_FOOTNOTE = re.compile(r"(?m)^ {0,3}\[\^([^\]\[\n\s]{1,200})\]:[^\n]*$")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A text as a reader sees it, and what was taken out of it, a phrase for each kind."""

    text: str
    removed: tuple[str, ...] = ()


class _Count:
    """Counts what was removed, by kind and in order."""

    def __init__(self) -> None:
        self.kinds: dict[str, int] = {}

    def sub(self, pattern: re.Pattern[str], replacement: str, text: str, kind: str) -> str:
        result, count = pattern.subn(replacement, text)
        self.add(kind, count)
        return result

    def add(self, kind: str, count: int) -> None:
        if count:
            self.kinds[kind] = self.kinds.get(kind, 0) + count

    def lines(self) -> tuple[str, ...]:
        return tuple(f"{kind} ({count})" for kind, count in self.kinds.items())


def without_model_tokens(text: str) -> str:
    """`text` with tokens that steer a model (`<|…|>`) visible, but broken: some servers read them wherever they stand."""
    return _MODEL_TOKEN.sub(r"<\\\1>", text)


def strip_hidden(text: str) -> Cleaned:
    """`text` without what a browser would not show.

    Code blocks are treated like the rest: an example that needs a hidden comment loses it, and the list says so. Tokens
    that steer a model (`<|…|>`) are kept visible but broken.
    """
    count = _Count()
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _comments(text, count)
    text = count.sub(_BIDI, "", text, "bidirectional control")
    text = count.sub(_INVISIBLE, "", text, "invisible character")
    text = _EMOJI_STYLE.sub("", text)
    text = count.sub(_CONTROL, "", text, "control character")
    # Characters may have hidden a comment's own delimiters.
    text = _comments(text, count)
    text = count.sub(_MODEL_TOKEN, r"<\\\1>", text, "model control token")
    text = _tags(text, count)
    text = count.sub(_IMAGE_ALT, "![]", text, "image description")
    text = count.sub(_LINK_TITLE, r"\1)", text, "link title")
    text = _definitions(text, count)
    return Cleaned(text=text, removed=count.lines())


def strip_line(text: str) -> str:
    """A title or a name on one line, without what cannot be seen."""
    cleaned = strip_hidden(text).text
    return " ".join("".join(char if unicodedata.category(char)[0] != "C" else " " for char in cleaned).split())


def _comments(text: str, count: _Count) -> str:
    """Without HTML comments; one that is never closed hides all that follows it."""
    parts: list[str] = []
    at = 0
    while (start := text.find("<!--", at)) >= 0:
        parts.append(text[at:start])
        end = text.find("-->", start + 2)
        count.add("HTML comment", 1)
        if end < 0:
            at = len(text)
            break
        at = end + 3
    return "".join([*parts, text[at:]])


def _tags(text: str, count: _Count) -> str:
    """Tags lose the attributes that are not shown; `<picture>` sources and declarations go."""

    def shown(match: re.Match[str]) -> str:
        tag = match[0]
        name = tag[1:12].lower()
        if name.startswith(("source", "!", "?")):
            count.add("hidden tag", 1)
            return ""
        if _HIDING.search(tag) is None:
            return tag
        count.add("hidden attribute", 1)
        return _ATTRIBUTE.sub(lambda found: "" if _HIDING.search(found[0]) else found[0], tag)

    return _TAG.sub(shown, text)


def _definitions(text: str, count: _Count) -> str:
    """Without link definitions and footnotes that nothing refers to: they are the usual place for invisible remarks."""
    lowered = text.lower()
    used = set(re.findall(r"\[(\^?[^\]\[\n]{1,500})\](?!:)", lowered))

    def footnote(match: re.Match[str]) -> str:
        if f"^{match[1].lower()}" in used:
            return match[0]
        count.add("unreferenced footnote", 1)
        return ""

    def definition(match: re.Match[str]) -> str:
        if match[1].startswith("^"):
            return match[0]
        if match[1].lower() in used:
            if match[3].strip():
                count.add("link title", 1)
            return f"[{match[1]}]: {match[2]}"
        count.add("link definition", 1)
        return ""

    return _LINK_COMMENT.sub(definition, _FOOTNOTE.sub(footnote, text))
