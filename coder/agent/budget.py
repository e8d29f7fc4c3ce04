"""Hard limits, checked before each model call with the worst that the call can cost."""

from coder.model.profile import ModelProfile
from coder.types import Limits, Spent, Usage

MIN_OUTPUT_TOKENS = 1_024
"""Fewer than these are no room for an answer."""
WARN_AT = 0.8
"""Share of a limit at which the model is told."""
_WINDOW_MARGIN_TOKENS = 1_024


def room(prompt_tokens: int, profile: ModelProfile, limits: Limits, used: Spent) -> int:
    """How many tokens the next answer may have, by window, money and tokens; 0 when there is no room for one."""
    output = min(profile.max_output_tokens, profile.window_tokens - prompt_tokens - _WINDOW_MARGIN_TOKENS)
    output = min(output, limits.max_tokens - used.prompt_tokens - used.completion_tokens - prompt_tokens)
    if profile.prices.output:
        prompt_cost = profile.prices.cost_usd(Usage(prompt_tokens=prompt_tokens))
        affordable = (limits.max_cost_usd - used.cost_usd - prompt_cost) / profile.prices.output * 1_000_000
        output = min(output, int(affordable))
    return output if output >= MIN_OUTPUT_TOKENS else 0


def exhausted(limits: Limits, used: Spent) -> str | None:
    """Which limit is used up, as a sentence; None while there is room."""
    if used.steps >= limits.max_steps:
        return f"the limit of {limits.max_steps} steps is reached"
    if used.elapsed_s >= limits.max_minutes * 60:
        return f"the limit of {limits.max_minutes:g} minutes is reached"
    return None


def worst_call(profile: ModelProfile, limits: Limits, used: Spent) -> str:
    """Why there is no room for another call, as a sentence."""
    if used.prompt_tokens + used.completion_tokens > WARN_AT * limits.max_tokens:
        return f"the limit of {limits.max_tokens} tokens would be passed by the next call"
    left = limits.max_cost_usd - used.cost_usd
    return f"of ${limits.max_cost_usd:g}, ${left:.2f} are left: less than the next call of {profile.name} can cost"


def warning(limits: Limits, used: Spent, before: Spent) -> str | None:
    """What the model is told when a limit comes near; None before that. `before` is what was used when this work began."""
    then = before.prompt_tokens + before.completion_tokens
    shares = {
        "steps": _share(limits.max_steps, used.steps, before.steps),
        "money": _share(limits.max_cost_usd, used.cost_usd, before.cost_usd),
        "time": _share(limits.max_minutes * 60, used.elapsed_s, before.elapsed_s),
        "tokens": _share(limits.max_tokens, used.prompt_tokens + used.completion_tokens, then),
    }
    name, share = max(shares.items(), key=lambda item: item[1])
    return f"{share:.0%} of the {name} for this work is used" if share >= WARN_AT else None


def _share(limit: float, used: float, before: float) -> float:
    return (used - before) / (limit - before) if limit > before else 1.0
