"""Checks of a commit at GitHub: ours as a check run or a status, and what other people's said."""

import io
import re
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import github
import requests

from coder.errors import ForgeError
from coder.forge.config import GitHubSettings
from coder.forge.github_client import FORBIDDEN, NOT_FOUND, Client, status_of
from coder.forge.protocol import CHECK_NAME, CheckReport, ChecksState, FailedJob
from coder.types import JsonObject, RepoRef

MAX_SUMMARY = 65_535
MAX_ANNOTATIONS = 50  # for one call: https://docs.github.com/rest/checks/runs
MAX_DESCRIPTION = 140
MAX_LOG_BYTES = 20_000_000
MAX_LOG_CHARS = 200_000
MAX_JOBS = 5
PAGE = 100
MAX_PAGES = 10
"""A thousand checks of one commit: as many as GitHub keeps statuses of a context."""
LOOKS = 4
BETWEEN_LOOKS_S = 5.0
"""GitHub starts checks within seconds of a push, or never."""
_BAD = frozenset({"failure", "timed_out", "action_required", "startup_failure"})
_BAD_STATES = frozenset({"failure", "error"})
_GOOD = frozenset({"success", "neutral", "skipped"})
_GIVEN_UP = frozenset({"cancelled", "stale"})
ACTIONS = "github-actions"
_STATES = {"success": "success", "neutral": "success", "failure": "failure"}
_STAMP = re.compile(r"(?m)^\ufeff?\d{4}-\d\d-\d\dT[\d:.]+Z ")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class CommitChecks:
    """The checks of one repository's commits. PyGithub's failures pass through."""

    def __init__(self, client: Client, ref: RepoRef, settings: GitHubSettings) -> None:
        self._client, self._settings = client, settings
        self._root = f"/repos/{ref.full_name}"

    def report(self, commit_sha: str, check: CheckReport) -> None:
        """Say what our verification found: a check run for an App, a commit status for a token."""
        if self._settings.app_id is None:
            self._status(commit_sha, check)
            return
        found = self._ours(commit_sha)
        output: JsonObject = {
            "title": check.title[:200],
            "summary": check.summary[:MAX_SUMMARY],
            "annotations": [
                {
                    "path": one.path,
                    "start_line": one.line,
                    "end_line": one.line,
                    "annotation_level": one.level,
                    "message": one.message[:2_000],
                }
                for one in check.annotations[:MAX_ANNOTATIONS]
            ],
        }
        done = {"status": "completed", "conclusion": check.conclusion, "output": output}
        if found is not None:
            if (found.get("conclusion"), (found.get("output") or {}).get("summary")) != (
                check.conclusion,
                output["summary"],
            ):
                self._write("PATCH", f"{self._root}/check-runs/{int(found['id'])}", done)
            return
        self._write("POST", f"{self._root}/check-runs", {"name": CHECK_NAME, "head_sha": commit_sha, **done})

    def _status(self, commit_sha: str, check: CheckReport) -> None:
        body = {"state": _STATES[check.conclusion], "context": CHECK_NAME, "description": check.title[:MAX_DESCRIPTION]}

        listed = self._all(f"{self._root}/commits/{commit_sha}/statuses")
        newest = next((one for one in listed if one["context"] == CHECK_NAME), None)
        if newest is None or (newest["state"], newest["description"]) != (body["state"], body["description"]):
            self._write("POST", f"{self._root}/statuses/{commit_sha}", body)

    def _ours(self, commit_sha: str) -> JsonObject | None:
        path = f"{self._root}/commits/{commit_sha}/check-runs"
        found = self._get(path, check_name=CHECK_NAME, filter="latest")["check_runs"]
        mine = [one for one in found if (one.get("app") or {}).get("id") == self._settings.app_id]
        return dict(mine[0]) if mine else None

    def suites(self, commit_sha: str) -> int:
        """How many check suites of other Apps there are for a commit."""
        found = self._all(f"{self._root}/commits/{commit_sha}/check-suites", "check_suites")
        return len([one for one in found if (one.get("app") or {}).get("id") != self._settings.app_id])

    def state(self, commit_sha: str) -> ChecksState:
        """What the suites of other Apps, and statuses that are not ours, say together."""
        path = f"{self._root}/commits/{commit_sha}"
        suites = self._all(f"{path}/check-suites", "check_suites")
        theirs = [one for one in suites if (one.get("app") or {}).get("id") != self._settings.app_id]
        return together([*map(_suite, theirs), *(str(one["state"]) for one in self._statuses(path))])

    def _statuses(self, path: str) -> list[JsonObject]:
        """The newest status of each context but ours; none where we may not read them."""
        newest: dict[str, JsonObject] = {}
        try:
            for one in self._all(f"{path}/statuses"):  # the newest first
                newest.setdefault(str(one["context"]), one)
        except github.GithubException as exc:
            if exc.status == FORBIDDEN and not isinstance(exc, github.RateLimitExceededException):
                return []
            raise
        newest.pop(CHECK_NAME, None)
        return list(newest.values())

    def failures(self, commit_sha: str) -> tuple[FailedJob, ...]:
        """The failed checks of a commit, ours left out, with the ends of their logs."""
        path = f"{self._root}/commits/{commit_sha}"
        found = self._all(f"{path}/check-runs", "check_runs", status="completed", filter="latest")
        bad = [one for one in found if one["conclusion"] in _BAD and one["name"] != CHECK_NAME]
        # CI outside of GitHub keeps its logs to itself.
        red = [one for one in self._statuses(path) if one["state"] in _BAD_STATES]
        told = (
            FailedJob(str(one["context"]), str(one.get("description") or ""), str(one.get("target_url") or ""))
            for one in red
        )
        return (*(self._failed(one) for one in bad[:MAX_JOBS]), *told)[:MAX_JOBS]

    def _failed(self, run: JsonObject) -> FailedJob:
        output = run.get("output") or {}
        text = "\n".join(filter(None, (output.get("title"), output.get("summary"), output.get("text"))))
        app = (run.get("app") or {}).get("slug")
        log = self._log(int(run["id"])) if app == ACTIONS else ""
        return FailedJob(name=str(run["name"]), log=log or text[:MAX_LOG_CHARS], url=str(run.get("html_url") or ""))

    def _log(self, job: int) -> str:
        """The log of a job of GitHub's own runners; empty when it is gone (they are kept for some days) or not for us."""
        try:
            self._get(f"{self._root}/actions/jobs/{job}/logs")
        except github.GithubException as exc:
            headers = {name.lower(): value for name, value in (exc.headers or {}).items()}
            if "location" in headers:
                return _readable(self._download(headers["location"]))
            if status_of(exc) in {NOT_FOUND, 403, 410}:
                return ""
            raise
        return ""

    def _download(self, url: str) -> bytes:
        """What a signed address holds, without our credential, up to a limit."""
        plain = url.startswith("http://")
        if plain and not any(url.startswith(f"http://{host}/") for host in self._settings.http_hosts):
            raise ForgeError("GitHub keeps a log where it is not protected on its way")
        verify = self._settings.ca_bundle or True
        data = bytearray()
        with requests.get(
            url, stream=True, timeout=self._settings.timeout_s, verify=verify, allow_redirects=False
        ) as response:
            response.raise_for_status()
            for chunk in response.iter_content(65_536):
                data += chunk
                if len(data) > MAX_LOG_BYTES:
                    break
        return bytes(data)

    def _all(self, path: str, key: str = "", **query: str) -> Iterator[JsonObject]:
        """The items of a list, page by page; `key` is where an answer has them, if it is an object."""
        for page in range(1, MAX_PAGES + 1):
            found = self._get(path, per_page=str(PAGE), page=str(page), **query)
            listed = found[key] if key else found
            yield from listed
            if len(listed) < PAGE:
                return

    def _get(self, path: str, **query: str) -> Any:
        return self._client.read(path, query)

    def _write(self, method: str, path: str, body: JsonObject) -> None:
        self._client.requestJsonAndCheck(method, path, input=body)


def together(said: Sequence[str]) -> ChecksState:
    """What single checks, each by its conclusion or state, say together; empty ones say nothing."""
    counted = {one for one in said if one}
    # Of two runs for one commit GitHub cancels the older where a workflow wants that: what else there is counts.
    told = counted - _GIVEN_UP
    if not counted:
        return "none"
    if told & (_BAD | _BAD_STATES):
        return "red"
    return "green" if told and told <= _GOOD else "pending"


def _suite(suite: JsonObject) -> str:
    """A suite's conclusion; GitHub makes one for every App that may check, also for those that never begin."""
    if suite.get("status") == "completed":
        return str(suite.get("conclusion") or "pending")
    begun = suite.get("latest_check_runs_count") or (suite.get("app") or {}).get("slug") == ACTIONS
    return "pending" if begun else ""


def has_workflows(paths: Collection[str]) -> bool:
    """Whether a repository's files ask GitHub's own runners to check it."""
    return any(path.startswith(".github/workflows/") and path.endswith((".yml", ".yaml")) for path in paths)


def missing(*, base: Callable[[], int], commit: Callable[[], int], pause: Callable[[float], None]) -> bool:
    """Whether no other App began to check the commit, though some checked base; they may take a while."""
    if not base():
        return False
    for _ in range(LOOKS):
        if commit():
            return False
        pause(BETWEEN_LOOKS_S)
    return True


def _readable(data: bytes) -> str:
    """A log as text: out of its archive, without time stamps and colours, its end kept."""
    if data[:2] == b"PK":
        data = _unzipped(data)
    text = _COLOUR.sub("", data[-4 * MAX_LOG_CHARS :].decode("utf-8", "replace"))
    return _STAMP.sub("", text)[-MAX_LOG_CHARS:]


def _unzipped(data: bytes) -> bytes:
    """The files of an archive one after the other, as far as they are no bomb."""
    parts, left = [], MAX_LOG_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist()[:1_000]:
                with archive.open(info) as member:
                    part = member.read(left)
                parts.append(part)
                left -= len(part)
                if left <= 0:
                    break
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as exc:
        raise ForgeError(f"the archive of a log cannot be read: {exc}") from exc
    return b"\n".join(parts)
