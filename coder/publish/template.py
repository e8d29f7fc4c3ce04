"""A repository's own template for pull requests: its headings filled where one of our sections fits."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from coder.publish.texts import Texts

FILES: Final = (
    ".github/pull_request_template.md",
    "pull_request_template.md",
    "docs/pull_request_template.md",
)
"""Where GitHub looks for it, in any case: https://docs.github.com/communities"""
_MAX_CHARS: Final = 20_000
_MAX_HEADINGS: Final = 30
_KEPT_CHARS: Final = 1_500
_LEFT: Final = "_Left for a person to fill in._"

_HEADING = re.compile(r"(?m)^#{1,6}[ \t]+(.+?)[ \t#]*$")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_NEVER = re.compile(
    r"check ?list|type of|kind of|screenshot|reviewer|before (?:you|submitting)|contribut", re.IGNORECASE
)
_FITS: Final = (
    ("proof", re.compile(r"\btest|verif|validat|\bproof|\bqa\b", re.IGNORECASE)),
    ("not_verified", re.compile(r"\brisk|limitation|known issue|side effect|concern|impact|breaking", re.IGNORECASE)),
    ("changed", re.compile(r"\bchanges?\b|\bwhat\b|implementation|solution|approach", re.IGNORECASE)),
    (
        "why",
        re.compile(
            r"\bwhy\b|motivation|context|descri|summary|issue|ticket|problem|background|purpose|overview|fixes|closes|about",
            re.IGNORECASE,
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a pull request's text. `key` names what it is; empty for what is only the template's."""

    key: str
    heading: str
    text: str


def template_path(paths: Iterable[str]) -> str | None:
    """The template among a commit's files; None when there is none, or several to choose from."""
    known = {path.lower(): path for path in paths}
    return next((known[name] for name in FILES if name in known), None)


def arranged(texts: Texts, sections: Sequence[Section], template: str) -> list[Section]:
    """Our sections under the template's headings where they fit, then the others under our own.

    What the template asks for and we do not have stays, unticked, for a person. None of its text is live.
    """
    asked = _headings(template[:_MAX_CHARS])
    if not asked:
        return list(sections)
    left = list(sections)
    made: list[Section] = []
    for heading, body in asked:
        fitting = _fitting(heading, left)
        if fitting is None:
            made.append(Section("", texts.line(heading, 100) or "…", _kept(texts, body)))
        else:
            left.remove(fitting)
            made.append(Section(fitting.key, texts.line(heading, 100), fitting.text))
    return [*made, *left]


def _headings(template: str) -> list[tuple[str, str]]:
    """The template's headings, each with the text below it, comments left out."""
    text = _COMMENT.sub("", template.replace("\r\n", "\n"))
    found = list(_HEADING.finditer(text))[:_MAX_HEADINGS]
    ends = [*(heading.start() for heading in found[1:]), len(text)]
    return [(one[1], text[one.end() : end].strip()) for one, end in zip(found, ends, strict=False)]


def _fitting(heading: str, sections: Sequence[Section]) -> Section | None:
    if _NEVER.search(heading):
        return None
    for key, words in _FITS:
        if words.search(heading):
            return next((section for section in sections if section.key == key), None)
    return None


def _kept(texts: Texts, body: str) -> str:
    """What the template says itself: its check list with no box ticked, which a machine could not answer for."""
    unticked = re.sub(r"(?m)^(\s{0,20}[-*] )\[[xX]\]", r"\1[ ]", body)
    return texts.prose(unticked, _KEPT_CHARS) if unticked.strip() else _LEFT
