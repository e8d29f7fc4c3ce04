"""What `.gitattributes` says of files, as GitHub reads it."""

import pytest

from coder.codemap.attributes import linguist_lines, rules, said


@pytest.mark.parametrize(
    ("line", "path", "expected"),
    [
        ("*.gen.go linguist-generated", "a/b/x.gen.go", {"generated": True}),
        ("*.gen.go linguist-generated=true text", "x.gen.go", {"generated": True}),
        ("*.gen.go linguist-generated", "x.go", {}),
        ("docs/* linguist-documentation", "docs/a.py", {"documentation": True}),
        ("docs/* linguist-documentation", "docs/deep/a.py", {}),
        ("docs/** linguist-documentation", "docs/deep/a.py", {"documentation": True}),
        ("/lib linguist-vendored", "lib", {"vendored": True}),
        ("lib/** linguist-vendored", "other/lib/a.py", {}),
        ("**/lib/** linguist-vendored", "other/lib/a.py", {"vendored": True}),
        ("a/**/z.py -linguist-vendored", "a/z.py", {"vendored": False}),
        ("a/**/z.py linguist-vendored=false", "a/b/c/z.py", {"vendored": False}),
        ("v?n[a-d].c linguist-vendored", "x/vinc.c", {"vendored": True}),
        ("# *.py linguist-vendored", "a.py", {}),
        ("*.py text eol=lf linguist-language=Java", "a.py", {}),
        ("linguist-vendored", "linguist-vendored", {}),
        ("", "", {}),
    ],
)
def test_a_line_is_of_the_paths_that_it_fits(line: str, path: str, expected: dict[str, bool]) -> None:
    assert said(rules({"": line}), path) == expected


def test_the_last_line_and_the_innermost_file_win() -> None:
    found = rules(
        {
            "web/": "keep.js -linguist-vendored\n*.css !linguist-vendored",
            "": "*.js linguist-vendored\n*.css linguist-vendored\n*.js linguist-generated\n*.js -linguist-generated",
        }
    )

    assert said(found, "a.js") == {"vendored": True, "generated": False}
    assert said(found, "web/keep.js") == {"vendored": False, "generated": False}
    assert said(found, "web/a.css") == {}
    assert said(found, "a.css") == {"vendored": True}


def test_lines_that_say_nothing_here_are_dropped() -> None:
    assert (
        linguist_lines("*.py text\n*.go linguist-generated\n" + "x" * 400 + " linguist-generated")
        == "*.go linguist-generated"
    )


def test_patterns_that_are_made_to_take_long_take_no_time() -> None:
    hostile = "\n".join(
        ["*a" * 60 + "b linguist-vendored", "**/" * 40 + "b linguist-vendored", "[" * 50 + " linguist-vendored"] * 900
    )

    found = rules({"": hostile})
    for number in range(20):
        said(found, "a" * 200 + f"/{number}/" + "a" * 200)

    assert len(found) <= 500
