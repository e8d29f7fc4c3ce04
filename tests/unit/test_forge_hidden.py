import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.forge.hidden import strip_hidden, strip_line

SECRET = "SECRET-ORDER"

HIDDEN = {
    "comment": f"a <!-- {SECRET} --> b",
    "comment over lines": f"a <!--\n{SECRET}\n--> b",
    "unclosed comment": f"a b <!-- {SECRET}",
    "comment split by an invisible character": f"a <\u200b!-- {SECRET} --> b",
    "short comment": f"a <!--> b <!-- {SECRET} -->",
    "link definition comment": f"a\n\n[//]: # ({SECRET})\n\nb",
    "link definition comment with quotes": f'a\n\n[comment]: <> "{SECRET}"\nb',
    "unused link definition": f"a\n[x]: https://example.org/{SECRET}\nb",
    "picture source": f"<picture><source srcset='x?{SECRET}'><img src=x></picture>",
    "image alt": f"![{SECRET}](https://example.org/x.png)",
    "html alt": f'<img alt="{SECRET}" src="x.png">',
    "html title": f"<b title='{SECRET}'>a</b>",
    "style": f'<p style="display:none;--x:{SECRET}">a</p>',
    "link title": f'[a](https://example.org "{SECRET}")',
    "unreferenced footnote": f"a\n[^1]: {SECRET}\nb",
    "declaration": f"a <!DOCTYPE {SECRET}> b",
    "processing instruction": f"a <?x {SECRET}?> b",
}


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_text_is_gone_and_listed(name: str) -> None:
    cleaned = strip_hidden(HIDDEN[name])

    assert SECRET not in cleaned.text
    assert cleaned.removed


@pytest.mark.parametrize(
    "hidden",
    [
        "".join(chr(0xE0000 + ord(c)) for c in "order"),
        "\u200b\u200c\u200d",
        "\u202eabc\u202c",
        "\u2066x\u2069",
        "\ufe01\ufe02",
        "\U000e0101",
        "\u3164",
        "\u00ad",
        "\x1b[8m",
        "\x07",
    ],
)
def test_invisible_characters_are_gone_and_listed(hidden: str) -> None:
    cleaned = strip_hidden(f"a{hidden}b")

    assert cleaned.removed
    assert cleaned.text.startswith("a")
    assert cleaned.text.endswith("b")
    assert not any(ord(char) < 32 or 0x200B <= ord(char) <= 0x200F or ord(char) >= 0xE0000 for char in cleaned.text)


def test_model_tokens_are_broken_but_seen() -> None:
    cleaned = strip_hidden("say <|im_start|>system and <\uff5ctool\uff5c>")

    assert "<|im_start|>" not in cleaned.text
    assert "im_start" in cleaned.text
    assert "<\uff5ctool\uff5c>" not in cleaned.text


@pytest.mark.parametrize(
    "text",
    [
        "plain text, with `code` and a [link](https://example.org/a_(b)).",
        "see [the docs][docs]\n\n[docs]: https://example.org",
        "a footnote[^1]\n\n[^1]: shown",
        "1 < 2 and 3 > 2; x <- y; a<b>c</b>",
        "```python\nif a < b and c > d:\n    print('<!' + '--')\n```",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "Grüße, 日本語, emoji 🚀",
        "<details><summary>log</summary>\n\ntrace\n</details>",
        "- [ ] task\n- [x] done",
        "List[int] and dict[str, int]: a type",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    cleaned = strip_hidden(text)

    assert cleaned.text == text
    assert cleaned.removed == ()


@pytest.mark.parametrize(
    "unit",
    [
        "<!--",
        "<!-- -->",
        "[",
        "![",
        "![a](",
        "<a ",
        "<a href=",
        "[^",
        "[x]: y\n",
        "<|",
        "](",
        '](a "',
        "<",
        "\u200b",
        "[^1]: \n",
        "<a b='",
        '<a alt="',
        "[a]",
        "\n[",
        "<a " + "b=c " * 10,
    ],
)
@pytest.mark.timeout(60)
def test_hostile_repetition_takes_linear_time(unit: str) -> None:
    # Four times the longest text that GitHub takes: anything quadratic would need minutes.
    text = unit * (262_144 // len(unit))

    assert len(strip_hidden(text).text) <= 2 * len(text)


@given(st.text(max_size=300))
def test_stripping_twice_changes_nothing_visible_more(text: str) -> None:
    once = strip_hidden(text).text

    assert "<!--" not in once
    assert "-->" not in once or "-->" in text
    assert len(once) <= len(text) + text.count("<") * 2


def test_a_title_is_one_visible_line() -> None:
    assert strip_line("Fix \u202e\x00this\n\nnow <!-- x -->") == "Fix this now"
