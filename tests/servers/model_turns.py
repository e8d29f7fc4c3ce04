"""What the model server says: one turn, and how it looks on the wire of each dialect."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

JsonObject = dict[str, Any]
Fault = Literal["status", "drop", "drop_mid", "early_eof", "stall", "sse_error"]
UsageIn = Literal["openai", "moonshot", "deepseek", "choice", "none"]
Shape = Literal["plain", "no_index", "same_index", "dup_ids", "no_id"]
ReasoningIn = Literal["reasoning_content", "reasoning", "think_tags"]


@dataclass(frozen=True)
class Turn:
    """One answer. `calls` are objects with `name`, `arguments` (text or object) and perhaps `id`.

    `usage` has `prompt`, `cached`, `completion` and `reasoning`; left out, it is counted from the texts.
    """

    content: str | None = None
    reasoning: str | None = None
    thinking_blocks: tuple[JsonObject, ...] = ()
    calls: tuple[JsonObject, ...] = ()
    finish_reason: str | None = None
    usage: Mapping[str, int] | None = None
    usage_in: UsageIn = "openai"
    shape: Shape = "plain"
    reasoning_in: ReasoningIn = "reasoning_content"
    piece_chars: int = 17
    fault: Fault | None = None
    status: int = 500
    error: JsonObject | str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: JsonObject) -> "Turn":
        """A turn from a script; `{"fault": "rate"}` and the other names of FAULTS stand for themselves."""
        if data.get("fault") in FAULTS:
            return fault(data["fault"], data.get("retry_after"))
        unknown = data.keys() - {item.name for item in fields(cls)}
        if unknown:
            raise ValueError(f"unknown fields of a turn: {', '.join(sorted(unknown))}")
        fixed = dict(data)
        for key in ("calls", "thinking_blocks"):
            fixed[key] = tuple(data.get(key, ()))
        return cls(**fixed)

    @property
    def finish(self) -> str:
        return self.finish_reason or ("tool_calls" if self.calls else "stop")


def call(name: str, arguments: JsonObject | str, call_id: str | None = None) -> JsonObject:
    """A tool call for `Turn.calls`."""
    return {"name": name, "arguments": arguments, **({} if call_id is None else {"id": call_id})}


def _error(message: str, kind: str, code: str | None = None) -> JsonObject:
    return {"error": {"message": message, "type": kind, "code": code}}


FAULTS: dict[str, tuple[int, JsonObject | str]] = {
    "rate": (429, _error("Your account reached max RPM: 3, please try again later", "rate_limit_reached_error")),
    "overload": (429, _error("The engine is currently overloaded, please try again later", "engine_overloaded_error")),
    "quota": (
        429,
        _error("You exceeded your current quota, please check your billing", "exceeded_current_quota_error"),
    ),
    "quota_deepseek": (402, _error("Insufficient Balance", "unknown_error")),
    "server": (500, _error("Internal server error", "server_error")),
    "html": (502, "<html><head><title>502</title></head>\n<body><h1>502 Bad Gateway</h1></body></html>"),
    "unavailable": (503, _error("no available channel for this model", "new_api_error")),
    "anthropic_overloaded": (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    "auth": (401, _error("Invalid Authentication", "invalid_authentication_error")),
    "missing": (404, _error("Not found the model kimi-k2-thinking or Permission denied", "resource_not_found_error")),
    "policy": (400, _error("The request was rejected because it was considered high risk", "content_filter")),
    "params": (400, _error("invalid temperature: only 1 is allowed for this model", "invalid_request_error")),
    "context_openai": (
        400,
        _error(
            "This model's maximum context length is 272000 tokens. However, your messages resulted in 300000 tokens.",
            "invalid_request_error",
            "context_length_exceeded",
        ),
    ),
    "context_moonshot": (
        400,
        _error(
            "Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)",
            "invalid_request_error",
        ),
    ),
    "context_moonshot_input": (400, _error("Input token length too long", "invalid_request_error")),
    "context_moonshot_body": (
        400,
        _error("Invalid request: total message size 2166632 exceeds limit 2097152", "invalid_request_error"),
    ),
    "context_vllm": (
        400,
        {
            "object": "error",
            "message": "The decoder prompt (length 40000) is longer than the maximum model length... maximum context length",
            "type": "BadRequestError",
            "code": 400,
        },
    ),
    "context_sglang": (
        400,
        {
            "object": "error",
            "message": "The input (40000 tokens) is longer than the model's context length (32768 tokens).",
            "type": "BadRequestError",
            "code": 400,
        },
    ),
    "context_anthropic": (
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 207001 tokens > 200000"},
        },
    ),
}


def fault(name: str, retry_after: float | str | None = None) -> Turn:
    """An error answer in a provider's own words."""
    status, error = FAULTS[name]
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Turn(fault="status", status=status, error=error, headers=headers)


def counts(turn: Turn, body: JsonObject, cached_chars: int) -> JsonObject:
    """Tokens of this exchange: as scripted, else a quarter of the characters, cached by what the last request shared."""
    if turn.usage is not None:
        return {"prompt": 0, "cached": 0, "completion": 0, "reasoning": 0, **turn.usage}
    said = len(turn.content or "") + sum(len(_arguments(item)) for item in turn.calls)
    return {
        "prompt": len(json.dumps(body, ensure_ascii=False)) // 4,
        "cached": cached_chars // 4 // 64 * 64,
        "completion": (said + len(turn.reasoning or "")) // 4 + 1,
        "reasoning": len(turn.reasoning or "") // 4,
    }


def usage_object(turn: Turn, counted: JsonObject) -> JsonObject:
    usage: JsonObject = {
        "prompt_tokens": counted["prompt"],
        "completion_tokens": counted["completion"],
        "total_tokens": counted["prompt"] + counted["completion"],
    }
    if turn.usage_in == "openai":
        usage["prompt_tokens_details"] = {"cached_tokens": counted["cached"]}
        usage["completion_tokens_details"] = {"reasoning_tokens": counted["reasoning"]}
    elif turn.usage_in == "deepseek":
        usage["prompt_cache_hit_tokens"] = counted["cached"]
        usage["prompt_cache_miss_tokens"] = counted["prompt"] - counted["cached"]
    else:
        usage["cached_tokens"] = counted["cached"]
    return usage


def openai_body(turn: Turn, request_id: str, model: str, counted: JsonObject) -> JsonObject:
    """The turn as one chat completion."""
    message: JsonObject = {"role": "assistant", "content": _content(turn)}
    if turn.reasoning is not None and turn.reasoning_in != "think_tags":
        message[turn.reasoning_in] = turn.reasoning
    if turn.calls:
        message["tool_calls"] = [_tool_call(turn, position) for position in range(len(turn.calls))]
    choice: JsonObject = {"index": 0, "message": message, "finish_reason": turn.finish}
    body: JsonObject = {
        "id": request_id,
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [choice],
    }
    if turn.usage_in == "choice":
        choice["usage"] = usage_object(turn, counted)
    elif turn.usage_in != "none":
        body["usage"] = usage_object(turn, counted)
    return body


def responses_body(turn: Turn, request_id: str, model: str, counted: JsonObject) -> JsonObject:
    """OpenAI's Responses: one reasoning item, a message, calls; thinking blocks stand for items given whole."""
    reasoning: JsonObject = {"type": "reasoning", "id": f"rs_{request_id}", "summary": [], "status": None}
    output: list[JsonObject] = [dict(block) for block in turn.thinking_blocks]
    if turn.reasoning and not output:
        output.append({**reasoning, "encrypted_content": f"sealed({turn.reasoning})"})
    if turn.content:
        text = {"type": "output_text", "text": turn.content, "annotations": []}
        output.append({"type": "message", "id": f"msg_{request_id}", "role": "assistant", "content": [text]})
    for position, item in enumerate(turn.calls):
        call_id = item.get("id", f"call_{request_id}_{position}")
        named = {"type": "function_call", "id": f"fc_{position}", "call_id": call_id, "name": item["name"]}
        output.append({**named, "arguments": _arguments(item), "status": "completed"})
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(turn.finish)
    usage = {
        "input_tokens": counted["prompt"],
        "input_tokens_details": {"cached_tokens": counted["cached"]},
        "output_tokens": counted["completion"],
        "output_tokens_details": {"reasoning_tokens": counted.get("reasoning", 0)},
        "total_tokens": counted["prompt"] + counted["completion"],
    }
    return {
        "id": request_id,
        "object": "response",
        "model": model,
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "output": output,
        "usage": None if turn.usage_in == "none" else usage,
    }


def openai_chunks(turn: Turn, request_id: str, model: str, counted: JsonObject) -> Iterator[JsonObject]:
    """The turn as the chunks of a stream, reasoning first."""
    head: JsonObject = {"id": request_id, "object": "chat.completion.chunk", "created": 1, "model": model}

    def chunk(delta: JsonObject, finish: str | None = None, **more: Any) -> JsonObject:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}

    yield chunk({"role": "assistant", "content": ""})
    if turn.reasoning is not None and turn.reasoning_in != "think_tags":
        for piece in _pieces(turn.reasoning, turn.piece_chars):
            yield chunk({turn.reasoning_in: piece})
    for piece in _pieces(_content(turn) or "", turn.piece_chars):
        yield chunk({"content": piece})
    for position in range(len(turn.calls)):
        for delta in _call_deltas(turn, position):
            yield chunk({"tool_calls": [delta]})
    in_choice = {"usage": usage_object(turn, counted)} if turn.usage_in == "choice" else {}
    yield chunk({}, turn.finish, **in_choice)
    if turn.usage_in not in {"choice", "none"}:
        yield {**head, "choices": [], "usage": usage_object(turn, counted)}


def anthropic_body(turn: Turn, request_id: str, model: str, counted: JsonObject) -> JsonObject:
    """The turn as an answer of `/v1/messages`."""
    blocks: list[JsonObject] = [dict(block) for block in turn.thinking_blocks]
    if turn.content:
        blocks.append({"type": "text", "text": turn.content})
    for position, item in enumerate(turn.calls):
        arguments = item["arguments"]
        value = json.loads(arguments) if isinstance(arguments, str) else arguments
        blocks.append(
            {"type": "tool_use", "id": item.get("id", f"toolu_{position}"), "name": item["name"], "input": value}
        )
    reasons = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}
    return {
        "id": request_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": reasons.get(turn.finish, turn.finish),
        "stop_sequence": None,
        "usage": {
            "input_tokens": counted["prompt"] - counted["cached"],
            "cache_read_input_tokens": counted["cached"],
            "cache_creation_input_tokens": counted.get("written", 0),
            "output_tokens": counted["completion"],
        },
    }


def anthropic_events(turn: Turn, request_id: str, model: str, counted: JsonObject) -> Iterator[JsonObject]:
    """The turn as the events of a `/v1/messages` stream."""
    body = anthropic_body(turn, request_id, model, counted)
    blocks = body["content"]
    yield {"type": "message_start", "message": {**body, "content": [], "stop_reason": None}}
    yield {"type": "ping"}
    for index, block in enumerate(blocks):
        empty, deltas = _block_deltas(block, turn.piece_chars)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    usage = {"output_tokens": body["usage"]["output_tokens"]}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": body["stop_reason"], "stop_sequence": None},
        "usage": usage,
    }
    yield {"type": "message_stop"}


def _block_deltas(block: JsonObject, size: int) -> tuple[JsonObject, list[JsonObject]]:
    if block["type"] == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"], size)]
    if block["type"] == "tool_use":
        pieces = _pieces(json.dumps(block["input"]), size)
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"], size)]
        signature = {"type": "signature_delta", "signature": block["signature"]}
        return {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signature]
    return block, []


def _content(turn: Turn) -> str | None:
    if turn.reasoning is not None and turn.reasoning_in == "think_tags":
        return f"<think>{turn.reasoning}</think>{turn.content or ''}"
    return turn.content


def _arguments(item: JsonObject) -> str:
    arguments = item["arguments"]
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def _tool_call(turn: Turn, position: int) -> JsonObject:
    item = turn.calls[position]
    encoded: JsonObject = {"type": "function", "function": {"name": item["name"], "arguments": _arguments(item)}}
    if turn.shape == "dup_ids":
        encoded["id"] = "functions.same:0"
    elif turn.shape != "no_id":
        encoded["id"] = item.get("id", f"functions.{item['name']}:{position}")
    return encoded


def _call_deltas(turn: Turn, position: int) -> Iterator[JsonObject]:
    whole = _tool_call(turn, position)
    index: JsonObject = {}
    if turn.shape != "no_index":
        index = {"index": 0 if turn.shape == "same_index" else position}
    first, *others = _pieces(whole["function"]["arguments"], turn.piece_chars) or [""]
    yield {**index, **whole, "function": {"name": whole["function"]["name"], "arguments": first}}
    for piece in others:
        yield {**index, "function": {"arguments": piece}}


def _pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]
