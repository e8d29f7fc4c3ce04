"""Patch texts of the kind that some models write: read, placed, and refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.tools.v4a import FilePatch, PatchError, added, parsed, patched

TEXT = """class A:
    def f(self):
        return 1

    def g(self):
        return 1


class B:
    def f(self):
        return 1
"""


def one(body: str) -> FilePatch:
    (file,) = parsed(f"*** Begin Patch\n{body}\n*** End Patch\n")
    return file


def test_all_kinds_of_changes_are_read() -> None:
    files = parsed(
        "Here it is:\n*** Begin Patch\n*** Update File: a.py\n*** Move to: b.py\n@@ class A\n x\n-y\n+z\n\n"
        "*** Add File: new/c.txt\n+one\n+\n*** Delete File: d.txt\n*** End Patch\nDone."
    )

    assert [(f.path, f.kind, f.move_to) for f in files] == [
        ("a.py", "update", "b.py"),
        ("new/c.txt", "add", None),
        ("d.txt", "delete", None),
    ]
    assert files[0].hunks[0].old == ["x", "y"]
    assert added(files[1]) == "one\n\n"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("@@ class B:\n@@     def f(self):\n-        return 1\n+        return 2", 10),
        ("@@ class B:\n     def f(self):\n-        return 1\n+        return 2", 10),
        ("     def g(self):\n-        return 1\n+        return 2", 5),
        (" class B:\n     def f(self):\n-        return 1\n+        return 2\n*** End of File", 10),
        ("-        return 1\n+        return 2\n*** End of File", 10),
        (" class B:  \n     def f(self): \n-        return 1\n+        return 2", 10),
        (" def g(self):\n-    return 1\n+    return 2", 5),
    ],
)
def test_a_hunk_finds_its_place(body: str, line: int) -> None:
    after = patched(TEXT, one(f"*** Update File: a.py\n{body}"))

    expected = TEXT.split("\n")
    expected[line] = "        return 2"
    assert after == "\n".join(expected)


def test_several_hunks_go_from_top_to_bottom() -> None:
    body = "     def f(self):\n-        return 1\n+        return 2\n@@\n     def f(self):\n-        return 1\n+        return 3"

    after = patched(TEXT, one(f"*** Update File: a.py\n@@ class A:\n{body}"))

    assert after == TEXT.replace("return 1", "return 2", 1)[::-1].replace("1 nruter", "3 nruter", 1)[::-1]


def test_lines_are_put_in_below_an_anchor_or_at_the_end() -> None:
    assert patched("a\nb\n", one("*** Update File: x\n@@ a\n+new")) == "a\nnew\nb\n"
    assert patched("a\nb", one("*** Update File: x\n+new")) == "a\nb\nnew"
    assert patched("", one("*** Update File: x\n+new")) == "new\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must begin with"),
        ("*** Begin Patch\n*** Update File: a\n x", "must begin with"),
        ("*** Begin Patch\n*** End Patch", "names no file"),
        ("*** Begin Patch\n x\n*** End Patch", "before any file header"),
        ("*** Begin Patch\n*** Update File: a\n*** End Patch", "no change follows"),
        ("*** Begin Patch\n*** Update File: a\nx\n*** End Patch", "must begin with ' '"),
        ("*** Begin Patch\n*** Add File: a\nx\n*** End Patch", "lines begins with '.', but not 'x'"),
        ("*** Begin Patch\n*** Delete File: a\n-x\n*** End Patch", "to be deleted, but"),
        ("*** Begin Patch\n*** Delete File: a\n*** Delete File: a\n*** End Patch", "stands twice"),
    ],
)
def test_a_text_that_is_no_patch_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(PatchError, match=says):
        parsed(text)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("@@ class C:\n-        return 1", "there is no line 'class C:'"),
        ("-        return 1\n+        return 2", r"fits in 3 places \(lines 3, 6, 11\)"),
        ("     def h(self):\n-        return 1", "does not fit: these lines"),
    ],
)
def test_a_hunk_without_one_place_is_refused(body: str, says: str) -> None:
    with pytest.raises(PatchError, match=says):
        patched(TEXT, one(f"*** Update File: a.py\n{body}"))


@given(st.lists(st.text(alphabet="ab \t", max_size=4), min_size=1, max_size=12), st.data())
def test_a_patch_with_the_whole_file_as_context_always_fits(lines: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.integers(0, len(lines) - 1), min_size=1))
    body = "\n".join(("-" if n in gone else " ") + line for n, line in enumerate(lines))
    text = "".join(f"{line}\n" for line in lines)

    after = patched(text, one(f"*** Update File: x\n{body}\n*** End of File"))

    assert after == "".join(f"{line}\n" for n, line in enumerate(lines) if n not in gone)


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        files = parsed(f"*** Begin Patch\n*** Update File: x\n{text}\n*** End Patch")
        for file in files:
            patched("a\nb\nc\n", file)
    except PatchError:
        pass
