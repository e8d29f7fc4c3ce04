"""Where the engine is: from the settings, else from what Docker's own client is told."""

from pathlib import Path

import pytest

from coder.settings import load


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    monkeypatch.setenv("DOCKER_HOST", "tcp://builder:2376")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/certs")


def test_certificates_are_taken_along_with_the_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain = load(None).sandbox
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    named = load(None).sandbox
    monkeypatch.delenv("DOCKER_CERT_PATH")
    usual = load(None).sandbox

    assert (plain.docker_host, plain.docker_certs) == ("tcp://builder:2376", None)
    assert (named.docker_host, named.docker_certs) == ("tcp://builder:2376", "/certs")
    assert usual.docker_certs == str(tmp_path / ".docker")


def test_an_address_in_the_settings_takes_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("CODER_SANDBOX__DOCKER_HOST", "ssh://builder")

    sandbox = load(None).sandbox

    assert (sandbox.docker_host, sandbox.docker_certs) == ("ssh://builder", None)
