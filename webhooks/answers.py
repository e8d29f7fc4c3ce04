"""What the service says by itself: short, plain, and without a stranger's live text in it."""

import re
from collections.abc import Sequence
from typing import Final

from webhooks.options import NAMES
from webhooks.rules import Rules

VERBS_TOLD: Final = (
    ("fix", "work on it; `--force` also when it is closed, locked or assigned to somebody"),
    ("plan", "look, write a plan, and wait for your word"),
    ("approve", "carry the plan out"),
    ("revise TEXT", "change the plan, or the pull request, as TEXT says"),
    ("continue [+$N]", "go on where a run ended, with N dollars more"),
    ("retry", "begin anew"),
    ("rebase", "take today's base branch in, as a merge; before there is a pull request, begin anew from it"),
    ("stop", "end the run; what it has done so far is kept"),
    ("status", "how the run stands"),
    ("explain", "what the run did and why it ended as it did"),
    ("autofix on, autofix off", "fix failed checks of this pull request, or leave them alone"),
    ("config", "what is set here"),
    ("help", "this"),
)
"""Each verb, and what it does."""


_ODD: Final = re.compile(r"[^A-Za-z0-9_\[\] -]")
"""What neither our words nor a login hold."""


def help_text(rules: Rules, problem: str = "") -> str:
    """The verbs; behind what was not understood, if anything."""
    name = rules.mention
    lines = [*([problem, ""] if problem else []), f"Say `/{name} VERB` or `@{name} VERB`:", ""]
    lines += [f"- `{verb}`: {what}" for verb, what in VERBS_TOLD]
    options = ", ".join(f"`{option}=…`" for option in NAMES)
    lines += ["", f"`fix`, `plan` and `retry` take {options}, up to what the operator allows."]
    lines.append(f"A comment that begins with `@{name}` and has no verb is passed on to the run.")
    return "\n".join(lines)


def config_text(rules: Rules, full_name: str, *, autofix: bool | None) -> str:
    """What is set, as far as it concerns people who ask."""
    limits, labels = rules.limits, rules.labels
    rows = [
        ("repository", full_name),
        ("labels", ", ".join(labels.all)),
        ("model", rules.model),
        ("models that may be named", ", ".join(rules.models) or "none"),
        ("limits of a run", f"${limits.max_cost_usd:.2f}, {limits.max_steps} steps, {limits.max_minutes:.0f} minutes"),
        ("may be raised to", f"${rules.highest_cost_usd:.2f}"),
        ("a plan comes first", "yes" if rules.plan_first else "no"),
        ("follow-ups of a run", f"{rules.max_followups}, {rules.max_check_followups} of them for failed checks"),
        ("failed checks of the default branch", "fixed" if rules.fix_default_branch else "left alone"),
        ("automatic fixes here", {None: "for our own pull requests", True: "on", False: "off"}[autofix]),
    ]
    table = "\n".join(f"| {name} | `{value}` |" for name, value in rows)
    return f"| Setting | Value |\n| --- | --- |\n{table}"


def enough_text(rules: Rules, limit: int, rounds: Sequence[str]) -> str:
    """That a run had enough rounds, and what they were."""
    text = f"{limit} rounds are enough for one run: a person should look. {mentioned(rules, ['retry'])} begins anew."
    done = [f"- {re.sub(_ODD, '', one)}" for one in rounds]
    return "\n".join([text, *(["", "Asked for so far:", "", *done] if done else [])])


def mentioned(rules: Rules, verbs: Sequence[str]) -> str:
    """Commands for a person to copy."""
    return " or ".join(f"`/{rules.mention} {verb}`" for verb in verbs)
