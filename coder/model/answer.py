"""Answers read from the raw wire: streamed or whole, by rules of our own, because libraries in between falsify them.

Everything here is pure. `finish_reason` is what the provider said; where it said nothing the answer is `cut`.
"""

import json
import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Literal

from coder.model.arguments import parse_arguments
from coder.model.leaks import recover_calls
from coder.model.profile import ModelProfile
from coder.model.text import sound
from coder.types import JsonObject, Message, ToolCall, Usage

FinishReason = Literal["stop", "tool_calls", "length", "content_filter", "cut"]

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}
_NO_NAME_LETTERS = re.compile(r"[^A-Za-z0-9_-]")
_BYTES_PER_TOKEN = 3
"""Fewer than tokenizers reach on code and prose (about 4), so that an estimate errs on the dear side."""


@dataclass(slots=True)
class RawCall:
    """A tool call as it came, perhaps without id."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class RawAnswer:
    """What a provider sent, before it is judged."""

    content: str = ""
    reasoning: str = ""
    thinking_blocks: tuple[JsonObject, ...] = ()
    calls: list[RawCall] = field(default_factory=list)
    finish_reason: str | None = None
    done: bool = False
    """The provider marked the end: the whole body came, or `[DONE]`."""
    usage: JsonObject | None = None
    request_id: str | None = None
    answer_bytes: int = 0


# --- OpenAI's dialect -------------------------------------------------------------------------------------------------


def read_openai_body(body: JsonObject) -> RawAnswer:
    """A whole chat completion. Raises nothing: what is not there stays empty."""
    assembly = StreamAssembly()
    choice = _first(body.get("choices"))
    message = choice.get("message")
    assembly.feed({**body, "choices": [{**choice, "delta": message if isinstance(message, dict) else {}}]})
    assembly.answer.done = True
    return assembly.finish()


class StreamAssembly:
    """Puts the deltas of a chat completion stream together.

    Servers disagree about `index` and `id` of tool call deltas (absent, repeated, the same for all). A delta goes on with a
    call when nothing says otherwise; it begins a new one at a new index, a new id, or a name where the last call is complete.
    """

    def __init__(self) -> None:
        self.answer = RawAnswer()
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._by_index: dict[int, RawCall] = {}

    def feed(self, chunk: JsonObject) -> None:
        """Take the next chunk."""
        answer = self.answer
        choice = _first(chunk.get("choices"))
        for usage in (chunk.get("usage"), choice.get("usage")):
            if isinstance(usage, dict) and usage:
                answer.usage = usage
        answer.request_id = answer.request_id or _text(chunk.get("id")) or None
        answer.finish_reason = _text(choice.get("finish_reason")) or answer.finish_reason
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return
        self._content.append(_content_text(delta.get("content")))
        self._reasoning.append(_text(delta.get("reasoning_content")) or _text(delta.get("reasoning")))
        calls = delta.get("tool_calls")
        for part in calls if isinstance(calls, list) else ():
            if isinstance(part, dict):
                self._feed_call(part)

    def finish(self) -> RawAnswer:
        """The answer as far as it came."""
        self.answer.content = "".join(self._content)
        self.answer.reasoning = "".join(self._reasoning)
        return self.answer

    def _feed_call(self, part: JsonObject) -> None:
        function = part.get("function")
        function = function if isinstance(function, dict) else {}
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments, ensure_ascii=False)
        new = RawCall(_text(part.get("id")), _text(function.get("name")), _text(arguments))
        index = part.get("index")
        calls = self.answer.calls
        known = self._by_index.get(index) if isinstance(index, int) else (calls[-1] if calls else None)
        if known is None or _begins_another(known, new):
            calls.append(new)
            known = new
        else:
            known.id = known.id or new.id
            known.name = known.name or new.name
            known.arguments += new.arguments
        if isinstance(index, int):
            self._by_index[index] = known


def _begins_another(known: RawCall, new: RawCall) -> bool:
    if new.id and known.id and new.id != known.id:
        return True
    if not new.name or not known.name:
        return False
    if new.name != known.name:
        return True
    return bool(known.arguments) and bool(new.arguments) and parse_arguments(known.arguments) is not None


# --- Anthropic's dialect ----------------------------------------------------------------------------------------------


def read_anthropic_body(body: JsonObject) -> RawAnswer:
    """A whole answer of `/v1/messages`, its thinking blocks byte for byte."""
    content = body.get("content")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    thinking = tuple(block for block in blocks if _text(block.get("type")) in {"thinking", "redacted_thinking"})
    return RawAnswer(
        content="".join(_text(block.get("text")) for block in blocks if block.get("type") == "text"),
        reasoning="".join(_text(block.get("thinking")) for block in thinking),
        thinking_blocks=thinking,
        calls=[_anthropic_call(block) for block in blocks if block.get("type") == "tool_use"],
        finish_reason=_text(body.get("stop_reason")) or None,
        done=True,
        usage=body.get("usage") if isinstance(body.get("usage"), dict) else None,
        request_id=_text(body.get("id")) or None,
    )


def _anthropic_call(block: JsonObject) -> RawCall:
    arguments = block.get("input")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    return RawCall(_text(block.get("id")), _text(block.get("name")), text)


class AnthropicAssembly:
    """Puts the events of a `/v1/messages` stream together, block by block."""

    def __init__(self) -> None:
        self._body: JsonObject = {"content": [], "usage": {}}
        self._blocks: dict[int, JsonObject] = {}
        self._done = False

    def feed(self, event: JsonObject) -> None:
        """Take the next event."""
        kind = event.get("type")
        if kind == "message_start":
            message = _details(event, "message")
            self._body["id"] = message.get("id")
            self._body["usage"] |= _details(message, "usage")
        elif kind == "content_block_start":
            self._blocks[_count(event, "index")] = dict(_details(event, "content_block"))
        elif kind == "content_block_delta":
            self._feed_delta(self._blocks.setdefault(_count(event, "index"), {}), _details(event, "delta"))
        elif kind == "message_delta":
            self._body["stop_reason"] = _details(event, "delta").get("stop_reason")
            self._body["usage"] |= _details(event, "usage")
        elif kind == "message_stop":
            self._done = True

    def finish(self) -> RawAnswer:
        """The answer as far as it came; blocks in order."""
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        for block in blocks:
            if "partial_json" in block:
                block["input"] = block.pop("partial_json")
        answer = read_anthropic_body({**self._body, "content": blocks})
        answer.done = self._done
        return answer

    @staticmethod
    def _feed_delta(block: JsonObject, delta: JsonObject) -> None:
        for key in ("text", "thinking", "signature", "partial_json"):
            if isinstance(delta.get(key), str):
                block[key] = _text(block.get(key)) + delta[key]


# --- judged -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer as the conversation takes it."""

    message: Message
    finish_reason: FinishReason

    @property
    def is_empty(self) -> bool:
        """Neither text nor call: thinking only, or nothing at all."""
        return not self.message.tool_calls and not (self.message.content or "").strip()


def judge(
    raw: RawAnswer,
    profile: ModelProfile,
    *,
    tool_names: AbstractSet[str],
    taken_ids: AbstractSet[str],
    calls_before: int,
) -> Judged:
    """The message that `raw` amounts to.

    Inline `<think>` is split off, leaked calls are recovered where the profile says so, and every call has an id that is
    unique in the conversation (`taken_ids` are used, `calls_before` is their number in all).
    """
    content, reasoning = _split_thinking(raw.content, raw.reasoning)
    calls = list(raw.calls)
    if profile.recover_leaked_calls:
        content, from_content = recover_calls(content, tool_names)
        reasoning, from_reasoning = recover_calls(reasoning, tool_names)
        if not calls:
            calls = [RawCall(call.id, call.name, call.arguments) for call in (*from_reasoning, *from_content)]
    finish = _finish(raw, has_calls=bool(calls))
    if finish in {"cut", "length"}:
        # The stream ended where a call had just begun: no arguments yet is not "no arguments".
        calls = [call for call in calls if call.arguments.strip()]
    message = Message(
        role="assistant",
        content=sound(content) or None,
        reasoning_content=sound(reasoning) or None,
        thinking_blocks=raw.thinking_blocks,
        tool_calls=_named(calls, profile, tool_names=tool_names, taken_ids=taken_ids, calls_before=calls_before),
    )
    return Judged(message, finish)


def _finish(raw: RawAnswer, *, has_calls: bool) -> FinishReason:
    if raw.finish_reason is None:
        if not raw.done:
            return "cut"
        return "tool_calls" if has_calls else "stop"
    finish = _FINISH.get(raw.finish_reason, "cut")
    return "tool_calls" if finish == "stop" and has_calls else finish


def _split_thinking(content: str, reasoning: str) -> tuple[str, str]:
    """Content and reasoning, where a server without reasoning parser left `<think>…</think>` at the front."""
    text = content.lstrip()
    if not text.startswith("<think>"):
        return content, reasoning
    thought, end, rest = text.removeprefix("<think>").partition("</think>")
    if not end:
        return "", reasoning + thought
    return rest.lstrip(), reasoning + thought


def _named(
    calls: Iterable[RawCall],
    profile: ModelProfile,
    *,
    tool_names: AbstractSet[str],
    taken_ids: AbstractSet[str],
    calls_before: int,
) -> tuple[ToolCall, ...]:
    used = set(taken_ids)
    named: list[ToolCall] = []
    for number, call in enumerate(calls, start=calls_before):
        name = _tool_name(call.name, tool_names)
        call_id = sound(call.id)
        serial = number
        while not call_id or call_id in used:
            call_id = f"functions.{name}:{serial}" if profile.call_ids == "functions" else f"call_{serial}"
            serial += 1
        used.add(call_id)
        named.append(ToolCall(id=call_id, name=name, arguments=sound(call.arguments)))
    return tuple(named)


def _tool_name(name: str, tool_names: AbstractSet[str]) -> str:
    """The tool that is meant, else the name in the letters that providers take back in a history."""
    meant = name.strip().removeprefix("functions.").partition(":")[0]
    return meant if meant in tool_names else _NO_NAME_LETTERS.sub("_", name)[:64] or "unknown"


# --- usage ------------------------------------------------------------------------------------------------------------


def read_usage(raw: JsonObject | None) -> Usage | None:
    """Tokens from any provider's usage object, or None when it says nothing.

    Known places of cached tokens: OpenAI's `prompt_tokens_details`, Moonshot's `cached_tokens`, DeepSeek's
    `prompt_cache_hit_tokens`, Anthropic's `cache_read_input_tokens` (which its `input_tokens` does not include).
    """
    if raw is None:
        return None
    written = _count(raw, "cache_creation_input_tokens")
    if "input_tokens" in raw:
        cached = _count(raw, "cache_read_input_tokens")
        prompt = _count(raw, "input_tokens") + cached + written
        completion = _count(raw, "output_tokens")
    else:
        prompt = _count(raw, "prompt_tokens")
        completion = _count(raw, "completion_tokens")
        cached = max(
            _count(_details(raw, "prompt_tokens_details"), "cached_tokens"),
            _count(raw, "cached_tokens"),
            _count(raw, "prompt_cache_hit_tokens"),
        )
    if prompt == 0:
        return None
    cached = min(cached, prompt)
    return Usage(
        prompt_tokens=prompt,
        cached_tokens=cached,
        cache_write_tokens=min(written, prompt - cached),
        completion_tokens=completion,
        reasoning_tokens=min(completion, _count(_details(raw, "completion_tokens_details"), "reasoning_tokens")),
    )


def estimated_usage(*, request_bytes: int, answer_bytes: int) -> Usage:
    """An upper estimate of tokens from what went over the wire, nothing of it cached."""
    return Usage(
        prompt_tokens=-(-request_bytes // _BYTES_PER_TOKEN),
        completion_tokens=-(-answer_bytes // _BYTES_PER_TOKEN),
        estimated=True,
    )


def _details(raw: JsonObject, key: str) -> JsonObject:
    details = raw.get(key)
    return details if isinstance(details, dict) else {}


def _count(raw: JsonObject, key: str) -> int:
    value = raw.get(key)
    return max(0, value) if isinstance(value, int) and not isinstance(value, bool) else 0


def _first(items: Any) -> JsonObject:
    return items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _content_text(value: Any) -> str:
    """Text of a content that may be a list of parts."""
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return _text(value)
