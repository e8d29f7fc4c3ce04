"""OpenAI's Responses dialect over the wire, through the real litellm, against a server that stores nothing."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coder.errors import ConfigError, ContextOverflowError
from coder.model.litellm_client import LitellmClient
from coder.model.loop import LoopThread
from coder.model.profiles import read_profile, with_overrides
from coder.model.protocol import CompletionRequest
from coder.types import Completion, Message, ToolSpec
from tests.servers.model import ModelServer
from tests.servers.model_turns import JsonObject, Turn, call, fault

PROFILES = Path(__file__).parents[2] / "configs" / "models"
READ = ToolSpec(name="read", description="Read.", parameters={"type": "object", "properties": {"path": {}}})
OPENING = (Message(role="system", content="You fix bugs."), Message(role="user", content="Fix the bug."))
TWO = (call("read", {"path": "a"}, "call_a"), call("read", {"path": "b"}, "call_b"))


@pytest.fixture(scope="module")
def loop() -> Iterator[LoopThread]:
    with LoopThread() as loop:
        yield loop


@pytest.fixture
def client(loop: LoopThread) -> Callable[..., LitellmClient]:
    def make(server: ModelServer, name: str = "gpt-5-responses") -> LitellmClient:
        profile = with_overrides(read_profile(PROFILES / f"{name}.toml"), api_base=server.base_url)
        return LitellmClient(profile, "sk-0123456789", loop=loop, sleep=lambda _: None, jitter=lambda: 0.0)

    return make


def ask(model: LitellmClient, history: list[Message]) -> Completion:
    return model.complete(CompletionRequest(tuple(history), (READ,), 4000, 30, "run-1"))


def answered(completion: Completion) -> list[Message]:
    """The answer and its results, the last one first."""
    calls = completion.message.tool_calls
    results = [Message(role="tool", content=f"result of {c.id}", name=c.name, tool_call_id=c.id) for c in calls]
    return [completion.message, *reversed(results)]


def kinds(items: list[JsonObject]) -> list[str]:
    return [item.get("type") or item["role"] for item in items]


def test_sealed_reasoning_goes_back_as_it_came_right_before_what_it_led_to(
    client: Callable[..., LitellmClient],
) -> None:
    turns = [Turn(reasoning=f"thought {n}", content="I look." if n else None, calls=TWO) for n in range(3)]
    turns = [
        Turn(reasoning=t.reasoning, content=t.content, calls=tuple({**c, "id": f"{c['id']}{n}"} for c in t.calls))
        for n, t in enumerate(turns)
    ]

    with ModelServer(turns, strictness="responses") as server, client(server) as model:
        history = list(OPENING)
        for _ in turns:
            history += answered(ask(model, history))
        bodies = [request.body for request in server.requests]
        paths = {request.path for request in server.requests}

    two = ["function_call", "function_call", "function_call_output", "function_call_output"]
    assert paths == {"/v1/responses"}
    assert kinds(bodies[2]["input"]) == ["system", "user", "reasoning", *two, "reasoning", "assistant", *two]
    assert bodies[2]["input"][2]["encrypted_content"] == "sealed(thought 0)"
    assert bodies[2]["input"][: len(bodies[1]["input"])] == bodies[1]["input"]
    assert bodies[2]["max_output_tokens"] == 4000
    assert bodies[2]["reasoning"] == {"effort": "high"}
    assert bodies[2]["prompt_cache_key"] == "run-1"


def test_several_thoughts_in_one_answer_keep_their_places(client: Callable[..., LitellmClient]) -> None:
    def item(number: int) -> JsonObject:
        return {"type": "reasoning", "id": f"rs_{number}", "summary": [], "encrypted_content": f"x{number}"}

    def made(call_id: str) -> JsonObject:
        return {"type": "function_call", "id": "fc", "call_id": call_id, "name": "read", "arguments": "{}"}

    output = (item(1), made("call_a"), item(2), made("call_b"))

    with ModelServer([Turn(thinking_blocks=output), Turn(content="ok")]) as server, client(server) as model:
        history = [*OPENING, *answered(ask(model, list(OPENING)))]
        ask(model, history)
        sent = server.requests[1].body["input"][2:]

    assert kinds(sent)[:4] == ["reasoning", "function_call", "reasoning", "function_call"]
    assert [item["call_id"] for item in sent[4:]] == ["call_a", "call_b"]
    assert "id" not in sent[1]


@pytest.mark.parametrize(
    ("turn", "finish"),
    [
        (Turn(content="done"), "stop"),
        (Turn(calls=TWO), "tool_calls"),
        (Turn(content="half", finish_reason="length"), "length"),
        (Turn(content="no", finish_reason="content_filter"), "content_filter"),
    ],
)
def test_how_an_answer_ended_is_the_truth(turn: Turn, finish: str, client: Callable[..., LitellmClient]) -> None:
    with ModelServer([turn]) as server, client(server) as model:
        assert ask(model, list(OPENING)).finish_reason == finish


def test_cached_tokens_are_part_of_the_prompt(client: Callable[..., LitellmClient]) -> None:
    usage = {"prompt": 100_000, "cached": 90_000, "completion": 1_000, "reasoning": 800}

    with ModelServer([Turn(content="ok", usage=usage)]) as server, client(server) as model:
        completion = ask(model, list(OPENING))

    assert (completion.usage.prompt_tokens, completion.usage.cached_tokens) == (100_000, 90_000)
    assert completion.usage.reasoning_tokens == 800
    assert completion.cost_usd == pytest.approx((10_000 * 1.25 + 90_000 * 0.125 + 1_000 * 10) / 1e6)


@pytest.mark.parametrize(
    "turn", [fault("rate"), fault("server"), Turn(fault="drop"), Turn(content="x", fault="drop_mid")]
)
def test_a_passing_failure_is_one_request_and_one_retry(turn: Turn, client: Callable[..., LitellmClient]) -> None:
    with ModelServer([turn, Turn(content="ok")]) as server, client(server) as model:
        assert ask(model, list(OPENING)).message.content == "ok"
        assert server.count == 2


def test_too_long_is_understood(client: Callable[..., LitellmClient]) -> None:
    with (
        ModelServer([fault("context_openai")]) as server,
        client(server) as model,
        pytest.raises(ContextOverflowError),
    ):
        ask(model, list(OPENING))


def test_a_conversation_that_another_model_began_is_taken_over_without_its_thoughts(
    client: Callable[..., LitellmClient],
) -> None:
    signed = ({"type": "thinking", "thinking": "hm", "signature": "s"},)
    other = Message(role="assistant", reasoning_content="hm", thinking_blocks=signed, content="I look.")

    with ModelServer([Turn(content="ok")], strictness="responses") as server, client(server) as model:
        ask(model, [*OPENING, other, Message(role="user", content="Go on.")])
        sent = server.requests[0].body["input"]

    assert kinds(sent) == ["system", "user", "assistant", "user"]
    assert "hm" not in json.dumps(sent)


def test_a_streamed_profile_of_this_route_is_refused(tmp_path: Path) -> None:
    text = (PROFILES / "gpt-5-responses.toml").read_text().replace("stream = false", "stream = true")
    (tmp_path / "wrong.toml").write_text(text)

    with pytest.raises(ConfigError, match="stream: must be false"):
        read_profile(tmp_path / "wrong.toml")
