"""Whether a delivery really comes from GitHub: the HMAC over its raw bytes."""

import hashlib
import hmac

HEADER = "x-hub-signature-256"
_PREFIX = b"sha256="


def sign(secret: bytes, body: bytes) -> str:
    """The value of the header `X-Hub-Signature-256` for `body`."""
    return (_PREFIX + hmac.new(secret, body, hashlib.sha256).hexdigest().encode()).decode()


def is_valid(secret: bytes, body: bytes, header: str | None) -> bool:
    """Whether `header` signs the raw bytes of `body`, in constant time.

    Missing, SHA-1, truncated and non-ASCII headers are simply false, and so is everything under an empty secret.
    https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """
    if not secret or header is None:
        return False
    # Bytes, because compare_digest raises on text that is not ASCII.
    given = header.encode("utf-8", "surrogatepass")
    return hmac.compare_digest(sign(secret, body).encode(), given)
