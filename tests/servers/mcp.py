"""An MCP server for tests, as a program: `python mcp.py MODE`; the mode says how it behaves."""

import json
import sys
import time
from typing import Any

TOOLS: list[dict[str, Any]] = [
    {
        "name": "add",
        "description": "Add two numbers.",
        "inputSchema": {
            "type": "object",
            "$defs": {"n": {"type": "integer"}},
            "properties": {"a": {"$ref": "#/$defs/n"}, "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
            "required": ["a"],
        },
    },
    {"name": "odd", "inputSchema": {"type": "object", "properties": {"x": {}}}},
    {"name": "secret", "inputSchema": {"type": "object"}},
]


def main(mode: str) -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        if message["method"] == "initialize" and mode == "silent":
            time.sleep(60)
        say({"jsonrpc": "2.0", "method": "notifications/message", "params": {}})
        say({"jsonrpc": "2.0", "id": "theirs", "method": "sampling/createMessage", "params": {}})
        result = answer(message["method"], message.get("params") or {}, mode)
        kind = "error" if "code" in result else "result"
        say({"jsonrpc": "2.0", "id": message["id"], kind: result})


def answer(method: str, params: dict[str, Any], mode: str) -> dict[str, Any]:
    """What is said to one request."""
    if method == "initialize":
        return {"protocolVersion": params["protocolVersion"], "capabilities": {}, "serverInfo": {}}
    if method == "tools/list":
        pages = [TOOLS[:1], TOOLS[1:]]
        number = int(params.get("cursor", 0))
        return {"tools": pages[number]} | ({"nextCursor": "1"} if number == 0 else {})
    given = params["arguments"]
    if mode == "dies":
        sys.exit(1)
    if mode == "late":
        time.sleep(60)
    if mode == "floods":
        sys.stdout.write("x" * (9 << 20))
    if mode == "babbles":
        sys.stdout.write("no message\n")
    if given["a"] == 13:
        return {"code": -1, "message": "not thirteen"}
    text = {"type": "text", "text": str(given["a"] + given.get("b", 0))}
    return {"content": [text, {"type": "image", "data": ""}], "isError": given["a"] < 0}


def say(message: dict[str, Any]) -> None:
    """Send a message."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
