"""Which files and definitions a problem is about: lexical, by definition first, explainable, the same everywhere.

BM25 (Robertson and Zaragoza 2009) over definitions finds functions, over files it finds files; a reference graph and
PageRank on top changed nothing measurable, so there is none.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from math import log
from typing import Final, NamedTuple

from coder.codemap.index import Index, blob_of, document_of, place_of
from coder.codemap.parsed import COUNT_BITS, MAX_COUNTED
from coder.codemap.past import Change, Familiar, familiar
from coder.codemap.paths import handicap, is_test, words_in_paths
from coder.codemap.query import Query
from coder.codemap.snapshot import File, Snapshot

_K1: Final = 1.2
_B: Final = 0.4
_COMMON: Final = 0.2
"""A word in a larger share of the definitions says nothing; measured."""
_FEW_DOCUMENTS: Final = 100
"""In so small a tree no word is called common."""
_TOP: Final = 1500
"""Definitions that count for their files."""
_DEFINITION_SHARE: Final = 0.9
_FILE_SHARE: Final = 1.9
_PATH_SHARE: Final = 3.0
"""These three fitted on bug fixes of twenty-four repositories, checked by leaving repositories out (docs/decisions/0036)."""
_UNKNOWN: Final = Familiar(0.0, 0.0)
_NAME_BONUS: Final = 0.6
_MANY_NAMED: Final = 12
"""A name that more definitions bear points nowhere."""
_MENTION: Final = 4.0
_MANY_PATHS: Final = 6
_TEST_HANDICAP: Final = 2.5
"""What a test has to fit better than code, unless the problem is about tests."""
_REASONS: Final = (
    "mentioned by path",
    "definitions fit the text",
    "file fits the text",
    "path fits the text",
    "changed of late",
    "changed when the like was said",
    "kind of file",
)
_TELLING: Final = 5
"""Words that are told as a reason."""


class Ranked(NamedTuple):
    """A file, how well it fits (a file of an unlikely kind below 0), its fitting definitions by index in the file, best first, and why."""

    path: str
    blob: int
    score: float
    places: tuple[int, ...]
    why: tuple[str, ...] = ()
    fits: tuple[float, ...] = ()
    """How well each of `places` fits; 1 is the best of the whole tree."""


class _Scores:
    """What the words gave, by document and by blob."""

    def __init__(self) -> None:
        self.document: dict[int, float] = defaultdict(float)
        self.blob: dict[int, float] = defaultdict(float)
        self.rarity: dict[str, float] = {}
        self.words: dict[int, list[tuple[float, str]]] = defaultdict(list)
        """By blob, what each word gave; filled only on request."""


def rank(
    snapshot: Snapshot, index: Index, query: Query, *, changes: Sequence[Change] = (), explain: bool = False
) -> list[Ranked]:
    """The files that fit, best first; ties by path. `explain` also says why each is there, and by which words."""
    blobs = snapshot.by_blob
    scores = _scored(index, query, blobs, explain=explain)
    top = max(scores.document.values(), default=0.0)
    named = _named(index, query, blobs)
    for document, bonus in named.items():
        scores.document[document] += bonus * (top or 1.0)
    best = _by_blob(scores.document)
    mentioned = _mentioned(snapshot, query)
    past = familiar(changes, query) if scores.rarity or mentioned else {}  # the past alone fits every problem
    ranked = []
    top_blob = max(scores.blob.values(), default=0.0) or 1.0
    path_shares = _path_shares(snapshot, scores.rarity)
    for number, file in enumerate(snapshot.files):
        is_held = file.row.id in best or file.row.id in scores.blob
        if not (is_held or number in path_shares or file.path in past or file.path in mentioned):
            continue  # as most files of a large tree
        hits, known = best.get(file.row.id, ()), past.get(file.path, _UNKNOWN)
        parts = (
            _DEFINITION_SHARE * _definition_share(hits) / (top or 1.0),
            _FILE_SHARE * scores.blob.get(file.row.id, 0.0) / top_blob,
            _PATH_SHARE * path_shares.get(number, 0.0),
            *known,
        )
        fit, said = sum(parts), mentioned.get(file.path, 0.0)
        if fit or said:
            kind = 0.0 if said else -_handicap(file, query)
            inside = [(place_of(document) - 1, fit / (top or 1.0)) for document, fit in hits if place_of(document)]
            places, fits = tuple(place for place, _ in inside), tuple(fit for _, fit in inside)
            why = _why(file, (said, *parts, kind), named, scores.words) if explain else ()
            ranked.append(Ranked(file.path, file.row.id, fit + said + kind, places, why, fits))
    ranked.sort(key=lambda one: (-round(one.score, 9), one.path))
    return ranked


def _scored(index: Index, query: Query, blobs: Mapping[int, Sequence[File]], *, explain: bool) -> _Scores:
    """BM25 of every word over the tree's documents and over its files."""
    rows = {blob: files[0].row for blob, files in blobs.items()}
    documents = sum(row.documents for row in rows.values())
    total = sum(row.words for row in rows.values()) or 1
    mean, mean_blob = total / max(1, documents), total / max(1, len(blobs))
    scores = _Scores()
    held = index.runs(query.words, rows.keys())
    for word in sorted(held):
        runs = held[word]
        count = sum(len(entries) for _, entries in runs)
        if documents > _FEW_DOCUMENTS and count > _COMMON * documents:
            continue
        rarity = query.words[word] * log(1 + (documents - count + 0.5) / (count + 0.5))
        scores.rarity[word] = rarity
        in_blobs = query.words[word] * log(1 + (len(blobs) - len(runs) + 0.5) / (len(runs) + 0.5))
        for blob, entries in runs:
            lengths, first, times = rows[blob].lengths, document_of(blob, 0), 0
            for entry in entries:
                place, count = entry >> COUNT_BITS, entry & MAX_COUNTED
                times += count
                fit = rarity * count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * lengths[place] / mean))
                scores.document[first + place] += fit
            given = in_blobs * times * (_K1 + 1) / (times + _K1 * (1 - _B + _B * rows[blob].words / mean_blob))
            scores.blob[blob] += given
            if explain:
                scores.words[blob].append((given, word))
    return scores


def _named(index: Index, query: Query, blobs: Mapping[int, Sequence[File]]) -> dict[int, float]:
    """The definitions whose very name the problem says, the rarer the name the more."""
    found: dict[int, float] = {}
    places = index.places({"=" + name.lower() for name in query.names}, blobs.keys()) if query.names else {}
    for name in query.names:
        documents = sorted(places["=" + name.lower()])
        if len(documents) > _MANY_NAMED:
            continue
        exact = [
            one
            for one in documents
            if index.definitions(blob_of(one))[place_of(one) - 1].name.rsplit(".", 1)[-1] == name
        ]
        for document in exact:
            found[document] = max(found.get(document, 0.0), _NAME_BONUS / len(exact) ** 0.5)
    return found


def _by_blob(scores: dict[int, float]) -> dict[int, list[tuple[int, float]]]:
    """Each blob's documents by score, best first, those among the best of all."""
    # All that tie with the last one too: which is first depends on the index's history.
    least = nlargest(_TOP, scores.values())[-1] if len(scores) > _TOP else 0.0
    found: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for document, score in scores.items():
        if score >= least:
            found[blob_of(document)].append((document, score))
    for hits in found.values():
        hits.sort(key=lambda hit: (-round(hit[1], 9), hit[0]))
    return found


def _definition_share(hits: Sequence[tuple[int, float]]) -> float:
    """A file is worth its best definition, and a little its next two."""
    return sum([score * factor for (_, score), factor in zip(hits, (1.0, 0.5, 0.25), strict=False)])


def _path_shares(snapshot: Snapshot, rarity: dict[str, float]) -> dict[int, float]:
    """How much of the query stands in each file's path, from 0 to 1, by the file's number; 0 is left out."""
    total = sum(sorted(rarity.values(), reverse=True)[:5])
    held = words_in_paths([file.path for file in snapshot.files], rarity)
    return {number: min(1.0, sum(rarity[word] for word in sorted(common)) / total) for number, common in held.items()}


def _handicap(file: File, query: Query) -> float:
    """How unlikely it is that this kind of file has to change."""
    is_aside = is_test(file.path) and not query.is_about_tests
    return handicap(file.path, is_documentation=file.is_documentation) + _TEST_HANDICAP * is_aside


def _mentioned(snapshot: Snapshot, query: Query) -> dict[str, float]:
    """The files that the problem names by path, or by the end of one; earlier mentions weigh more."""
    names = {mention.rsplit("/", 1)[-1] for mention in query.paths}
    by_name: dict[str, list[str]] = defaultdict(list)
    for file in snapshot.files if names else ():
        name = file.path.rsplit("/", 1)[-1]
        stem = name.rsplit(".", 1)[0]
        for one in {name, stem} & names:
            by_name[one].append(file.path)
    found: dict[str, float] = {}
    for number, mention in enumerate(query.paths):
        is_bare = "." not in mention.rsplit("/", 1)[-1]
        paths = _ending(mention, by_name.get(mention.rsplit("/", 1)[-1], ()))
        for path in paths:
            if not (is_bare and handicap(path)):  # `resources.Get` is code, not the page about it
                found.setdefault(path, _MENTION / (1 + 0.1 * number) / len(paths) ** 0.5)
    return found


def _ending(mention: str, candidates: Iterable[str]) -> list[str]:
    """The candidates that share the longest end with a mentioned path; none when they are many."""
    pieces = mention.split("/")
    best: list[str] = []
    depth = 0
    for path in candidates:
        stem = path if "." in pieces[-1] else path.rsplit(".", 1)[0]
        common = _common_end(pieces, stem.split("/"))
        if common > depth:
            best, depth = [path], common
        elif common == depth:
            best.append(path)
    is_bare = "." not in pieces[-1]
    if is_bare and depth < 2:  # noqa: PLR2004 - one word of prose is not a module
        return []
    return best if depth and len(best) <= _MANY_PATHS else []


def _common_end(one: list[str], other: list[str]) -> int:
    """How many last components are equal."""
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count


def _why(
    file: File, parts: Sequence[float], named: dict[int, float], words: dict[int, list[tuple[float, str]]]
) -> tuple[str, ...]:
    """What put a file where it stands: each part of its score, and the words."""
    reasons = ["defines a name that is mentioned"] if any(blob_of(one) == file.row.id for one in named) else []
    reasons += [f"{reason} {part:.2f}" for reason, part in zip(_REASONS, parts, strict=True) if round(part, 2)]
    return (*reasons, *_telling(words.get(file.row.id, ())))


def _telling(words: Iterable[tuple[float, str]]) -> tuple[str, ...]:
    """The words that gave a file most, as a reason."""
    best = sorted(words, key=lambda one: (-round(one[0], 9), one[1]))[:_TELLING]
    return (f"words {', '.join(word for _, word in best)}",) if best else ()
