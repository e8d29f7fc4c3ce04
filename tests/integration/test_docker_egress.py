"""The way out of a sandbox on a real engine: one list, one kind of connection, and every attempt told."""

import functools
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.errors import InputError
from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.egress import EgressProxy
from coder.sandbox.protocol import Image, TreePack, Wants
from tests.contract.sandbox_support import committed, settings

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

ADDRESSES = {
    "api.example": ["93.184.216.34"],
    "big.example": ["93.184.216.34"],
    "rebound.example": ["93.184.216.34", "127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
}
FETCH = """
import ssl, sys, urllib.request
for url in sys.argv[1:]:
    try:
        with urllib.request.urlopen(url, timeout=20, context=ssl._create_unverified_context()) as answer:
            body = answer.read()
            print(url, answer.status, len(body), body[:20].decode())
    except Exception as exc:
        print(url, "failed:", exc)
"""
FRONTED = """
import socket, ssl
way = socket.create_connection(("127.0.0.1", 3128), 10)
way.sendall(b"CONNECT api.example:443 HTTP/1.1\\r\\n\\r\\n")
print(way.recv(12))
try:
    ssl._create_unverified_context().wrap_socket(way, server_hostname="evil.example")
    print("through")
except OSError as exc:
    print("refused")
"""


class Host:
    """An HTTPS server on loopback that stands for every public host."""

    def __init__(self, folder: Path) -> None:
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x"]
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                with client, self._context.wrap_socket(client, server_side=True) as secure:
                    asked = secure.recv(4096)
                    body = b"x" * 3_000_000 if b"big.example" in asked else b"hello"
                    secure.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
                    )
            except OSError:
                continue

    def connect(self, address: str, port: int) -> socket.socket:
        assert address == "93.184.216.34"
        assert port == 443
        return socket.create_connection(self._listener.getsockname(), 10)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[DockerSandboxProvider]:
    host = Host(tmp_path)
    with DockerSandboxProvider(settings(egress_allowed=("*.example",))) as made:
        made._beside.proxy = functools.partial(
            EgressProxy, resolve=lambda name, _: ADDRESSES.get(name, []), connect=host.connect
        )
        yield made
    host.close()


def image(provider: DockerSandboxProvider, *egress: str) -> Image:
    empty = TreePack("", b"")
    wants = Wants(egress=egress)
    return provider.image_for({"a.py": b""}, pack=empty, setup=None, progress=lambda _: None, wants=wants)


def test_what_is_on_the_list_is_reached_and_everything_is_told(provider: DockerSandboxProvider, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    made = image(provider, "api.example", "big.example", "rebound.example", "metadata.example", "unknown.example")
    pack = committed(folder, {"fetch.py": FETCH.encode(), "fronted.py": FRONTED.encode()})
    hosts = "api big rebound metadata unknown other"
    urls = " ".join(f"https://{name}.example/" for name in hosts.split())

    with provider.open(made, pack, labels={"run": "egress"}) as sandbox:
        shown = sandbox.exec(f"python3 fetch.py {urls} http://api.example/ https://api.example/", timeout_s=120).output
        fronted = sandbox.exec("python3 fronted.py", timeout_s=60).output
        direct = sandbox.exec(
            "python3 -c \"import socket; socket.create_connection(('1.1.1.1', 443), 3)\"", timeout_s=30
        )
        interfaces = sandbox.exec("ls /sys/class/net", timeout_s=10).output
        told = provider.contacts("egress")
        again = provider.contacts("egress")

    lines = shown.splitlines()
    assert lines[0] == lines[-1] == "https://api.example/ 200 5 hello"
    assert lines[1] == "https://big.example/ 200 3000000 " + "x" * 20
    assert all("403 Forbidden" in line for line in lines[2:7] if line.startswith("https"))
    assert "HTTP Error 403" in lines[6]
    assert fronted == "b'HTTP/1.1 200'\nrefused\n"
    assert direct.exit_code == 1
    assert interfaces == "lo\n"
    assert {(one.host, one.allowed, one.count) for one in told if one.allowed} == {
        ("api.example", True, 2),
        ("big.example", True, 1),
    }
    assert {(one.host, one.reason) for one in told if not one.allowed} == {
        ("rebound.example", "its address is not one of the public internet"),
        ("metadata.example", "its address is not one of the public internet"),
        ("unknown.example", "its address is not one of the public internet"),
        ("other.example", "not on the list"),
        ("api.example", "only HTTPS is let through"),
        ("api.example", "the connection is not TLS to this host but evil.example"),
    }
    assert again == ()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("egress")]


def test_without_a_list_there_is_no_way_out(provider: DockerSandboxProvider, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    said: list[str] = []
    empty = TreePack("", b"")
    wants = Wants(egress=("elsewhere.invalid",))

    made = provider.image_for({"a.py": b""}, pack=empty, setup=None, progress=said.append, wants=wants)

    assert made.egress == ()
    assert any("the operator allows none of what .coder.yml names" in line for line in said)
    with provider.open(made, committed(tmp_path / "r", {}), labels={"run": "none"}) as sandbox:
        assert sandbox.exec("env | grep -ci proxy; ss -ltn 2>/dev/null | grep -c 3128; true", timeout_s=10).output in {
            "0\n0\n",
            "1\n0\n",
        }
        assert sandbox.exec("env | grep -i https_proxy", timeout_s=10).exit_code == 1


def test_a_wrong_pattern_is_the_repositorys_mistake(provider: DockerSandboxProvider) -> None:
    with pytest.raises(InputError, match="which is no host"):
        image(provider, "https://api.example/")


def test_noise_at_the_proxy_ends_nothing_else(provider: DockerSandboxProvider, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    noise = (
        "import os, socket\n"
        "held = []\n"
        "for n in range(100):\n"
        "    s = socket.create_connection(('127.0.0.1', 3128), 5)\n"
        "    try:\n        s.sendall(os.urandom(20_000))\n    except OSError:\n        pass\n"
        "    held.append(s)\n"
    )
    pack = committed(tmp_path / "r", {"noise.py": noise.encode(), "fetch.py": FETCH.encode()})
    with provider.open(image(provider, "api.example"), pack, labels={"run": "noise"}) as sandbox:
        sandbox.exec("python3 noise.py", timeout_s=60)
        shown = sandbox.exec("python3 fetch.py https://api.example/", timeout_s=60)

    assert shown.output == "https://api.example/ 200 5 hello\n"
    assert len(provider.contacts("noise")) <= 4
