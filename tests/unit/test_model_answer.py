"""Decoding: streams put together, events split, leaks found, usage read; hostile input raises nothing."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from coder.model.answer import (
    AnthropicAssembly,
    RawAnswer,
    StreamAssembly,
    estimated_usage,
    judge,
    read_anthropic_body,
    read_openai_body,
    read_usage,
)
from coder.model.leaks import recover_calls
from coder.model.profile import ModelProfile, Prices
from coder.model.sse import EventSplitter
from coder.types import Usage
from tests.servers.model_turns import Shape, Turn, anthropic_events, call, counts, openai_body, openai_chunks

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
PROFILE = ModelProfile(
    name="p",
    model="m",
    route="hosted_vllm",
    api_base="http://x",
    api_key_env="K",
    window_tokens=1000,
    max_output_tokens=100,
    call_ids="functions",
    recover_leaked_calls=True,
    prices=Prices(input=1, cached_input=1, output=1),
)
TEXT = st.text(max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "id",
        "choices",
        "delta",
        "message",
        "content",
        "reasoning",
        "reasoning_content",
        "tool_calls",
        "index",
        "function",
        "name",
        "arguments",
        "usage",
        "finish_reason",
        "type",
        "text",
        "content_block",
        "input",
        "partial_json",
        "thinking",
        "signature",
        "stop_reason",
        "error",
        "prompt_tokens",
        "input_tokens",
        "prompt_tokens_details",
        "cached_tokens",
    ]
)
HOSTILE = st.recursive(
    JSON, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


@CALM
@given(
    content=TEXT,
    reasoning=TEXT,
    arguments=st.lists(st.dictionaries(st.text(max_size=8), TEXT, max_size=3), max_size=4),
    size=st.integers(1, 30),
    shape=st.sampled_from(["plain", "no_index", "same_index", "dup_ids"]),
)
def test_any_split_of_a_stream_gives_the_whole_answer(
    content: str, reasoning: str, arguments: list[dict[str, str]], size: int, shape: Shape
) -> None:
    calls = tuple(call(f"tool{number}", value) for number, value in enumerate(arguments))
    turn = Turn(content=content, reasoning=reasoning, calls=calls, piece_chars=size, shape=shape)
    assembly = StreamAssembly()

    for chunk in openai_chunks(turn, "id", "m", counts(turn, {}, 0)):
        assembly.feed(chunk)

    streamed = assembly.finish()
    whole = read_openai_body(openai_body(turn, "id", "m", counts(turn, {}, 0)))
    assert (streamed.content, streamed.reasoning) == (content, reasoning)
    assert [json.loads(each.arguments) for each in streamed.calls] == arguments
    assert streamed.calls == whole.calls
    assert streamed.usage == whole.usage


@CALM
@given(TEXT, TEXT, st.integers(1, 30))
def test_claudes_blocks_come_out_of_a_stream_byte_for_byte(thought: str, text: str, size: int) -> None:
    blocks = (
        {"type": "thinking", "thinking": thought, "signature": "s=="},
        {"type": "redacted_thinking", "data": "d=="},
    )
    turn = Turn(thinking_blocks=blocks, content=text, calls=(call("t", {"a": text}), call("u", {})), piece_chars=size)
    assembly = AnthropicAssembly()

    for event in anthropic_events(turn, "id", "m", counts(turn, {}, 0)):
        assembly.feed(event)

    answer = assembly.finish()
    assert answer.thinking_blocks == blocks
    assert answer.content == text
    assert [json.loads(each.arguments) for each in answer.calls] == [{"a": text}, {}]
    assert (answer.finish_reason, answer.done) == ("tool_use", True)


@example([{"content": [{"type": []}]}])
@settings(CALM, max_examples=50)
@given(st.lists(st.dictionaries(KEYS, HOSTILE, max_size=5), max_size=4))
def test_hostile_chunks_raise_nothing(chunks: list[dict[str, object]]) -> None:
    for assembly in (StreamAssembly(), AnthropicAssembly()):
        for chunk in chunks:
            assembly.feed(chunk)
            read_usage(chunk)
        judge(assembly.finish(), PROFILE, tool_names={"t"}, taken_ids=set(), calls_before=0)
    for chunk in chunks:
        read_openai_body(chunk)
        read_anthropic_body(chunk)


@CALM
@given(
    st.lists(st.text(max_size=10), max_size=5), st.lists(st.integers(1, 7), min_size=1), st.sampled_from(["\n", "\r\n"])
)
def test_events_are_the_same_however_the_bytes_arrive(texts: list[str], sizes: list[int], end: str) -> None:
    payload = [json.dumps(text, ensure_ascii=False).encode() for text in texts]
    raw = b"".join(b": ping" + end.encode() * 2 + b"data: " + data + end.encode() * 2 for data in payload)
    splitter = EventSplitter()
    out: list[bytes] = []

    position = 0
    while position < len(raw):
        size = sizes[position % len(sizes)]
        out += splitter.feed(raw[position : position + size])
        position += size
    out += splitter.end()

    assert out == payload


def test_an_event_without_its_last_blank_line_still_counts() -> None:
    splitter = EventSplitter()

    assert splitter.feed(b'data: {"a":\ndata: 1}\n\nevent: x\nid: 3\ndata: [DONE]') == [b'{"a":\n1}']
    assert splitter.end() == [b"[DONE]"]


# --- judged -----------------------------------------------------------------------------------------------------------


def judged(raw: RawAnswer, **changes: object) -> tuple[object, ...]:
    out = judge(
        raw, PROFILE.model_copy(update=changes), tool_names={"read"}, taken_ids={"functions.read:0"}, calls_before=1
    )
    return out.message.content, out.message.reasoning_content, out.message.tool_calls, out.finish_reason


def body(**message: object) -> RawAnswer:
    return read_openai_body({"choices": [{"message": message}]})


def test_ids_are_unique_in_the_whole_conversation() -> None:
    function = {"name": "read", "arguments": "{}"}
    raw = body(
        tool_calls=[{"id": "functions.read:0", "function": function}, {"function": function}, {"function": function}]
    )

    calls = judge(raw, PROFILE, tool_names={"read"}, taken_ids={"functions.read:0"}, calls_before=1).message.tool_calls

    assert [each.id for each in calls] == ["functions.read:1", "functions.read:2", "functions.read:3"]


@pytest.mark.parametrize("finish", [None, "length"])
def test_a_call_cut_before_its_arguments_is_not_a_call_without_arguments(finish: str | None) -> None:
    assembly = StreamAssembly()
    delta = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "read", "arguments": ""}}]}
    assembly.feed({"choices": [{"delta": delta, "finish_reason": finish}]})

    assert judged(assembly.finish())[2:] == ((), finish or "cut")


def test_a_tool_is_meant_by_its_bare_name_and_no_name_is_unfit_for_a_history() -> None:
    calls = judged(body(tool_calls=[{"id": str(i), "function": {"name": name}} for i, name in enumerate(NAMES)]))[2]

    assert [each.name for each in calls] == ["read", "read", "_bash__rm", "unknown"]  # type: ignore[attr-defined]  # a tuple of calls


NAMES = ["functions.read:7", " read", "\ud800bash\n rm", ""]


def test_lone_surrogates_of_an_answer_do_not_reach_the_journal() -> None:
    raw = body(
        content="a\ud800",
        reasoning_content="\udfff",
        tool_calls=[{"id": "\ud800", "function": {"name": "read", "arguments": "\ud800"}}],
    )

    judge(raw, PROFILE, tool_names={"read"}, taken_ids=set(), calls_before=0).message.model_dump_json()


def test_an_unclosed_think_tag_is_all_reasoning() -> None:
    assert judged(body(content="<think>never ends"))[:2] == (None, "never ends")


def test_a_think_tag_in_the_middle_is_text() -> None:
    assert judged(body(content="Use <think> like so"))[0] == "Use <think> like so"


def test_arguments_that_came_as_an_object_are_text_again() -> None:
    calls = judged(body(tool_calls=[{"id": "x", "function": {"name": "read", "arguments": {"a": 1}}}]))[2]

    assert [each.arguments for each in calls] == ['{"a": 1}']  # type: ignore[attr-defined]  # a tuple of calls


def test_leaks_are_text_to_a_model_that_does_not_leak() -> None:
    leak = '<|tool_call_begin|>read:0<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|>'

    assert judged(body(content=leak), recover_leaked_calls=False)[2] == ()
    assert judged(body(content=leak))[2] != ()


# --- leaks ------------------------------------------------------------------------------------------------------------

CALL = '<|tool_call_begin|>functions.read:3<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|>'


@pytest.mark.parametrize(
    "text",
    [
        f"x<|tool_calls_section_begin|>{CALL}<|tool_calls_section_end|>",
        f"x<|tool_call_section_begin|>{CALL}<|tool_call_section_end|>",
        f"x{CALL}",
        "x" + CALL.removesuffix("<|tool_call_end|>"),
        "x" + CALL.replace("functions.", "").replace(":3", ""),
        "x" + CALL.replace("functions.read:3", " functions.read:3\n"),
    ],
)
def test_every_form_of_a_leaked_call_is_read(text: str) -> None:
    rest, calls = recover_calls(text, {"read"})

    assert rest == "x"
    assert [(each.name, each.arguments) for each in calls] == [("read", '{"a": 1}')]


def test_two_leaked_calls_are_two_and_a_broken_one_stays_text() -> None:
    broken = CALL.replace('{"a": 1}', '{"a": ')

    rest, calls = recover_calls(CALL + broken + CALL.replace("read", "rm") + CALL, {"read"})

    assert len(calls) == 2
    assert '{"a": ' in rest
    assert "functions.rm" in rest


def test_a_flood_of_tokens_is_read_in_linear_time() -> None:
    rest, calls = recover_calls("<|tool_call_begin|>a" * 50_000 + "<|tool_call_begin|>" + "a" * 200_000, {"a"})

    assert calls == []
    assert len(rest) > 1_000_000


# --- usage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        (None, None),
        ({}, None),
        ({"prompt_tokens": 0, "completion_tokens": 5}, None),
        ({"prompt_tokens": "12"}, None),
        ({"prompt_tokens": 10, "cached_tokens": 99}, Usage(prompt_tokens=10, cached_tokens=10)),
        ({"prompt_tokens": 10, "completion_tokens": -4}, Usage(prompt_tokens=10)),
        (
            {"prompt_tokens": 10, "prompt_tokens_details": None, "prompt_cache_hit_tokens": 3, "completion_tokens": 2},
            Usage(prompt_tokens=10, cached_tokens=3, completion_tokens=2),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 4}},
            Usage(prompt_tokens=10, completion_tokens=5, reasoning_tokens=4),
        ),
        (
            {"input_tokens": 1, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 3, "output_tokens": 4},
            Usage(prompt_tokens=6, cached_tokens=2, cache_write_tokens=3, completion_tokens=4),
        ),
    ],
)
def test_usage_is_read_from_every_place_and_kept_plausible(raw: dict[str, object] | None, usage: Usage | None) -> None:
    assert read_usage(raw) == usage


def test_an_estimate_errs_on_the_dear_side() -> None:
    usage = estimated_usage(request_bytes=4000, answer_bytes=1)

    assert usage.estimated
    assert usage.prompt_tokens >= 1000
    assert usage.completion_tokens == 1
