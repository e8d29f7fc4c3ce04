import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.workspace.policy import PROTECTED, collisions, escaping_links, is_git_name, matches, path_problem, shown


@pytest.mark.parametrize(
    "name",
    [
        ".git",
        ".GIT",
        ".gIt",
        ".g\u200cit",
        "\ufeff.git",
        ".git ",
        ".git.",
        "git~1",
        "GIT~2",
        ".git::$INDEX_ALLOCATION",
        ".git:x",
        ".\uff47\uff49\uff54",
    ],
)
def test_git_is_seen_in_every_disguise(name: str) -> None:
    assert is_git_name(name)
    assert path_problem(f"a/{name}/config".encode()) is not None
    assert path_problem(f"a\\{name}\\config".encode()) is not None


@pytest.mark.parametrize("name", [".gitignore", ".github", "git", "gitx~1", ".git2", "digit"])
def test_neighbours_of_git_are_not_git(name: str) -> None:
    assert not is_git_name(name)
    assert path_problem(name.encode()) is None


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/etc/passwd",
        b"a/../b",
        b"..",
        b"./a",
        b"a//b",
        b"C:\\x",
        b"c:x",
        b"a\nb",
        b"a\x1b[31m",
        b"a\x00b",
        b"\xff.py",
        "a\u202eb".encode(),
        b"x" * 256,
        b"a/" * 600 + b"a",
        "a\u2028b".encode(),
        b"a\x7f",
    ],
)
def test_bad_paths_are_refused(path: bytes) -> None:
    assert path_problem(path) is not None


@pytest.mark.parametrize("path", ["src/a b.py", "ü/日本.md", "a-b_c.d+e@f", "x" * 255, "emoji/🚀.txt", "...", "-rf"])
def test_ordinary_paths_are_fine(path: str) -> None:
    assert path_problem(path.encode()) is None


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/ci.yml",
        ".GitHub/Workflows/x/y",
        "CODEOWNERS",
        "docs/codeowners",
        ".github/CODEOWNERS",
        "action.yml",
        "sub/action.yaml",
        ".coder.yml",
        ".github/coder.yml",
    ],
)
def test_protected_places_are_found(path: str) -> None:
    assert matches(PROTECTED, path)


@pytest.mark.parametrize(
    "path",
    ["workflows/ci.yml", ".github/workflows", "reaction.yml", "CODEOWNERS.md", "src/a.py", ".githubX/workflows/a"],
)
def test_other_places_are_not(path: str) -> None:
    assert not matches(PROTECTED, path)


def test_a_star_stays_in_its_folder() -> None:
    assert matches(["src/*.py"], "src/a.py")
    assert not matches(["src/*.py"], "src/b/a.py")
    assert matches(["src/**/a.py"], "src/a.py")
    assert matches(["**/*.pem"], "x/y/z.pem")


def test_names_that_collide_elsewhere() -> None:
    assert collisions([b"README.MD"], [b"readme.md", b"README.MD"])
    assert collisions([b"Src/b.py"], [b"src/a.py", b"Src/b.py"])
    assert collisions(["é.py".encode()], ["e\u0301.py".encode(), "é.py".encode()])
    assert not collisions([b"src/b.py"], [b"src/a.py", b"src/b.py"])
    assert not collisions([b"new.py"], [b"A.py", b"a.py", b"new.py"])


def test_links_are_walked_as_the_kernel_does() -> None:
    links = {
        b"ok": b"src/a.py",
        b"src/up": b"../README",
        b"out": b"../x",
        b"abs": b"/etc/passwd",
        b"git": b".git/config",
        b"deep/in/dir": b"../../src",
        b"sneaky": b"deep/in/dir/../../x",
        b"deep/in/fine": b"dir/a.py",
        b"loop1": b"loop2",
        b"loop2": b"loop1",
        b"via": b"out/y",
        b"empty": b"",
        b"back": b"a\\..\\..\\b",
        b"self": b".",
    }

    assert escaping_links(links) == {b"out", b"abs", b"git", b"sneaky", b"loop1", b"loop2", b"via", b"empty", b"back"}


@given(st.binary(max_size=60))
def test_any_bytes_can_be_shown_on_one_line(path: bytes) -> None:
    assert shown(path).isprintable() or not any(ord(char) < 32 for char in shown(path))
