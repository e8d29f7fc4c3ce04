"""Tools of MCP servers that the operator's settings name; `NAME_tool` to the model."""

import json
import logging
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema
from pydantic import ConfigDict, model_validator
from typing_extensions import override

from coder.tools.base import Arguments
from coder.tools.mcp_client import McpError, McpServer, McpSettings
from coder.tools.mcp_http import McpHttpServer
from coder.types import JsonObject, ToolOutput

logger = logging.getLogger(__name__)

MAX_TOOLS = 32
"""Of all servers together: each stands in every request."""
_MAX_DESCRIPTION = 1_000
_MAX_DEPTH = 8
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SIMPLE = {"string", "integer", "number", "boolean"}


class McpTool:
    """One tool of one server. What it gives is data of a program outside of the sandbox."""

    mutates = False

    def __init__(self, server: McpServer, tool: str, description: str, parameters: JsonObject) -> None:
        self.name = f"{server.name}_{tool}"
        self.description = description[:_MAX_DESCRIPTION] or f"The tool {tool} of {server.name}."
        self.arguments = arguments_of(parameters)
        self._server, self._tool = server, tool

    def run(self, arguments: Arguments) -> ToolOutput:
        """What the server answers, fenced; a failure is an error that the model can act on."""
        params = {"name": self._tool, "arguments": dict(arguments.model_extra or {})}
        try:
            result = self._server.request("tools/call", params, timeout_s=self._server.settings.timeout_s)
        except McpError as exc:
            return ToolOutput(content=f"{exc} Go on without it.", is_error=True)
        fence = f"data-{secrets.token_hex(6)}"
        return ToolOutput(content=f"<{fence}>\n{_text(result)}\n</{fence}>", is_error=bool(result.get("isError")))


class McpTools:
    """All servers of an installation: started when they are first needed, ended with `close`."""

    def __init__(self, servers: Mapping[str, McpSettings], *, inherited: Mapping[str, str]) -> None:
        self._servers = [
            (McpHttpServer if settings.url else McpServer)(name, settings, inherited=inherited)
            for name, settings in sorted(servers.items())
        ]

    def tools(self) -> list[McpTool]:
        """What the servers offer and the settings allow. A server that does not work costs its own tools."""
        found: list[McpTool] = []
        for server in self._servers:
            try:
                server.start()
                found += allowed(server, server.listed())
            except McpError as exc:
                logger.warning("no MCP tools", extra={"server": server.name, "why": str(exc)})
        return found[:MAX_TOOLS]

    def close(self) -> None:
        """End all processes; safe to call twice."""
        for server in self._servers:
            server.close()


def allowed(server: McpServer, offered: Sequence[JsonObject]) -> Iterator[McpTool]:
    """The tools that may be called; one whose arguments cannot be described strictly is left out, and logged."""
    for tool in offered:
        name = str(tool.get("name", ""))
        if name not in server.settings.tools and "*" not in server.settings.tools:
            continue
        if not _NAME.fullmatch(f"{server.name}_{name}"):
            logger.warning("MCP tool left out", extra={"server": server.name, "tool": name[:80], "why": "its name"})
            continue
        try:
            schema = tool.get("inputSchema") or {"type": "object"}
            yield McpTool(server, name, str(tool.get("description") or ""), strict(schema))
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            logger.warning("MCP tool left out", extra={"server": server.name, "tool": name[:80], "why": str(exc)})


def strict(schema: JsonObject) -> JsonObject:
    """A JSON schema as strict providers want it: no references, every property typed, nothing else allowed.

    Raises:
        ValueError: It says more than that can.
    """
    parameters = _strict(schema, schema, 0)
    if parameters["type"] != "object":
        raise ValueError("its arguments are no object")
    return parameters


def _strict(node: JsonObject, root: JsonObject, depth: int) -> JsonObject:
    if depth > _MAX_DEPTH:
        raise ValueError("its schema goes too deep")
    node = _resolved(node, root)
    types = node.get("type") or ("object" if "properties" in node else None)
    kind = next((t for t in types if t != "null"), None) if isinstance(types, list) else types
    plain: JsonObject = {"type": kind}
    if node.get("description"):
        plain["description"] = str(node["description"])[:_MAX_DESCRIPTION]
    if kind in _SIMPLE:
        return plain | ({"enum": node["enum"]} if "enum" in node else {})
    if kind == "array":
        return plain | {"items": _strict(node["items"], root, depth + 1)}
    if kind != "object":
        raise ValueError("a part of its schema has no type")
    properties = {key: _strict(value, root, depth + 1) for key, value in (node.get("properties") or {}).items()}
    required = [key for key in node.get("required") or [] if key in properties]
    return plain | {"properties": properties, "required": required, "additionalProperties": False}


def _resolved(node: JsonObject, root: JsonObject) -> JsonObject:
    """`node` without references and without the choice of null."""
    for _ in range(_MAX_DEPTH):
        choices = [one for one in node.get("anyOf") or node.get("oneOf") or [] if one.get("type") != "null"]
        if reference := node.get("$ref"):
            _, part, name = str(reference).split("/")
            node = root[part][name]
        elif len(choices) == 1:
            node = {"description": node.get("description", ""), **choices[0]}
        elif choices:
            raise ValueError("its schema leaves a choice")
        else:
            return node
    raise ValueError("its schema goes in circles")


def arguments_of(parameters: JsonObject) -> type[Arguments]:
    """A model of arguments that takes what fits the schema `parameters`."""
    validator = jsonschema.Draft202012Validator(parameters)

    class Given(Arguments):
        """Arguments as the server's schema has them."""

        model_config = ConfigDict(frozen=True, extra="allow")

        @model_validator(mode="before")
        @classmethod
        def _fits(cls, given: object) -> object:
            problems = [error.message for error in validator.iter_errors(given)]
            if problems:
                raise ValueError("; ".join(problems[:5])[:1_000])
            return given

        @classmethod
        @override
        def model_json_schema(cls, *_args: Any, **_options: Any) -> JsonObject:
            return parameters

    return Given


def _text(result: JsonObject) -> str:
    """The texts of an answer; other parts are named."""
    parts = [part for part in result.get("content") or [] if isinstance(part, dict)]
    texts = [
        str(p.get("text", "")) if p.get("type") == "text" else f"[{str(p.get('type'))[:40]} left out]" for p in parts
    ]
    return "\n".join(texts) or json.dumps(result.get("structuredContent") or {})
