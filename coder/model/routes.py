"""A request in litellm's keyword arguments, for each route its own. Pure.

`max_retries=0` because retries are ours; `_skip_mcp_handler` because with tools litellm would load its MCP gateway; fields
that litellm does not know for a route travel in `extra_body`, which it merges into the body.
"""

from collections.abc import Sequence

from coder.model.profile import ModelProfile
from coder.model.responses import INCLUDE, response_tools
from coder.model.wire import encode_tools
from coder.types import JsonObject, ToolSpec

_LEAST_THINKING_TOKENS = 1024
"""Anthropic takes no smaller budget, and the budget must be below the cap."""


def litellm_arguments(
    profile: ModelProfile,
    *,
    api_key: str,
    messages: list[JsonObject],
    tools: Sequence[ToolSpec],
    max_tokens: int,
    cache_key: str,
) -> JsonObject:
    """Keyword arguments of `litellm.acompletion`, fresh and the caller's own: litellm writes into them.

    Of `litellm.aresponses` for the route `openai_responses`.
    """
    if profile.route == "openai_responses":
        return _responses(
            profile, api_key=api_key, messages=messages, tools=tools, max_tokens=max_tokens, cache_key=cache_key
        )
    arguments: JsonObject = {
        "model": f"{profile.route}/{profile.model}",
        "messages": messages,
        "api_base": profile.api_base.rstrip("/"),
        "api_key": api_key,
        "max_retries": 0,
        profile.max_tokens_field: max_tokens,
    }
    if tools:
        arguments |= {"tools": encode_tools(tools), "_skip_mcp_handler": True}
    for name in ("temperature", "top_p", "reasoning_effort"):
        value = getattr(profile, name)
        if value is not None:
            arguments[name] = value
    if profile.route == "anthropic":
        return arguments | _anthropic(profile, max_tokens)
    extra = dict(profile.extra_body)
    if profile.stream:
        extra |= {"stream": True, "stream_options": {"include_usage": True}}
    if profile.prompt_cache_key:
        extra["prompt_cache_key"] = cache_key
    return arguments | {"extra_body": extra}


def _responses(
    profile: ModelProfile,
    *,
    api_key: str,
    messages: list[JsonObject],
    tools: Sequence[ToolSpec],
    max_tokens: int,
    cache_key: str,
) -> JsonObject:
    """Nothing is stored at the provider; the reasoning comes encrypted, and is sent back with the history."""
    arguments: JsonObject = {
        "model": f"openai/{profile.model}",
        "input": messages,
        "api_base": profile.api_base.rstrip("/"),
        "api_key": api_key,
        "max_retries": 0,
        "max_output_tokens": max_tokens,
        "store": False,
        "include": list(INCLUDE),
    }
    if tools:
        arguments |= {"tools": response_tools(encode_tools(tools)), "_skip_mcp_handler": True}
    if profile.reasoning_effort is not None:
        arguments["reasoning"] = {"effort": profile.reasoning_effort}
    extra = dict(profile.extra_body)
    if profile.prompt_cache_key:
        extra["prompt_cache_key"] = cache_key
    return arguments | {"extra_body": extra}


def _anthropic(profile: ModelProfile, max_tokens: int) -> JsonObject:
    arguments = dict(profile.extra_body)
    if profile.thinking_budget_tokens is not None and max_tokens > _LEAST_THINKING_TOKENS:
        budget = min(profile.thinking_budget_tokens, max_tokens - 1)
        arguments["thinking"] = {"type": "enabled", "budget_tokens": budget}
    if profile.cache_control:
        arguments["cache_control_injection_points"] = [
            {"location": "message", "role": "system"},
            {"location": "message", "index": -1},
        ]
    return arguments
