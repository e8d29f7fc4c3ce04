"""Definitions and search words of one source text. Runs in the parser processes only: it may crash on hostile input."""

import importlib
import re
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import tree_sitter

from coder.codemap.documents import outlined, postings
from coder.codemap.languages import BY_NAME
from coder.codemap.masks import readable
from coder.codemap.parsed import MAX_DEFINITIONS, MAX_SIGNATURE, Definition, Parsed

MAX_PARSE_S: Final = 2.0
"""Seconds for one file's parse; the query over it is bounded by the process's CPU limit."""

_MATCH_LIMIT: Final = 1 << 16
_CHUNK: Final = 1 << 16
_MAX_NAME: Final = 200

# A signature over several lines, joined, must not cost tokens for its line breaks.
_AFTER_OPEN = re.compile(r"([(\[]) ")
_BEFORE_CLOSE = re.compile(r",? ([)\]])")

_MAX_DECLARATORS: Final = 32
_NAMES: Final = frozenset({"identifier", "operator_name", "operator_cast", "destructor_name"})
_WRAPPERS: Final = frozenset({"parenthesized_declarator", "reference_declarator", "attributed_declarator"})

_Match = tuple[int, dict[str, list[tree_sitter.Node]]]
_Found = tuple[int, int, Definition]
"""Start byte, end byte (outside), definition (its depth not yet known)."""


class Extractor:
    """Reads source texts; keeps one parser and one compiled query per language (compiling takes 3 to 40 ms)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tools: dict[str, tuple[tree_sitter.Parser, tree_sitter.Query]] = {}

    def extract(self, source: bytes, language: str, path: str = "") -> Parsed:
        """The definitions and words of `source`; outlined by regular expression where no grammar can."""
        spans = self._spans(source, language) if language in BY_NAME else None
        if spans is None:
            return outlined(source, "unparsed" if language in BY_NAME else "text", path)
        return _assembled(source, spans)

    def _spans(self, source: bytes, language: str) -> list[_Found] | None:
        """Definitions in order of their start, outer before inner; None when the time was up, or errors hid them all."""
        parser, query = self._tool(language)
        parsed = readable(source, BY_NAME[language])
        deadline = self._clock() + MAX_PARSE_S
        # The time limit is heeded only when the source is a callable (py-tree-sitter 0.26).
        try:
            tree = parser.parse(
                lambda offset, _point: parsed[offset : offset + _CHUNK],
                progress_callback=lambda _offset, _has_error: self._clock() > deadline,
            )
        except ValueError:  # how py-tree-sitter says that the callback stopped it
            parser.reset()
            return None
        # A query takes no progress callback: py-tree-sitter 0.26.1 dies of a segmentation fault when given one.
        found = tree_sitter.QueryCursor(query, match_limit=_MATCH_LIMIT).matches(tree.root_node, _one_of(source))
        if not found and tree.root_node.has_error:
            return None
        return _ordered(source, found)

    def _tool(self, language: str) -> tuple[tree_sitter.Parser, tree_sitter.Query]:
        tool = self._tools.get(language)
        if tool is None:
            row = BY_NAME[language]
            grammar = tree_sitter.Language(getattr(importlib.import_module(row.module), row.factory)())
            query = tree_sitter.Query(grammar, row.query_path.read_text(encoding="utf-8"))
            tool = self._tools[language] = (tree_sitter.Parser(grammar), query)
        return tool


def _one_of(source: bytes) -> tree_sitter.QueryPredicate:
    """The predicate `#one-of?`: the built-in `#any-of?` knows no text of a tree that was parsed from a callable."""

    def holds(
        predicate: str, args: list[tuple[str, Any]], pattern_index: int, captures: dict[str, list[tree_sitter.Node]]
    ) -> bool:
        del pattern_index
        (capture, _), *words = args
        node = captures[capture][0]
        text = source[node.start_byte : node.end_byte].decode("utf-8", "replace")
        return predicate == "one-of?" and any(text == word for word, _ in words)

    return holds


def _ordered(source: bytes, matches: Iterable[_Match]) -> list[_Found]:
    """One span per name: where two patterns found the same, the earlier of the query file counts."""
    best: dict[int, tuple[int, _Found]] = {}
    for pattern, captures in matches:
        found = _found(source, captures)
        if found is None:
            continue
        key, span = found
        if key not in best or best[key][0] > pattern:
            best[key] = (pattern, span)
    spans = [span for _, span in best.values()]
    spans.sort(key=lambda span: (span[0], -span[1], span[2].name))
    return spans[:MAX_DEFINITIONS]


def _found(source: bytes, captures: dict[str, list[tree_sitter.Node]]) -> tuple[int, _Found] | None:
    """What one match of a query file says, and where its name starts."""
    node, kind = None, ""
    for capture, nodes in captures.items():
        if capture.startswith("definition."):
            node, kind = nodes[0], capture.removeprefix("definition.")
    names = captures.get("name") or [_declared(one) for one in captures.get("declarator", ())]
    if node is None or not names:
        return None
    text = source[names[0].start_byte : names[0].end_byte].decode("utf-8", "replace")
    if names[0].type == "operator_cast":
        text = text.split("(", 1)[0].rstrip()
    plain = text.strip() if kind == "test" else text.strip("#:\"'`")  # a test's name may quote
    name = plain[:_MAX_NAME] or text[:_MAX_NAME]
    body = next(iter(captures.get("body", ())), None)
    last = body if body is not None and body.end_byte > node.end_byte else node
    line, (row, column) = names[0].start_point[0] + 1, last.end_point
    end_line = max(line, row + (column > 0))  # a node that takes its line break along ends at the next line's start
    one = Definition(name, kind, line, end_line, 0, _signature(source, node, names[0], body))
    return names[0].start_byte, (node.start_byte, last.end_byte, one)


def _declared(node: tree_sitter.Node) -> tree_sitter.Node:
    """The name inside a declarator of C or C++: `*(*names)[3]`, `Outer<T>::Inner::~Inner() const`."""
    for _ in range(_MAX_DECLARATORS):
        if node.type in _NAMES:
            break
        inner = node.child_by_field_name("declarator") or node.child_by_field_name("name")
        if inner is None and node.type in _WRAPPERS and node.named_child_count:
            inner = node.named_children[-1]
        if inner is None:
            break
        node = inner
    return node


def _signature(source: bytes, node: tree_sitter.Node, name: tree_sitter.Node, body: tree_sitter.Node | None) -> str:
    """The text from the name's line (annotations before it left out) to the body, on one line; without a body, one line."""
    body = body or node.child_by_field_name("body")
    if body is None:
        value = node.child_by_field_name("value")
        body = value.child_by_field_name("body") if value is not None else None
    start = max(node.start_byte, source.rfind(b"\n", 0, name.start_byte) + 1)
    end = min(body.start_byte if body is not None else node.end_byte, start + 4 * MAX_SIGNATURE)
    text = source[start:end].decode("utf-8", "replace")
    if body is None and not (first := text.split("\n", 1)[0].rstrip()).endswith(("(", ",")):
        text = first
    text = " ".join(text.split())
    if any(blank in text for blank in ("( ", "[ ", " )", " ]")):  # few have one, and the search for it takes long
        text = _AFTER_OPEN.sub(r"\1", _BEFORE_CLOSE.sub(r"\1", text))
    return text.rstrip(" {").removesuffix("=>").rstrip(" {:=;\\")[:MAX_SIGNATURE]


def _assembled(source: bytes, spans: list[_Found]) -> Parsed:
    """Definitions with their nesting, and their words."""
    definitions: list[Definition] = []
    open_ends: list[int] = []
    before: tuple[int, int] | None = None
    for start, end, one in spans:
        while open_ends and open_ends[-1] <= start:
            open_ends.pop()
        if (start, end) == before:  # `x, y = 1, 2`: two names, one place
            open_ends.pop()
        definitions.append(one._replace(depth=len(open_ends)))
        open_ends.append(end)
        before = start, end
    named = [(start, end, one.name) for start, end, one in spans]
    return Parsed.of("parsed", definitions, postings(source, named))
