"""Tool calls that Kimi K2 writes as text, in its own special tokens, when a server's parser misses them.

Grammar: https://huggingface.co/moonshotai/Kimi-K2-Thinking/blob/main/docs/tool_call_guidance.md, with the singular section
token, ids without `functions.`, and a missing section wrapper or end, all of which were seen from hosts.
"""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from coder.model.arguments import parse_arguments

_CALL = re.compile(
    r"<\|tool_call_begin\|>\s*(?P<id>(?:functions\.)?(?P<name>[\w.-]{1,128}?)(?::\d+)?)\s*"
    r"<\|tool_call_argument_begin\|>(?P<arguments>.*?)"
    r"(?:<\|tool_call_end\|>|(?=<\|tool_call_begin\|>|<\|tool_calls?_section_end\|>)|\Z)",
    re.DOTALL,
)
_BRACKETS = re.compile(r"<\|tool_calls?_section_(?:begin|end)\|>")
_MARK = "<|tool_call_begin|>"


@dataclass(frozen=True, slots=True)
class LeakedCall:
    """A call found in text; its name is a known tool and its arguments are an object."""

    id: str
    name: str
    arguments: str


def recover_calls(text: str, tool_names: AbstractSet[str]) -> tuple[str, list[LeakedCall]]:
    """`text` without the calls that leaked into it, and those calls in order.

    What names no known tool, or whose arguments are no JSON object (cut short, say), is left in the text and not run.
    """
    if _MARK not in text:
        return text, []
    calls: list[LeakedCall] = []

    def take(match: re.Match[str]) -> str:
        arguments = match["arguments"].strip()
        if match["name"] not in tool_names or not arguments or parse_arguments(arguments) is None:
            return match[0]
        calls.append(LeakedCall(id=match["id"], name=match["name"], arguments=arguments))
        return ""

    rest = _CALL.sub(take, text)
    return (_BRACKETS.sub("", rest).strip() if calls else text), calls
