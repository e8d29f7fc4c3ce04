"""What `coder map` answers: a question in, text or JSON out. Light to import, because a map should come at once."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from coder.codemap.languages import LANGUAGES, TEXT, kinds
from coder.codemap.maps import Maps
from coder.codemap.parsed import Definition
from coder.codemap.rank import Ranked
from coder.codemap.render import Page, printable
from coder.codemap.tree import Tree
from coder.errors import InputError

if TYPE_CHECKING:
    from coder.codemap.map import CodeMap

_MAX_TOLD: Final = 200
"""Files that JSON tells of: all that any budget of a prompt would show."""


class Question(NamedTuple):
    """What is asked of a tree: at most one of `symbol`, `outline`, `tests_of` and `stats`; else a map, of the problem in `focus` if any."""

    focus: str = ""
    max_tokens: int = 1000
    symbol: str = ""
    outline: str = ""
    tests_of: str = ""
    stats: bool = False
    why: bool = False
    as_json: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether `map_text` can answer it."""
        return not (self.symbol or self.outline or self.tests_of or self.stats or self.as_json)

    def check(self) -> None:
        """See that it makes sense.

        Raises:
            InputError: It asks for two things at once, or for reasons where there is no problem to have any.
        """
        asked = [name.replace("_", "-") for name in ("symbol", "outline", "tests_of", "stats") if getattr(self, name)]
        if len(asked) > 1:
            raise InputError(f"ask for one thing at a time: --{asked[0]} or --{asked[1]}")
        if asked and (self.focus or self.why):
            raise InputError(f"--{asked[0]} needs no problem: leave out --focus, --issue-file and --why")
        if self.why and not self.focus:
            raise InputError("--why says what put a file into a problem's map: give the problem with --focus")


def answer(maps: "CodeMap", tree: Tree, question: Question) -> str:
    """The answer, without a last line break.

    Raises:
        CodeMapError: The index cannot be used, no parser will start, or the tree has no such file to outline.
        InputError: The question does not make sense.
    """
    question.check()
    if question.symbol:
        symbol = maps.places(tree, question.symbol)
        return _json(symbol) if question.as_json else symbol.text()
    if question.outline:
        return _outline(maps, tree, question.outline, as_json=question.as_json)
    if question.tests_of:
        tests = maps.tests_of(tree, question.tests_of)
        return _json(tests) if question.as_json else tests.text()
    if question.stats:
        statistics = maps.statistics(tree)
        return _json(statistics) if question.as_json else statistics.text()
    return _map_json(maps, tree, question) if question.as_json else map_text(maps, tree, question)


def _outline(maps: "CodeMap", tree: Tree, path: str, *, as_json: bool) -> str:
    text = maps.outline(tree, path)
    if not as_json:
        return text
    if path not in tree.files():  # a folder
        return _json({"path": path, "text": text})
    return _json({"path": path, "definitions": [_told(one) for one in maps.definitions(tree, path)]})


def language_table(*, as_json: bool) -> str:
    """The languages: suffixes, and the kinds of definitions that are found."""
    rows = [(one.name, one.suffixes, kinds(one)) for one in LANGUAGES]
    if as_json:
        return _json([{"name": name, "suffixes": suffixes, "kinds": found} for name, suffixes, found in rows])
    wide = max(len(" ".join(suffixes)) for _, suffixes, _ in rows)
    lines = [f"{name:<11} {' '.join(suffixes):<{wide}}  {', '.join(found)}" for name, suffixes, found in rows]
    return "\n".join([*lines, f"{TEXT:<11} {'all else':<{wide}}  what lines look like: class, function, heading, …"])


def map_text(maps: Maps, tree: Tree, question: Question) -> str:
    """The answer to a plain question. Raises as `answer` does."""
    question.check()
    if not question.focus:
        return maps.overview(tree, max_tokens=question.max_tokens)
    if question.why:
        return _why(maps.ranked(tree, focus=question.focus), question)
    return maps.map(tree, focus=question.focus, max_tokens=question.max_tokens)


def _map_json(maps: "CodeMap", tree: Tree, question: Question) -> str:
    if question.why:
        return _json([_reasons(one) for one in maps.ranked(tree, focus=question.focus)[:_MAX_TOLD]])
    text = map_text(maps, tree, question)
    if not question.focus:
        return _json({"max_tokens": question.max_tokens, "text": text})
    files = [_reasons(one) | {"definitions": _fitting(maps, tree, one)} for one in _shown(maps, tree, question, text)]
    return _json({"max_tokens": question.max_tokens, "files": files, "text": text})


def _shown(maps: "CodeMap", tree: Tree, question: Question, text: str) -> list[Ranked]:
    """The files that a map shows; they are the first of the ranking."""
    count = sum(1 for line in text.split("\n") if line and not line.startswith("  "))
    return maps.ranked(tree, focus=question.focus)[: min(count, _MAX_TOLD)]


def _fitting(maps: "CodeMap", tree: Tree, one: Ranked) -> list[Mapping[str, Any]]:
    definitions = maps.definitions(tree, one.path)
    return [_told(definitions[place]) for place in one.places]


def _reasons(one: Ranked) -> dict[str, Any]:
    return {"path": printable(one.path), "score": round(one.score, 4), "why": list(one.why)}


def _told(one: Definition) -> Mapping[str, Any]:
    return one._asdict()


def _why(ranked: list[Ranked], question: Question) -> str:
    """A line for each file, best first, within the budget."""
    page = Page(question.max_tokens)
    for one in ranked:
        if not page.add(f"{one.score:7.3f}  {printable(one.path)}: {printable('; '.join(one.why))}"):
            break
    return page.text()


def _json(value: object) -> str:
    """JSON that any reader takes: a path's odd bytes stand as escapes."""
    return json.dumps(value, indent=2, ensure_ascii=True, default=_fields)


def _fields(value: Any) -> dict[str, object]:
    """A data class, field by field."""
    return {name: getattr(value, name) for name in value.__slots__}
