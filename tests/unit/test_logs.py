"""Log lines, for programs and for people."""

import json
import logging

from coder.logs import JsonFormatter, PlainFormatter


def record(**extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"levelno": logging.WARNING, "levelname": "WARNING", "msg": "index: %s", "name": "coder.x"}
    )
    made.args = ("made anew",)
    vars(made).update(extra)
    return made


def test_at_a_terminal_a_record_is_one_line_with_what_came_beside_it() -> None:
    plain = PlainFormatter(lambda text: text.replace("hunter2", "[cut]"))

    assert plain.format(record()) == "coder: warning: index: made anew"
    assert plain.format(record(why="hunter2", of=3)) == "coder: warning: index: made anew (why: [cut], of: 3)"


def test_for_programs_it_is_json_with_secrets_cut_out() -> None:
    line = JsonFormatter(lambda text: text.replace("hunter2", "[cut]")).format(record(why="hunter2"))

    found = json.loads(line)
    assert (found["level"], found["message"], found["why"]) == ("warning", "index: made anew", "[cut]")
