"""One request to the GitHub test server, and the checks that all routes share."""

from dataclasses import dataclass, field
from typing import Any

from tests.servers.github_state import Issue, Json, Repo, State, Token

MAX_BODY = 65_536


class Refusal(Exception):  # noqa: N818 - a status is no error of the server
    """An answer other than success."""

    def __init__(self, status: int, message: str, errors: list[Json] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"message": message, "documentation_url": "https://docs.github.com/rest"}
        if errors is not None:
            self.body["errors"] = errors


@dataclass
class Call:
    """One request with who makes it, and the pieces of its path."""

    state: State
    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: Token | None
    bearer: str | None
    parts: dict[str, str] = field(default_factory=dict)

    def user(self) -> Token:
        if self.token is None:
            raise Refusal(401, "Requires authentication" if self.bearer is None else "Bad credentials")
        return self.token

    def repo(self, area: str = "metadata", *, write: bool = False) -> Repo:
        repo = self.state.repos.get(f"{self.parts['owner']}/{self.parts['repo']}")
        if self.bearer is None and self.method == "GET" and repo is not None and not repo.private:
            return repo  # anybody may read what is public
        token = self.user()
        if repo is None or (token.repositories is not None and repo.full_name not in token.repositories):
            raise Refusal(404, "Not Found")
        if area != "metadata" and not token.may(area, repo.full_name, write=write):
            raise Refusal(403, "Resource not accessible by integration")
        return repo

    def issue(self, *, write: bool = False) -> tuple[Repo, Issue]:
        repo = self.repo("issues", write=write)
        issue = repo.issues.get(int(self.parts["number"]))
        if issue is None:
            raise Refusal(404, "Not Found")
        return repo, issue

    def text(self, name: str, *, required: bool = True) -> str | None:
        value = self.body.get(name) if isinstance(self.body, dict) else None
        if value is None and not required:
            return None
        if not isinstance(value, str) or (required and not value.strip()):
            raise Refusal(422, "Validation Failed", [{"resource": "Issue", "field": name, "code": "missing_field"}])
        if len(value) > MAX_BODY:
            raise Refusal(
                422, "Validation Failed", [{"field": name, "code": "custom", "message": f"{name} is too long"}]
            )
        return value


Answer = tuple[int, Any]
