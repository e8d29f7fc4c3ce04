"""Tools of MCP servers: found, called, bounded; a server that misbehaves costs its own tools."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coder.errors import ConfigError
from coder.settings import load
from coder.tools.base import Toolbox
from coder.tools.mcp import McpTools, strict
from coder.tools.mcp_client import McpSettings
from coder.types import JsonObject, ToolCall, ToolOutput

SERVER = str(Path(__file__).parents[1] / "servers" / "mcp.py")


@contextmanager
def served(mode: str = "good", *, tools: tuple[str, ...] = ("add", "odd")) -> Iterator[McpTools]:
    one = McpSettings(
        command=sys.executable, args=("-I", SERVER, mode), tools=tools, timeout_s=1 if mode == "late" else 20
    )
    servers = McpTools({"calc": one}, inherited={})
    yield servers
    servers.close()


def call(toolbox: Toolbox, **arguments: object) -> ToolOutput:
    return toolbox.call(ToolCall(id="1", name="calc_add", arguments=json.dumps(arguments))).output


def test_the_allowed_tools_stand_beside_our_own_with_strict_schemas() -> None:
    with served() as servers:
        specs = Toolbox(servers.tools()).specs
        again = Toolbox(servers.tools()).specs

    assert [(spec.name, spec.description) for spec in specs] == [("calc_add", "Add two numbers.")]
    assert specs == again
    assert specs[0].parameters == {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }


def test_a_call_gives_the_answer_as_data() -> None:
    with served() as servers:
        toolbox = Toolbox(servers.tools())
        good, bad, refused, after = (call(toolbox, a=a, b=2) for a in (40, -1, 13, 1))

    fence, *lines, end = good.content.splitlines()
    assert (lines, end) == (["42", "[image left out]"], f"</{fence[1:]}")
    assert not good.is_error
    assert bad.is_error
    assert "not thirteen" in refused.content
    assert "3" in after.content


@pytest.mark.parametrize("arguments", [{}, {"a": "x"}, {"a": 1, "c": 2}])
def test_arguments_that_do_not_fit_are_never_sent(arguments: dict[str, object]) -> None:
    with served("dies") as servers:
        output = call(Toolbox(servers.tools()), **arguments)

    assert output.is_error
    assert "nothing was run" in output.content


@pytest.mark.parametrize("mode", ["dies", "late", "floods", "babbles"])
def test_a_server_that_misbehaves_is_an_error_and_starts_anew_for_the_next_run(mode: str) -> None:
    with served(mode) as servers:
        toolbox = Toolbox(servers.tools())
        first, second = call(toolbox, a=1), call(toolbox, a=1)
        tools = servers.tools()

    assert first.is_error
    assert second.is_error
    assert "Go on without it" in second.content
    assert [tool.name for tool in tools] == ["calc_add"]


def test_a_server_that_does_not_start_costs_its_own_tools() -> None:
    servers = McpTools({"gone": McpSettings(command="/nonexistent/program", tools=("*",))}, inherited={})

    assert servers.tools() == []
    servers.close()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "object", "properties": {"x": {}}},
        {"type": "object", "properties": {"x": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}},
        {"type": "object", "properties": {"x": {"$ref": "#"}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"b": {"$ref": "#/$defs/a"}}}}},
    ],
)
def test_a_schema_that_cannot_be_strict_is_refused(schema: JsonObject) -> None:
    with pytest.raises(ValueError, match=r"schema|object|unpack"):
        strict(schema)


def test_servers_come_from_the_operators_settings(tmp_path: Path) -> None:
    file = tmp_path / "coder.toml"
    file.write_text('[mcp.docs]\ncommand = "docs-server"\nargs = ["-q"]\ntools = ["find"]\nenv = {TOKEN = "t0ken"}\n')
    bad = tmp_path / "bad.toml"
    bad.write_text('[mcp."Bad Name"]\ncommand = "x"\ntools = []\n')

    settings = load(file)

    assert settings.mcp["docs"].tools == ("find",)
    assert "t0ken" not in repr(settings)
    with pytest.raises(ConfigError):
        load(bad)
