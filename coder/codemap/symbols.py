"""Where a name is defined, extended and used, by the index and the files' own lines: no graph to be wrong or stale."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from coder.codemap.docs import doc_line
from coder.codemap.index import Index, blob_of, place_of
from coder.codemap.languages import TEXT, language_of
from coder.codemap.nesting import around, full_names
from coder.codemap.parsed import Definition, times
from coder.codemap.paths import is_test
from coder.codemap.render import printable
from coder.codemap.snapshot import File, Snapshot
from coder.codemap.tree import ReadsAhead, Tree
from coder.codemap.words import words
from coder.errors import CoderError

_MAX_DEFINITIONS: Final = 30
_MAX_REFERENCES: Final = 40
_MAX_IMPORTERS: Final = 30
_MAX_FILES: Final = 200
"""Whose lines are read: a name that stands in more of them is answered within 50 ms this way, and shows no other lines."""
_MAX_LINE: Final = 160
_MAX_DOC_LINE: Final = 400
_MAX_NEAR: Final = 8
_MAX_HEAD_LINES: Final = 12
_MAX_JUDGED: Final = 4000
"""Definitions that are looked at for a name that is not there."""

_QUALIFIED = re.compile(r"\.|::|#|->|/")
_IMPORT = re.compile(
    r"(?:import\b|from\s+\S+\s+import\b|use\s+[\w\\:{]|using\s|alias\s|require\b|#\s*include\b|export\s.*\sfrom\s"
    r"|(?:const|let|var|local)\s.*\brequire\s*\()"
)
_TYPES: Final = frozenset(
    {
        *("class", "interface", "struct", "trait", "protocol", "object", "enum", "record", "impl", "actor"),
        *("mixin", "extension", "module", "type", "given", "union"),
    }
)
_HEAD = re.compile(
    r"\b(?:class|interface|struct|trait|protocol|object|enum|record|impl|actor|mixin|extension|module|type|given|defimpl"
    r"|extends|implements|with|include)\b|^[\w$.<>, ]+[,{]?$"
)
"""What stands on a line by which one type names another as its parent; or nothing but names, of a head of many lines."""
_REMARK = re.compile(r"""#(?!\s*(?:include|define|if))|//|/?\*|--|;;|<!--|["']{3}|>>>""")
"""What a line of comment or documentation begins with: worth less than code that calls."""
_CONSTRUCTORS: Final = frozenset({"__init__", "constructor", "initialize"})
_SIGILS: Final = frozenset({"php", "bash"})
"""Where `$name` is `name`."""
_RECEIVER = re.compile(r"func\s*\(\s*(?:\w+\s+)?\*?\s*(\w+)")


@dataclass(frozen=True, slots=True)
class Place:
    """One line of one file. `kind` and `end_line` are a definition's; `inside` is what the line lies in."""

    path: str
    line: int
    text: str
    kind: str = ""
    end_line: int = 0
    inside: str = ""
    doc: str = ""
    """The first line of a definition's documentation."""

    def said(self) -> str:
        """The place as one line."""
        span = f"{self.line}-{self.end_line}" if self.end_line > self.line else f"{self.line}"
        start = f"  {printable(self.path)}:{span}"
        if not self.kind:
            return f"{start}{f' in {printable(self.inside)}' if self.inside else ''}: {printable(self.text)}"
        notes = [] if self.kind in self.text.split() or self.kind in {"function", "method"} else [self.kind]
        notes += [f"in {printable(self.inside)}"] if self.inside else []
        doc = f"\n      {printable(self.doc)}" if self.doc else ""
        return f"{start}: {printable(self.text)}{f'  [{chr(32).join(notes)}]' if notes else ''}{doc}"


@dataclass(frozen=True, slots=True)
class Symbol:
    """Where a name is defined, extended and used. Uses are code before comments and prose, and code before tests."""

    name: str
    definitions: tuple[Place, ...] = ()
    references: tuple[Place, ...] = ()
    more_references: int = 0
    files_not_searched: int = 0
    more_definitions: int = 0
    elsewhere: int = 0
    """Definitions of the same name that are not the one that was asked for (`Cart.total`, and not `Order.total`)."""
    implementations: tuple[Place, ...] = ()
    """What extends or implements it."""
    importers: tuple[str, ...] = ()
    """Files that import it, beside the lines of `references`."""
    near: tuple[str, ...] = ()
    """Names like it, when it is defined nowhere."""

    def text(self) -> str:
        """A line for each place."""
        if not self.name:
            return "no name given"
        lines = [f"definitions of {printable(self.name)}:", *(one.said() for one in self.definitions)]
        lines += [] if self.definitions else ["  (none)"]
        lines += [f"  … {self.more_definitions} more"] if self.more_definitions else []
        lines += [f"  ({self.elsewhere} more of this name elsewhere: ask for the bare name)"] if self.elsewhere else []
        lines += ["names like it:", *(f"  {printable(name)}" for name in self.near)] if self.near else []
        lines += ["implementations:", *(one.said() for one in self.implementations)] if self.implementations else []
        lines += ["references:", *(one.said() for one in self.references)]
        lines += [] if self.references else ["  (none)"]
        lines += [f"  … {self.more_references} more lines"] if self.more_references else []
        lines += [f"  … {self.files_not_searched} more files not searched"] if self.files_not_searched else []
        lines += [f"imported by: {', '.join(map(printable, self.importers))}"] if self.importers else []
        return "\n".join(lines)


def symbol(tree: Tree, state: Snapshot, index: Index, name: str) -> Symbol:
    """Definitions, implementations and references of a name; of a qualified one (`A.b`, `a::b`) those in `A` if there are any."""
    if not name.strip("(). \t\n"):
        return Symbol("")
    owner, short = split_name(name)
    look = Look(tree, state, index)
    everywhere = look.defined(short)
    wanted = [one for one in everywhere if owner in re.findall(r"\w+", f"{one.inside} {one.text}")] if owner else []
    defined = wanted or everywhere
    is_type = any(one.kind in _TYPES for one in defined)
    files = look.holding(short)
    uses = look.uses(sorted(files[:_MAX_FILES], key=_reading_order), short, everywhere, is_type=is_type)
    defined = defined or uses.members
    # `impl Display for Money`, `defimpl Size, for: Money`: the definition is called what it implements.
    extending = [*uses.extending, *look.with_methods(defined), *(one for one in defined if one.kind == "impl")]
    extending.sort(key=lambda one: (is_test(one.path), one.path, one.line))
    return Symbol(
        short,
        tuple(map(look.documented, defined[:_MAX_DEFINITIONS])),
        tuple(uses.shown),
        uses.count - len(uses.shown),
        max(0, len(files) - _MAX_FILES),
        max(0, len(defined) - _MAX_DEFINITIONS),
        max(0, len(everywhere) - len(defined)),
        tuple(extending[:_MAX_DEFINITIONS]),
        tuple(uses.importers[:_MAX_IMPORTERS]),
        () if defined else look.near(short),
    )


@dataclass(slots=True)
class _Uses:
    """What the lines that hold a name are."""

    shown: list[Place] = field(default_factory=list)
    count: int = 0
    extending: list[Place] = field(default_factory=list)
    importers: list[str] = field(default_factory=list)
    members: list[Place] = field(default_factory=list)
    """Lines that declare it as a field or an enumerator: the index does not hold those."""


class Look:
    """One look at a tree; remembers what it decoded."""

    def __init__(self, tree: Tree, state: Snapshot, index: Index) -> None:
        self._tree, self._index = tree, index
        self._blobs = state.by_blob
        self._known: dict[int, tuple[list[Definition], list[str]]] = {}

    def defined(self, name: str) -> list[Place]:
        """The definitions of that very name: code before tests before prose, then by path and line."""
        found: list[Place] = []
        word = "=" + name.lower()
        for document in self._index.places([word], self._blobs.keys())[word]:
            definitions, names = self._definitions(blob_of(document))
            number = place_of(document) - 1
            if definitions[number].name.rsplit(".", 1)[-1] == name:
                found.extend(
                    _place(file.path, definitions[number], names[number]) for file in self._blobs[blob_of(document)]
                )
        return sorted(found, key=lambda one: (one.kind == "heading", is_test(one.path), one.path, one.line, one.kind))

    def documented(self, place: Place) -> Place:
        """A definition with what its file says of it in words."""
        language = language_of(place.path)
        if language == TEXT:
            return place
        text = _source(self._tree, place.path).decode("utf-8", "replace")
        lines = [line[:_MAX_DOC_LINE] for line in text.split("\n")]
        return replace(place, doc=doc_line(lines, place.line, language=language))

    def holding(self, name: str) -> list[File]:
        """The files that hold every word that the name is found by, code first, and those that hold them often.

        All files, for a name that is found by none: `get` is too common to be indexed.
        """
        held = self._index.runs(words(name), self._blobs.keys())
        counts = [{blob: times(entries) for blob, entries in held.get(word, ())} for word in words(name)]
        found = set.intersection(*(set(count) for count in counts)) if counts else self._blobs
        often = {blob: sum(count[blob] for count in counts) for blob in found}
        files = [file for blob in found for file in self._blobs[blob]]
        files.sort(key=lambda file: (file.language == TEXT, is_test(file.path), -often[file.row.id], file.path))
        return files

    def uses(self, files: Sequence[File], name: str, known: Sequence[Place], *, is_type: bool) -> _Uses:
        """The lines that hold a name and do not define it: imports, heads of types, and all else with what it lies in."""
        self._foresee(files)
        defining = {(one.path, one.line) for one in known}
        word = name.encode("utf-8", "replace")
        found = _Uses()
        importers: dict[str, None] = {}
        remarks: list[Place] = []
        member = None if known else _member_of(name)
        for file in files:
            for number, text in self._lines(file, word):
                if (file.path, number) in defining:
                    continue
                if member is not None and member.match(text) and (owner := self._owner(file, number)):
                    found.members.append(Place(file.path, number, text, "member", inside=owner))
                    continue
                if file.language != TEXT and _IMPORT.match(text):
                    importers[file.path] = None
                    continue
                head = self._head(file, number, name) if is_type and _HEAD.search(text) else None
                if head is not None:
                    found.extending.append(head)
                    continue
                found.count += 1
                kept = remarks if file.language == TEXT or _REMARK.match(text) else found.shown
                if len(kept) < _MAX_REFERENCES:
                    kept.append(Place(file.path, number, text, inside=self._inside(file, number)))
        found.importers = list(importers)
        found.shown = [*found.shown, *remarks][:_MAX_REFERENCES]
        return found

    def tests_saying(self, files: Sequence[File], name: str) -> dict[str, dict[tuple[int, str], int]]:
        """For each of some files that holds a name: what it stands in (line and full name), and how often."""
        self._foresee(files)
        found: dict[str, dict[tuple[int, str], int]] = {}
        for file in files:
            for line, _ in self._lines(file, name.encode("utf-8", "replace")):
                definitions, names = self._definitions(file.row.id)
                at = around(definitions, line)
                place = (line, "") if at is None else (definitions[at].line, names[at])
                counts = found.setdefault(file.path, {})
                counts[place] = counts.get(place, 0) + 1
        return found

    def with_methods(self, defined: Sequence[Place]) -> list[Place]:
        """For an interface of Go, which nobody names: the first method of each receiver that has all its methods."""
        found: list[Place] = []
        for interface in defined:
            if interface.kind != "interface" or not interface.path.endswith(".go"):
                continue
            receivers: dict[str, Place] | None = None
            for method in self._methods(interface):
                mine = {
                    match[1]: one
                    for one in self.defined(method)
                    if one.path.endswith(".go") and (match := _RECEIVER.match(one.text))
                }
                receivers = mine if receivers is None else {name: receivers[name] for name in receivers if name in mine}
            found += (receivers or {}).values()
        return found

    def near(self, name: str) -> tuple[str, ...]:
        """Defined names that are made of the same words, or of them and others."""
        parts = {word for word in words(name) if word != name.lower()} or set(words(name))
        sets = self._index.places(parts, self._blobs.keys()).values()
        found: dict[str, int] = {}
        for document in sorted(set.intersection(*sets))[:_MAX_JUDGED] if sets else ():
            if place_of(document):
                other = self._definitions(blob_of(document))[0][place_of(document) - 1].name
                if parts <= set(words(other)):
                    found[other] = len(set(words(other)) - parts)
        return tuple(sorted(found, key=lambda other: (found[other], other))[:_MAX_NEAR])

    def _foresee(self, files: Sequence[File]) -> None:
        with suppress(CoderError):  # then they are read one by one, each as far as it can be
            if isinstance(self._tree, ReadsAhead):
                self._tree.read_ahead([file.path for file in files])

    def _lines(self, file: File, word: bytes) -> Iterator[tuple[int, str]]:
        return _matching_lines(_source(self._tree, file.path), word, b"_" if file.language in _SIGILS else b"_$")

    def _definitions(self, blob: int) -> tuple[list[Definition], list[str]]:
        """A blob's definitions, and their full names."""
        known = self._known.get(blob)
        if known is None:
            definitions = self._index.definitions(blob)
            known = self._known[blob] = (definitions, full_names(definitions))
        return known

    def _inside(self, file: File, line: int) -> str:
        definitions, names = self._definitions(file.row.id)
        at = around(definitions, line)
        return "" if at is None else names[at]

    def _head(self, file: File, line: int, name: str) -> Place | None:
        """The type in whose head a line stands, when that head names a type."""
        definitions, names = self._definitions(file.row.id)
        at = around(definitions, line)
        if at is None:
            return None
        one = definitions[at]
        is_head = one.kind in _TYPES and one.name != name and name in re.findall(r"[\w$]+", one.signature)
        return _place(file.path, one, names[at]) if is_head and line - one.line <= _MAX_HEAD_LINES else None

    def _owner(self, file: File, line: int) -> str:
        """The type in whose body a line stands, or whose constructor it is part of; empty when it is neither."""
        definitions, names = self._definitions(file.row.id)
        at = around(definitions, line)
        if at is None or definitions[at].line == line:
            return ""
        if definitions[at].name in _CONSTRUCTORS:
            return names[at].rpartition(".")[0]
        return names[at] if definitions[at].kind in _TYPES else ""

    def _methods(self, interface: Place) -> list[str]:
        blob = next(blob for blob, files in self._blobs.items() if any(file.path == interface.path for file in files))
        return [
            one.name
            for one in self._definitions(blob)[0]
            if one.kind == "method" and interface.line < one.line <= interface.end_line
        ]


def split_name(name: str) -> tuple[str, str]:
    """What a qualified name is part of, if that is said, and the name itself."""
    parts = [part for part in _QUALIFIED.split(name.strip().rstrip("()")) if part] or [name.strip()]
    return (parts[-2] if len(parts) > 1 else "", parts[-1])


def _member_of(name: str) -> re.Pattern[str]:
    """What a line looks like that declares a field or an enumerator, in the body of a type or in its constructor."""
    called = re.escape(name)
    return re.compile(
        rf"(?:[\w\s<>\[\],.?*&|:]*[\s*&$#])?{called}\s*(?:[:=;,(?{{\[!`]|//|/\*|#|[A-Za-z*]|$)"
        rf"|(?:self\.|this\.|@){called}\s*(?::[^=]{{1,80}})?=(?!=)"
    )


def _place(path: str, one: Definition, full_name: str) -> Place:
    inside = full_name.removesuffix(one.name).rstrip(".") if one.depth else ""
    return Place(path, one.line, one.signature, one.kind, one.end_line, inside)


def _reading_order(file: File) -> tuple[bool, bool, str]:
    return file.language == TEXT, is_test(file.path), file.path


def _source(tree: Tree, path: str) -> bytes:
    try:
        return tree.read(path)
    except (OSError, CoderError):
        return b""


def _matching_lines(source: bytes, word: bytes, signs: bytes) -> Iterator[tuple[int, str]]:
    """Number and text of each line that holds a whole word. Searching bytes is ten times as fast as any pattern."""
    line, counted, at = 1, 0, source.find(word)
    while at >= 0:
        end = at + len(word)
        if _is_apart(source, at - 1, signs) and _is_apart(source, end, signs):
            line += source.count(b"\n", counted, at)
            counted = at
            stop = source.find(b"\n", end)
            stop = len(source) if stop < 0 else stop
            start = source.rfind(b"\n", 0, at) + 1
            yield line, source[start:stop][: 4 * _MAX_LINE].decode("utf-8", "replace").strip()[:_MAX_LINE]
            end = stop
        at = source.find(word, end)


def _is_apart(source: bytes, at: int, signs: bytes) -> bool:
    """Whether the byte there cannot be part of a name; `signs` are those that can, beside letters and digits."""
    return not 0 <= at < len(source) or not (source[at : at + 1].isalnum() or source[at] in signs or source[at] > 127)  # noqa: PLR2004 - ASCII
