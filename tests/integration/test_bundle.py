"""A run as one file: made here, read and played there; whatever was bent in it is refused by name."""

import hashlib
import json
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coder import bundle
from coder.app import Application
from coder.bundle import Manifest, opened, write_bundle
from coder.errors import CoderError, InputError, JournalError
from coder.local_run import RunCommand, execute
from coder.replay import packed_base, replay
from coder.settings import ModelSettings, Settings
from coder.trace.events import RunStarted, ToolFinished
from coder.trace.journal import JournalStore
from coder.types import ToolOutput
from tests.contract.sandbox_support import git
from tests.unit.publish_values import task as any_task

DEMO = Path(__file__).resolve().parents[2] / "demo"
TOKEN = "ghp_" + "a1B2" * 9


def settings_in(folder: Path) -> Settings:
    return Settings(state_dir=folder, model=ModelSettings(profile="kimi-k2-thinking-vllm"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the demo's run, with its base commit; the checkout and the journal are gone."""
    folder = tmp_path_factory.mktemp("made")
    checkout = folder / "bills"
    shutil.copytree(DEMO / "repository", checkout, ignore=shutil.ignore_patterns("__pycache__"))
    git(checkout, "init", "--quiet", "--initial-branch=main")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "-m", "Split bills")
    command = RunCommand(
        issue="",
        issue_file=DEMO / "issue.md",
        prompt="",
        repo=checkout,
        apply=False,
        dry_run=None,
        pull_request=False,
        resume="",
        recorded=DEMO / "answers.json",
        allow_dirty=False,
        unsafe=True,
    )
    settings = settings_in(folder / "state")
    result = execute(command, settings)
    with Application(settings) as app:
        base = packed_base(app, result.run_id)
        write_bundle(folder / "run.zip", app.journals, result.run_id, redact=app.redactor.full, base=base)
    shutil.rmtree(checkout)
    shutil.rmtree(folder / "state")
    return folder / "run.zip"


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path: Path, parts: dict[str, bytes], *, resign: bool = True) -> Path:
    """A bundle of these parts; with a manifest that fits them when `resign`."""
    if resign:
        manifest = json.loads(parts["manifest.json"])
        manifest["files"] = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in parts.items()
            if name != "manifest.json"
        }
        parts = {**parts, "manifest.json": json.dumps(manifest).encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def refusal(path: Path) -> CoderError:
    with pytest.raises(CoderError) as caught, opened(path):
        pass
    return caught.value


def test_it_replays_on_another_machine_to_the_same_tree(made: Path, tmp_path: Path) -> None:
    with opened(made) as found:
        digest = found.store.open(found.manifest.run_id).entries[-3].hash
    with Application(settings_in(tmp_path / "another")) as app:
        outcome = replay(app, str(made), progress=lambda _: None, unsafe_local=True, digest=digest)
        with pytest.raises(JournalError, match="not the journal that was published"):
            replay(app, str(made), progress=lambda _: None, unsafe_local=True, digest="f" * 64)

    assert outcome.same
    assert outcome.answers == 7
    assert outcome.verdict == "proven"


def test_equal_runs_give_equal_bundles_and_nothing_leaves_that_looks_like_a_secret(tmp_path: Path) -> None:
    store = JournalStore(tmp_path / "journal.sqlite")
    try:
        journal = store.open("run-1")
        journal.append(RunStarted(task=any_task(), version="1"))
        blob = journal.put_blob(f"token = {TOKEN}\n".encode())
        output = ToolOutput(content=f'{{"token": "{TOKEN}"}}')
        journal.append(ToolFinished(step=1, call_id="c", name="run", output=output, duration_s=1, full_blob=blob))
        redact = Application(settings_in(tmp_path / "state"))
        with redact:
            first = write_bundle(tmp_path / "a.zip", store, "run-1", redact=redact.redactor.full)
            write_bundle(tmp_path / "b.zip", store, "run-1", redact=redact.redactor.full)
        source = journal.digest
    finally:
        store.close()

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert (first.redacted_lines, first.redacted_blobs, first.source_digest) == (1, 1, source)
    assert first.digest != source
    assert not [name for name, data in members(tmp_path / "a.zip").items() if TOKEN.encode() in data]
    with opened(tmp_path / "a.zip") as found:
        finished = found.store.open("run-1").events[-1]
        assert isinstance(finished, ToolFinished)
        assert finished.full_blob is not None
        assert found.store.blob(finished.full_blob) == b"token = [redacted]\n"


def bent_line(parts: dict[str, bytes]) -> None:
    lines = parts["journal.jsonl"].splitlines(keepends=True)
    lines[3] = lines[3].replace(b"setup_ok", b"setup_0k", 1).replace(b"a", b"b", 1)
    parts["journal.jsonl"] = b"".join(lines)


def dropped_line(parts: dict[str, bytes]) -> None:
    lines = parts["journal.jsonl"].splitlines(keepends=True)
    parts["journal.jsonl"] = b"".join(lines[:2] + lines[3:])


def cut_short(parts: dict[str, bytes]) -> None:
    parts["journal.jsonl"] = b"".join(parts["journal.jsonl"].splitlines(keepends=True)[:-1])


def junk_line(parts: dict[str, bytes]) -> None:
    parts["journal.jsonl"] = b"[" * 100_000 + b"\n" + parts["journal.jsonl"]


def bent_blob(parts: dict[str, bytes]) -> None:
    name = next(name for name in parts if name.startswith("blobs/"))
    parts[name] += b"x"


def swapped_evidence(parts: dict[str, bytes]) -> None:
    document = json.loads(parts["evidence.json"])
    document["predicate"]["coder"]["proving_tests"] += 1
    parts["evidence.json"] = json.dumps(document).encode()


@pytest.mark.parametrize(
    ("bend", "says"),
    [
        (bent_line, "broken at line 3"),
        (dropped_line, "broken at line 2"),
        (junk_line, "broken at line 0"),
        (cut_short, "cut short"),
        (bent_blob, "not what its name says"),
        (swapped_evidence, "something else than the journal"),
    ],
)
def test_what_was_changed_is_refused_by_name_even_with_a_new_manifest(
    made: Path, tmp_path: Path, bend: Callable[[dict[str, bytes]], None], says: str
) -> None:
    parts = members(made)
    bend(parts)

    exc = refusal(rewritten(tmp_path / "bent.zip", parts))

    assert isinstance(exc, JournalError)
    assert says in str(exc)


def test_a_part_that_the_manifest_does_not_know_or_knows_otherwise_is_refused(made: Path, tmp_path: Path) -> None:
    parts = members(made)
    extra = rewritten(tmp_path / "extra.zip", {**parts, f"blobs/{'0' * 64}": b""}, resign=False)
    other = rewritten(tmp_path / "other.zip", {**parts, "base.pack": b"PACK"}, resign=False)
    less = {name: data for name, data in parts.items() if name != "base.pack"}

    assert "not in the manifest" in str(refusal(extra))
    assert "base.pack was changed" in str(refusal(other))
    assert "base.pack is missing" in str(refusal(rewritten(tmp_path / "less.zip", less, resign=False)))


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "blobs/../../x", "manifest.json\n", "blobs/" + "G" * 64, "a\0b"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    path = rewritten(tmp_path / "evil.zip", {name: b"x"}, resign=False)

    assert isinstance(refusal(path), InputError)
    assert not (tmp_path.parent / "evil").exists()


def bomb(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    plain = rewritten(tmp_path / "plain.zip", {"manifest.json": b"{}", "journal.jsonl": b""}, resign=False).read_bytes()
    at = plain.rindex(b"PK\x01\x02")  # the directory's last entry: let it say that it unpacks to 300 MB
    yield "too large", write(tmp_path / "huge.zip", plain[: at + 24] + struct.pack("<I", 300 << 20) + plain[at + 28 :])
    yield "too many parts", write(tmp_path / "long.zip", plain[:-10] + struct.pack("<I", 1 << 30) + plain[-6:])
    yield "no bundle", write(tmp_path / "comment.zip", plain + b"x")
    yield "no bundle", write(tmp_path / "64.zip", plain[:-22] + b"PK\x06\x07" + b"\0" * 16 + plain[-22:])
    yield "no bundle", write(tmp_path / "empty.zip", b"")
    yield "no bundle", write(tmp_path / "junk.zip", b"\0" * 1000)
    many = {f"blobs/{number:064x}": b"" for number in range(bundle.MAX_MEMBERS + 1)}
    yield "parts, more than", rewritten(tmp_path / "many.zip", many, resign=False)
    with zipfile.ZipFile(tmp_path / "bz2.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("manifest.json", b"{}" * 1000)
    yield "another way", tmp_path / "bz2.zip"
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("manifest.json", b"{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("manifest.json", b"{}")
    yield "a part is called", tmp_path / "twice.zip"


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_bombs_and_what_is_no_bundle_are_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    for says, path in bomb(tmp_path):
        exc = refusal(path)
        assert isinstance(exc, InputError), path.name
        assert says in str(exc), path.name
    assert "cannot read" in str(refusal(tmp_path / "nope.zip"))


def test_a_member_that_unpacks_to_more_or_less_than_it_said_is_damaged(made: Path, tmp_path: Path) -> None:
    data = made.read_bytes()
    at = data.index(b"journal.jsonl") + 40
    broken = write(tmp_path / "broken.zip", data[:at] + b"\0" * 50 + data[at + 50 :])

    assert "is damaged" in str(refusal(broken))


def test_the_manifest_is_strict(made: Path, tmp_path: Path) -> None:
    parts = members(made)
    manifest = json.loads(parts["manifest.json"])
    assert Manifest.model_validate(manifest).redacted_lines == 0

    for change in ({"format": "coder-bundle/2"}, {"extra": 1}, {"run_id": ""}):
        parts["manifest.json"] = json.dumps(manifest | change).encode()
        assert "version reads" in str(refusal(rewritten(tmp_path / "m.zip", parts, resign=False)))
