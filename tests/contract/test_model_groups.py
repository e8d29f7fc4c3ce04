"""Every group of odd provider behaviour, held against every profile that ships: a test names the pair, or a reason does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.contract import test_model_edges as edges
from tests.contract import test_model_failures as failures
from tests.contract import test_model_frames as frames
from tests.contract import test_model_responses as responses
from tests.contract import test_model_wire as wire
from tests.integration import test_agent as agent
from tests.unit import test_model_answer as assembly
from tests.unit import test_model_failures as classes
from tests.unit import test_model_wire as history

LIVE = {profile.name for profile in edges.ALL}

DIALECT = (
    "Claude's messages and OpenAI's responses number and name their calls by themselves: no such form exists there"
)
OURS = "decided behind the wire, in code that knows no profile"
ROUTE = "decided by the route: one profile of each is asked"
SHAPE = "a way of writing that only this provider, or this wire, has"


@dataclass(frozen=True)
class Group:
    """Tests that stand for a group; `why` the profiles that none of them names need none."""

    what: str
    tests: tuple[Callable[..., Any], ...]
    why: str = ""


GROUPS = {
    1: Group("parallel calls in a stream", (edges.test_parallel_calls_stay_apart_however_they_are_numbered,), DIALECT),
    2: Group("calls without index", (edges.test_parallel_calls_stay_apart_however_they_are_numbered,), DIALECT),
    3: Group("calls with the same index", (edges.test_parallel_calls_stay_apart_however_they_are_numbered,), DIALECT),
    4: Group("equal ids", (edges.test_parallel_calls_stay_apart_however_they_are_numbered,), DIALECT),
    5: Group("no id", (edges.test_parallel_calls_stay_apart_however_they_are_numbered,), DIALECT),
    6: Group("calls that end with stop", (edges.test_an_early_end_is_never_taken_for_a_whole_answer,), DIALECT),
    7: Group("no arguments", (edges.test_odd_arguments_are_read_or_sent_back_as_valid_json,)),
    8: Group("broken arguments", (edges.test_odd_arguments_are_read_or_sent_back_as_valid_json,)),
    9: Group("raw newlines in arguments", (edges.test_odd_arguments_are_read_or_sent_back_as_valid_json,)),
    10: Group("arguments encoded twice", (edges.test_odd_arguments_are_read_or_sent_back_as_valid_json,)),
    11: Group("unknown tools", (agent.test_ten_answers_of_nonsense_end_the_run_with_a_reason,), OURS),
    12: Group(
        "leaks in the text",
        (edges.test_calls_that_leak_as_text_are_recovered, edges.test_what_looks_like_a_leak_is_text_elsewhere),
    ),
    13: Group(
        "leaks in the reasoning",
        (edges.test_calls_that_leak_as_text_are_recovered, wire.test_leaked_calls_are_recovered),
        "what does not leak its calls has no such tokens in its thoughts",
    ),
    14: Group("think tags in the text", (wire.test_reasoning_is_found_in_every_place,), SHAPE),
    15: Group("reasoning under another key", (wire.test_reasoning_is_found_in_every_place,), SHAPE),
    16: Group("calls cut at the limit", (edges.test_an_answer_that_reached_its_limit_says_so,)),
    17: Group("nothing but thoughts", (edges.test_an_empty_answer_is_asked_for_once_more,)),
    18: Group("a clean end that came early", (edges.test_an_early_end_is_never_taken_for_a_whole_answer,), SHAPE),
    19: Group(
        "drops, stalls, errors in a stream",
        (
            failures.test_a_lost_connection_is_one_request_and_one_retry,
            failures.test_an_error_event_inside_a_stream_is_tried_again,
            failures.test_a_stalled_answer_ends_at_the_deadline,
            responses.test_a_passing_failure_is_one_request_and_one_retry,
        ),
        ROUTE,
    ),
    20: Group("keep-alives and chunks without a choice", (assembly.test_hostile_chunks_raise_nothing,), OURS),
    21: Group(
        "usage in every place, or none",
        (
            edges.test_usage_is_found_in_every_place_or_estimated,
            responses.test_cached_tokens_are_part_of_the_prompt,
            wire.test_claude_counts_what_was_read_from_and_written_to_the_cache,
        ),
        SHAPE,
    ),
    22: Group(
        "strict servers",
        (
            wire.test_four_turns_of_parallel_calls_satisfy_the_strict_server,
            responses.test_sealed_reasoning_goes_back_as_it_came_right_before_what_it_led_to,
        ),
        ROUTE,
    ),
    23: Group("signed thoughts", (wire.test_signed_thinking_comes_back_byte_for_byte,), SHAPE),
    24: Group(
        "no thoughts and no temperature for GPT-5",
        (wire.test_gpt5_gets_no_reasoning_no_temperature_and_its_own_name_for_the_cap,),
        SHAPE,
    ),
    25: Group("orphans after a crash", (history.test_a_missing_result_is_supplied_and_an_orphan_dropped,), OURS),
    26: Group("the table of errors", (edges.test_passing_failures_are_one_request_each_and_lasting_ones_the_only_one,)),
    27: Group("hostile text", (edges.test_hostile_text_in_a_result_is_neutral_on_the_wire,)),
    28: Group(
        "equal beginnings",
        (frames.test_a_later_step_is_sent_as_litellm_itself_would_send_it, wire.test_nothing_of_the_callers_is_changed),
    ),
    29: Group(
        "answers without a call",
        (agent.test_an_answer_without_a_call_leaves_the_wire_and_is_followed_by_a_word_of_ours,),
        OURS,
    ),
    30: Group("no price", (edges.test_usage_is_found_in_every_place_or_estimated,), SHAPE),
    31: Group(
        "bodies and windows that are too small",
        (
            failures.test_a_body_over_the_providers_limit_is_not_sent,
            wire.test_the_output_cap_shrinks_as_the_conversation_fills_the_window,
            classes.test_the_cap_shrinks_with_the_window_by_the_providers_own_count,
        ),
        OURS,
    ),
    32: Group(
        "no other network, and no import before it is due",
        (
            failures.test_importing_our_modules_does_not_import_litellm,
            failures.test_a_dotenv_file_in_the_current_folder_changes_nothing,
        ),
        OURS,
    ),
}


def profiles_of(test: Callable[..., Any]) -> set[str]:
    """The profiles that a test is run with, by its marks."""
    found = {"gpt-5-responses"} if test.__module__ == responses.__name__ else set[str]()
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize" and mark.args[0] in {"profile", "name"}:
            found |= {getattr(value, "name", value) for value in mark.args[1]}
    return found


def test_the_groups_are_all_there() -> None:
    assert sorted(GROUPS) == list(range(1, 33))


@pytest.mark.parametrize("number", sorted(GROUPS))
def test_each_profile_has_a_test_of_the_group_or_a_reason_for_having_none(number: int) -> None:
    group = GROUPS[number]

    missing = LIVE - set().union(*map(profiles_of, group.tests))

    assert bool(missing) == bool(group.why), f"{group.what}: no test for {sorted(missing)}"
    if group.why == ROUTE:
        assert {one.route for one in edges.ALL} == {one.route for one in edges.ALL if one.name not in missing}
    if group.why == DIALECT:  # these are about the wire of chat completions, and all of its profiles are asked
        assert not {profile.name for profile in edges.CHAT if profile.stream} - (LIVE - missing)
