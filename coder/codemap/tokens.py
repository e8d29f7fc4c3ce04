"""How many tokens a text may cost, without any model's tokenizer: an upper estimate that is fast and the same everywhere."""

import re
from math import ceil
from typing import Final

_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|[^\sA-Za-z0-9]+|[^\S\n]+|\n+")

_LETTERS: Final = 8
_CAPITALS: Final = 4
_DIGITS: Final = 3


def tokens(text: str) -> int:
    """An upper estimate of the tokens of code and paths for byte-pair tokenizers of 100,000 words and more.

    Each line counts by itself and ends in a line break: the sum over lines is the whole. Not a proof: a random string of
    letters can cost more than it says.
    """
    return sum(line_tokens(line) for line in text.split("\n"))


def line_tokens(line: str) -> int:
    """An upper estimate of one line and its line break."""
    count, is_after_space = 1, False
    for piece in _PIECE.findall(line):
        first = piece[0]
        if first.isspace():
            is_after_space = True
            count += len(piece) > 1
            continue
        if first.isascii() and first.isalpha():
            count += ceil(len(piece) / (_CAPITALS if piece.isupper() else _LETTERS))
        elif first.isdigit():
            count += ceil(len(piece) / _DIGITS) + is_after_space  # a space joins what follows it, but not digits
        elif piece.isascii():
            count += ceil(len(piece) / 2)
        else:
            count += len(piece.encode("utf-8", "replace"))
        is_after_space = False
    return count
