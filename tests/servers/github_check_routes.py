"""Check runs, check suites, commit statuses and logs of jobs at the GitHub test server."""

from tests.servers.github_call import Answer, Call, Refusal
from tests.servers.github_git import git
from tests.servers.github_state import CheckRun, Json, Repo, State, Status, user_json

MAX_DESCRIPTION = 140
MAX_SUMMARY = 65_535
MAX_ANNOTATIONS = 50


def _sha(repo: Repo, spec: str) -> str:
    sha = git("rev-parse", "-q", "--verify", f"{spec}^{{commit}}", cwd=repo.folder, check=False).decode().strip()
    if not sha:
        raise Refusal(422, f"No commit found for SHA: {spec}")
    return sha


def _app(state: State, slug: str) -> Json:
    number = state.app_id if slug == state.app_slug else 15_368  # the id of GitHub's own Actions
    return state.shape("integration", {"id": number, "slug": slug, "name": slug})


def check_json(state: State, repo: Repo, check: CheckRun) -> Json:
    """A check run as GitHub writes it."""
    url = f"{state.url}/repos/{repo.full_name}/check-runs/{check.id}"
    known = {
        "id": check.id,
        "node_id": f"CR_{check.id}",
        "name": check.name,
        "head_sha": check.head_sha,
        "status": check.status,
        "conclusion": check.conclusion,
        "url": url,
        "html_url": f"{state.url}/{repo.full_name}/runs/{check.id}",
        "output": {
            "title": check.output.get("title"),
            "summary": check.output.get("summary"),
            "text": check.output.get("text"),
            "annotations_count": len(check.output.get("annotations") or []),
            "annotations_url": f"{url}/annotations",
        },
        "check_suite": {"id": check.id},
        "app": _app(state, check.app),
    }
    return state.shape("check-run", known)


def list_check_runs(call: Call) -> Answer:
    repo = call.repo("checks")
    sha = _sha(repo, call.parts["sha"])
    found = [one for one in repo.checks if one.head_sha == sha]
    if name := call.query.get("check_name"):
        found = [one for one in found if one.name == name]
    if status := call.query.get("status"):
        found = [one for one in found if one.status == status]
    return 200, {"total_count": len(found), "check_runs": [check_json(call.state, repo, one) for one in found]}


def _output(call: Call) -> Json:
    output = call.body.get("output") or {}
    if len(output.get("summary") or "") > MAX_SUMMARY or len(output.get("annotations") or []) > MAX_ANNOTATIONS:
        raise Refusal(422, "Invalid request: the output is too large")
    return dict(output)


def _only_apps(call: Call) -> None:
    if call.user().permissions is None:
        raise Refusal(403, "You must authenticate via a GitHub App.")


def create_check_run(call: Call) -> Answer:
    _only_apps(call)
    repo = call.repo("checks", write=True)
    check = CheckRun(
        next(call.state.ids), call.text("name") or "", _sha(repo, str(call.body.get("head_sha"))), call.state.app_slug
    )
    check.status = call.body.get("status") or "queued"
    check.conclusion = call.body.get("conclusion")
    check.output = _output(call)
    repo.checks.append(check)
    return 201, check_json(call.state, repo, check)


def update_check_run(call: Call) -> Answer:
    _only_apps(call)
    repo = call.repo("checks", write=True)
    check = next((one for one in repo.checks if one.id == int(call.parts["id"])), None)
    if check is None:
        raise Refusal(404, "Not Found")
    check.status = call.body.get("status") or check.status
    check.conclusion = call.body.get("conclusion") or check.conclusion
    check.output = _output(call) or check.output
    return 200, check_json(call.state, repo, check)


def list_suites(call: Call) -> Answer:
    repo = call.repo("checks")
    sha = _sha(repo, call.parts["sha"])
    slugs = sorted({one.app for one in repo.checks if one.head_sha == sha} | set(repo.suites.get(sha, ())))
    suites = [
        call.state.shape(
            "check-suite",
            {
                "id": number + 1,
                "head_sha": sha,
                "app": _app(call.state, slug),
                "status": "completed" if sha in repo.concluded else "queued",
                "conclusion": repo.concluded.get(sha),
                "latest_check_runs_count": len([one for one in repo.checks if (one.head_sha, one.app) == (sha, slug)]),
                "head_commit": {
                    "id": sha,
                    "tree_id": sha,
                    "message": "",
                    "timestamp": call.state.now,
                    "author": None,
                    "committer": None,
                },
            },
        )
        for number, slug in enumerate(slugs)
    ]
    return 200, {"total_count": len(suites), "check_suites": suites}


def _status_json(state: State, repo: Repo, status: Status) -> Json:
    known = {
        "id": status.id,
        "node_id": f"SC_{status.id}",
        "url": f"{state.url}/repos/{repo.full_name}/statuses/{status.sha}",
        "state": status.state,
        "description": status.description,
        "context": status.context,
        "creator": user_json(state, status.creator),
        "created_at": state.now,
        "updated_at": state.now,
    }
    return state.shape("status", known)


def create_status(call: Call) -> Answer:
    repo = call.repo("statuses", write=True)
    description = call.text("description", required=False)
    if len(description or "") > MAX_DESCRIPTION:
        raise Refusal(422, "Validation Failed: description is too long (maximum is 140 characters)")
    status = Status(
        next(call.state.ids),
        _sha(repo, call.parts["sha"]),
        call.text("state") or "",
        description,
        call.text("context", required=False) or "default",
        call.user().user,
    )
    repo.statuses.insert(0, status)
    return 201, _status_json(call.state, repo, status)


def list_statuses(call: Call) -> Answer:
    repo = call.repo("statuses")
    sha = _sha(repo, call.parts["sha"])
    return 200, [_status_json(call.state, repo, one) for one in repo.statuses if one.sha == sha]


def get_job_log(call: Call) -> Answer:
    repo = call.repo("actions")
    job = int(call.parts["id"])
    if job not in repo.logs:
        raise Refusal(404, "Not Found")
    # As at GitHub: a signed address elsewhere, which takes no token.
    return 302, f"{call.state.url}/signed-logs/{repo.id}/{job}"
