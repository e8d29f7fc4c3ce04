"""OpenAI's Responses dialect: reasoning that only its maker can read is carried from call to call. Pure.

Nothing is stored at OpenAI: each answer's reasoning items come encrypted and are sent back as they came, each right before
what followed it, or the next request is refused (https://platform.openai.com/docs/guides/reasoning).
"""

from typing import Any

from coder.model.answer import RawAnswer, RawCall
from coder.types import JsonObject, Message

INCLUDE = ("reasoning.encrypted_content",)
_REASONING_FIELDS = ("id", "type", "summary", "encrypted_content")


def response_tools(tools: list[JsonObject]) -> list[JsonObject]:
    """Tools as chat completions have them, in this dialect's form."""
    return [{"type": "function", **tool["function"], "strict": False} for tool in tools]


def response_items(message: JsonObject, source: Message) -> list[JsonObject]:
    """A message as chat completions have it (`source` encoded) as input items, in the order in which they came."""
    role = message["role"]
    if role == "tool":
        return [{"type": "function_call_output", "call_id": message["tool_call_id"], "output": message["content"]}]
    if role != "assistant":
        return [{"role": role, "content": message["content"]}]
    calls = {call["id"]: _call_item(call) for call in message.get("tool_calls", ())}
    content = message.get("content")
    said = [{"role": "assistant", "content": content}] if content else []
    items: list[JsonObject] = []
    for block in _blocks(source):
        if block["type"] == "reasoning":
            items.append(dict(block))
        elif block["type"] == "message":
            items += said
            said = []
        elif (item := calls.pop(block["call_id"], None)) is not None:
            items.append(item)
    return [*items, *said, *calls.values()]


def _blocks(source: Message) -> tuple[JsonObject, ...]:
    """The order of an answer's items; nothing when it does not fit the answer any more, as reasoning may not stand alone."""
    blocks = [
        block for block in source.thinking_blocks if block.get("type") in {"reasoning", "message", "function_call"}
    ]
    named = [block["call_id"] for block in blocks if block["type"] == "function_call"]
    return tuple(blocks) if named == [call.id for call in source.tool_calls] else ()


def _call_item(call: JsonObject) -> JsonObject:
    function = call["function"]
    return {
        "type": "function_call",
        "call_id": call["id"],
        "name": function["name"],
        "arguments": function["arguments"],
    }


def read_response(body: JsonObject) -> RawAnswer:
    """A whole response. Raises nothing: what is not there stays empty."""
    answer = RawAnswer(done=True, usage=_usage(body.get("usage")), request_id=_text(body.get("id")) or None)
    blocks: list[JsonObject] = []
    refused = False
    output = body.get("output")
    for item in output if isinstance(output, list) else ():
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "reasoning":
            answer.reasoning += "\n".join(_texts(item.get("summary")))
            blocks.append({key: item[key] for key in _REASONING_FIELDS if key in item})
        elif kind == "function_call":
            answer.calls.append(
                RawCall(_text(item.get("call_id")), _text(item.get("name")), _text(item.get("arguments")))
            )
            blocks.append({"type": "function_call", "call_id": _text(item.get("call_id"))})
        elif kind == "message":
            parts = item.get("content")
            refused = refused or any(_text(part.get("type")) == "refusal" for part in _objects(parts))
            answer.content += "".join(_texts(parts))
            blocks.append({"type": "message"})
    if any(block["type"] == "reasoning" for block in blocks):
        answer.thinking_blocks = tuple(blocks)
    answer.finish_reason = "content_filter" if refused else _finish(body, has_calls=bool(answer.calls))
    return answer


def _finish(body: JsonObject, *, has_calls: bool) -> str:
    if body.get("status") == "completed":
        return "tool_calls" if has_calls else "stop"
    details = body.get("incomplete_details")
    reason = _text(details.get("reason")) if isinstance(details, dict) else ""
    return {"max_output_tokens": "length", "content_filter": "content_filter"}.get(reason, "cut")


def _usage(raw: Any) -> JsonObject | None:
    """Tokens under the names of chat completions: here `input_tokens` has the cached ones in it, at Anthropic it has not."""
    if not isinstance(raw, dict):
        return None
    return {
        "prompt_tokens": raw.get("input_tokens"),
        "completion_tokens": raw.get("output_tokens"),
        "prompt_tokens_details": raw.get("input_tokens_details"),
        "completion_tokens_details": raw.get("output_tokens_details"),
    }


def _texts(parts: Any) -> list[str]:
    return [_text(part.get("text")) or _text(part.get("refusal")) for part in _objects(parts)]


def _objects(parts: Any) -> list[JsonObject]:
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
