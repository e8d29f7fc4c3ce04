import random
import zlib
from base64 import b85encode
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coder.errors import PatchRefusedError
from coder.types import Patch, Remote, RepoRef
from coder.workspace.policy import PatchRules
from coder.workspace.workspace import Workspace
from tests.servers.github_git import commit_files, create_repository, git

RULES = PatchRules()
FILES: dict[str, str | bytes] = {
    "calc.py": "def add(a, b):\n    return a - b\n",
    "crlf.txt": "one\r\ntwo\r\n",
    "latin.txt": "gr\xfc\xdfe\nzwei\n".encode("latin-1"),
    "run.sh*": "#!/bin/sh\n",
    "data.bin": bytes(range(256)) * 4,
    "old.txt": "old\n",
    ".gitattributes": "* text=auto eol=lf ident\n*.txt working-tree-encoding=UTF-16 filter=trap\n",
    "ident.c": "/* $Id$ */\nint x;\n",
}


class Lab:
    """A bare repository of ours, and a work tree in which diffs are made as the sandbox makes them."""

    def __init__(self, folder: Path, files: dict[str, str | bytes]) -> None:
        self.work = folder / "work"
        self.base = create_repository(folder / "origin", files)
        remote = Remote(url=str(folder / "origin"), local=True)
        self.repository = Workspace(folder / "ws").fetch(remote, RepoRef(owner="ada", name="calc"), self.base)
        self.origin = folder / "origin"

    def diff(self, changes: dict[str, str | bytes | None]) -> tuple[str, str]:
        """A diff and the tree that it should lead to."""
        sha = commit_files(self.origin, changes, branch="scratch", parents=[self.base]) if changes else self.base
        tree = git("rev-parse", f"{sha}^{{tree}}", cwd=self.origin).decode().strip()
        args = ["diff-tree", "-r", "-p", "--binary", "--full-index", "--no-renames", self.base, sha]
        return git(*args, cwd=self.origin).decode("utf-8", "surrogateescape"), tree

    def apply(self, diff: str, rules: PatchRules = RULES) -> Patch:
        return self.repository.apply(self.base, diff, rules)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path, FILES)
    git("branch", "scratch", made.base, cwd=made.origin)
    return made


def test_bytes_arrive_as_they_were_whatever_attributes_say(lab: Lab) -> None:
    diff, tree = lab.diff(
        {
            "calc.py": "def add(a, b):\n    return a + b\n",
            "crlf.txt": "one\r\nTWO\r\n",
            "latin.txt": "gr\xfc\xdfe\ndrei\n".encode("latin-1"),
            "run.sh": "#!/bin/sh\n",
            "data.bin": bytes(range(255, -1, -1)) * 4,
            "old.txt": None,
            "new/ü b.txt": "trailing \t \n\n\nno newline",
            "tool*": "#!/bin/sh\n",
            "link@": "calc.py",
            "empty": "",
            "ident.c": "/* $Id$ */\nint y;\n",
        }
    )

    patch = lab.apply(diff)

    assert patch.tree_sha == tree
    assert {file.path: (file.status, file.additions, file.deletions) for file in patch.files} == {
        "calc.py": ("modified", 1, 1),
        "crlf.txt": ("modified", 1, 1),
        "data.bin": ("modified", None, None),
        "empty": ("added", 0, 0),
        "ident.c": ("modified", 1, 1),
        "latin.txt": ("modified", 1, 1),
        "link": ("added", 1, 0),
        "new/ü b.txt": ("added", 4, 0),
        "old.txt": ("deleted", 0, 1),
        "run.sh": ("modified", 0, 0),
        "tool": ("added", 1, 0),
    }
    assert patch.flagged == ()
    patch.diff.encode("utf-8")
    assert lab.apply(patch.diff).tree_sha == tree


def test_no_diff_is_the_base(lab: Lab) -> None:
    patch = lab.apply("")

    assert patch.files == ()
    assert patch.tree_sha == lab.repository.tree_sha(lab.base)


def test_protected_paths_are_kept_and_flagged_and_blocked_ones_refused(lab: Lab) -> None:
    diff, tree = lab.diff({".github/workflows/ci.yml": "on: push\n", "a.py": "1\n"})

    patch = lab.apply(diff)

    assert patch.flagged == (".github/workflows/ci.yml",)
    assert patch.tree_sha == tree
    with pytest.raises(PatchRefusedError, match="block"):
        lab.apply(diff, PatchRules(blocked=("a.py",)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"out@": "../../etc/passwd"}, "leads out"),
        ({"abs@": "/etc/passwd"}, "leads out"),
        ({"in/git@": "../.git/config"}, "leads out"),
        ({"a@": "b/..", "b@": "deep/er", "deep/er/x": "1"}, None),
        ({"a@": "b/../../..", "b@": "deep/er", "deep/er/x": "1"}, "leads out"),
        ({"CALC.py": "x\n"}, "differ only in case"),
        ({"e\u0301": "x", "é": "x"}, "differ only in case"),
        ({"a\nb": "x"}, "control"),
        ({"\udcff.py": "x"}, "UTF-8"),
        ({".gitmodules": "[submodule]\n"}, None),
        ({"x\u202ey": "1"}, "control"),
    ],
)
def test_the_result_is_what_is_checked(lab: Lab, changes: dict[str, str | bytes | None], reason: str | None) -> None:
    diff, tree = lab.diff(changes)

    if reason is None:
        assert lab.apply(diff).tree_sha == tree
    else:
        with pytest.raises(PatchRefusedError, match=reason):
            lab.apply(diff)


def test_an_old_link_that_a_new_one_bends_outward_is_refused(tmp_path: Path) -> None:
    lab = Lab(tmp_path, {"link@": "d/../secret", "d/x": "1", "secret": "s", "bad@": "/etc/passwd"})
    git("branch", "scratch", lab.base, cwd=lab.origin)
    diff, tree = lab.diff({"y": "1"})
    assert lab.apply(diff).tree_sha == tree  # the link that always led out is not this patch's doing

    bent, _ = lab.diff({"d/x": None, "d@": "."})

    with pytest.raises(PatchRefusedError, match="link: the symbolic link leads out"):
        lab.apply(bent)
    with pytest.raises(PatchRefusedError, match="do not allow"):
        lab.apply(lab.diff({"ok@": "y"})[0], PatchRules(allow_symlinks=False))


def new_file(path: str, *, mode: str = "100644", body: str = "+x\n") -> str:
    return f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n{body}"


@pytest.mark.parametrize(
    "diff",
    [
        new_file(".git/config"),
        new_file(".GIT/hooks/x"),
        new_file("a/.g\u200cit/config"),
        new_file("git~1/config"),
        new_file("../out"),
        new_file("/etc/cron.d/x"),
        new_file("a/../../out"),
        new_file("sub", mode="160000", body=f"+Subproject commit {'a' * 40}\n"),
        new_file("device", mode="060000"),
        new_file("dir", mode="040000"),
        new_file("calc.py/inside"),
        "not a diff at all\n",
        "diff --git a/calc.py b/calc.py\n",
        "diff --git a/x b/x\nnew file mode 100644\n\0",
        "diff --git a/calc.py b/calc.py\n--- a/calc.py\n+++ b/calc.py\n@@ -1,2 +1,2 @@\n nonsense\n-x\n+y\n",
        "diff --git a/calc.py b/calc.py\nold mode 100644\nnew mode 120000\n",
        "diff --git a/calc.py b/.git/x\nsimilarity index 100%\nrename from calc.py\nrename to .git/x\n",
        f"diff --git a/z b/z\nnew file mode 100644\nindex {'0' * 40}..{'1' * 40}\nGIT binary patch\nliteral 99999999999999\nzc\n\n",
    ],
)
def test_hostile_diffs_are_refused(lab: Lab, diff: str) -> None:
    with pytest.raises(PatchRefusedError):
        lab.apply(diff)


def test_sizes_and_numbers_are_limited(lab: Lab) -> None:
    diff, _ = lab.diff({f"f{number}": "x" * 1000 for number in range(5)})

    for rules in (
        PatchRules(max_diff_bytes=100),
        PatchRules(max_files=4),
        PatchRules(max_file_bytes=999),
        PatchRules(max_total_bytes=4999),
    ):
        with pytest.raises(PatchRefusedError, match="allowed"):
            lab.apply(diff, rules)


def base85_lines(data: bytes) -> str:
    text = ""
    for at in range(0, len(data), 52):
        chunk = data[at : at + 52]
        size = chr(ord("A") + len(chunk) - 1) if len(chunk) <= 26 else chr(ord("a") + len(chunk) - 27)
        text += size + b85encode(chunk, pad=True).decode() + "\n"
    return text


def test_a_small_diff_that_unpacks_to_gigabytes_is_refused(lab: Lab) -> None:
    base = FILES["data.bin"]
    assert isinstance(base, bytes)
    sha = git("hash-object", "--stdin", cwd=lab.origin, stdin=base).decode().strip()
    copies = 4_000_000  # each instruction copies the whole kilobyte again: about 4 GB
    result_size = copies * len(base)

    def varint(number: int) -> bytes:
        out = b""
        while number >= 0x80:
            out += bytes([number & 0x7F | 0x80])
            number >>= 7
        return out + bytes([number])

    delta = varint(len(base)) + varint(result_size) + bytes([0b10110000, 0x00, 0x04]) * copies
    packed = zlib.compress(delta, 9)
    header = f"diff --git a/data.bin b/data.bin\nindex {sha}..{'1' * 40} 100644\nGIT binary patch\n"
    diff = header + f"delta {len(delta)}\n" + base85_lines(packed) + "\n" + "literal 0\nHcmV?d00001\n\n"
    assert len(diff) < 100_000

    with pytest.raises(PatchRefusedError):
        lab.apply(diff)


def test_a_non_utf8_name_of_base_may_be_changed(tmp_path: Path) -> None:
    lab = Lab(tmp_path, {"\udcff.txt": "1\n"})
    git("branch", "scratch", lab.base, cwd=lab.origin)
    diff, tree = lab.diff({"\udcff.txt": "2\n"})

    patch = lab.apply(diff)

    assert patch.tree_sha == tree
    assert patch.files[0].path == "\\xff.txt"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), cuts=st.integers(1, 6))
def test_a_mangled_diff_is_applied_or_refused_but_nothing_else(lab: Lab, seed: int, cuts: int) -> None:
    diff = (
        new_file("a.py")
        + new_file("b/c.py")
        + new_file("l", mode="120000", body="+calc.py\n\\ No newline at end of file\n")
    )
    dice = random.Random(seed)
    lines = diff.splitlines(keepends=True)
    for _ in range(cuts):
        at = dice.randrange(len(lines))
        lines[at : at + 1] = dice.choice(
            [[], [lines[at]] * 2, [lines[at][::-1]], [lines[at].replace("a", "../")], ["\n"]]
        )
        if not lines:
            break

    try:
        patch = lab.apply("".join(lines))
    except PatchRefusedError:
        return

    assert all(not file.path.startswith(("/", "..", ".git/")) for file in patch.files)
