"""Which parts of a change are taken out, and what that shows."""

from coder.verify.necessity import Hunk, Necessity, hunks

OLD = "import os\n\n\ndef a():\n    return 1\n\n\ndef b():\n    return 2\n\n\ndef c():\n    return 3\n"


def parts(before: dict[str, str], after: dict[str, str]) -> tuple[Hunk, ...]:
    def reader(files: dict[str, str]) -> object:
        return lambda path: files[path].encode() if path in files else None

    return hunks({*before, *after}, reader(before), reader(after))  # type: ignore[arg-type]  # a lambda is a Read


def test_each_part_is_known_by_its_lines_and_can_be_taken_out_alone() -> None:
    new = OLD.replace("return 1", "return 10").replace("return 3", "return 30")

    first, second = parts({"m.py": OLD}, {"m.py": new})

    assert (str(first), str(second)) == ("m.py:5", "m.py:13")
    assert first.without == OLD.replace("return 3", "return 30").encode()
    assert second.without == OLD.replace("return 1", "return 10").encode()
    assert first.shown == "-    return 1\n+    return 10"


def test_changes_side_by_side_are_one_part() -> None:
    new = OLD.replace("def a():\n    return 1", "def a(x):\n    y = 1\n    return y")

    assert [str(hunk) for hunk in parts({"m.py": OLD}, {"m.py": new})] == ["m.py:4-6"]


def test_a_new_file_is_a_part_and_what_was_only_taken_away_too() -> None:
    found = parts({"m.py": OLD}, {"m.py": OLD.replace("import os\n", ""), "n.py": "x = 1\n"})

    assert [str(hunk) for hunk in found] == ["m.py:1", "n.py (the new file)"]
    assert found[1].without is None


def test_what_can_make_no_difference_is_left_aside() -> None:
    before = {"m.py": OLD, "s.js": "let a = 1;\n"}
    after = {
        "m.py": OLD.replace("def a():", 'def a():\n    """What a is."""\n    # why'),
        "s.js": "// note\nlet a = 1;\n\n",
        "README.md": "text\n",
        "tests/test_m.py": "def test_a(): ...\n",
        "conftest.py": "x = 1\n",
        "logo.bin": "\0\0",
    }

    assert parts(before, after) == ()


def test_a_deleted_file_is_no_part() -> None:
    assert parts({"m.py": OLD}, {}) == ()


def test_what_is_not_needed_is_named_and_offered_once_with_its_lines() -> None:
    hunk = Hunk("m.py", 3, 4, b"", "+    x = 1")

    found = Necessity(tried=3, unneeded=(hunk,), left=2, stopped="no time")

    assert found.lines == (
        "not exercised by any test: m.py:3-4",
        "whether each part is needed was tried for 3 of 5 parts of the change: no time",
    )
    assert "m.py:3-4\n+    x = 1" in found.offer
    assert Necessity(tried=3).offer == ""
    assert Necessity(tried=1, unneeded=(hunk,), whole_suite=False).lines == (
        "not exercised by the proving tests: m.py:3-4",
    )
