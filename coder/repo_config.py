"""What a repository says of itself: `.coder.yml`, read from the base commit, never from a change that is proposed.

It can only narrow what the operator allows, and say what only the repository knows: how it is set up and tested.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from coder.errors import InputError
from coder.policy import Policy
from coder.sandbox.protocol import Wants
from coder.types import Limits, Value

FILES = (".coder.yml", ".coder.yaml", ".github/coder.yml", ".github/coder.yaml")
"""Where it may stand; the first that is there counts."""
MAX_BYTES = 64 * 1024


def _listed(value: object) -> object:
    """A single text stands for a list of one."""
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=4_000)], ...], BeforeValidator(_listed)]
Names = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$")], ...], BeforeValidator(_listed)
]
Labels = Annotated[tuple[Annotated[str, Field(pattern=r"^[^\x00-\x1f,]{1,50}$")], ...], BeforeValidator(_listed)]
Verb = Literal["fix", "plan", "approve", "revise", "continue", "rebase", "autofix"]
"""What costs something, so that a repository may do without it."""
Verbs = Annotated[tuple[Verb, ...], BeforeValidator(_listed)]
Packages = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]{0,99}$")], ...], BeforeValidator(_listed)
]


class RepoLimits(Value):
    """Caps of one run; the operator's stay above them."""

    max_cost_usd: float | None = Field(default=None, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    max_minutes: float | None = Field(default=None, gt=0)

    def within(self, limits: Limits) -> Limits:
        """`limits`, lowered to what stands here."""
        lower = {k: min(v, getattr(limits, k)) for k, v in self.model_dump(exclude_none=True).items()}
        return limits.model_copy(update=lower)


class RepoConfig(Value):
    """The file's contents. Unknown names are refused: a misspelt rule protects nothing."""

    setup: Texts | None = None
    """Commands that install the dependencies, with network; instead of the detected ones."""
    test: str | None = Field(default=None, min_length=1, max_length=4_000)
    """How the tests are run; instead of the detected command."""
    images: Names = ()
    """Sandbox images by their names in `sandbox_images/images.toml`; instead of the detected ones."""
    packages: Packages = ()
    """Packages of the distribution that the image gets on top, for instance `libpq-dev`."""
    services: Names = ()
    """Servers that the tests need, started beside the sandbox: `postgres`, `mysql`, `redis`."""
    egress: Texts = ()
    """Hosts that the sandbox may reach while the model works, as far as the operator allows any."""
    limits: RepoLimits = RepoLimits()
    protected: Texts = ()
    """Paths whose change keeps a pull request a draft, on top of the operator's."""
    blocked: Texts = ()
    """Paths that may not be changed at all."""
    base: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._/-]{1,200}$")
    """Branch to work from; the default branch without it."""
    draft: Literal["auto", "always"] = "auto"
    """`auto`: a draft unless `proven`."""
    verbs: Verbs | None = None
    """What is taken here; all without it. A review counts as `revise`, a failed check as `autofix`; answers always count."""
    labels: Labels = ()
    """Put on the pull requests that are opened; which labels start runs is the operator's to say."""
    reviewers: Names = ()
    """Logins that are asked for a review of each pull request."""

    @property
    def wants(self) -> Wants:
        """What is to be in and beside its sandboxes."""
        return Wants(images=self.images, packages=self.packages, services=self.services, egress=self.egress)

    def policy(self, operator: Policy) -> Policy:
        """The operator's rules with this repository's beside them: theirs win, and patch rules only grow."""
        rules = operator.patch.model_copy(
            update={
                "protected": (*operator.patch.protected, *self.protected),
                "blocked": (*operator.patch.blocked, *self.blocked),
            }
        )
        return operator.model_copy(
            update={
                "setup": self.setup if operator.setup is None else operator.setup,
                "test_command": operator.test_command or self.test,
                "patch": rules,
            }
        )


def repo_config(files: Mapping[str, bytes]) -> RepoConfig:
    """The configuration among a commit's `files` (by path); the default one when there is none.

    Raises:
        InputError: It is not YAML, too large, or says what is not understood; the message names file and field.
    """
    path = next((name for name in FILES if name in files), None)
    if path is None:
        return RepoConfig()
    data = files[path]
    if len(data) > MAX_BYTES:
        raise InputError(f"{path} has {len(data)} bytes, more than {MAX_BYTES}")
    try:
        found = yaml.safe_load(data.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise InputError(f"{path} is not YAML in UTF-8: {' '.join(str(exc).split())[:300]}") from exc
    try:
        return RepoConfig.model_validate({} if found is None else found)
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in exc.errors()[:5])
        raise InputError(f"{path} does not fit: {problems}") from exc
