"""Titles in the style of the repository's own log."""

import re
from collections.abc import Sequence
from typing import Final

_MIN_SUBJECTS: Final = 5
"""Fewer commits show no custom."""
_OFTEN: Final = 0.6
_SELDOM: Final = 0.2
_TYPES: Final = "feat|fix|docs|style|refactor|perf|test|build|ci|chore|revert"
_CONVENTIONAL = re.compile(rf"(?:{_TYPES})(?:\([^()\n]{{1,60}}\))?!?: \S", re.IGNORECASE)
"""https://www.conventionalcommits.org"""
_PREFIX = re.compile(rf"(?:{_TYPES})(?:\([^()\n]{{1,60}}\))?!?:\s+", re.IGNORECASE)
_NOT_COUNTED = re.compile(r"(?:Merge|Revert|Bump|Release|v?\d+\.)\b")
_FEATURE = re.compile(r"(?:add|support|implement|allow|introduce|enable|offer|provide)\b", re.IGNORECASE)
_DOCUMENTS = re.compile(r"(?:document|docs?)\b", re.IGNORECASE)


def in_style(title: str, subjects: Sequence[str]) -> str:
    """`title` as a repository with these commit subjects would write it: with or without a Conventional Commits type."""
    counted = [subject for subject in subjects if not _NOT_COUNTED.match(subject)]
    if len(counted) < _MIN_SUBJECTS or not title:
        return title
    share = sum(bool(_CONVENTIONAL.match(subject)) for subject in counted) / len(counted)
    if share >= _OFTEN and not _CONVENTIONAL.match(title):
        return f"{_type(title)}: {_lowered(title)}"
    if share <= _SELDOM and (prefix := _PREFIX.match(title)) and title[prefix.end() :]:
        rest = title[prefix.end() :]
        return rest[0].upper() + rest[1:]
    return title


def _type(title: str) -> str:
    if _DOCUMENTS.match(title):
        return "docs"
    return "feat" if _FEATURE.match(title) else "fix"


def _lowered(title: str) -> str:
    """With a small first letter, unless the first word is a name: `HTTP`, `iOS`, `MyClass`."""
    first = title.split(maxsplit=1)[0]
    return title[0].lower() + title[1:] if first[1:].islower() or len(first) == 1 else title
