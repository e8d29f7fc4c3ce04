"""What GitHub's published REST description says of the requests that we make and the answers that we get.

`github_api.json` is the part that is needed, in a notation of our own. A type is one of `str int num bool time url obj any
null none` (none: no body), `'literal'`, `[type]` for a list, `@shape`, or alternatives with `|`; a field whose name ends in
`?` may be left out.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Json = dict[str, Any]
DATA = Path(__file__).with_name("github_api.json")
API_VERSION = "2022-11-28"
MEDIA_TYPE = "application/vnd.github+json"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_KINDS: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "num": (int, float), "bool": bool, "obj": dict}
_PLAIN: Json = {"str": "", "int": 0, "num": 0, "bool": False, "time": "2026-01-01T00:00:00Z", "obj": {}}


class Rules:
    """The description; `url` is what addresses in made-up fields start with."""

    def __init__(self) -> None:
        data = json.loads(DATA.read_text())
        self._routes: dict[str, Json] = data["routes"]
        self._shapes: dict[str, dict[str, str]] = data["shapes"]

    def route(self, method: str, path: str) -> str | None:
        """The route that a request is for, as the description names it."""
        found = [route for route in self._routes if re.fullmatch(_pattern(route), f"{method} {path}")]
        # `/users/{x}` and the like give way to what is literal.
        return min(found, key=lambda route: (route.count("{"), -len(route)), default=None)

    def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: Any
    ) -> list[str]:
        """What is wrong with a request; `body` is parsed JSON, or None without one."""
        route = self.route(method, path)
        if route is None:
            return [f"{method} {path} is no route that is described"]
        rules = self._routes[route]
        known = {name.rstrip("?"): kind for name, kind in rules.get("query", {}).items()}
        wrong = [f"query {name} is not described" for name in query if name not in known]
        wrong += [
            f"query {name}={value!r} is not {known[name]}"
            for name, value in query.items()
            if name in known and not self.fits(known[name], _typed(value, known[name]))
        ]
        wrong += self._body(rules.get("body", "none"), body)
        wrong += _headers(headers, has_body=body is not None)
        return [f"{route}: {text}" for text in wrong]

    def answer(self, method: str, path: str, status: int, result: Any) -> list[str]:
        """What is wrong with an answer of success."""
        route = self.route(method, path)
        if route is None or status >= 400:
            return []
        kind = self._routes[route]["answers"].get(str(status))
        if kind is None:
            return [f"{route}: no answer {status} is described"]
        if kind == "none":
            return []
        return [f"{route} answered {text}" for text in self.faults(kind, result, "$")]

    def fits(self, kind: str, value: Any) -> bool:
        """Whether `value` is of a type."""
        return not self.faults(kind, value, "$")

    def faults(self, kind: str, value: Any, where: str, *, closed: bool = False) -> list[str]:
        """Where `value` is not of a type; `closed` also minds fields that the description does not have."""
        choices = _choices(kind)
        tried = [self._one(choice, value, where, closed=closed) for choice in choices]
        return min(tried, key=len)

    def complete(self, shape: str, known: Json, url: str) -> Json:
        """`known` with every other field that `shape` must have."""
        made = dict(known)
        for name, kind in self._shapes[shape].items():
            if not name.endswith("?") and name not in made:
                made[name] = self._default(kind, name, url)
        return made

    def _body(self, kind: str, body: Any) -> list[str]:
        if body is None:
            return [] if "none" in _choices(kind) else ["a body is missing"]
        if kind == "none":
            return ["no body is described"]
        return self.faults(kind, body, "body", closed=True)

    def _one(self, kind: str, value: Any, where: str, *, closed: bool) -> list[str]:
        if kind.startswith("["):
            if not isinstance(value, list):
                return [f"{where} is no list"]
            inner = kind[1:-1]
            return [
                text
                for index, item in enumerate(value)
                for text in self.faults(inner, item, f"{where}[{index}]", closed=closed)
            ]
        if kind.startswith("@"):
            return self._shape(self._shapes[kind[1:]], value, where, closed=closed)
        return [] if _is_plain(kind, value) else [f"{where} is {str(value)[:60]!r} and not {kind}"]

    def _shape(self, fields: dict[str, str], value: Any, where: str, *, closed: bool) -> list[str]:
        if not isinstance(value, dict):
            return [f"{where} is no object"]
        wrong = []
        for name, kind in fields.items():
            plain = name.rstrip("?")
            if plain in value:
                wrong += self.faults(kind, value[plain], f"{where}.{plain}", closed=closed)
            elif plain == name:
                wrong.append(f"{where}.{name} is missing")
        if closed:
            known = {name.rstrip("?") for name in fields}
            wrong += [f"{where}.{name} is not described" for name in value if name not in known]
        return wrong

    def _default(self, kind: str, name: str, url: str) -> Any:
        choices = _choices(kind)
        first = choices[0]
        if "null" in choices or first == "any":
            return None
        if first.startswith("["):
            return []
        if first.startswith("@"):
            return self.complete(first[1:], {}, url)
        if first.startswith("'"):
            return first[1:-1]
        return f"{url}/{name}" if first == "url" else _PLAIN[first]


def _headers(headers: Mapping[str, str], *, has_body: bool) -> list[str]:
    given = {name.lower(): value for name, value in headers.items()}
    wanted = {"accept": MEDIA_TYPE, "x-github-api-version": API_VERSION}
    if has_body:
        wanted["content-type"] = "application/json"
    wrong = [
        f"{name} is {given.get(name)!r}, not {value!r}" for name, value in wanted.items() if given.get(name) != value
    ]
    return wrong if given.get("user-agent") else [*wrong, "user-agent is missing"]


def _choices(kind: str) -> list[str]:
    """The alternatives of a type; those inside of a list are the list's."""
    return re.findall(r"(?:\[[^\[\]]*\]|[^|\[\]])+", kind) if "|" in kind else [kind]


def _is_plain(kind: str, value: Any) -> bool:
    if kind in {"any", "null"}:
        return kind == "any" or value is None
    if kind.startswith("'"):
        return bool(value == kind[1:-1])
    if kind == "time":
        return isinstance(value, str) and _TIME.fullmatch(value) is not None
    if kind == "url":
        return isinstance(value, str) and re.match(r"https?://", value) is not None
    if kind in {"int", "num"} and isinstance(value, bool):
        return False
    return kind in _KINDS and isinstance(value, _KINDS[kind])


def _typed(value: str, kind: str) -> Any:
    return int(value) if kind == "int" and value.isdecimal() else value


def _pattern(route: str) -> str:
    """A regular expression; `{ref}` may hold slashes."""
    literal = re.split(r"\{([^}]+)\}", route)
    return "".join(
        re.escape(part) if index % 2 == 0 else (".+" if part == "ref" else "[^/]+")
        for index, part in enumerate(literal)
    )
