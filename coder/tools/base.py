"""What a tool is, and the box that carries out a model's calls."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from coder.prompts import render
from coder.types import JsonObject, ToolCall, ToolOutput, ToolSpec

MAX_OUTPUT_CHARS = 16_000
"""What a model sees of one output; the vendors of Kimi K2 clamp likewise (model card, coding harness)."""

_MAX_ERROR_CHARS = 4_000

_CHANGES = (
    "create create_file multiedit replace str_replace str_replace_editor strreplacefile write write_file writefile"
)
_ELSEWHERE = {
    "run": "bash cmd command exec execute execute_bash execute_command powershell run_command run_terminal_cmd shell",
    "read": "cat open open_file readfile view view_file",
    "list": "find find_files glob list_dir list_directory list_files ls tree",
    "search": "codebase_search grep grep_search rg search_files",
    "edit": f"apply_patch {_CHANGES}",
    "apply_patch": f"edit {_CHANGES}",
    "plan": "settodolist todo todowrite update_plan",
    "submit": "attempt_completion complete done exit finish",
}
"""What the tools are called in harnesses that models were trained on, in lower case."""


class Arguments(BaseModel):
    """The arguments of a tool. Unknown ones are refused, so that a misspelt name is an error and not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _lists_in_strings(cls, given: object) -> object:
        """Models sometimes write a list as a string that holds its JSON; it is plain what they mean."""
        if not isinstance(given, dict):
            return given
        lists = [
            n for n, f in cls.model_fields.items() if get_origin(f.annotation) is list and _is_listed(given.get(n))
        ]
        return {**given, **{name: json.loads(given[name], strict=False) for name in lists}}


A_contra = TypeVar("A_contra", bound=Arguments, contravariant=True)


class Tool(Protocol[A_contra]):
    """One thing that the model can do. Its description is `coder/prompts/tools/<name>.md`, or its own `description`."""

    @property
    def name(self) -> str:
        """What the model calls it."""
        ...

    @property
    def arguments(self) -> type[Arguments]:
        """The model of its arguments."""
        ...

    @property
    def mutates(self) -> bool:
        """Whether it may change the workspace."""
        ...

    def run(self, arguments: A_contra) -> ToolOutput:
        """Do it. What the model can act on is an output; SandboxError means that the sandbox is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Carried:
    """A tool call carried out: what the model sees, and the whole text when that was cut."""

    output: ToolOutput
    full: str | None = None


class Toolbox:
    """The tools of a run, in a fixed order: the list stands first in every request, so it must never change."""

    def __init__(self, tools: Sequence[Tool[Any]]) -> None:
        self._tools = {tool.name: tool for tool in sorted(tools, key=lambda tool: tool.name)}

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as the model sees them."""
        return tuple(
            ToolSpec(name=name, description=_description(tool), parameters=schema(tool.arguments))
            for name, tool in self._tools.items()
        )

    def mutates(self, name: str) -> bool:
        """Whether the tool may change the workspace; an unknown one changes nothing."""
        return name in self._tools and self._tools[name].mutates

    def call(self, call: ToolCall) -> Carried:
        """Carry out one call. A bad one gives an error that says what to change, never an exception."""
        tool = self._tools.get(call.name)
        if tool is None:
            alike = _elsewhere(call.name, self._tools) or get_close_matches(call.name, self._tools, n=1, cutoff=0.6)
            meant = f" Did you mean `{alike[0]}`?" if alike else ""
            return Carried(_error(f"There is no tool {call.name!r}.{meant} The tools are: {', '.join(self._tools)}."))
        try:
            arguments = tool.arguments.model_validate(parsed(call.arguments))
        except ValidationError as exc:
            problems = "\n".join(f"- {_place(e['loc'])}: {e['msg']}" for e in exc.errors()[:10])
            return Carried(
                _error(f"The arguments of {call.name} do not fit; nothing was run.\n{problems}\n{_known(tool)}")
            )
        except (ValueError, RecursionError) as exc:
            return Carried(
                _error(f"The arguments of {call.name} are not valid JSON ({exc}); nothing was run. Call it again.")
            )
        output = tool.run(arguments)
        content = output.content.encode("utf-8", "replace").decode()
        cut = clamp(content)
        return Carried(
            output=output.model_copy(update={"content": cut or "(no output)"}), full=content if cut != content else None
        )


def _elsewhere(name: str, tools: Collection[str]) -> list[str]:
    """Those of `tools` that do what another harness calls `name`."""
    return [ours for ours, theirs in _ELSEWHERE.items() if ours in tools and name.lower() in theirs.split()]


def parsed(arguments: str) -> object:
    """The arguments as JSON; models write raw newlines in strings, encode twice, or leave an empty object out.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested deeper than anybody means.
    """
    value: object = json.loads(arguments, strict=False) if arguments.strip() else {}
    if isinstance(value, str):
        value = json.loads(value, strict=False)
    json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError, a ValueError, for half a surrogate pair
    return value


def clamp(text: str, limit: int = MAX_OUTPUT_CHARS) -> str:
    """`text` with its middle left out when it is longer than `limit` characters, saying how much is missing."""
    if len(text) <= limit:
        return text
    half = limit // 2
    missing = len(text) - 2 * half
    return f"{text[:half]}\n[… {missing} characters left out: narrow the request to see them …]\n{text[-half:]}"


def schema(arguments: type[Arguments]) -> JsonObject:
    """The JSON schema as strict providers want it: no `$ref`, every property typed, nothing else allowed."""
    raw = arguments.model_json_schema()
    return _plain(raw, raw.get("$defs", {}))


def _plain(node: JsonObject, definitions: JsonObject) -> JsonObject:
    if "$ref" in node:
        node = {**definitions[node["$ref"].rpartition("/")[2]], **{k: v for k, v in node.items() if k != "$ref"}}
    kept = {k: v for k, v in node.items() if k in {"type", "enum", "description", "required", "default"}}
    if "anyOf" in node:  # an optional value: the type that is not null
        kept.update(_plain(next(o for o in node["anyOf"] if o.get("type") != "null"), definitions))
        kept.pop("default", None)
    if "items" in node:
        kept["items"] = _plain(node["items"], definitions)
    if "properties" in node:
        kept["properties"] = {name: _plain(value, definitions) for name, value in node["properties"].items()}
        kept["additionalProperties"] = False
    return kept


def _is_listed(value: object) -> bool:
    """Whether it is the JSON of a list, in a string."""
    try:
        return isinstance(value, str) and isinstance(json.loads(value, strict=False), list)
    except (ValueError, RecursionError):
        return False


def _description(tool: Tool[Any]) -> str:
    own = getattr(tool, "description", None)  # of tools that came from elsewhere
    return own if isinstance(own, str) else render(f"tools/{tool.name}")


def _known(tool: Tool[Any]) -> str:
    """The names of the arguments; the whole schema stands at the front of every request."""
    known = schema(tool.arguments)
    required = known.get("required", ())
    names = [f"{name} (required)" if name in required else name for name in known.get("properties", {})]
    return f"The arguments are: {', '.join(names)}." if names else "It takes no arguments."


def _error(text: str) -> ToolOutput:
    # It may quote what the model made up, at any length.
    return ToolOutput(content=clamp(text, _MAX_ERROR_CHARS), is_error=True)


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the arguments"
