"""The parts that a run works with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coder.codemap.map import CodeMap
from coder.forge.protocol import Forge
from coder.memory.store import MemoryStore
from coder.model.protocol import ModelClient
from coder.policy import Policy
from coder.repo_config import RepoConfig
from coder.sandbox.protocol import Image, SandboxProvider
from coder.tools.base import Tool
from coder.trace.events import Entry, Verified
from coder.trace.journal import Journal, JournalStore
from coder.types import Followup, TreePack
from coder.verify.commands import TestCommand
from coder.verify.shelf import JournalShelf, Shelf
from coder.workspace.repository import Repository
from coder.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that a run works with."""

    forge: Forge
    model: Callable[[str], ModelClient]
    """The client for a profile's name."""
    sandboxes: SandboxProvider
    workspace: Workspace
    codemap: CodeMap
    journals: JournalStore
    policy: Policy
    redact: Callable[[str], str]
    """Takes the known secrets out of what is journalled."""
    redact_fully: Callable[[str], str]
    """Takes out whatever looks like a credential, too: for texts that leave."""
    listeners: tuple[Callable[[Entry], None], ...] = ()
    progress: Callable[[str], None] = lambda _: None
    """What is going on, for a person who watches."""
    inbox: Callable[[str], tuple[Followup, ...]] = lambda _: ()
    """What permitted people said to a run (by its id) while it works, oldest first; also what it has taken already."""
    memory: MemoryStore | None = None
    """What runs found out about repositories; None keeps nothing and shows nothing."""
    more_tools: Callable[[], Sequence[Tool[Any]]] = lambda: ()
    """Tools beside our own, as the operator's settings have them."""
    answerable: bool = False
    """Somebody can be asked: the model gets the tool for it."""
    judged: tuple[Verified, ...] = ()
    """What the tests said in a run that is played again without them; empty runs the tests."""
    shelf: Callable[[Journal], Shelf] = JournalShelf
    """The runs of the tests that a run need not make again."""
    dry_run: Path | None = None
    """Write the pull request into this folder instead of publishing it."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the work stands on: the base commit, the image, the way to run tests."""

    repository: Repository
    pack: TreePack
    image: Image
    tests: TestCommand | None
    config: RepoConfig = field(default_factory=RepoConfig)
    """What the repository says of itself, as of the base commit."""
