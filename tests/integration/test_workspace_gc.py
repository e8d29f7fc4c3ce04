"""What `coder gc` throws away: mirrors that nobody asks for any more, and old runs."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coder.errors import JournalError
from coder.trace.events import Told
from coder.trace.journal import JournalStore
from coder.trace.retention import forget_runs
from coder.types import Message, Remote, RepoRef
from coder.workspace.workspace import Workspace
from tests.servers.github_git import create_repository, git

NOW = datetime.now(UTC)


def mirrored(tmp_path: Path, name: str, age: timedelta) -> tuple[str, Remote, str]:
    """A mirror that was last asked for `age` ago: its name, and where it comes from."""
    create_repository(tmp_path / name, {"a.bin": os.urandom(300_000)})
    remote = Remote(url=str(tmp_path / name), local=True)
    sha = git("rev-parse", "HEAD", cwd=tmp_path / name).decode().strip()
    Workspace(tmp_path / "ws").fetch(remote, RepoRef(owner="ada", name=name), sha)
    folder = next(path for path in (tmp_path / "ws/mirrors").iterdir() if path.name.startswith(f"{name}-"))
    then = (NOW - age).timestamp()
    os.utime(folder, (then, then))
    return folder.name, remote, sha


def named(blob: str) -> Told:
    """An event that refers to a blob."""
    return Told(step=1, reason="stuck", message=Message(role="user", content=f"see {blob}"))


def names(tmp_path: Path) -> set[str]:
    return {path.name.partition("-")[0] for path in (tmp_path / "ws/mirrors").iterdir()}


def test_mirrors_that_nobody_asks_for_go_and_come_back(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    old, remote, sha = mirrored(tmp_path, "old", timedelta(days=40))
    mirrored(tmp_path, "young", timedelta(days=3))
    _, kept, kept_sha = mirrored(tmp_path, "again", timedelta(days=50))
    workspace.fetch(kept, RepoRef(owner="ada", name="again"), kept_sha)

    gone = workspace.collect(older_than=timedelta(days=30), keep_mb=1000, now=NOW)

    assert [mirror.name for mirror in gone] == [old]
    assert gone[0].size_mb > 0
    assert names(tmp_path) == {"young", "again"}
    assert workspace.fetch(remote, RepoRef(owner="ada", name="old"), sha).files(sha).keys() == {"a.bin"}


def test_beyond_the_room_the_longest_unused_go_but_none_that_a_run_may_read(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    mirrored(tmp_path, "used", timedelta(hours=30))
    mirrored(tmp_path, "third", timedelta(days=3))
    mirrored(tmp_path, "fourth", timedelta(days=4))
    (tmp_path / "ws/mirrors/new-killed").mkdir()

    gone = workspace.collect(older_than=timedelta(days=30), keep_mb=0, now=NOW)

    assert [mirror.name.partition("-")[0] for mirror in gone] == ["third", "fourth"]
    assert names(tmp_path) == {"used", "new"}
    assert Workspace(tmp_path / "none").collect(older_than=timedelta(0), keep_mb=0, now=NOW) == ()


def test_old_runs_go_whole_and_what_others_refer_to_stays(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(JournalStore(path)) as store:
        shared, own = store.put_blob(b"shared"), store.put_blob(b"own" * 100_000)
        for run in ("old", "new"):
            journal = store.open(run)
            journal.append(named(shared))
            journal.append(named(own if run == "old" else shared))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE journal SET ts = '2020-01-01T00:00:00.000Z' WHERE run_id = 'old' AND seq = 0")
    before = path.stat().st_size

    assert forget_runs(path, before=NOW - timedelta(days=1)) == 0
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE journal SET ts = '2020-01-01T00:00:00.000Z' WHERE run_id = 'old'")
    assert forget_runs(path, before=NOW - timedelta(days=1)) == 1

    with closing(JournalStore(path)) as store:
        assert [run.run_id for run in store.runs()] == ["new"]
        assert len(store.open("new").entries) == 2
        assert store.blob(shared) == b"shared"
        with pytest.raises(JournalError, match="missing"):
            store.blob(own)
    assert path.stat().st_size < before - 200_000


def test_no_journal_has_no_old_runs_and_a_broken_one_is_an_error(tmp_path: Path) -> None:
    assert forget_runs(tmp_path / "none.sqlite", before=NOW) == 0
    assert not (tmp_path / "none.sqlite").exists()
    (tmp_path / "broken.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(JournalError, match="cannot forget runs"):
        forget_runs(tmp_path / "broken.sqlite", before=NOW)
