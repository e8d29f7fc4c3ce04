"""What litellm made once for a run is what it would make again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.model.litellm_client import LitellmClient
from coder.model.loop import LoopThread
from coder.model.profiles import profile_names, read_profile, with_overrides
from coder.model.protocol import CompletionRequest
from coder.types import Message, ToolSpec
from tests.servers.model import ModelServer, Received
from tests.servers.model_turns import Turn, call

PROFILES = Path(__file__).parents[2] / "configs" / "models"
LIVE = [name for name in profile_names([PROFILES]) if read_profile(PROFILES / f"{name}.toml").retired is None]
READ = ToolSpec(name="read", description="Read.", parameters={"type": "object", "properties": {"path": {}}})
RUN = ToolSpec(name="run", description="Run.", parameters={"type": "object", "properties": {"command": {}}})
OPENING = (Message(role="system", content="You fix bugs."), Message(role="user", content="Fix the bug."))


@pytest.fixture(scope="module")
def loop() -> Iterator[LoopThread]:
    with LoopThread() as loop:
        yield loop


def client(server: ModelServer, name: str, loop: LoopThread) -> LitellmClient:
    profile = read_profile(PROFILES / f"{name}.toml")
    base = server.base_url.removesuffix("/v1") if profile.route == "anthropic" else server.base_url
    return LitellmClient(with_overrides(profile, api_base=base), "sk-0123456789", loop=loop)


def sent(received: Received) -> tuple[str, dict[str, str], bytes]:
    return received.path, received.headers, received.raw


@pytest.mark.parametrize("name", LIVE)
def test_a_later_step_is_sent_as_litellm_itself_would_send_it(name: str, loop: LoopThread) -> None:
    turns = [Turn(reasoning="r", calls=(call("read", {"path": "a"}, "functions.read:0"),)), *[Turn(content="ok")] * 2]

    with ModelServer(turns) as server:
        with client(server, name, loop) as model:
            first = model.complete(CompletionRequest(OPENING, (READ, RUN), 4000, 30, "run-1"))
            result = Message(role="tool", content="x", name="read", tool_call_id=first.message.tool_calls[0].id)
            longer = CompletionRequest((*OPENING, first.message, result), (READ, RUN), 4000, 30, "run-1")
            model.complete(longer)
        with client(server, name, loop) as fresh:
            fresh.complete(longer)
        _, reused, made = server.requests

    assert sent(reused) == sent(made)


def test_other_tools_another_cap_or_another_run_are_not_sent_in_an_old_frame(loop: LoopThread) -> None:
    asked = [((READ,), 4000, "a"), ((READ, RUN), 4000, "a"), ((READ, RUN), 300, "a"), ((READ, RUN), 300, "b")]

    with ModelServer([Turn(content="ok")] * 4) as server, client(server, "kimi-k2.6", loop) as model:
        for tools, cap, run in asked:
            model.complete(CompletionRequest(OPENING, tools, cap, 30, run))
        bodies = [received.body for received in server.requests]

    got = [(len(body["tools"]), body["max_tokens"], body["prompt_cache_key"]) for body in bodies]
    assert got == [(len(tools), cap, run) for tools, cap, run in asked]
