"""Refusals of the real providers, as strict as they are: what a request must look like."""

import json
from collections.abc import Iterator
from typing import Any, Literal

JsonObject = dict[str, Any]
Strictness = Literal["none", "pairing", "moonshot", "deepseek", "openai", "anthropic", "responses"]


def complaint(body: JsonObject, strictness: Strictness) -> str | None:
    """What a provider would answer 400 with, or None."""
    if strictness == "none":
        return None
    if strictness == "responses":
        return next(_responses(body), None)
    if strictness == "anthropic":
        return next(_anthropic(body), None)
    found = [_pairing(body["messages"]), _texts(body["messages"]), _arguments(body["messages"])]
    if strictness == "moonshot":
        found.append(_moonshot(body))
    elif strictness == "deepseek":
        found.append(_reasoning(body["messages"], "reasoning_content", "must be passed back to the API"))
    elif strictness == "openai":
        found.append(_openai(body))
    return next((each for each in found if each), None)


def _pairing(messages: list[JsonObject]) -> str | None:
    waiting: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if not waiting or message.get("tool_call_id") != waiting.pop(0):
                return f"messages[{index}]: tool_call_id {message.get('tool_call_id')!r} does not answer the call before it"
            continue
        if waiting:
            return f"messages[{index}]: tool calls {waiting} have no tool messages"
        waiting = [item["id"] for item in message.get("tool_calls") or ()]
        if len(set(waiting)) != len(waiting):
            return f"messages[{index}]: duplicate tool call ids"
    return f"tool calls {waiting} have no tool messages" if waiting else None


def _texts(messages: list[JsonObject]) -> str | None:
    for index, message in enumerate(messages):
        content = message.get("content")
        texts = [part.get("text") for part in content] if isinstance(content, list) else [content]
        if any(text is not None and not str(text).strip() for text in texts):
            return f"messages[{index}]: text content is empty"
        if content is None and not message.get("tool_calls"):
            return f"messages[{index}]: the message must not be empty"
    return None


def _arguments(messages: list[JsonObject]) -> str | None:
    for index, message in enumerate(messages):
        for item in message.get("tool_calls") or ():
            try:
                value = json.loads(item["function"]["arguments"])
            except ValueError:
                value = None
            if not isinstance(value, dict):
                return f"messages[{index}]: function arguments are not a JSON object"
    return None


def _reasoning(messages: list[JsonObject], key: str, words: str) -> str | None:
    for index, message in enumerate(messages):
        if message["role"] == "assistant" and message.get("tool_calls") and not message.get(key):
            return f"{key} {words} in assistant tool call message at index {index}"
    return None


def _moonshot(body: JsonObject) -> str | None:
    if body.get("tool_choice") not in {None, "auto", "none"}:
        return f"tool_choice '{body['tool_choice']}' is incompatible with thinking enabled"
    names = [tool["function"]["name"] for tool in body.get("tools") or ()]
    if len(set(names)) != len(names):
        return "function names are duplicated"
    for tool in body.get("tools") or ():
        problem = next(_untyped(tool["function"]["parameters"], ""), None)
        if problem:
            return f"tools.function.parameters is not a valid moonshot flavored json schema, details: <{problem}>"
    thinking = "thinking is enabled but reasoning_content is missing"
    if _reasoning(body["messages"], "reasoning_content", ""):
        return thinking + (_reasoning(body["messages"], "reasoning_content", "") or "")
    return None


def _untyped(schema: JsonObject, path: str) -> Iterator[str]:
    for name, part in (schema.get("properties") or {}).items():
        where = f"{path}properties.{name}"
        if not part.keys() & {"type", "anyOf", "$ref"}:
            yield f"At path '{where}': type is not defined"
        yield from _untyped(part, where + ".")
    if isinstance(schema.get("items"), dict):
        yield from _untyped(schema["items"], path + "items.")


def _openai(body: JsonObject) -> str | None:
    known = {"role", "content", "tool_calls", "tool_call_id", "name", "refusal"}
    for index, message in enumerate(body["messages"]):
        if message.keys() - known:
            return f"Unknown parameter: 'messages[{index}].{min(message.keys() - known)}'."
    if "max_tokens" in body:
        return (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
    if body.get("temperature", 1) != 1 or "top_p" in body:
        return "Unsupported value: only the default (1) value is supported."
    return None


def _responses(body: JsonObject) -> Iterator[str]:
    known = {"model", "input", "include", "max_output_tokens", "reasoning", "store", "tools", "prompt_cache_key"}
    if body.keys() - known:
        yield f"Unknown parameter: '{min(body.keys() - known)}'."
    if body.get("store") is not False or "reasoning.encrypted_content" not in body.get("include", ()):
        yield "Items are not persisted when `store` is set to false."
    calls = [item["call_id"] for item in body["input"] if item.get("type") == "function_call"]
    results = [item["call_id"] for item in body["input"] if item.get("type") == "function_call_output"]
    if sorted(calls) != sorted(results):
        yield f"No tool output found for function call {sorted(set(calls) ^ set(results))}."
    yield from _items(body["input"])


def _items(items: list[JsonObject]) -> Iterator[str]:
    for item, after in zip(items, [*items[1:], {"type": "end"}], strict=True):
        kind = item.get("type", "message")
        if kind == "reasoning" and after.get("type", "message") not in {"message", "function_call", "reasoning"}:
            yield f"Item '{item['id']}' of type 'reasoning' was provided without its required following item."
        if kind == "reasoning" and not item.get("encrypted_content"):
            yield f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false."
        if kind == "message" and not item.get("content"):
            yield "Invalid 'input': empty content."


def _anthropic(body: JsonObject) -> Iterator[str]:
    if "max_tokens" not in body:
        yield "max_tokens: Field required"
    known = {
        "model",
        "messages",
        "system",
        "max_tokens",
        "tools",
        "tool_choice",
        "thinking",
        "stream",
        "temperature",
        "metadata",
    }
    if body.keys() - known:
        yield f"{min(body.keys() - known)}: Extra inputs are not permitted"
    thinking = body.get("thinking", {}).get("type") == "enabled"
    if thinking and body["thinking"]["budget_tokens"] >= body.get("max_tokens", 0):
        yield "max_tokens must be greater than thinking.budget_tokens"
    waiting: set[str] = set()
    for index, message in enumerate(body["messages"]):
        blocks = message["content"] if isinstance(message["content"], list) else []
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if results != waiting:
            yield f"messages.{index}: tool_use ids {sorted(waiting)} need tool_result blocks immediately after"
        waiting = {block["id"] for block in blocks if block["type"] == "tool_use"}
        if thinking and waiting and blocks[0]["type"] not in {"thinking", "redacted_thinking"}:
            yield f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{blocks[0]['type']}`"
