"""Profiles from `configs/models/*.toml`: found by name, checked, and refused with a reason where they are no use."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from coder.errors import ConfigError, ModelError
from coder.model.profile import EffortRules, ModelProfile

EFFORTS: Mapping[str, EffortRules] = {
    "low": EffortRules(max_steps=100, max_rounds=1),
    "medium": EffortRules(max_steps=200, max_rounds=2),
    "high": EffortRules(max_rounds=3),
    "max": EffortRules(max_rounds=5, attempts=3),
}
"""What an effort means whatever the model: 300 steps are the run's default limit, 3 rounds the policy's."""


def profile_names(folders: Sequence[Path]) -> tuple[str, ...]:
    """Names of all profiles in `folders`, retired ones too, sorted."""
    return tuple(sorted({path.stem for folder in folders for path in folder.glob("*.toml")}))


def load_profile(name: str, folders: Sequence[Path]) -> ModelProfile:
    """The profile `name`; where several folders have it, the first one wins. `name@high` is it at that effort.

    Raises:
        ConfigError: There is no such profile or effort, or its file is not one.
        ModelError: The model is retired; the message says what to use instead.
    """
    plain, at, effort = name.partition("@")
    profile = read_profile(profile_path(plain, folders))
    if profile.retired is not None:
        raise ModelError(f"model profile {plain!r} is retired: {profile.retired}")
    return with_effort(profile, effort) if at else profile


def with_effort(profile: ModelProfile, effort: str) -> ModelProfile:
    """`profile` with what it changes at `effort`; steps and rounds have defaults that fit any model.

    Raises:
        ConfigError: There is no such effort, or the profile's own rules contradict each other.
    """
    if effort not in EFFORTS:
        raise ConfigError(f"no effort {effort!r}; there are: {', '.join(EFFORTS)}")
    rules = {name: rule for name, rule in profile.effort.items() if name == effort}
    given = [EFFORTS[effort], *rules.values()]
    changes = {key: value for rule in given for key, value in rule.model_dump(exclude_none=True).items()}
    return _validated(profile.model_dump() | changes, f"{profile.name}@{effort}")


def profile_path(name: str, folders: Sequence[Path]) -> Path:
    """The file of profile `name`.

    Raises:
        ConfigError: No folder has it.
    """
    names = profile_names(folders)
    if name not in names:
        known = ", ".join(names) or f"none, no *.toml in {', '.join(map(str, folders)) or 'no folder'}"
        raise ConfigError(f"no model profile {name!r}; there are: {known}")
    return next(path for folder in folders if (path := folder / f"{name}.toml").is_file())


def read_profile(path: Path) -> ModelProfile:
    """The profile in `path`, retired or not; its name is the file's stem.

    Raises:
        ConfigError: The file cannot be read, is not TOML, or has a wrong field.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"cannot read model profile {path}: {exc}") from exc
    if "name" in fields:
        raise ConfigError(f"model profile {path}: name: comes from the file's name, leave it out")
    return _validated({"name": path.stem, **fields}, str(path))


def with_overrides(
    profile: ModelProfile, *, api_base: str | None = None, model: str | None = None, api_key_env: str | None = None
) -> ModelProfile:
    """`profile` with another address, model id or key variable; None leaves a field as it is.

    Raises:
        ConfigError: `api_base` is not an HTTP address.
    """
    changes = {"api_base": api_base, "model": model, "api_key_env": api_key_env}
    fields = profile.model_dump() | {key: value for key, value in changes.items() if value is not None}
    return _validated(fields, profile.name)


def _validated(fields: dict[str, object], source: str) -> ModelProfile:
    try:
        profile = ModelProfile.model_validate(fields)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"model profile {source}: {where}: {first['msg']}") from exc
    problem = _contradiction(profile)
    if problem is not None:
        raise ConfigError(f"model profile {source}: {problem}")
    return profile


def _contradiction(profile: ModelProfile) -> str | None:
    """What a field says that cannot be, as `field: why`."""
    if not profile.api_base.startswith(("http://", "https://")):
        return f"api_base: {profile.api_base!r} does not begin with http:// or https://"
    if profile.max_output_tokens >= profile.window_tokens:
        return f"max_output_tokens: {profile.max_output_tokens} leaves no room in a window of {profile.window_tokens}"
    if profile.route == "openai_responses" and profile.stream:
        return "stream: must be false for the route openai_responses, whose answers are read whole"
    budget = profile.thinking_budget_tokens
    if budget is not None and budget >= profile.max_output_tokens:
        return f"thinking_budget_tokens: {budget} must be below max_output_tokens {profile.max_output_tokens}"
    return None
