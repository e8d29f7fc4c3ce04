"""What a replay plays: every answer that was paid for, in the order in which it was asked for."""

from coder.replay import _answers, _rounds
from coder.trace.events import Event, Reviewed, Summarised, Verified
from coder.types import Evidence, Verdict
from tests.unit.publish_values import answered, body

EVIDENCE = Evidence(base_sha="b", head_tree="e", image="i", image_digest="d")


def test_summaries_and_reviews_are_played_where_they_were_asked_for() -> None:
    summary = Summarised(before_step=1, completion=answered(1, "sum").completion, message=None)
    judged = Verified(round=1, verdict=Verdict(kind="proven"), evidence=EVIDENCE)
    review = Reviewed(round=1, model="m", completion=answered(1, "review").completion)
    events: tuple[Event, ...] = (
        answered(1, "one"),
        summary,
        answered(2, "two"),
        judged,
        review,
        answered(3, "three"),
        judged,
    )

    answers, reviewer = _answers(events)

    assert [one.message.content for one in answers] == ["one", "sum", "two", "review", "three"]
    assert reviewer == "same"
    assert _rounds(events) == 2


def test_a_silent_reviewer_is_silent_again_and_an_unpaid_one_is_not_asked() -> None:
    silent = Reviewed(round=1, model="m", problem="the reviewer could not be asked: no key")
    unpaid = Reviewed(round=2, model="m", problem="of $5, $0.01 are left")

    answers, reviewer = _answers((answered(1, "one"), silent, unpaid))

    assert [one.message.content for one in answers] == ["one", None]
    assert reviewer == "same"
    assert _answers((answered(1, "one"),))[1] == ""
    assert _rounds(()) == 1


def test_the_trace_in_the_pull_request_tells_of_reviews() -> None:
    text = body(events=[answered(1, "x"), Reviewed(round=1, model="m", problem="no money")])

    assert "**Review of round 1: none**" in text
