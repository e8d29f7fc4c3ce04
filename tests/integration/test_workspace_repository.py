import subprocess
import sys
from pathlib import Path

import pytest

from coder.errors import WorkspaceError
from coder.types import Remote, RepoRef
from coder.workspace.git import Git
from coder.workspace.lfs import lfs_pointers
from coder.workspace.repository import Repository
from coder.workspace.workspace import Workspace
from tests.servers.github_git import ENVIRONMENT, commit_files, create_repository, git

REPO = RepoRef(owner="ada", name="calc")
FILES: dict[str, str | bytes] = {
    "calc.py": "def add(a, b):\n    return a - b\n",
    "run.sh*": "#!/bin/sh\n",
    "latest@": "calc.py",
    "docs/ü.md": "Grüße\n",
}


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    folder = tmp_path / "origin"
    create_repository(folder, FILES)
    return folder


def head(folder: Path) -> str:
    return git("rev-parse", "HEAD", cwd=folder).decode().strip()


def fetched(tmp_path: Path, origin: Path) -> tuple[Repository, Remote, str]:
    remote = Remote(url=str(origin), local=True)
    sha = head(origin)
    return Workspace(tmp_path / "ws").fetch(remote, REPO, sha), remote, sha


def test_a_commit_is_fetched_once_and_then_needs_no_remote(tmp_path: Path, origin: Path) -> None:
    repository, remote, sha = fetched(tmp_path, origin)
    origin.rename(tmp_path / "gone")

    again = Workspace(tmp_path / "ws").fetch(remote, REPO, sha)

    assert again.read(sha, "calc.py") == repository.read(sha, "calc.py") == b"def add(a, b):\n    return a - b\n"


def test_an_unknown_commit_is_an_error_that_names_it(tmp_path: Path, origin: Path) -> None:
    with pytest.raises(WorkspaceError, match="aaaaaaaaaaaa"):
        Workspace(tmp_path / "ws").fetch(Remote(url=str(origin), local=True), REPO, "a" * 40)


@pytest.mark.parametrize("sha", ["--upload-pack=touch x", "main", "abc", "A" * 40, "a" * 40 + "\n"])
def test_only_full_ids_name_a_commit(tmp_path: Path, origin: Path, sha: str) -> None:
    with pytest.raises(WorkspaceError, match="not a full object id"):
        Workspace(tmp_path / "ws").fetch(Remote(url=str(origin), local=True), REPO, sha)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.git",
        "ssh://example.org/a",
        "ext::sh -c id",
        "https://user:secret@example.org/a",
        "file:///x",
        "https://a b/",
    ],
)
def test_remotes_that_are_not_ours_to_speak_to_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(WorkspaceError) as caught:
        Workspace(tmp_path / "ws").fetch(Remote(url=url), REPO, "a" * 40)

    assert "secret" not in str(caught.value)


def test_files_have_modes_sizes_and_any_name(tmp_path: Path, origin: Path) -> None:
    repository, _, sha = fetched(tmp_path, origin)

    files = repository.files(sha)

    assert {path: entry.mode for path, entry in files.items()} == {
        "calc.py": "100644",
        "docs/ü.md": "100644",
        "latest": "120000",
        "run.sh": "100755",
    }
    assert files["run.sh"].size == 10


def test_a_tree_gives_regular_files_in_any_order(tmp_path: Path) -> None:
    names = [f"src/{number:03}.py" for number in range(40)]
    create_repository(tmp_path / "origin", {name: f"# {name}\n" for name in names} | {"link@": "src"})
    repository, _, sha = fetched(tmp_path, tmp_path / "origin")

    tree = repository.tree(sha)

    assert list(tree.files()) == names
    for order in (names, names[::-1], names[::3]):
        assert [tree.read(name) for name in order] == [f"# {name}\n".encode() for name in order]
    with pytest.raises(WorkspaceError, match="no such file"):
        tree.read("link")


def test_a_pack_unpacks_to_a_bounded_history_that_git_finds_sound(tmp_path: Path, origin: Path) -> None:
    for number in range(5):
        commit_files(origin, {"calc.py": f"# {number}\n"}, message=f"Change {number}")
    side = commit_files(origin, {"side.py": "1\n"}, branch="side", parents=[head(origin)])
    merge = commit_files(origin, {"side.py": "1\n"}, parents=[head(origin), side])
    repository, _, _ = fetched(tmp_path, origin)

    pack = repository.pack(merge, depth=4)

    target = tmp_path / "sandbox"
    git("init", "-q", str(target), cwd=tmp_path)
    (target / ".git/shallow").write_text("".join(f"{sha}\n" for sha in pack.shallow))
    git("index-pack", "--stdin", "--strict", cwd=target, stdin=pack.pack)
    git("checkout", "-q", "--detach", merge, cwd=target)
    assert len(git("rev-list", "HEAD", cwd=target).split()) == 4
    assert git("fsck", "--strict", cwd=target) == b""
    assert (target / "calc.py").read_text() == "# 4\n"


@pytest.mark.parametrize("kind", ["shallow clone", "linked work tree"])
def test_checkouts_of_other_kinds_are_remotes_too(tmp_path: Path, origin: Path, kind: str) -> None:
    for number in range(3):
        commit_files(origin, {"calc.py": f"# {number}\n"}, message=f"Change {number}")
    checkout = tmp_path / "checkout"
    if kind == "shallow clone":
        git(
            "-c",
            "protocol.file.allow=always",
            "clone",
            "-q",
            "--depth=2",
            f"file://{origin}",
            str(checkout),
            cwd=tmp_path,
        )
    else:
        git("worktree", "add", "-q", "-b", "side", str(checkout), cwd=origin)
    repository, remote, sha = fetched(tmp_path, checkout)
    ours = repository.commit_tree(
        repository.tree_sha(sha),
        parents=[sha],
        message="Fix",
        author_name="c",
        author_email="c@example.org",
        timestamp=1,
    )

    pack = repository.pack(ours)
    repository.push(remote, ours, "coder/x")

    target = tmp_path / "sandbox"
    git("init", "-q", str(target), cwd=tmp_path)
    if pack.shallow:
        (target / ".git/shallow").write_text("".join(f"{sha}\n" for sha in pack.shallow))
    git("index-pack", "--stdin", "--strict", cwd=target, stdin=pack.pack)
    git("checkout", "-q", "--detach", ours, cwd=target)
    assert git("fsck", "--strict", cwd=target) == b""
    assert len(git("rev-list", "HEAD", cwd=target).split()) == (3 if kind == "shallow clone" else 5)
    assert git("rev-parse", "coder/x", cwd=checkout).decode().strip() == ours


def test_a_whole_history_has_no_boundary(tmp_path: Path, origin: Path) -> None:
    repository, _, sha = fetched(tmp_path, origin)

    assert repository.pack(sha).shallow == ()


def test_pointers_of_lfs_are_known_by_what_they_hold(tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    files = {"art/.gitattributes": "*.png filter=lfs -text\n", "art/a.png": pointer, "art/b.png": "x" * 150}
    create_repository(tmp_path / "origin", files)
    create_repository(tmp_path / "other" / "origin", {"about.txt": pointer})

    repository, _, sha = fetched(tmp_path, tmp_path / "origin")
    other, _, other_sha = fetched(tmp_path / "other", tmp_path / "other" / "origin")

    assert lfs_pointers(repository, sha) == ("art/a.png",)
    assert lfs_pointers(other, other_sha) == ()


def test_the_same_commit_has_the_same_id_and_hostile_names_stay_inside_it(tmp_path: Path, origin: Path) -> None:
    repository, _, sha = fetched(tmp_path, origin)
    tree = repository.tree_sha(sha)

    def commit() -> str:
        return repository.commit_tree(
            tree,
            parents=[sha],
            message="Fix\n\n-F /etc/passwd\0",
            author_name="x <evil@example.org>\nparent " + "0" * 40,
            author_email="a>b",
            timestamp=1_700_000_000,
        )

    first, second = commit(), commit()

    assert first == second
    assert git("rev-list", "--count", f"{sha}", cwd=origin).strip() == b"1"


def test_a_push_is_once_and_never_moves_a_branch(tmp_path: Path, origin: Path) -> None:
    repository, remote, sha = fetched(tmp_path, origin)
    tree = repository.tree_sha(sha)
    ours = repository.commit_tree(
        tree, parents=[sha], message="Fix", author_name="coder", author_email="c@example.org", timestamp=1
    )
    theirs = commit_files(origin, {"x": "1"}, branch="coder/issue-2")

    repository.push(remote, ours, "coder/issue-1")
    repository.push(remote, ours, "coder/issue-1")

    assert repository.branch_sha(remote, "coder/issue-1") == ours
    assert repository.branch_sha(remote, "coder/issue") is None
    with pytest.raises(WorkspaceError, match="already exists at"):
        repository.push(remote, ours, "coder/issue-2")
    assert repository.branch_sha(remote, "coder/issue-2") == theirs
    assert not git("status", "--porcelain", cwd=origin)


def test_no_hook_or_helper_of_a_checkout_runs(tmp_path: Path, origin: Path) -> None:
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    hooks = origin / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in (
        "pre-receive",
        "update",
        "post-receive",
        "post-update",
        "reference-transaction",
        "pre-push",
        "pre-auto-gc",
    ):
        (hooks / name).symlink_to(trap)
    for key in (
        "core.fsmonitor",
        "core.sshCommand",
        "uploadpack.packObjectsHook",
        "core.alternateRefsCommand",
        "core.pager",
    ):
        git("config", key, str(trap), cwd=origin)
    (origin / ".git/objects/info").mkdir(exist_ok=True)
    create_repository(tmp_path / "other", {"a": "b"})
    (origin / ".git/objects/info/alternates").write_text(f"{tmp_path}/other/.git/objects\n")

    repository, remote, sha = fetched(tmp_path, origin)
    repository.push(remote, sha, "coder/x")

    assert repository.branch_sha(remote, "coder/x") == sha
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "branch", ["", "-x", "a..b", "a/-b", "a b", "a.lock", "a/", "/a", "a\n", "@{1}", "a:b", "x" * 300, "é"]
)
def test_unsafe_branch_names_are_refused(tmp_path: Path, origin: Path, branch: str) -> None:
    repository, remote, sha = fetched(tmp_path, origin)

    with pytest.raises(WorkspaceError, match="not a safe branch"):
        repository.push(remote, sha, branch)


def test_overlay_takes_files_from_the_other_tree_or_removes_them(tmp_path: Path, origin: Path) -> None:
    old = head(origin)
    new = commit_files(origin, {"calc.py": "fixed\n", "tests/test_a.py": "new\n", "run.sh*": None, "docs": None})
    git("reset", "-q", "--hard", new, cwd=origin)
    repository, _, _ = fetched(tmp_path, origin)

    tree = repository.overlay(
        repository.tree_sha(new), source_tree=repository.tree_sha(old), paths=["tests/test_a.py", "run.sh", "never"]
    )

    files = repository.files(tree)
    assert "tests/test_a.py" not in files
    assert files["run.sh"].mode == "100755"
    assert repository.read(tree, "calc.py") == b"fixed\n"


def test_two_processes_fetch_the_same_mirror_at_once(tmp_path: Path, origin: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from coder.types import Remote, RepoRef\n"
        "from coder.workspace.workspace import Workspace\n"
        "repo = RepoRef(owner='ada', name='calc')\n"
        "r = Workspace(Path(sys.argv[1])).fetch(Remote(url=sys.argv[2], local=True), repo, sys.argv[3])\n"
        "print(len(r.files(sys.argv[3])))\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path / "ws"), str(origin), head(origin)]
    running = [
        subprocess.Popen(argv, stdout=subprocess.PIPE, env=ENVIRONMENT, cwd=Path(__file__).parents[2]) for _ in range(3)
    ]

    outputs = [process.communicate(timeout=60)[0].strip() for process in running]

    assert outputs == [b"4", b"4", b"4"]
    assert len(list((tmp_path / "ws/mirrors").iterdir())) == 1


def test_a_partial_clone_is_listed_without_what_it_lacks(tmp_path: Path) -> None:
    source, clone = tmp_path / "source", tmp_path / "clone.git"
    create_repository(source, {"big.bin": b"x" * 5000, "small.txt": "small\n"})
    git("config", "uploadpack.allowFilter", "true", cwd=source)
    git("clone", "--quiet", "--bare", "--filter=blob:limit=1k", f"file://{source}", str(clone), cwd=tmp_path)
    git("remote", "remove", "origin", cwd=clone)

    files = Repository(clone, git=Git()).files(head(source))

    assert files["big.bin"].size is None
    assert files["small.txt"].size == 6


def test_tags_of_the_history_come_along_and_the_last_before_a_cut_stands_at_its_edge(
    tmp_path: Path, origin: Path
) -> None:
    git("tag", "-a", "v1.0", "-m", "one", cwd=origin)
    for number in range(5):
        commit_files(origin, {"calc.py": f"# {number}\n"}, message=f"Change {number}")
    git("tag", "nightly", cwd=origin)
    git("tag", "v9.9", commit_files(origin, {"side.py": "1\n"}, branch="side", parents=[head(origin)]), cwd=origin)
    git("tag", "odd;$(name)", cwd=origin)
    repository, _, sha = fetched(tmp_path, origin)
    older = git("rev-parse", "HEAD~1", cwd=origin).decode().strip()
    edge = git("rev-parse", "HEAD~3", cwd=origin).decode().strip()

    assert dict(repository.pack(sha).tags) == {
        "v1.0": git("rev-parse", "HEAD~5", cwd=origin).decode().strip(),
        "nightly": sha,
    }
    assert repository.pack(sha, depth=2).tags == (("nightly", sha),)
    assert repository.pack(older, depth=3).tags == (("v1.0", edge),)


def test_a_history_without_tags_has_none_at_its_edge(tmp_path: Path, origin: Path) -> None:
    commit_files(origin, {"calc.py": "# 1\n"}, message="Change")
    repository, _, sha = fetched(tmp_path, origin)

    assert repository.pack(sha, depth=1).tags == ()
