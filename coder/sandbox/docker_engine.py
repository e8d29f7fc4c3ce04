"""The connection to a Docker engine; what the SDK raises becomes ours here."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import docker.errors
import requests.exceptions

from coder.errors import EngineUnavailableError, SandboxError

API_TIMEOUT_S = 60
MINIMUM_VERSION = (1, 41)
HINT = "start one (scripts/ensure-docker.sh does so on Debian and Ubuntu) or set sandbox.docker_host"


def connected(docker_host: str | None) -> docker.APIClient:
    """A client of the engine at `docker_host`; the caller closes it.

    Raises:
        EngineUnavailableError: None answers there, or it is too old.
    """
    where = docker_host or "unix:///var/run/docker.sock"
    client: docker.APIClient | None = None
    try:
        _probe(where)
        client = docker.APIClient(
            base_url=docker_host, version="auto", timeout=API_TIMEOUT_S, use_ssh_client=where.startswith("ssh://")
        )
        client.ping()
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, ValueError) as exc:
        if client is not None:
            client.close()
        raise EngineUnavailableError(f"no Docker engine answers at {where}: {HINT} ({_first_line(exc)})") from exc
    version = tuple(int(part) for part in str(client.api_version).split("."))
    if version < MINIMUM_VERSION:
        client.close()
        raise EngineUnavailableError(f"the Docker engine at {where} speaks API {client.api_version}; 1.41 is needed")
    return client


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
