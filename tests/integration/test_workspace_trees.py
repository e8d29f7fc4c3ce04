"""Trees of every kind go into a sandbox and come back exactly, or are refused with a reason."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coder.errors import PatchRefusedError
from coder.sandbox.config import SandboxSettings
from coder.sandbox.local import IMAGE, LocalSandbox, LocalSandboxProvider
from coder.types import Remote, RepoRef
from coder.workspace.policy import PatchRules
from coder.workspace.workspace import Workspace
from tests.servers.github_git import create_repository, git

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
ODD: dict[str, str | bytes] = {
    ".gitattributes": "*.lfs filter=lfs diff=lfs merge=lfs -text\n*.txt text\n*.bat text eol=crlf\n*.c ident\n",
    "model.lfs": POINTER,
    "dos.txt": "stored\r\nwith CR LF\r\n",
    "mixed.txt": "one\r\ntwo\nthree\r",
    "run.bat": "@echo off\r\n",
    "unix.bat": "@echo off\n",
    "ident.c": "/* $Id: 0123 $ */\n",
    "latin-\udce9.txt": b"caf\xe9\r\n",
    "tool*": "#!/bin/sh\n",
    "link@": "tool",
    "dangling@": "nowhere/at/all",
    "folder/deep/er/file": "x",
    "no newline": "last line",
    "empty": "",
    "zeros.bin": bytes(100 << 20),
    "Grüße/日本.md": "hello\n",
    'quote"tab\tline\nbackslash\\': "odd name\n",
}


class Line:
    """A repository of ours, its base commit, and a sandbox with that checked out."""

    def __init__(self, folder: Path, files: Mapping[str, str | bytes], *, submodule: bool = False) -> None:
        base = create_repository(folder / "origin", files)
        if submodule:
            record = f"160000 {base} 0\tvendor/sub\0"
            git("update-index", "-z", "--index-info", cwd=folder / "origin", stdin=record.encode())
            tree = git("write-tree", cwd=folder / "origin").decode().strip()
            base = git("commit-tree", tree, "-p", base, cwd=folder / "origin", stdin=b"Submodule").decode().strip()
            git("update-ref", "refs/heads/main", base, cwd=folder / "origin")
        self.base = base
        remote = Remote(url=str(folder / "origin"), local=True)
        self.repository = Workspace(folder / "ws").fetch(remote, RepoRef(owner="ada", name="odd"), base)
        provider = LocalSandboxProvider(SandboxSettings())
        self.sandbox: LocalSandbox = provider.open(IMAGE, self.repository.pack(base, depth=2), labels={})

    def sh(self, command: str) -> str:
        result = self.sandbox.exec(command, timeout_s=60)
        assert result.exit_code == 0, result.output
        return result.output

    def round_trip(self) -> str:
        """Out as text, into our repository, back to the base, in again: always the same tree; its id."""
        snapshot = self.sandbox.snapshot("")
        assert snapshot is not None
        assert snapshot.diff == self.sandbox.diff()
        patch = self.repository.apply(self.base, snapshot.diff, PatchRules())
        assert patch.tree_sha == snapshot.tree_sha
        self.sandbox.restore("")
        assert self.sandbox.checkpoint() == self.repository.tree_sha(self.base)
        self.sandbox.restore(patch.diff)
        assert self.sandbox.checkpoint() == patch.tree_sha
        return patch.tree_sha


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    line = Line(tmp_path_factory.mktemp("odd"), ODD, submodule=True)
    with line.sandbox:
        yield line


@pytest.fixture
def line(odd: Line) -> Line:
    odd.sandbox.restore("")
    return odd


def test_what_comes_out_untouched_is_no_change(line: Line) -> None:
    assert line.sandbox.diff() == ""
    assert line.round_trip() == line.repository.tree_sha(line.base)
    assert line.sh("git status --porcelain") == ""


def test_files_are_what_the_commit_holds_byte_for_byte(line: Line) -> None:
    for name, content in ODD.items():
        if not name.endswith("@"):
            data = content.encode() if isinstance(content, str) else content
            assert line.sandbox.read(name.rstrip("*"), max_bytes=200 << 20) == data
    assert line.sh("test -x tool && readlink link && readlink dangling") == "tool\nnowhere/at/all\n"


def test_touching_and_copying_over_changes_nothing(line: Line) -> None:
    line.sh(
        'find . -path ./.git -prune -o -type f -exec touch {} +; for f in *.txt *.bat; do cp "$f" x; mv x "$f"; done'
    )

    assert line.sandbox.diff() == ""


def test_only_the_lines_that_were_edited_are_in_the_diff(line: Line) -> None:
    line.sh("sed -i 's/stored/changed/' dos.txt; echo 'rem' >> run.bat; sed -i 's/12345/54321/' model.lfs")

    diff = line.sandbox.diff()
    line.round_trip()

    changed = [row for row in diff.split("\n") if row[:1] in {"+", "-"} and row[:3] not in {"+++", "---"}]
    assert changed == ["-stored\r", "+changed\r", "-size 12345", "+size 54321", "+rem"]


def test_what_lies_in_a_submodule_stays_there(line: Line) -> None:
    line.sh("test -d vendor/sub; echo new > vendor/sub/file; echo more >> 'no newline'")

    patch = line.repository.apply(line.base, line.sandbox.diff(), PatchRules())

    assert [file.path for file in patch.files] == ["no newline"]
    assert line.repository.files(patch.tree_sha)["vendor/sub"].mode == "160000"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("printf x > $'new-\\351.txt'", "not UTF-8"),
        ("ln -s /etc/passwd out", "leads out"),
        ("ln -s ../../x up", "leads out"),
        ("echo x > TOOL", "differ only in case"),
        ("head -c 6000000 /dev/urandom > large", "bytes, more than"),
        ("printf x > $'new\\nline'", "control character"),
    ],
)
def test_what_may_not_leave_is_refused_with_a_reason(line: Line, change: str, reason: str) -> None:
    line.sh(change)

    with pytest.raises(PatchRefusedError, match=reason):
        line.repository.apply(line.base, line.sandbox.diff(), PatchRules())


def test_a_change_of_a_huge_file_is_named_and_not_carried(line: Line) -> None:
    line.sh("printf x >> zeros.bin; echo y >> tool")

    snapshot = line.sandbox.snapshot("")

    assert snapshot is not None
    assert snapshot.left_out == ("zeros.bin",)
    assert "zeros.bin" not in snapshot.diff
    assert "+y" in snapshot.diff


# --- any change at all ------------------------------------------------------------------------------------------------

PARTS = st.sampled_from(
    ["a", "b", "c", "dir", "x y", "ü", "日本", "quote'\"", "-rf", "*?[", "tool", "dos.txt", "folder"]
)
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
CONTENTS = st.one_of(
    st.binary(max_size=60),
    st.text(alphabet="ab\r\n é\0", max_size=40).map(lambda text: text.encode()),
    st.sampled_from([b"", b"\n", b"\r\n", b"no newline", b"diff --git a/x b/x\n", b"\xff\xfe\n", b"@@ -1 +1 @@\n-x\n"]),
)
ACTIONS = st.tuples(st.sampled_from(["write", "write", "write", "run", "link", "remove", "flip"]), PATHS, CONTENTS)


def carry_out(root: Path, action: str, path: str, content: bytes) -> None:
    """Do one thing to the work tree, in a way that always succeeds."""
    target = root / path
    for parent in reversed(target.parents):
        if root in parent.parents and (parent.is_symlink() or parent.is_file()):
            parent.unlink()
    if action == "flip" and target.is_file() and not target.is_symlink():
        target.chmod(target.stat().st_mode ^ 0o111)
        return
    if target.is_dir() and not target.is_symlink():
        subprocess.run(["rm", "-rf", "--", str(target)], check=True)
    target.unlink(missing_ok=True)
    if action == "remove":
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if action == "link":
        target.symlink_to("link to nowhere")
    else:
        target.write_bytes(content)
        target.chmod(0o755 if action == "run" else 0o644)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(actions=st.lists(ACTIONS, min_size=1, max_size=8))
def test_any_change_comes_out_as_the_tree_it_is(odd: Line, actions: list[tuple[str, str, bytes]]) -> None:
    odd.sandbox.restore("")
    for action, path, content in actions:
        carry_out(odd.sandbox.folder, action, path, content)

    odd.round_trip()


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(files=st.dictionaries(st.sampled_from(["a", "b*", "c@", "d/e", "d/f.txt", "ü/日本"]), CONTENTS, min_size=1))
def test_any_tree_goes_in_as_it_is(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    given_files: dict[str, str | bytes] = {
        name: data.replace(b"\0", b"0") or b"x" if name.endswith("@") else data for name, data in files.items()
    }
    line = Line(tmp_path_factory.mktemp("any"), {".gitattributes": "* text=auto\n", **given_files})
    with line.sandbox:
        assert line.sandbox.checkpoint() == line.repository.tree_sha(line.base)
        assert line.sandbox.diff() == ""
