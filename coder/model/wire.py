"""The conversation as a provider wants it: pure, deterministic, and stable from one request to the next.

One message is encoded from itself and the profile alone, so the encoding of a longer conversation begins with the encoding
of the shorter one, and the provider's prefix cache holds.
"""

import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from threading import Lock
from typing import Any

from coder.model.arguments import valid_arguments
from coder.model.handover import HandOver
from coder.model.profile import ModelProfile
from coder.model.responses import response_items
from coder.model.text import neutral, neutral_json, sound
from coder.types import JsonObject, Message, ToolCall, ToolSpec

NO_TEXT = "(no output)"
"""Stands for an empty tool result or user message: Moonshot answers 400 to empty text."""
NO_RESULT = "[no result: the call was interrupted before it finished]"
NO_REASONING = " "
"""The least that Moonshot takes for the reasoning of an assistant message that had none."""
_CLAUDE_BLOCKS = frozenset({"thinking", "redacted_thinking"})
_REMEMBERED_RUNS = 64


def encode_tools(tools: Iterable[ToolSpec]) -> list[JsonObject]:
    """`tools` sorted by name, with every property typed and no extra ones allowed."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": sound(tool.description),
                "parameters": strict_schema(tool.parameters),
            },
        }
        for tool in sorted(tools, key=lambda tool: tool.name)
    ]


def strict_schema(schema: Any) -> Any:
    """A copy of a JSON schema as the strictest validators want it.

    Moonshot refuses a property without `type`, even one that only has an `enum`. An object that names its properties takes
    no others.
    """
    if not isinstance(schema, dict):
        return schema
    fixed: JsonObject = {key: _strict_part(key, value) for key, value in schema.items()}
    if not fixed.keys() & {"type", "anyOf", "oneOf", "allOf", "$ref"}:
        fixed["type"] = _implied_type(fixed)
    if fixed.get("type") == "object" and "properties" in fixed:
        fixed.setdefault("additionalProperties", False)
    return fixed


def _strict_part(key: str, value: Any) -> Any:
    if key in {"properties", "$defs", "definitions"} and isinstance(value, dict):
        return {name: strict_schema(part) for name, part in value.items()}
    if key in {"anyOf", "oneOf", "allOf", "prefixItems"} and isinstance(value, list):
        return [strict_schema(part) for part in value]
    if key in {"items", "additionalProperties", "not"}:
        return strict_schema(value)
    return value


def _implied_type(schema: JsonObject) -> str:
    if "properties" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if values and all(isinstance(value, bool) for value in values):
        return "boolean"
    if values and all(isinstance(value, int) for value in values):
        return "integer"
    if values and all(isinstance(value, int | float) for value in values):
        return "number"
    return "string"


def encode_messages(messages: Sequence[Message], profile: ModelProfile) -> list[JsonObject]:
    """All of `messages` by the profile's history rules, tool results paired with their calls."""
    hands = HandOver(profile)
    return [encode_message(hands.take(message), profile) for message in paired(messages)]


def paired(messages: Sequence[Message]) -> list[Message]:
    """`messages` with exactly one result for each call, in call order, right behind it.

    Chat templates pair by order, strict providers answer 400 to anything else. A call without result (a crash came between)
    gets one that says so, a result without call is dropped, and so is an assistant message that says nothing.
    """
    out: list[Message] = []
    rest = list(messages)
    position = 0
    while position < len(rest):
        message = rest[position]
        position += 1
        if message.role == "tool" or (message.role == "assistant" and _is_empty(message)):
            continue
        out.append(message)
        if message.tool_calls:
            results = list(takewhile(lambda other: other.role == "tool", rest[position:]))
            position += len(results)
            out.extend(_in_call_order(message.tool_calls, results))
    return out


def _is_empty(message: Message) -> bool:
    return not message.tool_calls and not (message.content or "").strip()


def _in_call_order(calls: Sequence[ToolCall], results: Sequence[Message]) -> list[Message]:
    by_id = {result.tool_call_id: result for result in reversed(results)}
    missing = {call.id: Message(role="tool", content=NO_RESULT, tool_call_id=call.id, name=call.name) for call in calls}
    return [by_id.get(call.id, missing[call.id]) for call in calls]


def encode_message(message: Message, profile: ModelProfile) -> JsonObject:
    """One message on the wire: minimal, never with empty text, control tokens of foreign text broken."""
    if message.role == "assistant":
        return _encode_assistant(message, profile)
    if message.role == "system":
        return {"role": "system", "content": sound(message.content or NO_TEXT)}
    text = neutral(message.content or "")
    encoded: JsonObject = {"role": message.role, "content": text if text.strip() else NO_TEXT}
    if message.role == "tool":
        encoded["tool_call_id"] = message.tool_call_id
        if profile.call_ids == "functions" and message.name:
            encoded["name"] = message.name
    return encoded


def encode_items(message: Message, profile: ModelProfile) -> list[JsonObject]:
    """What stands for one message on the wire: itself, or its items in OpenAI's Responses dialect."""
    encoded = encode_message(message, profile)
    return response_items(encoded, message) if profile.route == "openai_responses" else [encoded]


def _encode_assistant(message: Message, profile: ModelProfile) -> JsonObject:
    encoded: JsonObject = {"role": "assistant"}
    if message.content and message.content.strip():
        encoded["content"] = neutral(message.content)
    if profile.history_reasoning in {"reasoning_content", "both_keys"}:
        reasoning = neutral(message.reasoning_content or "") or NO_REASONING
        encoded["reasoning_content"] = reasoning
        if profile.history_reasoning == "both_keys":
            encoded["reasoning"] = reasoning
    blocks = [dict(block) for block in message.thinking_blocks if block.get("type") in _CLAUDE_BLOCKS]
    if profile.history_reasoning == "thinking_blocks" and blocks:
        encoded["thinking_blocks"] = blocks
    if message.tool_calls:
        encoded["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": neutral_json(valid_arguments(call.arguments))},
            }
            for call in message.tool_calls
        ]
    return encoded


@dataclass(slots=True)
class _Encoded:
    hands: HandOver
    sources: list[Message] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)


class HistoryEncoder:
    """Encodes each message of a run once, however often the growing conversation is sent. Safe to share by threads."""

    def __init__(self, profile: ModelProfile) -> None:
        self._profile = profile
        self._runs: OrderedDict[str, _Encoded] = OrderedDict()
        self._lock = Lock()

    def encode(self, messages: Sequence[Message], run: str) -> bytes:
        """`messages` as a JSON list. A longer conversation's text begins with the shorter one's, but for the bracket."""
        ordered = paired(messages)
        with self._lock:
            known = self._runs.pop(run, None) or _Encoded(HandOver(self._profile))
            self._runs[run] = known
            while len(self._runs) > _REMEMBERED_RUNS:
                self._runs.popitem(last=False)
            shared = _shared(known.sources, ordered)
            if shared < len(known.sources):
                del known.sources[shared:], known.texts[shared:]
                known.hands = HandOver(self._profile)
                for message in known.sources:
                    known.hands.take(message)
            for message in ordered[shared:]:
                items = encode_items(known.hands.take(message), self._profile)
                known.texts.append(", ".join(json.dumps(item, ensure_ascii=False) for item in items).encode())
                known.sources.append(message)
            return b"[" + b", ".join(known.texts) + b"]"


def _shared(known: Sequence[Message], messages: Sequence[Message]) -> int:
    """How many messages at the start are the same; identity first, because comparing long texts costs."""
    pairs = zip(known, messages, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1] or pair[0] == pair[1], pairs))
