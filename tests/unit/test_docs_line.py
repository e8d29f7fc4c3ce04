"""`docs/line.md` leads a reader through the code: what it names must be there."""

import re
from pathlib import Path
from typing import get_args

from coder.trace.events import Event

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/line.md").read_text(encoding="utf-8")


def test_every_file_that_is_named_exists() -> None:
    known = {path.relative_to(ROOT).as_posix() for top in ("coder", "webhooks") for path in (ROOT / top).rglob("*.py")}
    names = {path.rpartition("/")[2] for path in known}
    named = re.findall(r"`([a-z_/]+\.py)`", TEXT)

    assert len(named) > 50
    assert [word for word in named if word not in (known if "/" in word else names)] == []


def test_every_event_of_the_line_is_one_of_the_journal() -> None:
    kinds = {kind.model_fields["type"].default for kind in get_args(get_args(Event)[0])}
    named = set(re.findall(r"\*\*([a-z_]+)\*\*", TEXT))

    assert len(named) > 10
    assert named <= kinds
