from pathlib import Path

import pytest
from pydantic import SecretStr

from coder.app import secrets_of
from coder.errors import ConfigError
from coder.model.profiles import read_profile
from coder.settings import Settings, data_folder, load, names

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SSL_CERT_FILE", "DOCKER_HOST", "GITHUB_TOKEN", "GH_TOKEN", "http_proxy", "HTTP_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    settings = load()

    assert settings.model.profile == "kimi-k2-thinking"
    assert settings.state_dir == tmp_path / "state" / "coder"
    assert settings.limits.max_cost_usd == 5.0


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "coder.toml"
    path.write_text('[limits]\nmax_steps = 7\nmax_minutes = 3\n[model]\nprofile = "gpt-5"\n')
    monkeypatch.setenv("CODER_LIMITS__MAX_STEPS", "9")

    settings = load(path)

    assert (settings.limits.max_steps, settings.limits.max_minutes) == (9, 3)
    assert settings.model.profile == "gpt-5"


def test_the_users_own_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "config" / "coder").mkdir(parents=True)
    (tmp_path / "config" / "coder" / "coder.toml").write_text('log_level = "debug"')

    assert load().log_level == "debug"


def test_the_annotated_configuration_loads() -> None:
    assert load(ROOT / "configs" / "coder.toml").service.label == "coder"


def test_nothing_is_read_from_the_folder_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("CODER_MODEL__PROFILE=evil\nCODER_LIMITS__MAX_COST_USD=999\n")
    (tmp_path / "coder.toml").write_text('[model]\nprofile = "evil"\n')
    monkeypatch.chdir(tmp_path)

    assert load().model.profile == "kimi-k2-thinking"
    assert load().limits.max_cost_usd == 5.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[limits]\nmax_stepz = 1\n", "limits.max_stepz"),
        ("[limits]\nmax_steps = 0\n", "limits.max_steps"),
        ("[nonsense]\n", "nonsense"),
        ("[limits\n", "cannot read the settings"),
        ('[github]\ntoken = "t"\napp_id = 1\n', "github"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "coder.toml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=says):
        load(path)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no configuration file"):
        load(tmp_path / "nope.toml")


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODER_LIMITS__MAX_COST", "1")

    with pytest.raises(ConfigError, match="CODER_LIMITS__MAX_COST"):
        load()


def test_every_variable_that_is_listed_can_be_set() -> None:
    listed = list(names())

    assert "CODER_SERVICE__WEBHOOK_SECRET" in listed
    assert "CODER_SANDBOX__PROXY__HTTP_PROXY" in listed
    assert len(listed) == len(set(listed))


def test_the_machines_own_environment_fills_what_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("x")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere.sock")
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_token")

    settings = load()

    assert settings.sandbox.ca_bundle == str(bundle)
    assert settings.sandbox.docker_host == "unix:///elsewhere.sock"
    assert settings.sandbox.proxy.https_proxy == "http://proxy:3128"
    assert settings.github.token == SecretStr("ghp_token")


def test_secrets_are_found_wherever_they_stand_and_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODER_MODEL__API_KEY", "key-of-the-model")
    monkeypatch.setenv("CODER_GITHUB__TOKEN", "token-of-github")
    monkeypatch.setenv("CODER_SERVICE__WEBHOOK_SECRET", "secret-of-the-hook")

    settings = load()

    assert set(secrets_of(settings)) == {"key-of-the-model", "token-of-github", "secret-of-the-hook"}
    assert "key-of-the-model" not in repr(settings)


def test_the_programs_own_data_is_found() -> None:
    assert (data_folder("configs") / "models").is_dir()
    assert (data_folder("sandbox_images") / "images.toml").is_file()
    assert isinstance(load(), Settings)


def test_a_fallback_never_gets_the_key_of_another_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODER_MODEL__API_KEY", "key-of-the-first")
    monkeypatch.setenv("CODER_MODEL__FALLBACKS", '["kimi-k2.6"]')
    monkeypatch.delenv("MOONSHOT_API_KEY", raising=False)
    folder = data_folder("configs") / "models"

    settings = load()

    assert settings.api_key(read_profile(folder / "kimi-k2-thinking.toml")) == SecretStr("key-of-the-first")
    assert settings.api_key(read_profile(folder / "kimi-k2.6.toml")) is None


def test_an_effort_is_part_of_what_tasks_call_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load().model.chosen
    monkeypatch.setenv("CODER_MODEL__EFFORT", "low")

    assert (plain, load().model.chosen) == ("kimi-k2-thinking", "kimi-k2-thinking@low")
