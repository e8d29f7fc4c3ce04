"""GraphQL of the GitHub test server."""

from tests.servers.github_call import Answer, Call
from tests.servers.github_state import Json


def graphql(call: Call) -> Answer:
    """The queries that we send, known by what they name; anything else is an error, as in GitHub's schema."""
    token = call.user()
    query, variables = str(call.body.get("query", "")), call.body.get("variables") or {}
    if "lastEditedAt" in query:
        repo = call.state.repos.get(f"{variables.get('owner')}/{variables.get('name')}")
        issue = repo.issues.get(int(variables.get("number", 0))) if repo is not None else None
        if repo is None or issue is None or not token.may("issues", repo.full_name, write=False):
            return 200, {"data": None, "errors": [{"type": "NOT_FOUND", "message": "Could not resolve to an Issue"}]}
        renames = [{"createdAt": when, "previousTitle": title} for when, title in issue.renamed]
        found = {"lastEditedAt": issue.last_edited_at, "timelineItems": {"nodes": renames}}
        return 200, {"data": {"repository": {"issueOrPullRequest": found}}}
    if "CROSS_REFERENCED_EVENT" in query:
        return _references(call, variables)
    if (flipped := _flipped(call, query, variables)) is not None:
        return flipped
    call.state.complaints.append(f"unknown GraphQL: {query[:200]}")
    return 200, {"data": None, "errors": [{"message": "Field does not exist"}]}


def _references(call: Call, variables: Json) -> Answer:
    """Pull requests that would close an issue."""
    repo = call.state.repos.get(f"{variables.get('owner')}/{variables.get('name')}")
    issue = repo.issues.get(int(variables.get("number", 0))) if repo is not None else None
    if repo is None or issue is None:
        return 200, {"data": {"repository": {"issue": None}}}
    pulls = [repo.pulls[number] for number in issue.references]
    nodes = [
        {
            "isCrossRepository": False,
            "willCloseTarget": True,
            "source": {
                "number": pull.number,
                "state": pull.state.upper(),
                "author": {"databaseId": pull.user.id, "login": pull.user.login},
            },
        }
        for pull in pulls
    ]
    return 200, {"data": {"repository": {"issue": {"timelineItems": {"nodes": nodes}}}}}


def _flipped(call: Call, query: str, variables: Json) -> Answer | None:
    """A pull request that is made a draft, or none any more."""
    token = call.user()
    for mutation, draft in (("markPullRequestReadyForReview", False), ("convertPullRequestToDraft", True)):
        if mutation in query:
            node = variables.get("input", {}).get("pullRequestId")
            for repo in call.state.repos.values():
                for pull in repo.pulls.values():
                    if node == f"PR_{pull.id}" and token.may("pull_requests", repo.full_name, write=True):
                        pull.draft = draft
                        return 200, {"data": {mutation: {"clientMutationId": None, "pullRequest": {"isDraft": draft}}}}
    return None
