"""A process that looks for syntax errors: jobs on its socket, one line of JSON each as answer. It may die of hostile source.

A job is a line of JSON `[language, size]` and then `size` bytes. Python, JSON and TOML are read by Python's own parsers, which say
what is wrong; all else by tree-sitter, which says where.
"""

import ast
import importlib
import json
import re
import socket
import sys
import tomllib
from collections.abc import Iterator
from typing import Final

import tree_sitter

from coder.codemap.languages import BY_NAME
from coder.codemap.masks import readable
from coder.codemap.parse_worker import CPU_PER_FILE_S, READY, allow_cpu, limit_process

MAX_FAULTS: Final = 50
MAX_LINE: Final = 160
"""Characters of a line that are shown."""
_MAX_NODES: Final = 20_000

Place = tuple[int, str]
"""Line from 1, what is wrong with it."""
Fault = tuple[int, str, str]
"""Line from 1, its text, what is wrong with it."""


class Reader:
    """Finds syntax errors; keeps one parser per language, whose grammar takes milliseconds to load."""

    def __init__(self) -> None:
        self._parsers: dict[str, tree_sitter.Parser] = {}

    def faults(self, source: bytes, language: str) -> list[Fault]:
        """The syntax errors of `source`, in order, at most `MAX_FAULTS`."""
        match language:
            case "python":
                found = self._python(source)
            case "json":
                found = _json(source)
            case "toml":
                found = _toml(source)
            case _:
                found = self._by_grammar(source, language)
        lines = source.split(b"\n")
        return [
            (line, _text(lines[line - 1] if 0 < line <= len(lines) else b""), what) for line, what in found[:MAX_FAULTS]
        ]

    def _python(self, source: bytes) -> list[Place]:
        """What Python says; what may be the syntax of another Python than this one is left to the grammar, which knows several."""
        try:
            ast.parse(source)
        except SyntaxError as exc:
            mistaken = isinstance(exc, IndentationError) or self._by_grammar(source, "python")
            return [(exc.lineno or 1, exc.msg)] if mistaken else []
        except (ValueError, RecursionError, MemoryError):
            pass
        return []

    def _by_grammar(self, source: bytes, language: str) -> list[Place]:
        root = self._parser(language).parse(readable(source, BY_NAME[language])).root_node
        return list(_broken(root)) if root.has_error else []

    def _parser(self, language: str) -> tree_sitter.Parser:
        if language not in self._parsers:
            row = BY_NAME[language]
            grammar = tree_sitter.Language(getattr(importlib.import_module(row.module), row.factory)())
            self._parsers[language] = tree_sitter.Parser(grammar)
        return self._parsers[language]


def serve(channel: socket.socket) -> None:
    """Answer every job until the other end hangs up."""
    reader = Reader()
    with channel.makefile("rb") as jobs:
        channel.sendall(READY)
        while line := jobs.readline():
            language, size = json.loads(line)
            source = jobs.read(size)
            allow_cpu(CPU_PER_FILE_S)
            channel.sendall(json.dumps(reader.faults(source, language)).encode() + b"\n")


def main() -> None:
    """Limit this process, then serve on standard input, which is a socket."""
    limit_process()
    with socket.socket(fileno=sys.stdin.fileno()) as channel:
        serve(channel)


def _broken(root: tree_sitter.Node) -> Iterator[Place]:
    """Where the grammar did not fit, from the top; what lies inside of such a place is not told apart."""
    waiting, seen = [root], 0
    while waiting and seen < _MAX_NODES:
        node = waiting.pop()
        seen += 1
        line = node.start_point[0] + 1
        if node.is_missing:
            yield line, f"missing {node.type!r}"
        elif node.is_error:
            yield line, "unexpected"
        elif node.has_error:
            waiting.extend(reversed(node.children))


def _json(source: bytes) -> list[Place]:
    try:
        json.loads(source)
    except json.JSONDecodeError as exc:
        return [(exc.lineno, exc.msg)]
    except (ValueError, RecursionError):
        pass
    return []


def _toml(source: bytes) -> list[Place]:
    try:
        tomllib.loads(source.decode())
    except tomllib.TOMLDecodeError as exc:
        place = re.search(r" \(at line (\d+), column \d+\)$", str(exc))
        text = str(exc)[: place.start()] if place else str(exc)
        return [(int(place[1]) if place else source.count(b"\n") + 1, text)]
    except (ValueError, RecursionError):
        pass
    return []


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").strip()[:MAX_LINE]
