"""What a comment asks for: the grammar of `@coder fix …` and `/coder fix …`. Pure, and linear in the comment's length.

Only text that GitHub shows as the author's own words counts. Quotes, code, hidden comments, e-mail addresses and longer
handles never command anything. Where Markdown is ambiguous the text is not a command: a person can ask again, money
spent by mistake is gone.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, cast, get_args

from webhooks.options import split

Verb = Literal[
    "fix",
    "plan",
    "approve",
    "revise",
    "continue",
    "retry",
    "rebase",
    "stop",
    "status",
    "explain",
    "autofix",
    "config",
    "help",
]

VERBS: Final[tuple[Verb, ...]] = get_args(Verb)
"""What can be asked for."""
_WITH_OPTIONS: Final = frozenset({"fix", "plan", "continue", "retry", "rebase"})
_ALONE: Final = frozenset({"approve", "rebase", "stop", "status", "config", "help"})
"""Said with `@`, these are verbs only by themselves: `@coder stop using globals` is not an order to stop."""
_POLITE: Final = frozenset(
    {"please", "pls", "now", "this", "it", "that", "thanks", "run", "again", "and", "the", "plan"}
)

_MAX_ARGUMENT = 4000

_MAX_INDENT = 100
_MENTIONED: Final = "mentioned"

# What may open or close a code fence, behind list markers and any indentation.
_FENCE = re.compile(r"(?:[ \t]|[-*+][ \t]|\d{1,9}[.)][ \t])*(`{3,}|~{3,})(.*)", re.DOTALL)
_QUOTE = re.compile(r"(?:[ \t]|[-*+][ \t]|\d{1,9}[.)][ \t])*>")
_TICKS = re.compile(r"`+")
_MARKS = re.compile(r"^(?:[ \t]|[-*+][ \t]|\d{1,9}[.)][ \t])*")
_HIDING = re.compile(r"<(!--|(?:pre|code|script|style|textarea|blockquote)(?=[\s>/]))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Command:
    """A request that is understood; `words` is the rest of its line without the options, or of the comment for `revise`."""

    verb: Verb
    words: str = ""
    given: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """`name=value` as written; `webhooks.options` knows what they mean."""
    more: str = ""
    """Of `continue +$5`: the amount as written."""


@dataclass(frozen=True, slots=True)
class Mention:
    """We were addressed without a verb. `text` is all that is visible of the comment."""

    text: str
    leads: bool
    """The address stands at the beginning of a line: it is said to us, not about us."""


@dataclass(frozen=True, slots=True)
class UnknownVerb:
    """`/coder` with a word that is no verb, or with nothing."""

    verb: str


def parse(body: str, handles: Sequence[str]) -> Command | Mention | UnknownVerb | None:
    """The first request to one of `handles` (without `@`) in `body`; None when nobody addressed us.

    A known verb anywhere wins over whatever stands before it.
    """
    names = "|".join(re.escape(handle) for handle in handles if handle)
    if not names:
        return None
    address = re.compile(
        # The handle as a whole word; then, behind optional punctuation and space, one word on the same line.
        rf"""(?:^|(?<=[\s(\["'*,;!?]))(?P<sign>[@/])(?:{names})(?=$|[\s,:!?.)\]"'*;])(?=[,:]?(?P<rest>[^\n]{{0,{_MAX_ARGUMENT}}}))""",
        re.IGNORECASE | re.ASCII | re.MULTILINE,
    )
    text = visible(body)
    unknown: UnknownVerb | None = None
    mentioned = leads = False
    for match in address.finditer(text):
        found = _request(text, match)
        if isinstance(found, Command):
            return found
        unknown = unknown or (found if isinstance(found, UnknownVerb) else None)
        if found is _MENTIONED:
            mentioned, leads = True, leads or _leads(text, match.start())
    if mentioned:
        return Mention(text.replace("\ufffc", " ").strip(), leads=leads)
    return unknown


def _request(text: str, match: re.Match[str]) -> Command | UnknownVerb | Literal["mentioned"] | None:
    rest = match["rest"]
    if rest and not rest[0].isspace():
        # `@coder.example` is a name, `@coder.` and `@coder)` end a sentence about us.
        if len(rest) > 1 and not rest[1].isspace():
            return None
        rest = ""
    words = rest.split(maxsplit=1)
    word = words[0] if words else ""
    verb = word.rstrip(".,:;!?)]*\"'").lower()
    if verb in VERBS and not (match["sign"] == "@" and verb in _ALONE and _says_more(words[1:], word)):
        return _command(cast("Verb", verb), words[1] if len(words) > 1 else "", text[match.end("rest") :])
    return UnknownVerb(word[:40]) if match["sign"] == "/" else _MENTIONED


def _leads(text: str, at: int) -> bool:
    """Whether nothing but list markers stands before `at` on its line."""
    before = text[max(0, at - _MAX_INDENT) : at].rpartition("\n")
    return (bool(before[1]) or at < _MAX_INDENT) and not _MARKS.sub("", before[2]).strip()


def _says_more(rest: Sequence[str], word: str) -> bool:
    """Whether the verb `word` is followed by something that is more than a please."""
    if word[-1:] in {".", "!", ";"}:
        return False
    return any(
        token.strip(".,:;!?)*\"'").lower() not in _POLITE and split(token).words
        for token in (rest[0].split() if rest else ())
    )


def _command(verb: Verb, argument: str, after: str) -> Command:
    if verb == "revise":  # a person's wishes rarely fit on one line
        return Command(verb, f"{argument}{after}".replace("\ufffc", " ").strip()[:_MAX_ARGUMENT])
    if verb not in _WITH_OPTIONS:
        return Command(verb, argument.strip())
    parts = split(argument)
    return Command(verb, parts.words, parts.given, parts.more)


def visible(body: str) -> str:
    """`body` without quotes, code and hidden text, each replaced by a break that no command spans."""
    text = _without_hidden(body.replace("\r\n", "\n").replace("\r", "\n"))
    return "\n\n".join(_without_inline_code(paragraph) for paragraph in _paragraphs(text))


def _without_hidden(text: str) -> str:
    """`text` without HTML comments and the elements whose content is not plain words; unclosed ones reach to the end."""
    kept: list[str] = []
    at = 0
    while opening := _HIDING.search(text, at):
        kept.append(text[at : opening.start()])
        name = opening[1].lower()
        closing = re.compile("-->" if name == "!--" else rf"</{name}\s*>", re.IGNORECASE).search(text, opening.end())
        # A space would make two words out of `x<!-- -->@coder`: keep what stood there apart from any command.
        kept.append("\ufffc")
        if closing is None:
            return "".join(kept)
        at = closing.end()
    kept.append(text[at:])
    return "".join(kept)


def _paragraphs(text: str) -> Iterator[str]:
    """Runs of lines outside of fences, quotes (with their lazy continuation) and indented code."""
    lines: list[str] = []
    fence: str | None = None
    quoted = False
    for line in text.split("\n"):
        if fence is not None:
            fence = None if _closes(line, fence) else fence
            continue
        marker = _FENCE.match(line)
        opens = marker is not None and not (marker[1][0] == "`" and "`" in marker[2])
        quoted = _QUOTE.match(line) is not None or (quoted and bool(line.strip()) and not opens)
        if marker is not None and opens and not quoted:
            fence = marker[1]
        elif line.strip() and not quoted and not line.startswith(("    ", "\t")):
            lines.append(line)
            continue
        if lines:
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def _closes(line: str, fence: str) -> bool:
    mark = line.strip()
    return len(mark) >= len(fence) and not mark.strip(fence[0])


def _without_inline_code(paragraph: str) -> str:
    """`paragraph` without code spans: a run of backticks up to the next run of the same length."""
    runs = list(_TICKS.finditer(paragraph))
    closing: list[int | None] = [None] * len(runs)
    latest: dict[int, int] = {}
    for index in range(len(runs) - 1, -1, -1):
        length = len(runs[index][0])
        closing[index] = latest.get(length)
        latest[length] = index
    kept: list[str] = []
    at = index = 0
    while index < len(runs):
        end = closing[index]
        if end is None:
            index += 1
            continue
        kept.extend((paragraph[at : runs[index].start()], "\ufffc"))
        at = runs[end].end()
        index = end + 1
    kept.append(paragraph[at:])
    return "".join(kept)
