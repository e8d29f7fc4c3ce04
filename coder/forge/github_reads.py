"""What was read before and has not changed: GitHub counts such reads against no limit.

https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import github

MAX_KEPT: Final = 64
"""Answers; the one that was not asked for longest goes first."""


class Reads:
    """Answers to GET by address, with their ETags. Safe for threads. The credential is GitHub's to check at each read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, frozenset[tuple[str, str]]], tuple[str, Any]] = OrderedDict()

    def get(self, client: github.Github, path: str, query: Mapping[str, str] | None = None) -> Any:
        """What is at `path` now, as parsed JSON; not to be changed. PyGithub's failures pass through."""
        key = (path, frozenset((query or {}).items()))
        with self._lock:
            etag, known = self._kept.get(key, ("", None))
        given = {"If-None-Match": etag} if etag else {}
        headers, data = client.requester.requestJsonAndCheck("GET", path, parameters=dict(query or {}), headers=given)
        if etag and data is None:  # 304 has no body
            headers, data = {"etag": etag}, known
        with self._lock:
            if new := str(headers.get("etag", "")):
                self._kept[key] = (new, data)
                self._kept.move_to_end(key)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return data
