import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.redact import REDACTED, Redactor

SECRET = "s3cr3t+Value/With=Odd&Chars"
TOKEN = "ghs_" + "Ab1.cD2-" * 64
PEM_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"
PEM = "-----BEGIN RSA PRIVATE " + f"KEY-----\n{PEM_BODY}-----END RSA PRIVATE " + "KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"

DISGUISES = {
    "plain": SECRET,
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 behind one byte": base64.b64encode(b"x" + SECRET.encode()).decode(),
    "basic credentials": base64.b64encode(b"x-access-token:" + SECRET.encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "hexadecimal": SECRET.encode().hex(),
    "URL-encoded": quote(SECRET, safe=""),
    "URL-encoded in lower case": quote(SECRET, safe="").replace("%2B", "%2b").replace("%2F", "%2f"),
    "reversed": SECRET[::-1],
    "JSON": json.dumps('x"' + SECRET),
    "cut at the end": SECRET[:9],
    "cut in front": SECRET[-9:],
    "wrapped": SECRET[:10] + "\n    " + SECRET[10:],
    "wrapped base64": base64.encodebytes(SECRET.encode() * 4).decode(),
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES.keys())
def test_a_known_secret_is_found_in_every_disguise(disguise: str) -> None:
    text = Redactor([SECRET]).exact(f"before <{disguise}> after")

    assert REDACTED in text
    assert text.startswith("before <")
    assert text.endswith("> after")
    assert SECRET[:8] not in text.replace("\n", "")
    assert SECRET[-8:] not in text.replace("\n", "")


@given(
    before=st.text(max_size=40),
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=10, max_size=60),
    after=st.text(max_size=40),
)
def test_a_known_secret_never_survives(before: str, secret: str, after: str) -> None:
    if secret in REDACTED + REDACTED:
        return

    text = Redactor([secret]).full(before + secret + after)

    assert secret not in text


@given(st.text(max_size=300))
def test_text_without_secrets_is_left_alone_by_exact(text: str) -> None:
    assert Redactor([TOKEN, SECRET]).exact(text) == text


def test_a_whole_private_key_and_each_of_its_lines_is_a_secret() -> None:
    redactor = Redactor([PEM])

    assert PEM_BODY.splitlines()[1] not in redactor.exact(f"+{PEM_BODY.splitlines()[1]}\n")
    assert redactor.exact("-----BEGIN RSA PUBLIC KEY-----") == "-----BEGIN RSA PUBLIC KEY-----"


def test_short_and_empty_values_do_not_garble_everything() -> None:
    assert Redactor(["", "none", "EMPTY", " "]).full("none of the test is EMPTY") == "none of the test is EMPTY"


def test_a_public_token_prefix_alone_is_no_secret() -> None:
    redactor = Redactor(["github_pat_" + "A1b2" * 15, "sk-proj-" + "c3D4" * 10])

    assert redactor.exact("set github_pat_ or sk-proj-… here") == "set github_pat_ or sk-proj-… here"


def test_secrets_can_be_added_and_are_never_shown() -> None:
    redactor = Redactor([SECRET]).plus(TOKEN)

    assert redactor.exact(f"{TOKEN} {SECRET}") == f"{REDACTED} {REDACTED}"
    assert SECRET not in repr(redactor)


CREDENTIALS = {
    "classic token": "ghp_" + "a1B2" * 9,
    "oauth token": "gho_" + "a1B2" * 9,
    "installation token of 520 characters": TOKEN,
    "fine-grained token": "github_pat_" + "11AAAA_bb22" * 7,
    "openai": "sk-proj-" + "aB3-" * 12,
    "anthropic": "sk-ant-" + "api03-" + "aB3_" * 20,
    "moonshot": "sk-" + "aB3d" * 12,
    "slack": "xoxb-" + "1234567890-abcdef",
    "aws key id": "AKIA" + "IOSFODNN7EXAMPL3",
    "google": "AIza" + "SyA1b2C3d4E5" * 3,
    "jwt": JWT,
    "glued jwt": "token_" + JWT,
    "private key": PEM,
    "private key in a diff": "\n".join(f"+{line}" for line in PEM.splitlines()),
    "private key in JSON": json.dumps(PEM),
    "private key cut short": PEM[:90],
}


@pytest.mark.parametrize("credential", CREDENTIALS.values(), ids=CREDENTIALS.keys())
def test_an_unknown_credential_is_recognised(credential: str) -> None:
    text = Redactor([]).full(f"see ({credential}) there")

    assert REDACTED in text
    assert text.startswith("see (")
    assert text.endswith(") there")
    assert not any(credential[at : at + 20] in text for at in range(12, max(13, len(credential) - 20)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abcd1234efgh", f"Authorization: Bearer {REDACTED}"),
        ('{"authorization": "Basic eDp5"}', f'{{"authorization": "Basic {REDACTED}"}}'),
        ("-H 'x-api-key: 0123456789'", f"-H 'x-api-key: {REDACTED}'"),
        ("https://x-access-token:abcdef@github.com/a/b", f"https://x-access-token:{REDACTED}@github.com/a/b"),
        ("postgres://app:hunter2@db:5432/x", f"postgres://app:{REDACTED}@db:5432/x"),
        ("aws_secret_access_key = " + "aB3/" * 10, f"aws_secret_access_key = {REDACTED}"),
    ],
)
def test_credentials_in_headers_and_urls_leave_the_rest_readable(text: str, expected: str) -> None:
    assert Redactor([]).full(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "disk-usage-monitoring-service and task-scheduler-with-long-name-here",
        "xml.etree.ElementTree.ParseError in coder.verify.junit.read_report",
        "https://example.org:8080/a@b and git@github.com:owner/name.git",
        "commit a97987f0c3b1d2e4f5a6b7c8d9e0f1a2b3c4d5e6",
        "tests/unit/test_x.py::TestY::test_authorization_header[basic]",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_ordinary_text_is_no_credential(text: str) -> None:
    assert Redactor([]).full(text) == text


HOSTILE = [
    "eyJ" * 350_000,
    "eyJ-" * 250_000 + ".",
    "ghp_" * 250_000,
    "sk-" * 350_000,
    "sk-sk_" * 170_000,
    "-----BEGIN PRIVATE " * 1 + "KEY-----" + "A" * 1_000_000,
    ("-----BEGIN PRIVATE " + "KEY-----") * 38_000,
    "://" * 350_000,
    "://a:" * 200_000,
    "https://" + "a" * 1_000_000,
    "authorization:" * 70_000,
    "authorization: " + " " * 1_000_000,
    "a." * 500_000,
    "aaaaaaaaaa." * 90_000 + "eyJ",
    "x-api-key" * 110_000,
    "aws_secret_access_key=" * 45_000,
    "SG." + "a" * 1_000_000,
    "aaaaaaaa" * 125_000,
    "a \n" * 330_000,
    "AKIA" * 250_000,
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: f"{text[:18]!r}…")
def test_a_megabyte_made_to_hurt_is_no_trouble(text: str) -> None:
    redactor = Redactor(["a" * 64, "aaaaaaaab" * 4, TOKEN, SECRET])

    assert redactor.full(text)
