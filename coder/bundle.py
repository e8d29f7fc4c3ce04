"""A run in one file: its journal, what that names, its evidence, and (if wanted) the commit that it worked from.

A zip archive with a manifest of hashes. Reading one trusts nothing in it: members are listed, sized and named before any
is read, none is ever written under its own name, and the journal's chain tells which line was changed. It is unsigned: what
ties it to a pull request is the journal digest that stands there.
"""

import hashlib
import json
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, ValidationError

from coder import __version__
from coder.errors import InputError, JournalError
from coder.publish.claim import published
from coder.publish.evidence import statement
from coder.publish.texts import Texts
from coder.trace.events import EVENT, Entry, Event, Verified
from coder.trace.journal import GENESIS, JournalStore, line_hash
from coder.types import JsonObject, TreePack, Value

MAX_FILE_BYTES: Final = 512 * 1024 * 1024
MAX_MEMBERS: Final = 20_000
MAX_MEMBER_BYTES: Final = 256 * 1024 * 1024
MAX_TOTAL_BYTES: Final = 1024 * 1024 * 1024
MANIFEST: Final = "manifest.json"
JOURNAL: Final = "journal.jsonl"
EVIDENCE: Final = "evidence.json"
BASE: Final = "base.pack"

_NAME = re.compile(rf"{MANIFEST}|{JOURNAL}|{EVIDENCE}|{BASE}|blobs/[0-9a-f]{{64}}")
_HEX64 = re.compile(r"[0-9a-f]{64}")
_MAX_DIRECTORY_BYTES = 4 * 1024 * 1024
_END = 22
"""Bytes of a zip's end record without a comment; ours have none."""
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""Equal runs give equal bundles."""


class FileHash(Value):
    """What a member must be."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, le=MAX_MEMBER_BYTES)


class PackedBase(Value):
    """The commit in `base.pack`; `shallow`: where its history is cut."""

    commit_sha: str = Field(pattern=r"^[0-9a-f]{40,64}$")
    shallow: tuple[str, ...] = ()


class Manifest(Value):
    """What a bundle holds."""

    format: Literal["coder-bundle/1"] = "coder-bundle/1"
    version: str
    """Of the program that wrote it."""
    run_id: str = Field(min_length=1, max_length=500)
    digest: str
    """Hash of the journal's last line, as it stands in here."""
    source_digest: str
    """The same in the journal that it was made from; another one when something was taken out."""
    redacted_lines: int = 0
    redacted_blobs: int = 0
    base: PackedBase | None = None
    files: dict[str, FileHash]


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle: its journal in a store of its own, checked to the last line."""

    manifest: Manifest
    store: JournalStore
    base: TreePack | None


# --- writing ----------------------------------------------------------------------------------------------------------


def write_bundle(
    path: Path, store: JournalStore, run_id: str, *, redact: Callable[[str], str], base: TreePack | None = None
) -> Manifest:
    """Write the run into `path`, everything that looks like a secret taken out; `base` goes in as it is.

    Where something was taken out the chain of hashes is made anew, and the manifest says so.

    Raises:
        InputError: There is no such run, or the file cannot be written. JournalError: The journal is broken.
    """
    journal = store.open(run_id)
    if not journal.entries:
        raise InputError(f"there is no run {run_id!r}; `coder trace` lists the runs")
    lines = [json.loads(line) for line in store.lines(run_id)]
    blobs, renamed = _blobs(store, lines, redact)
    taken_out = _rechained(lines, redact, renamed)
    members = {JOURNAL: "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()}
    document = _evidence_of([EVENT.validate_json(line["event"]) for line in lines])
    if document is not None:
        members[EVIDENCE] = (json.dumps(document, indent=1) + "\n").encode()
    if base is not None:
        members[BASE] = base.pack
    members |= {f"blobs/{name}": data for name, data in blobs.items()}
    manifest = Manifest(
        version=__version__,
        run_id=run_id,
        digest=lines[-1]["hash"],
        source_digest=journal.digest,
        redacted_lines=taken_out,
        redacted_blobs=len(renamed),
        base=None if base is None else PackedBase(commit_sha=base.commit_sha, shallow=base.shallow),
        files={name: _hash(data) for name, data in members.items()},
    )
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            text = manifest.model_dump_json(indent=1).encode()
            for name, data in ({MANIFEST: text} | members).items():
                archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), data, zipfile.ZIP_DEFLATED)
    except OSError as exc:
        raise InputError(f"cannot write the bundle {path}: {exc.strerror or exc}") from exc
    return manifest


def _hash(data: bytes) -> FileHash:
    if len(data) > MAX_MEMBER_BYTES:
        raise InputError(f"a part of the run has {len(data)} bytes; bundles hold at most {MAX_MEMBER_BYTES} each")
    return FileHash(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def _blobs(
    store: JournalStore, lines: list[JsonObject], redact: Callable[[str], str]
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Every blob that the lines name, redacted; and the new names of those that changed by it."""
    found: dict[str, bytes] = {}
    renamed: dict[str, str] = {}
    for line in lines:
        for name in _blob_names(json.loads(line["event"])):
            if name in found or name in renamed:
                continue
            data = store.blob(name)
            clean = redact(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
            new = name if clean == data else hashlib.sha256(clean).hexdigest()
            found[new] = clean
            if new != name:
                renamed[name] = new
    return found, renamed


def _blob_names(value: object) -> Iterator[str]:
    """The blobs that an event names: fields called `…_blob`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key.endswith("_blob") and isinstance(inner, str) and _HEX64.fullmatch(inner):
                yield inner
            else:
                yield from _blob_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _blob_names(inner)


def _rechained(lines: list[JsonObject], redact: Callable[[str], str], renamed: Mapping[str, str]) -> int:
    """Redact the lines in place and chain them again from the first that changed; how many changed."""
    previous, taken_out = GENESIS, 0
    for line in lines:
        event = json.loads(line["event"])
        clean = _redacted(event, redact, renamed)
        if clean != event:
            line["event"] = json.dumps(clean, separators=(",", ":"))
            taken_out += 1
        line["prev"] = previous
        line["hash"] = previous = line_hash(**{key: line[key] for key in ("ts", "seq", "run_id", "prev", "event")})
    return taken_out


def _redacted(value: Any, redact: Callable[[str], str], renamed: Mapping[str, str]) -> Any:
    """Each text by itself: what JSON needs between them stays."""
    if isinstance(value, str):
        return renamed.get(value) or redact(value)
    if isinstance(value, dict):
        return {key: _redacted(inner, redact, renamed) for key, inner in value.items()}
    return [_redacted(inner, redact, renamed) for inner in value] if isinstance(value, list) else value


def _evidence_of(events: list[Event]) -> JsonObject | None:
    """The statement on the last round that was tested; None when none was."""
    proofs = [event for event in events if isinstance(event, Verified)]
    if not proofs:
        return None
    return statement(Texts(str), proofs[-1].verdict, proofs[-1].evidence, journal_digest="")


# --- reading ----------------------------------------------------------------------------------------------------------


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """The bundle in `path`, as long as the block lasts.

    Raises:
        InputError: It is no bundle, or larger than one may be.
        JournalError: It was changed after it was written; the message names the first bad line or part.
    """
    with tempfile.TemporaryDirectory(prefix="coder-bundle-") as folder:
        store = JournalStore(Path(folder) / "journal.sqlite")
        with closing(store), _Reader(path) as reader:
            yield _checked(reader, store)


@dataclass(slots=True)
class _Reader:
    """Reads members by name, sizes and names checked first."""

    path: Path
    _archive: zipfile.ZipFile | None = None
    _members: dict[str, zipfile.ZipInfo] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._check_end()
        try:
            self._archive = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as exc:
            raise InputError(f"{self.path} is no bundle: {exc}") from exc
        try:
            self._check_members(self._archive.infolist())
        except InputError:
            self._archive.close()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._archive is not None:
            self._archive.close()

    @property
    def names(self) -> frozenset[str]:
        """All members."""
        return frozenset(self._members)

    def read(self, name: str) -> bytes:
        """One member; no more of it than it said."""
        if self._archive is None or name not in self._members:
            raise InputError(f"{self.path} is no bundle: it has no {name}")
        try:
            with self._archive.open(self._members[name]) as file:
                return file.read(self._members[name].file_size)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, zlib.error) as exc:
            raise JournalError(f"{self.path}: {name} is damaged: {exc}") from exc

    def _check_end(self) -> None:
        """A directory of a size that may be read whole; zip's 64-bit forms could say anything else."""
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as file:
                file.seek(max(0, size - _END - 20))
                tail = file.read(_END + 20)
        except OSError as exc:
            raise InputError(f"cannot read the bundle {self.path}: {exc.strerror or exc}") from exc
        if size > MAX_FILE_BYTES:
            raise InputError(f"{self.path} has {size} bytes; a bundle has at most {MAX_FILE_BYTES}")
        end = tail[-_END:]
        if (
            len(end) < _END
            or not end.startswith(b"PK\x05\x06")
            or end[-2:] != b"\0\0"
            or tail.startswith(b"PK\x06\x07")
        ):
            raise InputError(f"{self.path} is no bundle: `coder export` writes one")
        if int.from_bytes(end[12:16], "little") > _MAX_DIRECTORY_BYTES:
            raise InputError(f"{self.path} is no bundle: it lists too many parts")

    def _check_members(self, infos: list[zipfile.ZipInfo]) -> None:
        if len(infos) > MAX_MEMBERS:
            raise InputError(f"{self.path} is no bundle: it lists {len(infos)} parts, more than {MAX_MEMBERS}")
        total = 0
        for info in infos:
            total += info.file_size
            if not _NAME.fullmatch(info.filename) or info.filename in self._members:
                raise InputError(f"{self.path} is no bundle: a part is called {ascii(info.filename)[:80]}")
            if info.flag_bits & 1 or info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise InputError(f"{self.path} is no bundle: {info.filename} is packed in another way than ours")
            if info.file_size > MAX_MEMBER_BYTES or total > MAX_TOTAL_BYTES:
                raise InputError(f"{self.path}: {info.filename} would unpack to {info.file_size} bytes: too large")
            self._members[info.filename] = info


def _checked(reader: _Reader, store: JournalStore) -> Bundle:
    """Everything in the bundle against everything else: chain, hashes, names, evidence."""
    try:
        manifest = Manifest.model_validate_json(reader.read(MANIFEST))
    except ValidationError as exc:
        raise InputError(f"{reader.path} is no bundle that this version reads: {exc.errors()[0]['msg']}") from exc
    data = reader.read(JOURNAL)
    _take_lines(data, manifest, store)
    for name in sorted({*manifest.files, *reader.names} - {MANIFEST}):
        if name not in manifest.files or name not in reader.names:
            raise JournalError(
                f"{reader.path}: {name} is {'not in the manifest' if name in reader.names else 'missing'}"
            )
        part = data if name == JOURNAL else reader.read(name)
        if hashlib.sha256(part).hexdigest() != manifest.files[name].sha256:
            raise JournalError(f"{reader.path}: {name} was changed after writing")
        if name.startswith("blobs/") and store.put_blob(part) != name.removeprefix("blobs/"):
            raise JournalError(f"{reader.path}: {name} is not what its name says")
    _check_evidence(reader, manifest, store)
    base = None
    if manifest.base is not None:
        base = TreePack(manifest.base.commit_sha, reader.read(BASE), manifest.base.shallow)
    return Bundle(manifest, store, base)


def _take_lines(data: bytes, manifest: Manifest, store: JournalStore) -> None:
    """Store the journal's lines, each checked against the one before."""
    previous, count = GENESIS, 0
    for count, raw in enumerate(data.splitlines(), 1):
        number = count - 1
        try:
            line = json.loads(raw)
            fields = {key: line[key] for key in ("ts", "seq", "run_id", "prev", "event")}
            fits = (line["seq"], line["prev"], line["run_id"]) == (number, previous, manifest.run_id)
            fits = fits and line["hash"] == line_hash(**fields)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            fits, line, fields = False, {}, {}
        if not fits:
            raise JournalError(f"the bundle's journal is broken at line {number}: it was changed after writing")
        try:
            event = EVENT.validate_json(line["event"])
        except ValidationError as exc:
            raise JournalError(f"the bundle's journal, line {number}: written by another version") from exc
        entry = Entry(**{**fields, "event": event}, hash=line["hash"])
        store.write(entry, line["event"])
        previous = line["hash"]
    if previous != manifest.digest or not count:
        raise JournalError(f"the bundle's journal was cut short: it ends at line {count - 1}")


def _check_evidence(reader: _Reader, manifest: Manifest, store: JournalStore) -> None:
    """The statement must say what the journal says: it is read on its own, too."""
    made = _evidence_of(list(store.open(manifest.run_id).events))
    if made is None and EVIDENCE not in reader.names:
        return
    if made is None or published(reader.read(EVIDENCE)) != published(json.dumps(made).encode()):
        raise JournalError(f"{reader.path}: {EVIDENCE} says something else than the journal")
