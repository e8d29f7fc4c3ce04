"""A conversation that changes hands between models of different providers, through the real litellm and strict servers."""

from collections.abc import Callable
from itertools import permutations

import pytest

from coder.model.fallback import FallbackModel
from coder.model.litellm_client import LitellmClient
from coder.model.protocol import CompletionRequest
from coder.types import Message
from tests.contract.test_model_wire import READ, RUN, STRICT, ask, client, loop, results
from tests.servers.model import ModelServer
from tests.servers.model_checks import Strictness
from tests.servers.model_turns import Turn, call, fault

__all__ = ["client", "loop"]

HANDS: dict[str, Strictness] = {
    name: STRICT[name] for name in ("kimi-k2-thinking", "deepseek-v3.2", "gpt-5", "claude-sonnet-4-5")
}
IDS = {
    "kimi-k2-thinking": "functions.{name}:{number}",
    "deepseek-v3.2": "call_00_{number}",
    "gpt-5": "call_{number}abc",
    "claude-sonnet-4-5": "toolu_{number}xyz",
}


def turn(name: str, number: int) -> Turn:
    """A step of the model called `name`: two calls, with ids and thoughts of its kind."""
    ids = [IDS[name].format(name=tool, number=2 * number + at) for at, tool in enumerate(("read", "run"))]
    calls = (call("read", {"path": f"{number}.py"}, ids[0]), call("run", {"command": "ls"}, ids[1]))
    signed = ({"type": "thinking", "thinking": f"thought {number}", "signature": f"sig-{number}=="},)
    return Turn(reasoning=f"thought {number}", thinking_blocks=signed, calls=calls)


@pytest.mark.parametrize(("first", "then"), [*permutations(HANDS, 2)])
def test_a_conversation_goes_on_with_another_model(first: str, then: str, client: Callable[..., LitellmClient]) -> None:
    history = [Message(role="system", content="You fix bugs."), Message(role="user", content="Fix the bug.")]
    one = ModelServer([turn(first, 0), turn(first, 1), fault("auth")], strictness=HANDS[first])
    other = ModelServer([turn(then, number) for number in range(2, 5)], strictness=HANDS[then])

    with one, other, client(one, first) as begins, client(other, then) as goes_on:
        model = FallbackModel([begins, goes_on])
        for _ in range(5):
            answer = model.complete(CompletionRequest(tuple(history), (RUN, READ), 4000, 30, "run-1"))
            history += [answer.message, *results(answer)]
        sent = [request.raw.decode() for request in other.requests]

    assert (one.count, other.count) == (3, 3)
    calls = [item.id for message in history for item in message.tool_calls]
    assert len(calls) == len(set(calls)) == 10
    for number, body in enumerate(sent):
        assert body.count("result of ") >= 2 * (number + 2)


def test_kimi_is_shown_calls_of_others_under_names_as_its_own(client: Callable[..., LitellmClient]) -> None:
    calls = turn("claude-sonnet-4-5", 0)
    with ModelServer([calls], strictness="anthropic") as server, client(server, "claude-sonnet-4-5") as claude:
        answer = ask(claude)
    history = [Message(role="user", content="Fix it."), answer.message, *results(answer)]

    with ModelServer([turn("kimi-k2-thinking", 1)], strictness="moonshot") as server, client(server) as kimi:
        ask(kimi, history)
        sent = server.requests[0].messages

    assert [item["id"] for item in sent[1]["tool_calls"]] == ["functions.read:0", "functions.run:1"]
    assert [message["tool_call_id"] for message in sent[2:]] == ["functions.read:0", "functions.run:1"]
