"""What goes wrong between us and a provider, over the wire, through the real litellm; one request for each attempt."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coder.errors import ContextOverflowError, ModelError
from coder.model.litellm_client import LitellmClient
from coder.model.loop import LoopThread
from coder.model.profiles import read_profile, with_overrides
from coder.model.protocol import CompletionRequest
from coder.types import Completion, Message, ToolSpec
from tests.servers.model import ModelServer
from tests.servers.model_turns import FAULTS, Fault, Turn, call, fault

KEY = "sk-very-secret-0123456789"
PROFILES = Path(__file__).parents[2] / "configs" / "models"
READ = ToolSpec(name="read", description="Read a file.", parameters={"type": "object", "properties": {}})
OPENING = (Message(role="system", content="You fix bugs."), Message(role="user", content="Fix the bug."))
OK = Turn(content="ok")
ROUTES = ["kimi-k2-thinking", "kimi-k2-thinking-vllm", "claude-sonnet-4-5"]


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture(scope="module")
def loop() -> Iterator[LoopThread]:
    with LoopThread() as loop:
        yield loop


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def client(loop: LoopThread, time: Time) -> Callable[..., LitellmClient]:
    def make(base_url: str, name: str = "kimi-k2-thinking", **changes: object) -> LitellmClient:
        profile = read_profile(PROFILES / f"{name}.toml")
        base = base_url.removesuffix("/v1") if profile.route == "anthropic" else base_url
        profile = with_overrides(profile, api_base=base).model_copy(update=changes)
        return LitellmClient(profile, KEY, loop=loop, clock=time.now, sleep=time.sleep, jitter=lambda: 1.0)

    return make


def ask(model: LitellmClient, deadline_s: float = 600, max_output_tokens: int = 4000) -> Completion:
    return model.complete(CompletionRequest(OPENING, (READ,), max_output_tokens, deadline_s, "run-1"))


# --- tried again ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("kind", ["rate", "overload", "server", "html", "unavailable", "anthropic_overloaded"])
def test_a_passing_failure_is_tried_again_once(
    kind: str, name: str, time: Time, client: Callable[..., LitellmClient]
) -> None:
    with ModelServer([fault(kind), OK]) as server, client(server.base_url, name) as model:
        completion = ask(model)

    assert completion.message.content == "ok"
    assert server.count == 2
    assert time.slept == [1.0]


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("how", ["drop", "drop_mid"])
def test_a_lost_connection_is_one_request_and_one_retry(
    how: str, name: str, time: Time, client: Callable[..., LitellmClient]
) -> None:
    turns = [Turn(content="x" * 300, fault=how), OK]  # type: ignore[arg-type]

    with ModelServer(turns) as server, client(server.base_url, name) as model:
        completion = ask(model)

    assert completion.message.content == "ok"
    assert server.count == 2
    assert len(time.slept) == 1


@pytest.mark.parametrize("route", ["openai", "moonshot", "deepseek", "cometapi"])
@pytest.mark.parametrize("turn", [fault("rate"), fault("server"), Turn(fault="drop")], ids=["rate", "server", "drop"])
def test_no_route_retries_behind_our_back(turn: Turn, route: str, client: Callable[..., LitellmClient]) -> None:
    with ModelServer([turn, OK]) as server, client(server.base_url, route=route) as model:
        assert ask(model).message.content == "ok"

    assert server.count == 2


@pytest.mark.parametrize(("asked", "pause"), [("3", 3.3), ("0.3", 0.33), ("0", 0.0)])
def test_retry_after_is_kept_and_hardly_overstayed(
    asked: str, pause: float, time: Time, client: Callable[..., LitellmClient]
) -> None:
    with ModelServer([fault("rate", asked), OK]) as server, client(server.base_url) as model:
        ask(model)

    assert time.slept == [pytest.approx(pause)]


def test_an_error_event_inside_a_stream_is_tried_again(client: Callable[..., LitellmClient]) -> None:
    with ModelServer([Turn(content="x" * 300, fault="sse_error"), OK]) as server, client(server.base_url) as model:
        completion = ask(model)

    assert completion.message.content == "ok"
    assert server.count == 2


@pytest.mark.parametrize("how", ["drop_mid", "sse_error"])
def test_what_was_lost_half_way_is_paid_for(how: Fault, client: Callable[..., LitellmClient]) -> None:
    with ModelServer([OK, Turn(content="x" * 9000, fault=how), OK]) as server, client(server.base_url) as model:
        plain = ask(model)
        after_loss = ask(model)

    assert after_loss.cost_usd > plain.cost_usd * 1.5
    assert after_loss.usage == plain.usage.model_copy(update={"cached_tokens": after_loss.usage.cached_tokens})


@pytest.mark.parametrize("name", ROUTES)
def test_six_tries_and_no_more(name: str, time: Time, client: Callable[..., LitellmClient]) -> None:
    with (
        ModelServer(lambda _: fault("server")) as server,
        client(server.base_url, name) as model,
        pytest.raises(ModelError, match="tried 6 times"),
    ):
        ask(model)

    assert server.count == 6
    assert time.slept == [1, 2, 4, 8, 16]


def test_a_pause_beyond_the_deadline_is_not_waited_for(time: Time, client: Callable[..., LitellmClient]) -> None:
    with (
        ModelServer([fault("rate", 90), OK]) as server,
        client(server.base_url) as model,
        pytest.raises(ModelError, match="asks to wait 90 s"),
    ):
        ask(model, deadline_s=60)

    assert server.count == 1
    assert time.slept == []


@pytest.mark.parametrize("turn", [Turn(), Turn(reasoning="hm"), Turn(reasoning="hm", finish_reason="length")])
def test_an_empty_answer_is_asked_for_once_more_with_more_room(
    turn: Turn, client: Callable[..., LitellmClient]
) -> None:
    with ModelServer([turn, OK]) as server, client(server.base_url) as model:
        completion = ask(model)
        caps = [request.body["max_tokens"] for request in server.requests]

    assert completion.message.content == "ok"
    assert caps == [4000, 8000]
    assert completion.cost_usd > model.profile.prices.cost_usd(completion.usage)


def test_a_second_empty_answer_is_given_back(client: Callable[..., LitellmClient]) -> None:
    with ModelServer([Turn(reasoning="a"), Turn(reasoning="b"), OK]) as server, client(server.base_url) as model:
        completion = ask(model)

    assert completion.message == Message(role="assistant", reasoning_content="b")
    assert server.count == 2


# --- not tried again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("auth", "key was refused.*check the key in"),
        ("quota", "no credit left"),
        ("quota_deepseek", "no credit left"),
        ("missing", "no such model.*may be retired"),
        ("policy", "content policy"),
        ("params", "invalid temperature"),
    ],
)
def test_a_lasting_failure_stops_at_once_and_says_what_to_do(
    kind: str, words: str, name: str, client: Callable[..., LitellmClient]
) -> None:
    with (
        ModelServer([fault(kind), OK]) as server,
        client(server.base_url, name) as model,
        pytest.raises(ModelError, match=words) as caught,
    ):
        ask(model)

    assert server.count == 1
    assert not isinstance(caught.value, ContextOverflowError)
    assert name in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert "\n" not in str(caught.value)


CONTEXT = [name for name in FAULTS if name.startswith("context_")]


@pytest.mark.parametrize("kind", CONTEXT)
@pytest.mark.parametrize("name", ROUTES)
def test_every_wording_of_too_long_is_understood(kind: str, name: str, client: Callable[..., LitellmClient]) -> None:
    with (
        ModelServer([fault(kind)]) as server,
        client(server.base_url, name) as model,
        pytest.raises(ContextOverflowError),
    ):
        ask(model)

    assert server.count == 1


def test_a_body_over_the_providers_limit_is_not_sent(client: Callable[..., LitellmClient]) -> None:
    with (
        ModelServer([OK]) as server,
        client(server.base_url, max_body_bytes=200) as model,
        pytest.raises(ContextOverflowError, match="the provider takes 200"),
    ):
        ask(model)

    assert server.count == 0


@pytest.mark.parametrize("name", ROUTES)
def test_the_key_is_in_no_message(
    name: str, client: Callable[..., LitellmClient], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        ModelServer([OK], api_key="another") as server,
        client(server.base_url, name) as model,
        pytest.raises(ModelError) as caught,
    ):
        ask(model)

    assert "Incorrect API key provided: [key]" in str(caught.value)
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert KEY not in " ".join(map(repr, chain)) + caplog.text + repr(model.__dict__)


def test_a_missing_or_broken_key_is_refused_before_anything_is_asked() -> None:
    profile = read_profile(PROFILES / "kimi-k2-thinking.toml")

    with pytest.raises(ModelError, match="set COMETAPI_KEY"):
        LitellmClient(profile, None)
    with pytest.raises(ModelError, match="characters that no key has") as caught:
        LitellmClient(profile, "sk-a\nb")
    assert "sk-a" not in str(caught.value)


def test_a_self_hosted_server_needs_no_key(loop: LoopThread) -> None:
    profile = read_profile(PROFILES / "kimi-k2-thinking-vllm.toml")

    with (
        ModelServer([OK]) as server,
        LitellmClient(with_overrides(profile, api_base=server.base_url), None, loop=loop) as model,
    ):
        assert ask(model).message.content == "ok"


def test_nobody_listening_is_said_in_one_line(time: Time, client: Callable[..., LitellmClient]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with client(address) as model, pytest.raises(ModelError, match=r"the connection failed.*tried 6 times"):
            ask(model)


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROUTES)
def test_a_stalled_answer_ends_at_the_deadline(name: str, loop: LoopThread) -> None:
    profile = read_profile(PROFILES / f"{name}.toml")

    with ModelServer([OK, Turn(content="x" * 300, fault="stall")]) as server:
        base = server.base_url.removesuffix("/v1") if profile.route == "anthropic" else server.base_url
        with LitellmClient(with_overrides(profile, api_base=base), KEY, loop=loop) as model:
            ask(model)
            with pytest.raises(ModelError, match=r"took too long|connection failed"):
                ask(model, deadline_s=0.5)

    assert server.count == 2


def test_many_threads_share_one_client(client: Callable[..., LitellmClient]) -> None:
    answers: list[str | None] = []

    def echo(body: dict[str, object]) -> Turn:
        return Turn(content=str(body["messages"][-1]["content"]))  # type: ignore[index]

    with ModelServer(echo) as server, client(server.base_url) as model:

        def work(number: int) -> None:
            messages = (Message(role="user", content=f"number {number}"),)
            completion = model.complete(CompletionRequest(messages, (), 100, 30, f"run-{number % 3}"))
            answers.append(completion.message.content)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    assert sorted(map(str, answers)) == [f"number {number}" for number in range(8)]


# --- the library ------------------------------------------------------------------------------------------------------


def test_importing_our_modules_does_not_import_litellm() -> None:
    modules = sorted(path.stem for path in Path("coder/model").glob("*.py") if path.stem != "__init__")
    program = "import sys, importlib\n" + "".join(
        f"importlib.import_module('coder.model.{name}')\n" for name in modules
    )

    done = subprocess.run(
        [sys.executable, "-c", program + "print('litellm' in sys.modules, 'openai' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout.split() == ["False", "False"]


def test_a_dotenv_file_in_the_current_folder_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "HOSTED_VLLM_API_BASE=http://evil.invalid\nHTTPS_PROXY=http://evil.invalid\nPLANTED=1\n"
    )
    program = (
        "import os\nfrom coder.model import litellm_client\nlitellm_client._litellm()\n"
        "print('PLANTED' in os.environ, 'HTTPS_PROXY' in os.environ)"
    )
    root = str(Path(__file__).parents[2])

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": root, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert done.stdout.split() == ["False", "False"]
    assert done.stderr == ""


def test_the_server_runs_as_a_process_from_a_script(tmp_path: Path, client: Callable[..., LitellmClient]) -> None:
    script = tmp_path / "turns.json"
    script.write_text(
        json.dumps([{"fault": "rate", "retry_after": 0}, {"reasoning": "r", "calls": [call("read", {})]}])
    )
    command = [sys.executable, "-m", "tests.servers.model", "--script", str(script), "--strict", "moonshot"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            with client(process.stdout.readline().strip()) as model:
                completion = ask(model)
        finally:
            process.terminate()

    assert completion.message.tool_calls[0].name == "read"
