"""`POST /api/v1/runs`: a run that a program of the operator asks for, with the API token."""

import hashlib
import re
import uuid
from collections.abc import Callable
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from coder.errors import CoderError
from coder.types import JsonObject, RepoRef, Value
from webhooks.events import Repository
from webhooks.fields import OddFieldError
from webhooks.intake import Answer, Intake
from webhooks.options import OptionError, Options, understood
from webhooks.reading import repository_of
from webhooks.request import Request
from webhooks.rules import is_allowed

KEY_HEADER: Final = "idempotency-key"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
_LOGIN: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,60}(?:\[bot\])?$"

Describe = Callable[[RepoRef], JsonObject]
"""A repository as GitHub writes it; raises `ForgeError`."""


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class RunRequest(Value):
    """The body. Either an `issue`, or `title` and `prompt`."""

    repo: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$")
    issue: int | None = Field(default=None, gt=0, lt=2**63)
    title: str = Field(default="", max_length=200)
    prompt: str = Field(default="", max_length=60_000)
    verb: Literal["fix", "plan"] = "fix"
    requested_by: str = Field(pattern=_LOGIN)
    """On whose behalf: must have write permission in the repository."""
    options: dict[str, Annotated[str, BeforeValidator(_as_text)]] = Field(default_factory=dict)
    """`max`, `steps`, `minutes`, `model`, `base`, as in comments."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.issue is None) != bool(self.title.strip() and self.prompt.strip()):
            raise ValueError("give either `issue`, or both `title` and `prompt`")
        return self


def post_run(body: bytes, key: str | None, intake: Intake, describe: Describe) -> Answer:
    """The answer to a request for a run. Slow: it asks GitHub which repository is meant."""
    if key is not None and not _KEY.fullmatch(key):
        return Answer(400, {"error": "the header Idempotency-Key is not 1 to 200 visible ASCII characters"})
    try:
        given = RunRequest.model_validate_json(body)
        options = understood(given.options)
    except ValidationError as exc:
        problems = [
            {"field": ".".join(map(str, one["loc"])) or "body", "problem": one["msg"]}
            for one in exc.errors(include_input=False, include_url=False, include_context=False)
        ]
        return Answer(422, {"error": "the request does not fit", "problems": problems[:10]})
    except OptionError as exc:
        return Answer(
            422, {"error": "the request does not fit", "problems": [{"field": "options", "problem": str(exc)}]}
        )
    if not is_allowed(given.repo, intake.rules.allowed_repos):
        return Answer(403, {"error": f"repository {given.repo} is not allowed"})
    owner, _, name = given.repo.partition("/")
    try:
        repository = repository_of(describe(RepoRef(owner=owner, name=name)))
    except (CoderError, OddFieldError) as exc:
        return Answer(502, {"error": str(exc)})
    key = key or uuid.uuid4().hex
    fingerprint = hashlib.sha256(given.model_dump_json().encode()).hexdigest()[:32]
    return intake.ask(_request(given, options, repository, key), source="api", key=key, fingerprint=fingerprint)


def _request(given: RunRequest, options: Options, repository: Repository, key: str) -> Request:
    digest = hashlib.sha256(key.encode()).hexdigest()
    return Request(
        what=given.verb,
        repository=repository,
        number=given.issue or 0,
        sender=given.requested_by,
        identity=("api", digest),
        followup=f"api-{digest[:16]}",
        requested_at="",
        title=" ".join(given.title.split()),
        words=given.prompt,
        options=options,
    )
