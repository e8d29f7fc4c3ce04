"""Which hosts may be reached: lists, addresses, and the name in a TLS greeting."""

import contextlib
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from coder.agent.opening import opening
from coder.sandbox.config import SandboxSettings
from coder.sandbox.egress_rules import is_pattern, is_public, narrowed, refusal
from coder.sandbox.tls_greeting import server_name
from coder.trace.events import Prepared
from coder.types import Base, Note, Problem


@pytest.mark.parametrize(
    ("operator", "repository", "both"),
    [
        ((), ("a.example",), ()),
        (("a.example",), (), ()),
        (("a.example", "b.example"), ("b.example", "c.example"), ("b.example",)),
        (("*.example",), ("A.example", "example"), ("a.example",)),
        (("a.example",), ("*.example",), ("a.example",)),
        (("*",), ("a.example", "*.b.example"), ("a.example", "*.b.example")),
        (("a.example",), ("a.example:8443",), ()),
        (("a.example:8443",), ("a.example:8443",), ("a.example:8443",)),
        (("*.example",), ("*.a.example",), ("*.a.example",)),
        (("*.a.example",), ("*.b.example",), ()),
    ],
)
def test_a_repository_only_narrows_what_the_operator_allows(
    operator: tuple[str, ...], repository: tuple[str, ...], both: tuple[str, ...]
) -> None:
    assert narrowed(operator, repository) == both


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("api.example", 443, None),
        ("API.Example.", 443, None),
        ("deep.sub.wild.example", 443, None),
        ("wild.example", 443, "not on the list"),
        ("evilwild.example", 443, "not on the list"),
        ("api.example", 22, "not on the list"),
        ("api.example.evil.example", 443, "not on the list"),
        ("93.184.216.34", 443, "only hosts by name may be reached"),
        ("2130706433", 443, "only hosts by name may be reached"),
        ("0x7f.1", 443, "only hosts by name may be reached"),
        ("[::1]", 443, "only hosts by name may be reached"),
        ("api.example\x00.evil", 443, "only hosts by name may be reached"),
        ("", 443, "only hosts by name may be reached"),
    ],
)
def test_only_names_on_the_list_are_let_through(host: str, port: int, reason: str | None) -> None:
    assert refusal(("api.example", "*.wild.example"), host, port) == reason


def test_even_everything_is_names_only() -> None:
    assert refusal(("*",), "anything.example", 443) is None
    assert refusal(("*",), "169.254.169.254", 443) == "only hosts by name may be reached"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 — nothing is bound to it
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "ff02::1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "fd00:ec2::254",
        "198.18.0.1",
        "240.0.0.1",
        "nonsense",
    ],
)
def test_private_and_odd_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_others_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "text", ["", "http://a.example", "a.example/x", "*.*.example", "10.0.0.1", "a b", "a.example:x", "**"]
)
def test_what_is_no_host_is_no_pattern(text: str) -> None:
    assert not is_pattern(text)
    with pytest.raises(ValidationError, match="egress_allowed"):
        SandboxSettings(egress_allowed=(text,))


def greeting(host: str) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=host).do_handshake()
    return outgoing.read()


def test_the_name_in_a_greeting_is_found_however_it_is_cut() -> None:
    data = greeting("Api.Example")

    assert server_name(data) == "api.example"
    assert server_name(data + b"more") == "api.example"
    assert [server_name(data[:n]) for n in range(len(data))] == [None] * len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"SSH-2.0-x\r\n",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    ],
)
def test_what_is_no_greeting_has_no_name(data: bytes) -> None:
    assert server_name(data) == ""


def test_a_greeting_without_a_name_has_none() -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = False
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()

    assert server_name(outgoing.read()) == ""


@given(st.binary(max_size=400))
def test_no_bytes_break_it(data: bytes) -> None:
    assert server_name(data) in {None, ""} or len(server_name(data) or "") < 400
    assert server_name(b"\x16\x03\x01" + len(data).to_bytes(2, "big") + data) is not NotImplemented


def test_the_model_is_told_of_servers_and_hosts() -> None:
    problem = Problem(kind="prompt", title="t", body=Note(author="a", body="b"))
    prepared = Prepared(image="i", image_digest="d", setup_ok=True, setup_log="", test_command="t")
    base = Base(ref="main", sha="0" * 40)

    def told(prepared: Prepared) -> str:
        return opening(problem, base, prepared, code_map="", guides={}, nonce="n")[-1].content or ""

    with_both = told(prepared.model_copy(update={"services": ("redis", "mysql"), "egress": ("api.example",)}))

    assert "usual ports: redis, mysql." in with_both
    assert "by HTTPS through the proxy that the environment names: api.example." in with_both
    assert "localhost" not in told(prepared)
    assert "HTTPS" not in told(prepared)
