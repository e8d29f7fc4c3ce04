"""The grammar of comments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.commands import VERBS, Command, Mention, UnknownVerb, parse, visible
from webhooks.options import NAMES, OptionError, Options, split, understood

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
        ("/coder", ""),
        ("/coder.", ""),
        ("/coder deploy now", "deploy"),
        ("/coder fixes", "fixes"),
        ("/coder " + "x" * 500, "x" * 40),
        ("/coder\nfix", ""),
    ],
)
def test_an_unknown_verb_is_named(body: str, verb: str) -> None:
    assert parse(body, HANDLES) == UnknownVerb(verb)


@pytest.mark.parametrize(
    ("body", "leads"),
    [
        ("@coder", True),
        ("thanks @coder!", False),
        ("@coder deploy now", True),
        ("@coder prefix", True),
        ("- @coder: use bcrypt", True),
        ("I think @coder is right", False),
        ("@coder stop using globals", True),
        ("@coder help me with the parser", True),
        ("@coder status codes are wrong", True),
        ("Hm.\n@coder\nuse the other one", True),
    ],
)
def test_without_a_verb_it_is_text(body: str, *, leads: bool) -> None:
    assert parse(body, HANDLES) == Mention(body, leads=leads)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("form", ["/coder {}", "@coder {}", "@Coder, {}", "Hello @coder {} please!", "/coder {}."])
def test_every_verb_is_a_verb(verb: str, form: str) -> None:
    found = parse(form.format(verb), HANDLES)

    assert isinstance(found, Command)
    assert found.verb == verb


def test_what_follows_a_verb_is_taken_apart() -> None:
    assert parse("/coder fix max=$2 the parser model=kimi", HANDLES) == Command(
        "fix", "the parser", {"max": "$2", "model": "kimi"}
    )
    assert parse("@coder continue +$5", HANDLES) == Command("continue", more="$5")
    assert parse("/coder autofix on", HANDLES) == Command("autofix", "on")
    assert parse("/coder revise set max=2\nand also this\n\n`code`", HANDLES) == Command(
        "revise", "set max=2\nand also this"
    )
    assert parse("/coder fix where x=1 is lost", HANDLES) == Command("fix", "where x=1 is lost")


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"max": "$2"}, Options(max_cost_usd=2)),
        ({"max": "2.50"}, Options(max_cost_usd=2.5)),
        ({"attempts": "3"}, Options(attempts=3)),
        ({"steps": "10", "minutes": "5"}, Options(max_steps=10, max_minutes=5)),
        ({"model": "kimi-k2.6", "base": "release/1.2"}, Options(model="kimi-k2.6", base="release/1.2")),
        ({}, Options()),
    ],
)
def test_options_are_understood(given: dict[str, str], options: Options) -> None:
    assert understood(given) == options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max", "0"),
        ("max", "$-1"),
        ("max", "nan"),
        ("max", "1e9"),
        ("max", "9999999"),
        ("steps", "0"),
        ("steps", "1.5"),
        ("steps", "\u0661"),
        ("minutes", "-3"),
        ("model", "../../etc"),
        ("model", "a b"),
        ("base", "../x"),
        ("base", "-x"),
        ("base", "a..b"),
        ("base", "x@{1}"),
        ("base", "x/"),
        ("attempts", "0"),
        ("attempts", "9"),
        ("colour", "red"),
    ],
)
def test_an_option_that_is_none_is_told(name: str, value: str) -> None:
    with pytest.raises(OptionError, match=name):
        understood({name: value})


@given(st.text(max_size=200))
def test_any_argument_is_taken_apart(argument: str) -> None:
    parts = split(argument)

    assert set(parts.given) <= {*NAMES}
    assert len(parts.words) <= len(argument)


@given(st.lists(st.sampled_from(["max=$1", "steps=3", "word", "a=b", "+$4", "model=m"]), max_size=8))
def test_words_between_options_keep_their_order(tokens: list[str]) -> None:
    words = [token for token in tokens if token in {"word", "a=b"}]

    assert [token for token in split(" ".join(tokens)).words.split() if token in {"word", "a=b"}] == words


def test_every_handle_counts_and_is_taken_literally() -> None:
    assert parse("@my-app fix", ("coder", "my-app")) == Command("fix")
    assert parse("@aab fix", ("a.b", "a+b")) is None
    assert parse("@coder fix", ()) is None


@given(st.text(alphabet=st.sampled_from("@coder/ fix`~>\n\t-*<!-.()é1\r"), max_size=200))
def test_any_text_gives_an_answer(body: str) -> None:
    result = parse(body, HANDLES)

    assert result is None or isinstance(result, Command | Mention | UnknownVerb)


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
