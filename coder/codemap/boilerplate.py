"""A problem's text without what its template and its tools put there: headings of forms, ticks, comments, lists of versions."""

import re
from typing import Final

# Patterns as text: `re` compiles them when the first problem of more than a line comes, and keeps them.
_COMMENT: Final = r"(?s)<!--.*?(?:-->|\Z)"
_ADDRESS_TAIL: Final = r"(https?://[^\s?#]{1,400})[?#][^\s)>\]]{1,4000}"
"""What an address hands to its page: a playground's whole source, packed. Its path may name a file of the repository."""
_DATA: Final = r"[A-Za-z0-9+]{60,}={0,2}"
"""Bytes as text, which falls apart into short words."""
_HEADING: Final = r"\s{0,3}(?:#{1,6}\s+(?P<hashed>.+?)\s*#*|\*\*(?P<bold>[^*\n]{1,80})\*\*:?)\s*"
_TICK: Final = r"\s*[-*+]\s*\[[ xX]\]"
_VERSION: Final = (
    r"[\s\-*+|`]*(?:[\w./@+\-]{1,60} ?){1,2}\s*(?:[:|@ ]|==|=>)\s*[v^~>=<`\"]*\d+(?:\.\d+)+[\w.+\-]*"
    r"(?:\s*(?:=>|\|).*)?[\s`|\")]*"
)
_FENCE: Final = r"\s*(?:```|~~~)"
_FORM: Final = (
    r"(?:please )?(?:describe |about )?(?:the |your |this |a )?(?:bug|issue|problem)?(?: report| description)?"
    r"|(?:clear )?description|summary|overview|what (?:happened|happens)|what did you (?:do|expect|see).*|what do you see.*"
    r"|what (?:is|was|were) (?:the |you )?(?:expect|actual|current).*|what steps will reproduce.*|how often does it reproduce.*"
    r"|(?:what are the )?(?:minimal |complete )*(?:steps |how |code |link )?(?:to |for )?(?:the |a )?(?:minimal )?repro(?:duce|duction|ducible)?\b.*|(?:code )?(?:sample|example|snippet)s?"
    r"|(?:expected|actual|current|observed|desired)(?: and actual)? (?:behaviou?r|results?|outputs?|outcome).*|screenshots?|motivation"
    r"|(?:relevant |error )?(?:logs?|log output|stack ?trace|traceback).*|(?:any )?(?:additional|other|extra|further) (?:context|info(?:rmation)?|comments?|notes?).*"
    r"|possible (?:fix|solution|cause)s?|proposed (?:fix|solution)s?|context|details"
)
"""A heading of a form: it says nothing of the problem, what stands under it does."""
_ASIDE: Final = (
    r"(?:system|environment|version|device|platform|build)s?(?: info(?:rmation)?| details?| numbers?)?|(?:your |used |my )?(?:environment|versions?|set-?up|specifications?)"
    r"|(?:python|node|package|library|compiler|browser|os|api|cli|sdk|app|affected|tested) versions?(?: used)?|versions? (?:used|info(?:rmation)?)|(?:installed|output of) (?:packages|versions|.*pip (?:list|freeze).*)|(?:operating system|os|platform)(?: .{0,20})?|(?:used )?package manager"
    r"|validations?|check ?list|(?:pre-?)?requisites|prerequisites|code of conduct|(?:initial |issue |pre-?flight )?checks?|are you willing.*|contribution.*"
    r"|(?:what|which) (?:versions?|operating system|os|platform|browsers?|processor) .*|how did you install .*|please tick .*|before (?:submitting|opening|you) ?.*"
)
"""A heading under which a form asks for what surrounds the problem."""
_MAX_LINE: Final = 400
"""What a form has on a line is shorter; longer ones are said by somebody, or are there to make patterns slow."""


def without_boilerplate(text: str) -> str:
    """What the author said; a text that is nothing else comes back whole."""
    if "\n" not in text:
        return text
    kept: list[str] = []
    is_aside = is_code = False
    prose = re.sub(_DATA, " ", re.sub(_ADDRESS_TAIL, r"\1", re.sub(_COMMENT, " ", text)))
    for line in prose.split("\n"):
        if len(line) > _MAX_LINE:
            kept += [] if is_aside else [line]
            continue
        is_fence = re.match(_FENCE, line) is not None
        is_code ^= is_fence
        heading = None if is_code else re.fullmatch(_HEADING, line)
        if heading is not None:
            asked = (heading["hashed"] or heading["bold"]).strip(" :?!.*_`")
            is_aside = re.fullmatch(_ASIDE, asked, re.IGNORECASE) is not None
            if is_aside or re.fullmatch(_FORM, asked, re.IGNORECASE):
                continue
        if not (is_aside or is_fence or re.match(_TICK, line) or re.fullmatch(_VERSION, line)):
            kept.append(line)
    return "\n".join(kept).strip() or text
