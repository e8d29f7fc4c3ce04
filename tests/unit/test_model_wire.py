"""Encoding: history rules, schemas, arguments, text."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coder.model.arguments import parse_arguments, valid_arguments
from coder.model.profile import ModelProfile
from coder.model.profiles import read_profile
from coder.model.text import neutral, neutral_json, sound
from coder.model.wire import NO_RESULT, HistoryEncoder, encode_messages, encode_tools, paired, strict_schema
from coder.types import JsonObject, Message, ToolCall, ToolSpec

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
SHIPPED = Path(__file__).parents[2] / "configs" / "models"


@pytest.fixture
def kimi() -> ModelProfile:
    return read_profile(SHIPPED / "kimi-k2-thinking.toml")


def assistant(*ids: str, content: str | None = None) -> Message:
    calls = tuple(ToolCall(id=call_id, name="read", arguments="{}") for call_id in ids)
    return Message(role="assistant", content=content, tool_calls=calls)


def tool(call_id: str) -> Message:
    return Message(role="tool", tool_call_id=call_id, name="read", content=f"result {call_id}")


USER = Message(role="user", content="go")


# --- pairing ----------------------------------------------------------------------------------------------------------


def test_results_follow_their_calls_in_call_order() -> None:
    messages = [USER, assistant("a", "b"), tool("b"), tool("a"), USER]

    assert paired(messages) == [USER, assistant("a", "b"), tool("a"), tool("b"), USER]


def test_a_missing_result_is_supplied_and_an_orphan_dropped() -> None:
    messages = [tool("z"), USER, assistant("a", "b"), tool("b"), tool("b"), tool("c")]

    out = paired(messages)

    assert [(message.role, message.tool_call_id) for message in out] == [
        ("user", None),
        ("assistant", None),
        ("tool", "a"),
        ("tool", "b"),
    ]
    assert out[2].content == NO_RESULT


def test_an_assistant_message_that_says_nothing_is_dropped() -> None:
    assert paired([USER, assistant(content=" \n"), USER]) == [USER, USER]


@st.composite
def _conversations(draw: st.DrawFn) -> list[Message]:
    kinds = st.sampled_from(["user", "call", "text", "result", "stray"])
    messages: list[Message] = []
    for number, kind in enumerate(draw(st.lists(kinds, max_size=12))):
        messages.append(
            {
                "user": USER,
                "call": assistant(f"{number}a", f"{number}b"),
                "text": assistant(content="text"),
                "result": tool(f"{number - 1}b"),
                "stray": tool("stray"),
            }[kind]
        )
    return messages


@CALM
@given(_conversations())
def test_every_call_has_exactly_one_result_right_behind_it(messages: list[Message]) -> None:
    waiting: list[str] = []
    for message in paired(messages):
        if message.role == "tool":
            assert message.tool_call_id == waiting.pop(0)
        else:
            assert waiting == []
            waiting = [call.id for call in message.tool_calls]
    assert waiting == []
    assert paired(paired(messages)) == paired(messages)


# --- history ----------------------------------------------------------------------------------------------------------


def test_empty_texts_never_reach_the_wire(kimi: ModelProfile) -> None:
    messages = [Message(role="user", content=" "), assistant("a"), Message(role="tool", tool_call_id="a", content="")]

    encoded = encode_messages(messages, kimi)

    assert encoded[0]["content"] == encoded[2]["content"] == "(no output)"
    assert "content" not in encoded[1]


@CALM
@given(_conversations())
def test_a_longer_conversation_begins_with_the_shorter_one(messages: list[Message]) -> None:
    profile = read_profile(SHIPPED / "kimi-k2-thinking.toml")
    encoder = HistoryEncoder(profile)
    turns = [messages[:end] for end in range(len(messages) + 1) if not _is_open(messages, end)]

    encoded = [encoder.encode(turn, "run") for turn in turns]

    assert [json.loads(text) for text in encoded] == [encode_messages(turn, profile) for turn in turns]
    assert all(longer.startswith(shorter[:-1]) for shorter, longer in pairwise(encoded))


def _is_open(messages: list[Message], end: int) -> bool:
    """Whether results may still come for the calls at `end`."""
    return end < len(messages) and messages[end].role == "tool"


def test_a_rewritten_history_is_encoded_anew(kimi: ModelProfile) -> None:
    encoder = HistoryEncoder(kimi)
    encoder.encode([USER, assistant("a"), tool("a"), USER], "run")
    reduced = [USER, Message(role="user", content="summary")]

    assert json.loads(encoder.encode(reduced, "run")) == encode_messages(reduced, kimi)
    assert json.loads(encoder.encode([USER], "another run")) == encode_messages([USER], kimi)


# --- schemas ----------------------------------------------------------------------------------------------------------


def test_tools_are_sorted_and_their_schemas_strict() -> None:
    loose = {
        "properties": {"mode": {"enum": [1, 2]}, "list": {"items": {"properties": {"x": {}}}}, "any": {"anyOf": [{}]}}
    }
    tools = [ToolSpec(name=name, description=name, parameters=loose) for name in ("b", "a")]

    encoded = encode_tools(tools)

    assert [each["function"]["name"] for each in encoded] == ["a", "b"]
    assert encoded[0]["function"]["parameters"] == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "mode": {"enum": [1, 2], "type": "integer"},
            "list": {
                "type": "array",
                "items": {"type": "object", "additionalProperties": False, "properties": {"x": {"type": "string"}}},
            },
            "any": {"anyOf": [{"type": "string"}]},
        },
    }
    assert loose["properties"]["mode"] == {"enum": [1, 2]}


def test_a_free_form_object_stays_free_and_a_property_may_be_called_like_a_keyword() -> None:
    assert strict_schema({"type": "object"}) == {"type": "object"}
    assert strict_schema({"type": "object", "properties": {"items": {}, "enum": {}}})["properties"] == {
        "items": {"type": "string"},
        "enum": {"type": "string"},
    }


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('{"a": "x\ny\tz"}', {"a": "x\ny\tz"}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ("", {}),
        (" \n", {}),
        ('{"a": 1', None),
        ("[1]", None),
        ("null", None),
        ("[" * 100_000, None),
        ('{"a": 1} trailing', None),
    ],
)
def test_arguments_are_read_leniently_but_never_completed(text: str, value: object) -> None:
    assert parse_arguments(text) == value


@CALM
@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none(), min_size=1), st.data())
def test_truncated_arguments_never_parse(value: dict[str, object], data: st.DataObject) -> None:
    text = json.dumps(value)
    cut = data.draw(st.integers(min_value=1, max_value=len(text) - 1))

    assert parse_arguments(text[:cut]) is None
    assert parse_arguments(text) == value


@CALM
@given(st.text())
def test_the_history_gets_a_json_object_whatever_was_written(text: str) -> None:
    assert isinstance(json.loads(neutral_json(valid_arguments(text))), dict)


def test_a_valid_object_is_kept_to_the_byte() -> None:
    text = '{ "b":1,  "a" : "\\u00e9" }'

    assert valid_arguments(text) == text


# --- text -------------------------------------------------------------------------------------------------------------


@CALM
@given(st.text(st.characters(codec=None), max_size=200))
def test_sound_text_can_be_encoded_and_good_text_is_untouched(text: str) -> None:
    out = sound(text)

    out.encode("utf-8")
    assert "\0" not in out
    if "\0" not in text and text.isprintable():
        assert out == text


@pytest.mark.parametrize(
    "token", ["<|im_end|>", "<|tool_call_begin|>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "<<|im_end|>"]
)
def test_control_tokens_are_broken_visibly(token: str) -> None:
    assert token not in neutral(f"a {token} b")
    assert neutral(f"a {token} b").replace("< ", "<") == f"a {token} b"


@pytest.mark.parametrize("code", ["a <| b |> c", "x <|> y", "if (a<b||c>d)", "<||>", "<a|b>"])
def test_code_that_only_looks_like_a_token_is_untouched(code: str) -> None:
    assert neutral(code) == code


def test_breaking_tokens_in_json_keeps_its_value() -> None:
    text = json.dumps({"a": "<|im_end|> \\<|x|>"})

    assert "<|" not in neutral_json(text)
    assert json.loads(neutral_json(text)) == json.loads(text)


def test_claude_is_not_sent_the_sealed_thoughts_of_another_model() -> None:
    sealed: JsonObject = {"type": "reasoning", "id": "rs_1", "encrypted_content": "x"}
    signed: JsonObject = {"type": "thinking", "thinking": "hm", "signature": "s"}
    claude = read_profile(SHIPPED / "claude-sonnet-4-5.toml")

    def sent(*blocks: JsonObject) -> object:
        message = Message(role="assistant", content="hi", thinking_blocks=blocks)
        return encode_messages([USER, message], claude)[1].get("thinking_blocks")

    assert sent(sealed) is None
    assert sent(sealed, signed) == [signed]
