"""Arguments that no provider should let through: an error that the model can act on, never an exception."""

import json

import pytest

from coder.tools.base import Toolbox
from coder.tools.plan import Plan
from coder.types import ToolCall

_DEEP = 100_000


@pytest.mark.parametrize(
    "arguments",
    [
        "[" * _DEEP,
        '{"items":' * _DEEP,
        json.dumps("[" * _DEEP),
        json.dumps({"items": "[" * _DEEP}),
        '{"items":' + "[" * 900 + "]" * 900 + "}",
        "9" * 5_000,
        "NaN",
        "null",
        '{"items": [{"text": "\\ud800", "status": "todo"}]}',
        '{"items": 1e999999}',
        "\0",
    ],
    ids=lambda text: text[:12],
)
def test_arguments_that_nobody_means_are_an_error_of_the_call(arguments: str) -> None:
    carried = Toolbox([Plan()]).call(ToolCall(id="1", name="plan", arguments=arguments))
    assert carried.output.is_error
    assert "plan" in carried.output.content
    assert len(carried.output.content) < 2_000
