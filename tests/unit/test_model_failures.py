"""Failures classified, pauses chosen, messages said."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coder.errors import ContextOverflowError, ModelError
from coder.model.failures import Failure, classify, classify_event
from coder.model.gauge import TokenGauge, characters
from coder.model.loop import LoopThread
from coder.model.profile import ModelProfile, Prices
from coder.model.protocol import CompletionRequest, ModelClient
from coder.model.recorded import RecordedModel
from coder.model.retry import MAX_TRIES, describe, pause_s
from coder.model.scripted import ScriptedModel
from coder.types import Completion, Message, ToolCall, Usage

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
PROFILE = ModelProfile(
    name="p",
    model="m",
    route="hosted_vllm",
    api_base="http://user:password@host:1/v1",
    api_key_env="THE_KEY",
    window_tokens=10_000,
    max_output_tokens=1000,
    prices=Prices(input=1, cached_input=1, output=1),
)
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, "", "params"),
        (400, '{"error": {"message": "Your credit balance is too low to access the API"}}', "quota"),
        (400, '{"error": {"message": "The model `x` does not exist"}}', "missing"),
        (401, "", "auth"),
        (402, "", "quota"),
        (403, "", "auth"),
        (404, "<html>", "missing"),
        (408, "", "server"),
        (413, '{"error": {"type": "request_too_large"}}', "context"),
        (413, "", "context"),
        (429, "", "rate"),
        (429, "engine_overloaded_error", "overload"),
        (500, "maximum context length", "server"),
        (503, "", "overload"),
        (529, "", "overload"),
        (302, "", "params"),
    ],
)
def test_status_and_words_decide_the_kind(status: int, body: str, kind: str) -> None:
    assert classify(status, {}, body).kind == kind


@CALM
@given(st.integers(300, 599), st.text(max_size=300), st.text(max_size=20))
def test_any_error_body_is_one_short_line(status: int, body: str, retry_after: str) -> None:
    failure = classify(status, {"retry-after": retry_after}, body)

    assert "\n" not in failure.detail
    assert len(failure.detail) <= 300


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "7"}, "", 7),
        ({"retry-after": "0.3"}, "", 0.3),
        ({"retry-after-ms": "250", "retry-after": "9"}, "", 0.25),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, "", 30),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, "", 0),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "-5"}, "", None),
        ({}, "please try again after 1 seconds", 1),
        ({}, "Please try again in 20ms.", 0.02),
        ({}, "please try again later", None),
    ],
)
def test_retry_after_is_read_in_every_way_it_is_said(headers: dict[str, str], body: str, seconds: float | None) -> None:
    assert classify(429, headers, body, now=NOW).retry_after_s == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"error": {"message": "x", "code": 429}}, "rate"),
        ({"error": {"message": "x", "code": "429"}}, "rate"),
        ({"error": {"message": "x", "type": "rate_limit_reached_error"}}, "rate"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "overload"),
        ({"error": "boom"}, "server"),
        ({"error": {"message": "too long", "code": 400, "type": "context_length_exceeded"}}, "context"),
    ],
)
def test_an_error_event_is_understood(event: dict[str, object], kind: str) -> None:
    assert classify_event(event).kind == kind


# --- pauses -----------------------------------------------------------------------------------------------------------


def test_pauses_double_up_to_the_last_try() -> None:
    server = Failure("server", "")

    pauses = [pause_s(server, tries, jitter=1.0, left_s=1000) for tries in range(1, MAX_TRIES + 1)]

    assert pauses == [1, 2, 4, 8, 16, "give up"]


@CALM
@given(st.integers(1, 5), st.floats(0, 1), st.floats(0, 1000), st.none() | st.floats(0, 10_000))
def test_a_pause_fits_and_keeps_what_the_provider_asks(
    tries: int, jitter: float, left_s: float, asked: float | None
) -> None:
    pause = pause_s(Failure("rate", "", retry_after_s=asked), tries, jitter=jitter, left_s=left_s)

    if pause == "give up":
        assert asked is None or asked * 1.1 >= min(left_s, 300) or left_s <= 16
    else:
        assert pause < left_s
        assert asked is None or asked <= pause <= asked * 1.1


def test_lasting_failures_get_no_second_try() -> None:
    for kind in ("context", "auth", "quota", "missing", "policy", "params", "deadline"):
        assert pause_s(Failure(kind, ""), 1, jitter=0, left_s=100) == "give up"


def test_a_message_names_profile_host_and_cure_and_strikes_out_the_key() -> None:
    text = describe(Failure("auth", "bad key sk-123456 \n given", 401), PROFILE, 1, secret="sk-123456")

    assert text == (
        "model profile 'p' (m at host:1): the key was refused (401: bad key [key] given);"
        " check the key in THE_KEY and that it belongs to this host"
    )


# --- gauge ------------------------------------------------------------------------------------------------------------


def test_the_cap_shrinks_with_the_window_by_the_providers_own_count() -> None:
    gauge = TokenGauge(PROFILE)

    gauge.learn("run", 4000, Usage(prompt_tokens=2000))

    assert gauge.room("run", 4000, 1000) == 1000
    assert gauge.room("run", 28_000, 1000) == 10_000 - 2000 - 6000 - 1024
    assert gauge.room("another", 4000, 1000) == 1000
    with pytest.raises(ContextOverflowError, match="leave no room"):
        gauge.room("run", 32_000, 1000)


def test_a_large_tool_list_does_not_make_every_later_character_dear() -> None:
    gauge = TokenGauge(PROFILE)

    gauge.learn("run", 100, Usage(prompt_tokens=4000))

    assert gauge.room("run", 16_100, 1000) == 10_000 - 8000 - 1024
    assert gauge.room("run", 50, 1000) == 1000


def test_a_guess_never_refuses() -> None:
    gauge = TokenGauge(PROFILE)

    gauge.learn("run", 4000, Usage(prompt_tokens=100_000, estimated=True))

    assert gauge.room("run", 1_000_000, 1000) == 256
    assert gauge.room("run", 1_000_000, 10) == 10


def test_characters_are_all_that_a_model_reads() -> None:
    call = ToolCall(id="i", name="read", arguments="{}")

    assert characters([Message(role="assistant", content="abc", reasoning_content="de", tool_calls=(call,))]) == 11


# --- stand-ins --------------------------------------------------------------------------------------------------------

REQUEST = CompletionRequest((Message(role="user", content="hi"),), (), 10, 1, "run")


def test_a_script_is_played_in_order_and_then_says_so() -> None:
    ready = Completion(
        message=Message(role="assistant", content="b"), finish_reason="stop", usage=Usage(), cost_usd=0, model="m"
    )
    model: ModelClient = ScriptedModel(
        PROFILE,
        [
            Message(role="assistant", content="a"),
            ready,
            lambda messages: Message(role="assistant", content=messages[0].content),
        ],
    )

    said = [model.complete(REQUEST).message.content for _ in range(3)]

    assert said == ["a", "b", "hi"]
    with pytest.raises(ModelError, match="no turn number 4"):
        model.complete(REQUEST)


def test_a_recording_is_played_in_order_and_then_says_so() -> None:
    first, second = (
        Completion(
            message=Message(role="assistant", content=text), finish_reason="stop", usage=Usage(), cost_usd=1, model="m"
        )
        for text in "ab"
    )
    model = RecordedModel(PROFILE, [first, second])

    assert [model.complete(REQUEST), model.complete(REQUEST)] == [first, second]
    assert model.left == 0
    with pytest.raises(ModelError, match="ends after 2 answers"):
        model.complete(REQUEST)


def test_the_loop_thread_gives_results_and_errors_and_starts_anew() -> None:
    async def half(value: int) -> float:
        return value / 2

    with LoopThread() as loop:
        assert loop.run(half(3), timeout_s=5) == 1.5
        loop.close()
        assert loop.run(half(4), timeout_s=5) == 2
        with pytest.raises(TypeError):
            loop.run(half("x"), timeout_s=5)  # type: ignore[arg-type]  # the error is the point
