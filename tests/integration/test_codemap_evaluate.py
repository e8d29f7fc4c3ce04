"""Cases from a history, and how maps are scored against them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.codemap.evaluate import (
    Case,
    History,
    changed_lines,
    cleaned,
    evaluate,
    is_fix,
    means,
    misses,
    report,
    score,
    touched,
)
from coder.codemap.map import CodeMap
from coder.codemap.parsed import Definition
from coder.errors import InputError

CART = "def add(item):\n    items.append(item)\n\n\ndef total(items):\n    price = sum(items)\n    return price\n"
STEPS: list[tuple[str, dict[str, str]]] = [
    ("Add a cart", {"cart.py": CART, "page.py": "def page():\n    return 1\n", "tests/test_cart.py": "x = 1\n"}),
    (
        "fix(cart): wrong total of a discount (#12)\n\nThe sum is too large.\n\nSigned-off-by: A <a@b>",
        {"cart.py": CART.replace("sum(items)", "sum(items) - 1"), "tests/test_cart.py": "x = 2\n"},
    ),
    ("Fix typo in docs of page", {"page.py": "def page():\n    return 2\n"}),
    ("Fix crash of a new module", {"new.py": "def new():\n    pass\n"}),
    ("Fix crash by rewriting the page", {"page.py": "def page():\n" + "    x = 1\n" * 400}),
    ("Fix only a broken assertion there", {"tests/test_cart.py": "x = 3\n"}),
]


def git(folder: Path, *args: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *args], cwd=folder, capture_output=True, check=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    (root / "tests").mkdir(parents=True)
    git(root, "init", "-q")
    for message, files in STEPS:
        for path, text in files.items():
            (root / path).write_text(text)
        git(root, "add", ".")
        git(root, "commit", "-qm", message)
    return root


@pytest.fixture
def maps(tmp_path: Path) -> Iterator[CodeMap]:
    with CodeMap(tmp_path / "index.db") as opened:
        yield opened


def test_a_case_is_a_fix_of_existing_source_and_of_nothing_else(repository: Path, maps: CodeMap) -> None:
    cases = list(History(repository, maps).cases(10))

    assert [(case.title, dict(case.symbols)) for case in cases] == [
        ("wrong total of a discount", {"cart.py": ("total",)})
    ]
    assert cases[0].message == "fix(cart): wrong total of a discount \n\nThe sum is too large."


def test_a_map_of_the_parent_is_scored(repository: Path, maps: CodeMap) -> None:
    history = History(repository, maps)
    cases = list(history.cases(1))

    scores = evaluate(maps, history, cases)

    assert {name: means(column) for name, column in scores.items()} == {
        name: {"files": 1.0, "symbols": 1.0, "first": 1.0} for name in scores
    }
    assert "message, 1000 tokens" in report(cases, scores)
    assert list(misses(cases, scores)) == []


def test_a_history_without_fixes_says_so(tmp_path: Path, maps: CodeMap) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("x = 1\n")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-qm", "Fix a crash in everything")
    history = History(tmp_path, maps)

    with pytest.raises(InputError, match="no bug fix"):
        evaluate(maps, history, list(history.cases(3)))


@pytest.mark.parametrize("path", ["gone", "."])
def test_what_is_no_repository_is_refused(tmp_path: Path, maps: CodeMap, path: str) -> None:
    with pytest.raises(InputError):
        History(tmp_path / path, maps)


def test_shares_are_counted_by_path_and_by_name_in_its_file() -> None:
    case = Case("s", "m", "t", {"a.py": ("load", "save"), "b.py": ("load",)})

    found = score("c.py\n  1: def load()\na.py\n  4: def load_all()\n  also: 9 save", case)

    assert found.files == 0.5
    assert found.symbols == pytest.approx(1 / 3)
    assert not found.first
    assert score("", case).files == 0
    assert list(misses([case], {"message, 1000 tokens": [found]})) == ["s 0.50 0.33 t | a.py: load, save; b.py: load"]


def test_a_diff_is_read_by_its_old_side() -> None:
    diff = (
        "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -3,2 +3 @@ def f\n-x\n-y\n+z\n@@ -9,0 +9,2 @@\n+p\n+q\n"
        "--- not a head\n++++ nor this\n"
        "diff --git a/gone.py b/gone.py\n--- a/gone.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        "diff --git a/new.py b/new.py\n--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+x\n"
    )

    assert changed_lines(diff) == ({"a.py": [3, 4, 9]}, 9)


def test_the_innermost_definition_counts() -> None:
    found = [Definition(name, "function", first, last, 0, "") for name, first, last in (("A", 1, 9), ("f", 2, 4))]

    assert touched(found, [3]) == ("f",)
    assert touched(found, [3, 8, 20]) == ("A", "f")


@pytest.mark.parametrize(
    ("message", "is_one"),
    [
        ("fix: crash when empty", True),
        ("[core] Fixed a regression in x", True),
        ("Prefix names of folders", False),
        ("Fix typo in a name", False),
        ("Fix flaky tests on Windows", False),
        ("fix #123", False),
        ("Add a feature\n\nfixes #3", False),
    ],
)
def test_a_fix_says_that_it_repairs_code(message: str, *, is_one: bool) -> None:
    assert is_fix(message) is is_one


def test_what_names_the_change_and_not_the_problem_is_cleaned_away() -> None:
    text, title = cleaned("fix(ui)!: no focus (#7)\n\nBody, see https://x/y.\n\nFixes #3\nCo-authored-by: A <a@b>\n")

    assert title == "no focus"
    assert text == "fix(ui)!: no focus \n\nBody, see"


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("Fix #382: Wrong size of an empty cache", "Wrong size of an empty cache"),
        ("Fixed #12 -- Crash in admin", "Fixed  -- Crash in admin"),
        ("[3.1] Fix crash (GH-12) (#13)", "Fix crash"),
    ],
)
def test_a_number_in_front_takes_no_words_along(message: str, title: str) -> None:
    assert cleaned(f"{message}\n\nFixes #382, #383.\nReported-by: B\n")[1] == title
