"""Tools of MCP servers that are reached by HTTP: the same as of programs, and as little trusted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import ValidationError

from coder.tools.base import Toolbox
from coder.tools.mcp import McpTools
from coder.tools.mcp_client import McpSettings
from coder.types import ToolCall, ToolOutput
from tests.servers.mcp_http import McpHttp


@contextmanager
def served(mode: str, *, key: str = "Bearer k3y") -> Iterator[tuple[McpHttp, McpTools]]:
    with McpHttp(mode) as server:
        given = {"url": server.url, "headers": {"Authorization": key}, "tools": ("add", "odd")}
        one = McpSettings.model_validate({**given, "timeout_s": 0.3 if mode == "late" else 20})
        servers = McpTools({"calc": one}, inherited={})
        try:
            yield server, servers
        finally:
            servers.close()


def call(toolbox: Toolbox, **arguments: object) -> ToolOutput:
    return toolbox.call(ToolCall(id="1", name="calc_add", arguments=json.dumps(arguments))).output


@pytest.mark.parametrize("mode", ["json", "events"])
def test_tools_are_listed_and_called_in_one_session(mode: str) -> None:
    with served(mode) as (server, servers):
        toolbox = Toolbox(servers.tools())
        good, bad, refused, after = (call(toolbox, a=a, b=2) for a in (40, -1, 13, 1))
        later = [headers for headers, message in server.posts if message.get("method") == "tools/call"]

    assert [spec.name for spec in toolbox.specs] == ["calc_add"]
    assert good.content.splitlines()[1:-1] == ["42", "[image left out]"]
    assert bad.is_error
    assert "not thirteen" in refused.content
    assert "3" in after.content
    assert {headers["mcp-session-id"] for headers in later} == {"s1"}
    assert {headers["mcp-protocol-version"] for headers in later} == {"2025-06-18"}


def test_what_a_server_asks_of_us_is_declined() -> None:
    with served("events") as (server, servers):
        servers.tools()
        declined = [message for _, message in server.posts if message.get("id") == "theirs"]

    assert declined
    assert all(message["error"]["message"] == "not offered" for message in declined)


@pytest.mark.parametrize("mode", ["late", "floods", "babbles", "mute", "moved"])
def test_a_server_that_misbehaves_is_an_error_and_begins_anew_for_the_next_run(mode: str) -> None:
    with served(mode) as (server, servers):
        toolbox = Toolbox(servers.tools())
        first, second = call(toolbox, a=1), call(toolbox, a=1)
        asked = len(server.posts)
        tools = servers.tools()

    assert first.is_error
    assert second.is_error
    assert "Go on without it" in second.content
    assert len([m for _, m in server.posts[:asked] if m.get("method") == "tools/call"]) == 1
    assert [tool.name for tool in tools] == ["calc_add"]


def test_a_refused_key_costs_the_servers_tools_and_is_not_told() -> None:
    with served("json", key="Bearer wr0ng") as (_, servers):
        assert servers.tools() == []


@pytest.mark.parametrize(
    "given",
    [
        {"tools": ["*"]},
        {"tools": ["*"], "command": "x", "url": "http://localhost/mcp"},
        {"tools": ["*"], "url": "file:///etc/passwd"},
        {"tools": ["*"], "url": "http://localhost/mcp", "env": {"A": "b"}},
        {"tools": ["*"], "command": "x", "headers": {"A": "b"}},
    ],
)
def test_settings_name_one_way_to_reach_a_server(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"either|http://|belong"):
        McpSettings.model_validate(given)
