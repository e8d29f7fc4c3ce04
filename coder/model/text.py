"""Text made safe for a wire and for a tokenizer."""

import re

_SPECIAL_TOKEN = re.compile(r"<(?=[|\uff5c][^\s|\uff5c<>]{1,64}[|\uff5c]>)")
"""The bracket that opens `<|im_end|>`, `<|tool_call_begin|>`, DeepSeek's with full-width bars, and the like. Servers that
render a chat template to text and tokenize it with special tokens on would take one from a file for the real thing."""


def sound(text: str) -> str:
    """`text` as it can be encoded: surrogate pairs joined, lone surrogates and NUL replaced by U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def neutral(text: str) -> str:
    """`text` sound, and with every model control token broken by a space after its bracket: `< |im_end|>`.

    The change is visible on purpose: a hidden character would be copied into files by the model.
    """
    return _SPECIAL_TOKEN.sub("< ", sound(text))


def neutral_json(text: str) -> str:
    """JSON `text` with the bracket of every control token as an escape: the same value, no live token."""
    return _SPECIAL_TOKEN.sub(r"\\u003c", sound(text))
