"""What every sandbox does. A missing Docker engine is a failure here, not a skip."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coder.errors import SandboxError
from coder.sandbox.protocol import Sandbox, TreePack
from tests.contract.sandbox_support import FILES, Backend, committed, git, out

# --- commands ---------------------------------------------------------------------------------------------------------


def test_a_command_has_an_exit_code_and_both_outputs_in_order(sandbox: Sandbox) -> None:
    result = sandbox.exec("echo one; echo two >&2; echo three; exit 7", timeout_s=30)

    assert (result.exit_code, result.output) == (7, "one\ntwo\nthree\n")
    assert not result.truncated
    assert result.output_bytes == len(result.output)


def test_a_command_runs_in_the_folder_and_with_the_variables_given(sandbox: Sandbox) -> None:
    result = sandbox.exec(
        'echo "$(basename "$PWD") $GREETING"; cat', timeout_s=30, cwd="src", env={"GREETING": "h\u00e9"}
    )

    assert (result.exit_code, result.output) == (0, "src h\u00e9\n")


@pytest.mark.parametrize("cwd", ["missing", "README.md", "../..", "/etc", ""])
def test_a_folder_that_cannot_be_entered_is_a_result(sandbox: Sandbox, cwd: str) -> None:
    result = sandbox.exec("pwd", timeout_s=30, cwd=cwd)

    assert result.exit_code == 126
    assert "cannot run" in result.output


def test_a_command_that_cannot_start_is_a_result(sandbox: Sandbox) -> None:
    assert sandbox.exec("echo a\0b", timeout_s=30).exit_code == 126
    assert sandbox.exec("true " + "x" * 300_000, timeout_s=30).exit_code == 126
    assert out(sandbox, "echo on") == "on\n"


def test_a_timeout_ends_the_whole_tree(sandbox: Sandbox) -> None:
    started = time.monotonic()

    result = sandbox.exec(
        "trap '' TERM INT HUP; echo begun; setsid sleep 4711 & (setsid sleep 4711 &) ; sleep 4711", timeout_s=1
    )

    assert result.exit_code is None
    assert result.output == "begun\n"
    assert result.duration_s < time.monotonic() - started + 1
    assert out(sandbox, "pgrep -f 'sleep [4]711' || echo none") == "none\n"


def test_a_daemon_that_keeps_the_output_open_ends_with_its_command(sandbox: Sandbox) -> None:
    result = sandbox.exec("setsid nohup sleep 4712 & disown; echo done", timeout_s=60)

    assert (result.exit_code, result.output) == (0, "done\n")
    assert result.duration_s < 50
    assert out(sandbox, "pgrep -f 'sleep [4]712' || echo none") == "none\n"


def test_huge_output_keeps_head_and_tail(sandbox: Sandbox) -> None:
    result = sandbox.exec("echo first; head -c 50000000 /dev/zero | tr '\\0' x; echo; echo last", timeout_s=60)

    assert result.exit_code == 0
    assert result.truncated
    assert result.output.startswith("first\nxxx")
    assert result.output.endswith("xxx\nlast\n")
    assert len(result.output) < 70_000
    assert result.output_bytes == 50_000_000 + len("first\n\nlast\n")


def test_binary_output_is_text_with_replacements(sandbox: Sandbox) -> None:
    result = sandbox.exec("printf 'a\\000\\377\\033[31mb'", timeout_s=30)

    assert result.output == "a\0\ufffd\x1b[31mb"


def test_killing_everything_leaves_the_sandbox_usable(sandbox: Sandbox) -> None:
    sandbox.exec("kill -9 $$", timeout_s=30)

    assert out(sandbox, "echo on") == "on\n"


# --- files ------------------------------------------------------------------------------------------------------------


def test_files_are_read_as_they_are(sandbox: Sandbox) -> None:
    for name, data in FILES.items():
        assert sandbox.read(name) == data
    assert sandbox.read("link") == FILES["README.md"]
    assert sandbox.read("./src/../README.md") == FILES["README.md"]


def test_writing_makes_folders_and_keeps_modes(sandbox: Sandbox) -> None:
    sandbox.write("a/b/c.txt", b"new")
    sandbox.write("run.sh", b"#!/bin/sh\necho changed, and longer than before\n")
    sandbox.write("README.md", b"")

    assert sandbox.read("a/b/c.txt") == b"new"
    assert out(sandbox, "./run.sh") == "changed, and longer than before\n"
    assert sandbox.read("README.md") == b""


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("missing", FileNotFoundError),
        ("missing/below", FileNotFoundError),
        ("src", IsADirectoryError),
        ("/etc/passwd", ValueError),
        ("../../etc/passwd", ValueError),
        ("", ValueError),
        ("a\0b", ValueError),
        ("out/passwd", ValueError),
        ("absolute", ValueError),
        ("fifo", ValueError),
        ("loop", OSError),
        ("picture.bin", ValueError),
    ],
)
def test_reading_never_leaves_the_root(sandbox: Sandbox, path: str, error: type[Exception]) -> None:
    out(sandbox, "ln -s /etc out; ln -s /etc/passwd absolute; mkfifo fifo; ln -s loop loop")

    with pytest.raises(error):
        sandbox.read(path, max_bytes=255)


@pytest.mark.parametrize("path", ["up/new", "out/new", "absolute", "../new", "/tmp/new", "fifo"])
def test_writing_never_leaves_the_root(sandbox: Sandbox, path: str) -> None:
    out(sandbox, 'mkdir -p "$HOME/o"; ln -s "$HOME/o" out; ln -s .. up; ln -s "$HOME/o/x" absolute; mkfifo fifo')

    with pytest.raises(ValueError, match=r".+"):
        sandbox.write(path, b"x")

    assert out(sandbox, 'ls "$HOME/o"; test ! -e ../new && test ! -e /tmp/new') == ""


def test_a_folder_cannot_be_written(sandbox: Sandbox) -> None:
    with pytest.raises(IsADirectoryError):
        sandbox.write("src", b"x")


def test_the_list_has_what_git_does_not_ignore(sandbox: Sandbox) -> None:
    sandbox.write("new.txt", b"")
    sandbox.write("noise.log", b"")
    sandbox.write("build/x", b"")
    out(sandbox, "rm README.md")

    assert sandbox.list_files() == tuple(sorted({*FILES, "link", "new.txt"} - {"README.md"}, key=str.encode))


# --- checkpoint, diff, restore ----------------------------------------------------------------------------------------

CHANGES = r"""
set -e
printf 'def answer():\n    return 42\n' > src/app.py
printf 'one\r\n2\r\nthree\n' > windows.txt
printf 'caf\351!\n' > latin.txt
printf '\000\001' >> picture.bin
chmod -x run.sh
rm README.md
ln -sfn src/app.py link
mkdir -p 'neu er/ordner'
printf 'x' > 'neu er/ordner/ende ohne umbruch'
printf 'y\n' > "$(printf 'roh-\377.txt')"
printf 'tab' > "$(printf 'a\tb\n"c\\.txt')"
printf 'caf\351\n' > "$(printf 'roh *[x]\351"\\.txt')"
printf '#!/bin/sh\n' > neu.sh; chmod +x neu.sh
: > empty
mkdir -p build; echo ignored > build/kept
"""


def test_a_diff_carries_every_kind_of_change(sandbox: Sandbox, origin: tuple[Path, TreePack], tmp_path: Path) -> None:
    folder, pack = origin
    out(sandbox, CHANGES)

    diff = sandbox.diff()
    tree = sandbox.checkpoint()

    git(tmp_path, "clone", "--quiet", "--no-checkout", str(folder), "copy")
    copy = tmp_path / "copy"
    git(copy, "read-tree", pack.commit_sha)
    git(copy, "apply", "--cached", "--whitespace=nowarn", "-", data=diff.encode())
    assert git(copy, "write-tree").decode().strip() == tree


def test_restore_goes_back_and_forth(sandbox: Sandbox) -> None:
    start = sandbox.checkpoint()
    out(sandbox, CHANGES)
    diff, tree = sandbox.diff(), sandbox.checkpoint()

    sandbox.restore("")
    back = sandbox.checkpoint()
    nothing = sandbox.diff()
    read = sandbox.read("README.md")
    sandbox.restore(diff)

    assert (back, nothing, read) == (start, "", FILES["README.md"])
    assert (sandbox.checkpoint(), sandbox.diff()) == (tree, diff)
    assert sandbox.read("build/kept") == b"ignored\n"
    assert out(sandbox, "test -x neu.sh && test ! -x run.sh && readlink link") == "src/app.py\n"


def test_a_diff_that_does_not_apply_changes_nothing(sandbox: Sandbox) -> None:
    out(sandbox, "echo x > new.txt")
    before = sandbox.diff()

    with pytest.raises(SandboxError):
        sandbox.restore("diff --git a/none b/none\n--- a/none\n+++ b/none\n@@ -1 +1 @@\n-a\n+b\n")

    assert sandbox.diff() == before


def test_git_inside_shows_the_history(sandbox: Sandbox) -> None:
    assert out(sandbox, "git log --format=%s; git status --porcelain") == "second\nfirst\n"


@pytest.mark.parametrize(
    "trick",
    [
        "git update-index --assume-unchanged src/app.py && git update-index --skip-worktree src/app.py",
        "echo '*' >> .git/info/exclude; echo '* -diff filter=x' > .git/info/attributes",
        "rm -rf .git",
        "git config core.worktree /tmp; git config core.fileMode false; git config core.hooksPath /tmp",
        "git add -A && git commit -qm mine && git reset -q --hard HEAD",
        "touch .git/index.lock; chmod 000 .git",
    ],
)
def test_tricks_with_the_repository_hide_nothing(sandbox: Sandbox, trick: str) -> None:
    out(sandbox, "echo '# changed' >> src/app.py; echo new > new.txt; chmod +x windows.txt")
    expected = sandbox.diff()
    out(sandbox, trick)

    assert sandbox.diff() == expected
    for change in ("src/app.py", "new.txt", "new mode 100755"):
        assert change in expected


def test_a_nested_repository_does_not_stop_the_diff(sandbox: Sandbox) -> None:
    out(sandbox, "echo x > new.txt; git init -q nested; mkfifo pipe; mkdir shut; echo y > shut/f; chmod 000 shut")

    diff = sandbox.diff()

    assert "new.txt" in diff
    out(sandbox, "chmod 700 shut")


def test_restore_removes_repositories_that_were_made_inside(sandbox: Sandbox) -> None:
    out(
        sandbox,
        "for i in a b/c; do git init -q $i; git -C $i -c user.name=x -c user.email=x@y.z commit -q --allow-empty -m x; done",
    )
    assert "Subproject commit" in sandbox.diff()

    sandbox.restore("")

    assert sandbox.diff() == ""
    assert out(sandbox, "ls -d a b 2>/dev/null | wc -l") == "0\n"


def test_restore_clears_what_is_in_the_way(sandbox: Sandbox) -> None:
    start = sandbox.checkpoint()
    out(
        sandbox,
        "rm -rf src .git; mkdir -p src/app.py/deep README.md; echo x > src/app.py/deep/x; chmod 000 src/app.py/deep",
    )

    sandbox.restore("")

    assert (sandbox.checkpoint(), sandbox.diff()) == (start, "")
    assert sandbox.read("src/app.py") == FILES["src/app.py"]


def test_a_snapshot_is_a_checkpoint_and_a_diff_in_one(sandbox: Sandbox) -> None:
    start = sandbox.checkpoint()
    out(sandbox, CHANGES)

    snapshot = sandbox.snapshot(start)

    assert snapshot is not None
    assert (snapshot.tree_sha, snapshot.diff) == (sandbox.checkpoint(), sandbox.diff())
    assert sandbox.snapshot(snapshot.tree_sha) is None
    sandbox.restore("")
    back = sandbox.snapshot(snapshot.tree_sha)
    assert back is not None
    assert (back.tree_sha, back.diff) == (start, "")


# --- the end ----------------------------------------------------------------------------------------------------------


def test_a_closed_sandbox_says_so(backend: Backend, origin: tuple[Path, TreePack]) -> None:
    provider, image = backend
    sandbox = provider.open(image, origin[1], labels={"run": "closing"})

    sandbox.close()
    sandbox.close()

    with pytest.raises(SandboxError, match="closed"):
        sandbox.exec("true", timeout_s=5)


def test_closing_ends_a_command_of_another_thread(backend: Backend, origin: tuple[Path, TreePack]) -> None:
    provider, image = backend
    sandbox = provider.open(image, origin[1], labels={"run": "cancel"})
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(sandbox.exec, "sleep 4714", timeout_s=600)
        while not running.running():
            time.sleep(0.01)

        sandbox.close()

        with pytest.raises(SandboxError, match="closed"):
            running.result(timeout=60)


def test_a_pack_that_is_none_is_refused(backend: Backend) -> None:
    provider, image = backend

    with pytest.raises(SandboxError, match="index-pack"):
        provider.open(image, TreePack("0" * 40, b"PACK nonsense"), labels={"run": "bad"})


def test_a_shallow_history_is_cut_where_it_says(backend: Backend, tmp_path: Path) -> None:
    provider, image = backend
    pack = committed(tmp_path)
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=1", f"file://{tmp_path}", str(tmp_path / "shallow")],
        check=True,
        capture_output=True,
    )
    cut = git(tmp_path / "shallow", "pack-objects", "--all", "--stdout", "--quiet", data=b"")

    tags = (("v1.2", pack.commit_sha), ("a/b@1", pack.commit_sha))
    pack = TreePack(pack.commit_sha, cut, (pack.commit_sha,), tags)

    with provider.open(image, pack, labels={"run": "cut"}) as sandbox:
        assert out(sandbox, "git log --format=%s") == "second\n"
        assert out(sandbox, "git describe --tags --match 'v*' 2>&1") == "v1.2\n"
        assert sandbox.diff() == ""
