"""The signature over raw bytes."""

import hashlib
import hmac

import pytest

from webhooks.signature import is_valid, sign

SECRET = b"It's a Secret to Everybody"
BODY = b"Hello, World!"
# GitHub's published vector: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
PUBLISHED = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_the_published_vector_is_valid() -> None:
    assert is_valid(SECRET, BODY, PUBLISHED)
    assert sign(SECRET, BODY) == PUBLISHED


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        PUBLISHED[:-1],
        PUBLISHED + "0",
        PUBLISHED.removeprefix("sha256="),
        PUBLISHED.upper(),
        " " + PUBLISHED,
        PUBLISHED + "\n",
        "sha1=" + hmac.new(SECRET, BODY, hashlib.sha1).hexdigest(),
        "sha256=" + hmac.new(SECRET, BODY, hashlib.sha1).hexdigest(),
        "sha256=" + "é" * 64,
        "sha256=" + "\ud800" * 64,
        "sha256=" + "\u0667" * 64,
        PUBLISHED + "," + PUBLISHED,
    ],
)
def test_anything_else_is_false_and_never_raises(header: str | None) -> None:
    assert is_valid(SECRET, BODY, header) is False


def test_one_changed_byte_is_noticed() -> None:
    assert not is_valid(SECRET, BODY + b" ", PUBLISHED)
    assert not is_valid(SECRET, b"hello, World!", PUBLISHED)


def test_an_empty_secret_proves_nothing() -> None:
    assert not is_valid(b"", BODY, sign(b"", BODY))
