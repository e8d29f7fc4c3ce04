import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.publish.inert import fenced, inert, inline_code, one_line, plain_line, quoted, visible

LIVE = re.compile(
    r"@[A-Za-z0-9_\[-]"
    r"|#\d|\bGH-\d|/(?:issues|pulls?|discussions)/\d"
    r"|(?m:^[ \t>*+-]*/[A-Za-z])"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
    "|[\u202a-\u202e\u2066-\u2069\ufeff]",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]8;;https://evil\x07click\x1b]8;;\x1b\\ me", "click me"),
        ("\x1b]0;title never ended\nnext line stays", "\nnext line stays"),
        ("\x1b(Bplain\x1b7\x1bc", "plain"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("if (x\u202e\u2066) \u200b\u200dy\ufeff\u00ad", "if (x) y"),
        ("tag\U000e0041\U000e007f vs\ufe0f nul\x00 bell\x07", "tag vs nul bell"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        ("tab\tand\nnewline, ümlaut, 漢字, 🎉", "tab\tand\nnewline, ümlaut, 漢字, 🎉"),
    ],
)
def test_only_what_can_be_seen_stays(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_removing_hidden_characters_never_makes_a_new_escape() -> None:
    assert "\x1b" not in visible("\x1b\x1b[3\x1b[31m1m\x1b\u200b[31m")


@pytest.mark.parametrize(
    "text",
    [
        "@torvalds please look",
        "(@org/team)",
        "@\u200b\u202eadmin",
        "Fixes #1",
        "closes: owner/repo#12",
        "resolve GH-3",
        "Fixes https://github.com/o/r/issues/5",
        "fixed https://github.com/o/r/pull/6",
        "/merge",
        "   /approve now",
        "> /lgtm",
        "@dependabot[bot] merge",
        "&#64;admin and &commat;admin",
        "<!-- marker --><details><img src=x onerror=y>",
        "</details><script>",
        "![pixel](https://evil/x.png)",
    ],
)
def test_nothing_that_github_acts_on_is_live(text: str) -> None:
    for made in (inert(text), quoted(text), one_line(text)):
        assert not LIVE.search(made)
        assert not re.search(r"<[A-Za-z/!?]|&(?!amp;|lt;)[#A-Za-z]|!\[", made)
    for made in (fenced(text), inline_code(text), plain_line(text)):
        assert not LIVE.search(made)


def test_ordinary_prose_is_kept() -> None:
    text = "Use `a < b`, List[int] -> str & more; mail me @ noon, C# and 5/6."

    assert inert(text) == text


@given(st.text(max_size=200))
def test_any_text_becomes_inert_and_stays_so(text: str) -> None:
    once = inert(text)

    assert not LIVE.search(once)
    assert inert(once.replace("&amp;", "&").replace("&lt;", "<")) == once or "&" in text


@given(st.text(alphabet="`~ a\n", max_size=120))
def test_a_fence_is_longer_than_any_inside(text: str) -> None:
    lines = fenced(text, "text").split("\n")

    fence = lines[-1]
    assert set(fence) == {"`"}
    assert lines[0] == f"{fence}text"
    assert all(fence not in line for line in lines[1:-1])


@given(st.text(alphabet="`| a\n\\", max_size=60))
def test_inline_code_is_one_line_and_never_splits_a_table_cell(text: str) -> None:
    code = inline_code(text)

    assert "\n" not in code
    assert not re.search(r"(?<!\\)\|", code)


def test_a_quote_keeps_everything_inside_it() -> None:
    made = quoted("## Proof\n```\nnever closed\n\n# Fake")

    assert all(line.startswith(">") for line in made.split("\n"))


@pytest.mark.parametrize(
    ("text", "expected"), [("## Fix: a\n b", "Fix: a b"), ("- x", "x"), ("-x", "-x"), ("> > y", "y")]
)
def test_a_title_is_one_line_without_markers(text: str, expected: str) -> None:
    assert plain_line(text) == expected


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", ["\x1b]", "\x1b[1;", "\x1b", "@a", "#1", "`", "/a\n", "&a", " /", "\n", "<!--", "- "])
def test_a_megabyte_made_to_hurt_is_no_trouble(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))

    for make in (inert, fenced, inline_code, one_line):
        assert isinstance(make(text), str)
