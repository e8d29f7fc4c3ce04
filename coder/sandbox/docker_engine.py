"""The connection to a Docker engine, here or elsewhere; what the SDK raises becomes ours here."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import docker.errors
import docker.tls
import requests.exceptions
from typing_extensions import override

from coder.errors import EngineUnavailableError, SandboxError
from coder.sandbox.config import SandboxSettings
from coder.sandbox.tunnel import Tunnel

API_TIMEOUT_S = 60
MINIMUM_VERSION = (1, 41)
HINT = "start one (scripts/ensure-docker.sh does so on Debian and Ubuntu) or set sandbox.docker_host"
LOCAL = "unix:///var/run/docker.sock"


class Engine(docker.APIClient):
    """A client of an engine, and the tunnel to it where there is one."""

    def __init__(self, address: str, tls: docker.tls.TLSConfig | None, tunnel: Tunnel | None) -> None:
        self._tunnel, self._address = tunnel, address
        super().__init__(base_url=address, version="1.41", timeout=API_TIMEOUT_S, tls=tls or False)
        # An engine is not spoken to through a web proxy, and its certificates are its own.
        self.trust_env = False
        try:
            self._version = str(self.version(api_version=False)["ApiVersion"])
        except BaseException:
            self.close()
            raise

    @property
    def usable(self) -> bool:
        """Whether asking makes sense: False when the tunnel has ended, or nobody is at the socket any more."""
        try:
            _probe(self._address)
        except OSError:
            return False
        return self._tunnel is None or self._tunnel.alive

    @override
    def close(self) -> None:
        """Close the connection, and the tunnel."""
        super().close()
        if self._tunnel is not None:
            self._tunnel.close()


def connected(settings: SandboxSettings) -> Engine:
    """A client of the engine that `settings` name; the caller closes it.

    `unix://` and `tcp://` are spoken to directly, `tcp://` with TLS where `docker_certs` is set, `ssh://` through a
    tunnel of the system's `ssh`, with its configuration, agent and known hosts.

    Raises:
        EngineUnavailableError: None answers there, or it is too old.
    """
    where = settings.docker_host or LOCAL
    tunnel: Tunnel | None = None
    try:
        tls = _tls(settings.docker_certs)
        if where.startswith("ssh://"):
            tunnel = Tunnel(where)
        address = tunnel.address if tunnel else where
        _probe(address)
        client = Engine(address, tls, tunnel)
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, ValueError) as exc:
        if tunnel is not None:
            tunnel.close()
        raise EngineUnavailableError(f"no Docker engine answers at {where}: {HINT} ({_first_line(exc)})") from exc
    version = tuple(int(part) for part in str(client.api_version).split("."))
    if version < MINIMUM_VERSION:
        client.close()
        raise EngineUnavailableError(f"the Docker engine at {where} speaks API {client.api_version}; 1.41 is needed")
    return client


def _tls(folder: str | None) -> docker.tls.TLSConfig | None:
    """The certificates as Docker's own client keeps them: `ca.pem`, `cert.pem`, `key.pem`."""
    if folder is None:
        return None
    ca, certificate, key = (str(Path(folder) / name) for name in ("ca.pem", "cert.pem", "key.pem"))
    return docker.tls.TLSConfig(client_cert=(certificate, key), ca_cert=ca, verify=True)


def _probe(where: str) -> None:
    """Knock at a local socket first: the SDK leaks its own where nobody listens."""
    if where.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as knock:
            knock.settimeout(API_TIMEOUT_S)
            knock.connect(where.removeprefix("unix://"))


@contextmanager
def engine_errors(action: str) -> Iterator[None]:
    """Turn what the SDK raises while doing `action` into our errors."""
    try:
        yield
    except docker.errors.DockerException as exc:
        raise SandboxError(f"cannot {action}: {_first_line(exc)}") from exc
    except requests.exceptions.ConnectionError as exc:
        raise EngineUnavailableError(f"the Docker engine went away: {HINT} ({_first_line(exc)})") from exc
    except requests.exceptions.RequestException as exc:
        raise SandboxError(f"cannot {action}: {_first_line(exc)}") from exc


def _first_line(exc: Exception) -> str:
    lines = str(exc).splitlines()
    return lines[0][:500] if lines else type(exc).__name__
