"""The grammar of comments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.commands import Command, UnknownVerb, parse, visible

HANDLES = ("coder",)


@pytest.mark.parametrize(
    ("body", "argument"),
    [
        ("@coder fix", ""),
        ("/coder fix", ""),
        ("@CoDeR FIX", ""),
        ("  @coder fix this please  ", "this please"),
        ("Hello @coder, fix the parser", "the parser"),
        ("@coder: fix", ""),
        ("@coder fix.", ""),
        ("(@coder fix)", ""),
        ("**Please** @coder fix", ""),
        ("intro\n\n@coder fix it\n\noutro", "it"),
        ("@coder fix\r\nmore", ""),
        ("> quoted\n\n@coder fix", ""),
        ("```\ncode\n```\n@coder fix", ""),
        ("~~~\n```\n~~~\n@coder fix", ""),
        ("`code` @coder fix", ""),
        ("a stray ` tick\n\n@coder fix", ""),
        ("<!-- note --> @coder fix", ""),
        ("- item\n- @coder fix", ""),
        ("@coder thanks, and @coder fix", ""),
        ("@coder hm\n@coder fix", ""),
        ("@coder\tfix\tnow", "now"),
    ],
)
def test_a_request_is_understood(body: str, argument: str) -> None:
    assert parse(body, HANDLES) == Command("fix", argument)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "fix",
        "coder fix",
        "> @coder fix",
        "  > @coder fix",
        "> quoted\n@coder fix",
        "> a\n> b\nlazy\n@coder fix",
        "- > @coder fix",
        "```\n@coder fix\n```",
        "```\n@coder fix",
        "```sh\n@coder fix\n``\n```",
        "````\n```\n@coder fix\n````",
        "~~~\n@coder fix\n~~~",
        "- ```\n  @coder fix\n  ```",
        "1. ~~~\n   @coder fix\n   ~~~",
        "    @coder fix",
        "\t@coder fix",
        "`@coder fix`",
        "``a ` @coder fix``",
        "`over\n@coder fix\nlines`",
        "<!-- @coder fix -->",
        "<!-- @coder fix",
        "x<!-- -->@coder fix",
        "<pre>@coder fix</pre>",
        "<code>@coder fix</code>",
        "<blockquote>\n@coder fix\n</blockquote>",
        "<!--->@coder fix",
        "me@coder fix",
        "me@coder.com fix",
        "@coder.com fix",
        "@coder-bot fix",
        "@coder_bot fix",
        "@coders fix",
        "@coder/team fix",
        "@@coder fix",
        "-@coder fix",
        "é@coder fix",
        "x/coder fix",
        "https://example.com/coder fix",
        "//coder fix",
        "@coder\u200b fix",
        "@\u0441oder fix",
        "\uff20coder fix",
    ],
)
def test_what_is_not_said_to_us_is_no_command(body: str) -> None:
    assert parse(body, HANDLES) is None


@pytest.mark.parametrize(
    ("body", "verb"),
    [
        ("@coder", ""),
        ("@coder.", ""),
        ("thanks @coder!", ""),
        ("@coder deploy now", "deploy"),
        ("/coder fixes", "fixes"),
        ("@coder prefix", "prefix"),
        ("@coder " + "x" * 500, "x" * 40),
        ("@coder\nfix", ""),
    ],
)
def test_an_unknown_verb_is_named(body: str, verb: str) -> None:
    assert parse(body, HANDLES) == UnknownVerb(verb)


def test_every_handle_counts_and_is_taken_literally() -> None:
    assert parse("@my-app fix", ("coder", "my-app")) == Command("fix")
    assert parse("@aab fix", ("a.b", "a+b")) is None
    assert parse("@coder fix", ()) is None


@given(st.text(alphabet=st.sampled_from("@coder/ fix`~>\n\t-*<!-.()é1\r"), max_size=200))
def test_any_text_gives_an_answer(body: str) -> None:
    result = parse(body, HANDLES)

    assert result is None or isinstance(result, Command | UnknownVerb)


@given(st.text(max_size=100))
def test_a_quoted_request_never_counts(text: str) -> None:
    quoted = "\n".join("> " + line for line in (text + "\n@coder fix").splitlines())

    assert parse(quoted, HANDLES) is None


@given(st.text(alphabet=st.characters(exclude_characters="`~\r", exclude_categories=["Cs"]), max_size=100))
def test_a_fenced_request_never_counts(text: str) -> None:
    assert parse(f"````\n{text}\n@coder fix\n````", HANDLES) is None


@given(st.text(alphabet=st.characters(exclude_characters="`~<>\r", exclude_categories=["Cs"]), max_size=100))
def test_a_request_behind_a_blank_line_counts(text: str) -> None:
    assert isinstance(parse(f"{text}\n\n@coder fix", HANDLES), Command)


@pytest.mark.timeout(20)  # quadratic work on such a body takes minutes
@pytest.mark.parametrize(
    "unit",
    [
        "@coder x ",
        "`",
        "``` ",
        "```\n",
        "> a\n",
        "<!--",
        "<pre>",
        "<pre></pre>",
        "@",
        "- ",
        "1. ",
        "\n",
        " ",
        "@coder,",
        "`a``b",
        "\\`",
    ],
)
def test_the_largest_body_is_no_burden(unit: str) -> None:
    body = (unit * 70_000)[:65_536]

    parse(body, HANDLES)

    assert len(visible(body)) <= 2 * len(body) + 10
