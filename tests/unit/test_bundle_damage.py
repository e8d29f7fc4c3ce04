"""Whatever happens to a bundle's bytes: it is read as it was written, or refused in our own words."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coder.bundle import opened, write_bundle
from coder.errors import CoderError
from coder.trace.events import RunStarted, ToolFinished
from coder.trace.journal import JournalStore
from coder.types import ToolOutput
from tests.unit.publish_values import task


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    store = JournalStore(folder / "journal.sqlite")
    try:
        journal = store.open("run-1")
        journal.append(RunStarted(task=task(), version="1"))
        blob = journal.put_blob(b"all of it\n" * 50)
        output = ToolOutput(content="a line\n" * 40)
        journal.append(ToolFinished(step=1, call_id="c", name="run", output=output, duration_s=1, full_blob=blob))
        write_bundle(folder / "run.zip", store, "run-1", redact=str)
    finally:
        store.close()
    return folder / "run.zip"


def read(path: Path) -> list[str] | None:
    """The hashes of its lines; None when it is refused."""
    try:
        with opened(path) as found:
            return [entry.hash for entry in found.store.open("run-1").entries]
    except CoderError:
        return None


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, 5_000), value=st.integers(0, 255), cut=st.booleans())
@example(at=0, value=0, cut=True)
def test_a_damaged_bundle_is_the_same_or_refused(made: Path, at: int, value: int, *, cut: bool) -> None:
    data = bytearray(made.read_bytes())
    at %= len(data)
    data[at] = value
    bent = made.with_name("bent.zip")
    bent.write_bytes(bytes(data[:at] if cut else data))

    assert read(bent) in (None, read(made))


@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=200))
def test_junk_before_or_behind_is_refused_or_ignored(made: Path, data: bytes) -> None:
    bent = made.with_name("bent.zip")
    whole = made.read_bytes()

    for bytes_ in (data, data + whole, whole + data):
        bent.write_bytes(bytes_)
        assert read(bent) in (None, read(made))
