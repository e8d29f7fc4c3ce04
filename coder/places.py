"""Where our files are: the configuration file and the state folder.

The part of the settings that needs no library, so that `coder map` comes at once; `coder/settings.py` reads the rest.
"""

import os
from pathlib import Path
from typing import Final

from coder.errors import ConfigError

PREFIX: Final = "CODER_"
OTHER_NAMES: Final = frozenset({"CODER_CONFIG"})
"""Variables of ours that are no settings."""
SECTIONS: Final = frozenset(
    {"model", "limits", "policy", "sandbox", "github", "service", "mcp", "state_dir", "log_level"}
)
"""The names at the top of the settings: a misspelt `state_dir` would be looked for in vain for hours."""


def state_dir(config: Path | None = None) -> Path:
    """The setting `state_dir`, found as all settings are: the environment wins over the file, the file over the default.

    Raises:
        ConfigError: The file is not there, not TOML, or has names at its top that are none of ours; so for the environment.
    """
    path = config_file(config)
    named: object = None
    if path is not None:
        import tomllib  # most have no such file, and need not load what reads it

        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            raise ConfigError(f"cannot read the settings ({path}): {exc}") from exc
        if unknown := sorted(table.keys() - SECTIONS):
            raise ConfigError(f"settings in {path} do not fit: {unknown[0]}: no setting has that name")
        named = table.get("state_dir")
        if named is not None and not isinstance(named, str):
            raise ConfigError(f"settings in {path} do not fit: state_dir: not a path")
    for name, value in os.environ.items():
        if name.startswith(PREFIX) and name.upper() not in OTHER_NAMES:
            setting = name.removeprefix(PREFIX).lower()
            if setting.partition("__")[0] not in SECTIONS:
                raise ConfigError(f"unknown setting {name} in the environment; `coder config` lists the names")
            named = value if setting == "state_dir" else named
    return Path(named) if isinstance(named, str) else default_state_dir()


def config_file(config: Path | None = None) -> Path | None:
    """The configuration file: as given, as `CODER_CONFIG` says, else the user's own; None when there is none.

    Raises:
        ConfigError: One is named, and is not there.
    """
    if config is None and (named := os.environ.get("CODER_CONFIG")):
        config = Path(named)
    if config is not None and not config.is_file():
        raise ConfigError(f"there is no configuration file {config}")
    usual = _home("XDG_CONFIG_HOME", ".config") / "coder" / "coder.toml"
    return config or (usual if usual.is_file() else None)


def default_state_dir() -> Path:
    """Where state lies when no setting says otherwise."""
    return _home("XDG_STATE_HOME", ".local/state") / "coder"


def _home(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable)
    return Path(value) if value and Path(value).is_absolute() else Path.home() / fallback
