"""What may leave a sandbox: pure rules on the files that a patch results in."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import Field

from coder.types import Value

PROTECTED = (
    ".github/workflows/**",
    ".github/actions/**",
    "CODEOWNERS",
    "action.yml",
    "action.yaml",
    ".coder.yml",
    ".coder.yaml",
    ".github/coder.yml",
    ".github/coder.yaml",
)

# Characters that HFS+ and some terminals drop, so that `.g<ZWNJ>it` is `.git` there.
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255
_MAX_LINK_HOPS = 40  # Linux's own limit


class PatchRules(Value):
    """Limits and protected places of a patch.

    Patterns are paths with `*` (within a folder) and `**`; one without a slash means that name in any folder. Case is ignored.
    """

    max_diff_bytes: int = Field(default=10_000_000, ge=1)
    max_files: int = Field(default=300, ge=1)
    max_file_bytes: int = Field(default=5_000_000, ge=1)
    max_total_bytes: int = Field(default=20_000_000, ge=1)
    """All files that the patch adds or changes, as they are after it."""
    allow_symlinks: bool = True
    """Links whose target stays inside the tree."""
    protected: tuple[str, ...] = PROTECTED
    """Kept, but listed in `Patch.flagged`."""
    blocked: tuple[str, ...] = ()
    """Refused."""


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between base and result, as git's raw diff gives it."""

    path: bytes
    old_mode: str
    new_mode: str
    old_sha: str
    new_sha: str
    status: str

    @property
    def added(self) -> bool:
        """Whether base has nothing at this path."""
        return self.status == "A"

    @property
    def deleted(self) -> bool:
        """Whether the result has nothing at this path."""
        return self.status == "D"


def shown(path: bytes) -> str:
    """The path for people and reports: what is not printable UTF-8 is escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def path_problem(path: bytes) -> str | None:
    """Why a patch may not add a file of this name; None when it may."""
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return "the name is not UTF-8"
    parts = re.split(r"[/\\]", text)
    problems = {
        "the path is absolute or empty": not text or text.startswith("/") or bool(re.match(r"[A-Za-z]:", text)),
        "the name holds a control character": bool(_CONTROL.search(text)),
        "the name is too long": len(path) > MAX_PATH_BYTES
        or any(len(part.encode()) > MAX_NAME_BYTES for part in parts),
        "the path leaves its folder": any(part in {"", ".", ".."} for part in parts),
        "the path belongs to git itself": any(map(is_git_name, parts)),
    }
    return next((problem for problem, found in problems.items() if found), None)


def is_git_name(part: str) -> bool:
    """Whether some file system takes this name for `.git`: folded case, ignorable characters, 8.3 names, NTFS streams."""
    plain = unicodedata.normalize("NFKC", _IGNORABLE.sub("", part)).casefold()
    plain = plain.split(":", 1)[0].rstrip(" .")
    return plain in {".git", "git~1"} or re.fullmatch(r"git~\d+", plain) is not None


def matches(patterns: Iterable[str], path: str) -> bool:
    """Whether any of `patterns` covers `path`; case is ignored."""
    return any(_compiled(pattern).fullmatch(path.casefold()) for pattern in patterns)


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    folded = pattern.casefold().strip("/")
    prefix = "" if "/" in folded else "(?:.*/)?"
    body = ""
    for token in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", folded):
        body += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(token) or re.escape(token)
    return re.compile(prefix + body, re.DOTALL)


def collisions(added: Sequence[bytes], all_paths: Iterable[bytes]) -> list[str]:
    """Pairs of paths, one of them `added`, that are one file where case or Unicode form does not count."""
    wanted = {_fold(prefix): prefix for path in added for prefix in _prefixes(path)}
    found: list[str] = []
    seen: set[bytes] = set()
    for path in all_paths:
        for prefix in _prefixes(path):
            if prefix in seen:
                continue
            seen.add(prefix)
            other = wanted.get(_fold(prefix))
            if other is not None and other != prefix:
                found.append(f"{shown(other)} and {shown(prefix)}")
    return found


def _prefixes(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[: end + 1]) for end in range(len(parts))]


def _fold(path: bytes) -> str:
    text = unicodedata.normalize("NFC", path.decode("utf-8", "surrogateescape"))
    return unicodedata.normalize("NFC", text.casefold())


def escaping_links(links: Mapping[bytes, bytes]) -> set[bytes]:
    """The links, out of all links of one tree (path to target), that lead outside of it or into `.git`.

    Walked as the kernel does, through other links of the tree; a chain without end counts as leaving.
    """
    return {path for path in links if not _stays_inside(path, links)}


def _stays_inside(path: bytes, links: Mapping[bytes, bytes]) -> bool:
    if b"\\" in links[path] or not links[path]:
        return False
    here: list[bytes] = path.split(b"/")[:-1]
    todo = [links[path]]
    hops = 1
    while todo and hops <= _MAX_LINK_HOPS:
        target = todo.pop()
        if target.startswith(b"/"):
            return False
        part, slash, rest = target.partition(b"/")
        if slash:
            todo.append(rest.lstrip(b"/"))
        if not _step(here, part):
            return False
        link = links.get(b"/".join(here)) if part not in {b"", b".", b".."} else None
        if link is not None:
            hops += 1
            here.pop()
            todo.append(link)
    return hops <= _MAX_LINK_HOPS


def _step(here: list[bytes], part: bytes) -> bool:
    """Go from `here` into `part`, in place; False when that leaves the tree or enters `.git`."""
    if part in {b"", b"."}:
        return True
    if part == b"..":
        if here:
            here.pop()
            return True
        return False
    here.append(part)
    return not is_git_name(part.decode("utf-8", "surrogateescape"))
