"""Reviews, their comments on lines, and who is asked for one, at the GitHub test server."""

from tests.servers.github_call import Answer, Call, Refusal
from tests.servers.github_state import Json, Pull, Repo, ReviewComment, State, pull_json, user_json


def review_comment_json(state: State, repo: Repo, pull: Pull, comment: ReviewComment) -> Json:
    """A comment on a line as GitHub writes it."""
    root = f"{state.url}/repos/{repo.full_name}/pulls"
    html = f"{state.url}/{repo.full_name}/pull/{pull.number}#discussion_r{comment.id}"
    known = {
        "id": comment.id,
        "node_id": f"PRRC_{comment.id}",
        "pull_request_review_id": comment.review_id,
        "user": user_json(state, comment.user),
        "path": comment.path,
        "body": comment.body,
        "diff_hunk": "@@ -1 +1 @@",
        "commit_id": repo.branch(pull.head) or "0" * 40,
        "original_commit_id": repo.branch(pull.head) or "0" * 40,
        "created_at": comment.created_at,
        "updated_at": comment.created_at,
        "author_association": "NONE",
        "url": f"{root}/comments/{comment.id}",
        "pull_request_url": f"{root}/{pull.number}",
        "html_url": html,
        "_links": {
            "self": {"href": f"{root}/comments/{comment.id}"},
            "html": {"href": html},
            "pull_request": {"href": f"{root}/{pull.number}"},
        },
    }
    if comment.line is not None:
        known["line"] = comment.line
    if comment.in_reply_to is not None:
        known["in_reply_to_id"] = comment.in_reply_to
    return state.shape("pull-request-review-comment", known)


def _pull(call: Call, *, write: bool) -> tuple[Repo, Pull]:
    repo = call.repo("pull_requests", write=write)
    if int(call.parts["number"]) not in repo.pulls:
        raise Refusal(404, "Not Found")
    return repo, repo.pulls[int(call.parts["number"])]


def list_review_comments(call: Call) -> Answer:
    repo, pull = _pull(call, write=False)
    return 200, [review_comment_json(call.state, repo, pull, one) for one in pull.review_comments]


def get_review(call: Call) -> Answer:
    repo, pull = _pull(call, write=False)
    review = next((one for one in pull.reviews if one.id == int(call.parts["id"])), None)
    if review is None:
        raise Refusal(404, "Not Found")
    root = f"{call.state.url}/repos/{repo.full_name}/pulls/{pull.number}"
    html = f"{call.state.url}/{repo.full_name}/pull/{pull.number}#pullrequestreview-{review.id}"
    known = {
        "id": review.id,
        "user": user_json(call.state, review.user),
        "body": review.body,
        "state": review.state.upper(),
        "html_url": html,
        "pull_request_url": root,
        "_links": {"html": {"href": html}, "pull_request": {"href": root}},
        "submitted_at": review.submitted_at,
        "commit_id": repo.branch(pull.head),
        "author_association": "NONE",
    }
    return 200, call.state.shape("pull-request-review", known)


def reply_to_comment(call: Call) -> Answer:
    repo, pull = _pull(call, write=True)
    first = next((one for one in pull.review_comments if one.id == int(call.parts["id"])), None)
    if first is None:
        raise Refusal(404, "Not Found")
    if first.in_reply_to is not None:
        raise Refusal(422, "Validation Failed: replies to replies are not supported")
    body = call.text("body") or ""
    reply = ReviewComment(
        next(call.state.ids),
        call.user().user,
        first.path,
        body,
        call.state.now,
        review_id=next(call.state.ids),
        line=first.line,
        in_reply_to=first.id,
    )
    pull.review_comments.append(reply)
    return 201, review_comment_json(call.state, repo, pull, reply)


def request_reviewers(call: Call) -> Answer:
    repo, pull = _pull(call, write=True)
    names = call.body.get("reviewers") or []
    if any(repo.permissions.get(name) is None or name == pull.user.login for name in names):
        raise Refusal(422, "Reviews may only be requested from collaborators.")
    pull.requested += [name for name in names if name not in pull.requested]
    return 201, pull_json(call.state, repo, pull, shape="pull-request-simple")
