"""Where state lies is found without the settings' library, and the same."""

from pathlib import Path

import pytest

from coder.errors import ConfigError
from coder.places import SECTIONS, state_dir
from coder.settings import Settings, load


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_known_names_are_those_of_the_settings() -> None:
    assert frozenset(Settings.model_fields) == SECTIONS


def test_without_settings_it_is_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_dir() == load().state_dir == tmp_path / ".local/state/coder"
    monkeypatch.setenv("XDG_STATE_HOME", "/var/tmp")
    assert state_dir() == load().state_dir == Path("/var/tmp/coder")


def test_the_file_is_heeded_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / ".config/coder/coder.toml", 'state_dir = "/a"\n[limits]\nmax_steps = 3\n')
    other = write(tmp_path / "other.toml", 'state_dir = "/b"\n')

    assert state_dir() == state_dir(file) == load().state_dir == Path("/a")
    assert state_dir(other) == load(other).state_dir == Path("/b")
    monkeypatch.setenv("CODER_CONFIG", str(other))
    assert state_dir() == load().state_dir == Path("/b")
    monkeypatch.setenv("CODER_STATE_DIR", "/c")
    assert state_dir() == load().state_dir == Path("/c")


@pytest.mark.parametrize("text", ["state_dri = '/a'", "state_dir = 3", "state_dir =", "\0"])
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, text: str) -> None:
    file = write(tmp_path / "coder.toml", text)

    for read in (state_dir, load):
        with pytest.raises(ConfigError, match=r"coder\.toml"):
            read(file)


@pytest.mark.parametrize(("name", "value"), [("CODER_STATE_DRI", "/a"), ("CODER_CONFIG", "/nowhere")])
def test_a_misspelt_variable_or_a_missing_file_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    for read in (state_dir, load):
        with pytest.raises(ConfigError):
            read()
