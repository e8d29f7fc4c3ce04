"""The conversation's fixed beginning: how we work, the problem, the environment, the map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coder.agent.fence import fenced
from coder.prompts import render
from coder.trace.events import Baseline, Prepared
from coder.types import Base, Message, Note, Problem

GUIDES = ("AGENTS.md", "CLAUDE.md", ".github/copilot-instructions.md", "CONTRIBUTING.md")
"""Where repositories say how they want to be worked on; the first three exclude each other, the nearest wins."""
_GUIDE_CHARS = 8_000
_MAX_FOLDER_GUIDES = 40


@dataclass(frozen=True, slots=True)
class _Part:
    heading: str
    text: str


def opening(
    problem: Problem,
    base: Base,
    prepared: Prepared,
    *,
    code_map: str,
    guides: Mapping[str, str],
    nonce: str,
    may_ask: bool = False,
    remembered: Sequence[str] = (),
    baseline: Baseline | None = None,
    folder_guides: Sequence[str] = (),
) -> tuple[Message, ...]:
    """System prompt and first message. `guides` are instruction files of the base commit, by path.

    `may_ask`: there is a tool by which people can be asked. `remembered` are facts that earlier runs found out.
    `nonce` makes the fences around other people's text unguessable to them.
    """
    text = render(
        "opening",
        nonce=nonce,
        notes=_notes(problem, nonce),
        guides=[
            _Part(f"The repository's own guide ({path})", fenced(text[:_GUIDE_CHARS], nonce))
            for path, text in guides.items()
        ],
        folder_guides=[fenced(path, nonce) for path in folder_guides],
        base_sha=base.sha,
        base_ref=base.ref,
        test_command=prepared.test_command,
        baseline=baseline,
        problem=fenced(baseline.problem, nonce) if baseline else "",
        red=fenced("\n".join(baseline.red), nonce) if baseline else "",
        red_because=fenced(baseline.why, nonce) if baseline else "",
        services=prepared.services,
        egress=prepared.egress,
        submodules=[fenced(path, nonce) for path in prepared.submodules],
        submodules_missing=[fenced(line, nonce) for line in prepared.submodules_missing],
        lfs_pointers=[fenced(path, nonce) for path in prepared.lfs_pointers],
        lfs_count=prepared.lfs_count,
        setup_ok=prepared.setup_ok,
        setup_log=fenced(prepared.setup_log[-3_000:], nonce),
        remembered=[fenced(fact, nonce) for fact in remembered],
        map=fenced(code_map, nonce) or "(no map of this repository could be made)",
    )
    system = render("system", nonce=nonce, may_ask=may_ask)
    return (Message(role="system", content=system), Message(role="user", content=text))


def guide_paths(paths: Sequence[str]) -> list[str]:
    """Which instruction files of a repository the model is shown: one of the agents' own kind, and CONTRIBUTING."""
    present = [guide for guide in GUIDES if guide in paths]
    agents = [guide for guide in present if guide != "CONTRIBUTING.md"][:1]
    return agents + [guide for guide in present if guide == "CONTRIBUTING.md"]


def nested_guides(paths: Sequence[str]) -> list[str]:
    """Guides that folders have of their own, one for each: the model reads them when it works there."""
    nearest: dict[str, str] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        rank = {"AGENTS.md": 0, "CLAUDE.md": 1}.get(name)
        if folder and rank is not None and (folder not in nearest or rank == 0):
            nearest[folder] = path
    return sorted(nearest.values())[:_MAX_FOLDER_GUIDES]


def _notes(problem: Problem, nonce: str) -> list[_Part]:
    number = f" #{problem.number}" if problem.number else ""
    first = f"{problem.title}\n\n{problem.body.body}"
    notes = [_Part(f"The {problem.kind.replace('_', ' ')}{number}, by {_who(problem.body)}:", fenced(first, nonce))]
    comments = (_Part(f"Comment by {_who(c)}, {c.created_at}:", fenced(c.body, nonce)) for c in problem.comments)
    return [*notes, *comments]


def _who(note: Note) -> str:
    return f"{note.author} ({'may write to the repository' if note.trusted else 'has no write permission'})"
