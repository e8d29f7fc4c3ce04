"""Which hosts a sandbox may reach: an operator's list, narrowed by the repository's. Pure decisions."""

import ipaddress
import re
from collections.abc import Iterable

HTTPS = 443
_PATTERN = re.compile(r"(\*|(?:\*\.)?[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?)(?::(\d{1,5}))?")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*\.?")


def is_pattern(text: str) -> bool:
    """Whether `text` names hosts: `host.example`, `*.example` or `*`, with `:port` where it is not 443."""
    match = _PATTERN.fullmatch(text.lower())
    return match is not None and not _is_address(match[1])


def narrowed(operator: Iterable[str], repository: Iterable[str]) -> tuple[str, ...]:
    """The patterns that both lists hold; what of the one lies within the other stands as the narrower."""
    found: dict[str, None] = {}
    for wanted in repository:
        for allowed in operator:
            if _covers(allowed, wanted):
                found[wanted.lower()] = None
            elif _covers(wanted, allowed):
                found[allowed.lower()] = None
    return tuple(found)


def refusal(patterns: Iterable[str], host: str, port: int) -> str | None:
    """Why `host` may not be reached at `port`; None when it may."""
    name = host.lower().rstrip(".")
    if _is_address(name) or not _NAME.fullmatch(name):
        return "only hosts by name may be reached"
    if not any(_covers(pattern, f"{name}:{port}") for pattern in patterns):
        return "not on the list"
    return None


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet: not private, loopback, link-local, metadata, multicast.

    Addresses of version 4 inside those of version 6 count as what they lead to.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if found in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast and not found.is_reserved


def _covers(pattern: str, other: str) -> bool:
    """Whether `pattern` holds everything that `other` holds."""
    (name, port), (inner, inner_port) = _split(pattern), _split(other)
    if port != inner_port:
        return False
    if name in {"*", inner}:
        return True
    return name.startswith("*.") and inner.removeprefix("*").endswith(name[1:]) and inner != name[2:]


def _split(pattern: str) -> tuple[str, int]:
    name, _, port = pattern.lower().partition(":")
    return name.rstrip("."), int(port) if port.isdigit() else HTTPS


def _is_address(name: str) -> bool:
    """Whether a name is an address in any of the forms that resolvers take: 127.1, 0x7f000001, 2130706433, [::1]."""
    if ":" in name or "[" in name:
        return True
    return all(re.fullmatch(r"0x[0-9a-f]*|\d+", part) for part in name.split("."))
