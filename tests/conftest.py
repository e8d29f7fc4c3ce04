"""What every test gets: no settings of the machine's user, no network but loopback."""

import os
import socket

import pytest
from hypothesis import settings

settings.register_profile("coder", deadline=None)  # machines are shared: nothing here asserts on time
settings.load_profile("coder")

LOOPBACK = ("127.", "::1", "localhost", "/")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CODER_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else str(address)
        if not str(host).startswith(LOOPBACK):
            raise AssertionError(f"a test tried to reach {host}")
        real(self, address)  # type: ignore[arg-type]  # socket addresses have many shapes

    monkeypatch.setattr(socket.socket, "connect", connect)
