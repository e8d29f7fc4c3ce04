import pytest

from coder.errors import ContextOverflowError, ModelError
from coder.model.fallback import FallbackModel
from coder.model.protocol import CompletionRequest
from coder.model.scripted import ScriptedModel, Turn
from coder.types import Message
from tests.values import scripted_profile

REQUEST = CompletionRequest((Message(role="user", content="hi"),), (), 100, 10, "run")


def model(name: str, *turns: Turn) -> ScriptedModel:
    profile = scripted_profile(name)
    return ScriptedModel(profile, turns)


def says(text: str) -> Message:
    return Message(role="assistant", content=text)


def test_the_first_model_answers_while_it_can() -> None:
    first, second = model("a", says("one"), says("two")), model("b", says("three"))
    both = FallbackModel([first, second])

    assert [both.complete(REQUEST).message.content for _ in range(3)] == ["one", "two", "three"]
    assert both.profile.name == "b"


def test_a_model_that_failed_is_not_asked_again() -> None:
    first, second = model("a"), model("b", says("one"), says("two"))
    both = FallbackModel([first, second])

    both.complete(REQUEST)
    both.complete(REQUEST)

    assert (len(first.requests), len(second.requests)) == (1, 2)


def test_when_the_last_fails_too_its_error_is_told() -> None:
    with pytest.raises(ModelError, match="'b'"):
        FallbackModel([model("a"), model("b")]).complete(REQUEST)


def test_a_conversation_that_is_too_long_is_no_failure_of_the_model() -> None:
    def too_long(_: object) -> Message:
        raise ContextOverflowError("too long")

    both = FallbackModel([model("a", too_long, says("shorter")), model("b")])

    with pytest.raises(ContextOverflowError):
        both.complete(REQUEST)
    assert both.complete(REQUEST).message.content == "shorter"
