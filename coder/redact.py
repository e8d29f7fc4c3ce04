"""Secrets out of texts: known values first, in every usual disguise, then whatever looks like a credential.

Every pattern here is linear: it starts at a literal, its runs are possessive or bounded, and nothing is nested. A
megabyte made to hurt takes well under a second (benchmarked in tests/unit/test_redact.py's hostile corpus).
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, quote_plus

REDACTED: Final = "[redacted]"
"""What stands where a secret stood."""

MIN_SECRET_CHARS: Final = 8
"""Shorter values are not searched for: they are words (`none`, `EMPTY`, `test`), and hiding them would garble everything."""

_WRAPPED_MIN_CHARS: Final = 16
"""From this length on a value is also found when line breaks were put into it."""

_PUBLIC_PREFIX = re.compile(
    r"(?:github_pat_|gh[a-z]_|sk-ant-[a-z0-9]+-|sk-proj-|sk-|xox[a-z]-|eyJ[A-Za-z0-9_-]{0,33}|glpat-)"
)
"""How kinds of tokens begin: known to everybody, so a cut token must show eight characters more to be one."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What a kind of credential looks like. `hints`: one of these must occur, or the pattern is not tried."""

    hints: tuple[str, ...]
    regex: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str] = REDACTED


def _hide_jwt(match: re.Match[str]) -> str:
    """A dotted triple without its token; unchanged when it is none (a module path, a version)."""
    before, marker, _ = match[0].partition("eyJ")
    return f"{before}{REDACTED}" if marker and "." not in before else match[0]


_PATTERNS: Final = (
    _Pattern(
        ("PRIVATE KEY",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----"
            r"(?:[A-Za-z0-9+/=\s\\,:|>#\"'.*]|-(?!----)){0,16384}+"
            r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----)?"
        ),
    ),
    # Installation tokens may be ~520 characters with dots in them.
    _Pattern(("gh",), re.compile(r"gh[pousr]_[A-Za-z0-9_.-]{15,}[A-Za-z0-9_-]")),
    _Pattern(("github_pat_",), re.compile(r"github_pat_[A-Za-z0-9_]{16,}")),
    _Pattern(("glpat-",), re.compile(r"glpat-[A-Za-z0-9_-]{16,}")),
    _Pattern(("sk-",), re.compile(r"(?<![A-Za-z0-9])sk-(?=[A-Za-z_-]{0,64}[0-9])[A-Za-z0-9_-]{20,}")),
    _Pattern(("xox", "xapp-"), re.compile(r"(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,}")),
    _Pattern(("hooks.slack.com",), re.compile(r"(?<=hooks\.slack\.com)/(?:services|workflows)/[A-Za-z0-9/_-]{16,}")),
    _Pattern(
        ("AKIA", "ASIA", "ABIA", "ACCA"),
        re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ),
    _Pattern(
        ("ecret", "ECRET"),
        re.compile(r"(?i)(aws_?secret_?(?:access_?)?key[\"']?\s{0,4}[:=]\s{0,4}[\"']?)[A-Za-z0-9/+=]{30,}"),
        rf"\1{REDACTED}",
    ),
    _Pattern(("AIza",), re.compile(r"AIza[A-Za-z0-9_-]{30,}")),
    _Pattern(("k_live_", "k_test_"), re.compile(r"[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}")),
    _Pattern(("npm_", "hf_"), re.compile(r"(?<![A-Za-z0-9])(?:npm|hf)_[A-Za-z0-9]{30,}")),
    _Pattern(("pypi-",), re.compile(r"pypi-[A-Za-z0-9_-]{50,}")),
    _Pattern(("SG.",), re.compile(r"SG\.[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{16,}")),
    # All dotted triples are matched from the start of their run: one try per run keeps `eyJeyJeyJ…` linear.
    _Pattern(
        ("eyJ",),
        re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{10,}+\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]*+"),
        _hide_jwt,
    ),
    _Pattern(
        ("uthorization", "UTHORIZATION"),
        re.compile(
            r"(?i)(authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?)"
            r"(?:(bearer|basic|token|digest|negotiate|aws4-hmac-sha256)\s{1,4}[^\s\"']{4,}+|[^\s\"']{8,}+)"
        ),
        lambda match: f"{match[1]}{match[2] + ' ' if match[2] else ''}{REDACTED}",
    ),
    _Pattern(
        ("oken", "OKEN", "key", "Key", "KEY"),
        re.compile(
            r"(?i)((?:x-access-token|private-token|job-token|x-auth-token|x-api-key|x-goog-api-key|api-key)"
            r"[\"']?\s{0,4}[:=]\s{0,4}[\"']?)[^\s\"'@/]{4,}+"
        ),
        rf"\1{REDACTED}",
    ),
    _Pattern(("://",), re.compile(r"(://[^\s/?#:@]{0,256}:)[^\s/?#@]{1,1024}(?=@)"), rf"\1{REDACTED}"),
    _Pattern(("://",), re.compile(r"(://)[^\s/?#:@\[]{16,1024}(?=@)"), rf"\1{REDACTED}"),
)


class Redactor:
    """Takes the given secrets out of texts; empty and very short values are ignored. Its repr shows none of them."""

    __slots__ = ("_forms", "_secrets")

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = frozenset(part for secret in secrets for part in _parts(secret))
        forms = {form for secret in self._secrets for form in _forms(secret)}
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))

    def plus(self, *secrets: str) -> "Redactor":
        """A redactor that also knows `secrets`: tokens are minted while a run goes on."""
        return Redactor((*self._secrets, *secrets))

    def exact(self, text: str) -> str:
        """`text` without the known values.

        Found as they are, base64 (any alignment, both alphabets), hexadecimal, URL-encoded, JSON-escaped, reversed, cut
        off in front or at the end with at least eight telling characters left, and broken over lines.
        """
        spans = sorted(span for form in self._forms for span in _spans(text, form))
        return _without(text, spans) if spans else text

    def full(self, text: str) -> str:
        """`text` without the known values and without anything that looks like a credential."""
        text = self.exact(text)
        for pattern in _PATTERNS:
            if any(hint in text for hint in pattern.hints):
                text = pattern.regex.sub(pattern.replacement, text)
        return text


def _parts(secret: str) -> Iterator[str]:
    """The secret itself and, when it has several lines (a private key), each line that tells something."""
    stripped = secret.strip()
    if len(stripped) >= MIN_SECRET_CHARS:
        yield stripped
    lines = stripped.splitlines()
    if len(lines) > 1:
        yield from (line for raw in lines if len(line := raw.strip()) >= _WRAPPED_MIN_CHARS and "-----" not in line)


def _forms(secret: str) -> Iterator[str]:
    """The disguises a secret is looked for in."""
    data = secret.encode("utf-8", "surrogatepass")
    encoded = quote(data, safe="")
    candidates = {
        secret,
        secret[::-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        encoded,
        re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), encoded),
        quote(data),
        quote_plus(data),
        data.hex(),
        data.hex().upper(),
    }
    for shift in range(3):
        candidates.update(_base64_core(data, shift))
    yield from (form for form in candidates if len(form) >= MIN_SECRET_CHARS)


def _base64_core(data: bytes, shift: int) -> Iterator[str]:
    """The base64 characters that depend on `data` alone when `shift` other bytes (mod 3) stand before it."""
    first = (0, 2, 3)[shift]
    whole = base64.b64encode(bytes(shift) + data).decode("ascii").rstrip("=")
    core = whole[first : len(whole) - (1 if (shift + len(data)) % 3 else 0)]
    yield core
    yield core.replace("+", "-").replace("/", "_")


def _spans(text: str, form: str) -> Iterator[tuple[int, int]]:
    """Where `form` stands in `text`: whole, cut, or wrapped."""
    yield from _whole(text, form)
    if "-----" in form:
        return  # armour is no secret; what stands between its lines is searched for line by line
    prefix = _PUBLIC_PREFIX.match(form)
    known = prefix.end() if prefix else 0
    if len(form) > known + MIN_SECRET_CHARS:
        yield from _cut_behind(text, form, known + MIN_SECRET_CHARS)
        yield from _cut_in_front(text, form)
    if len(form) >= _WRAPPED_MIN_CHARS and "\n" in text:
        yield from _wrapped(text, form)


def _whole(text: str, form: str) -> Iterator[tuple[int, int]]:
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + len(form))


def _cut_behind(text: str, form: str, needed: int) -> Iterator[tuple[int, int]]:
    """Beginnings of `form`, at least `needed` characters of it, as long as they go on matching."""
    head = form[:needed]
    at = text.find(head)
    while at >= 0:
        end, index = at + needed, needed
        while index < len(form) and end < len(text) and text[end] == form[index]:
            end, index = end + 1, index + 1
        yield at, end
        at = text.find(head, end)


def _cut_in_front(text: str, form: str) -> Iterator[tuple[int, int]]:
    """Endings of `form`, at least eight characters of it."""
    tail = form[-MIN_SECRET_CHARS:]
    at = text.rfind(tail)
    while at >= 0:
        start, index = at, len(form) - MIN_SECRET_CHARS
        while index > 0 and start > 0 and text[start - 1] == form[index - 1]:
            start, index = start - 1, index - 1
        yield start, at + MIN_SECRET_CHARS
        at = text.rfind(tail, 0, start)


def _wrapped(text: str, form: str) -> Iterator[tuple[int, int]]:
    """`form` with white space in it. The cheap look without white space comes first: it nearly always says no."""
    dense = "".join(form.split())
    if len(dense) < _WRAPPED_MIN_CHARS or dense not in "".join(text.split()):
        return
    spaced = re.compile(r"\s*".join(map(re.escape, dense)))
    yield from (match.span() for match in spaced.finditer(text))


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    """`text` with each sorted, possibly overlapping span replaced."""
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        if start >= done:
            pieces += (text[done:start], REDACTED)
        done = max(done, end)
    pieces.append(text[done:])
    return "".join(pieces)
