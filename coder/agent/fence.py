"""What others wrote, made fit to stand between fences in a prompt."""

from coder.forge.hidden import without_model_tokens

MAX_CHARS = 40_000


def fenced(text: str, nonce: str) -> str:
    """Text that cannot end its fence early, however it came to know the nonce, nor speak in a model's own tokens.

    File names that are no text have replacement characters in it: a request holds Unicode only.
    """
    text = without_model_tokens(text[:MAX_CHARS].encode("utf-8", "replace").decode())
    while nonce in text:  # again: taking one out may put another one together
        text = text.replace(nonce, "")
    return text.strip()
