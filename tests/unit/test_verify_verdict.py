from dataclasses import replace

import pytest

from coder.types import Cell
from coder.verify.basis import Cells, Finding
from coder.verify.verdict import no_change, proving_tests, verdict
from tests.unit.verify_values import NEW, OLD, RED, cell, four, unread


def test_red_before_and_green_after_is_proven() -> None:
    judged = verdict(four())

    assert judged.kind == "proven"
    assert judged.objections == ()
    assert judged.reasons[0] == f"failing on base, passing on head: {NEW}"
    assert proving_tests(four()) == (NEW,)


def test_a_changed_test_may_prove_too() -> None:
    cells = four(base_new=cell("base+new tests", [], [OLD]), head=cell("head", [OLD]))

    assert verdict(cells).kind == "proven"


def test_a_new_file_that_cannot_be_collected_on_base_proves() -> None:
    new = cell("base+new tests", [OLD], errored=["tests/test_new.py"])
    cells = four(base_new=new, head=cell("head", [OLD, "tests/test_new.py::test_x"]))

    assert proving_tests(cells) == ("tests/test_new.py::test_x",)
    assert verdict(cells).kind == "proven"


def test_a_test_that_is_merely_absent_on_base_proves_nothing() -> None:
    cells = four(base_new=cell("base+new tests", [OLD], errored=["other/t.py"]), head=cell("head", [OLD, NEW]))

    assert verdict(cells).kind == "passing"


def test_a_test_that_was_red_already_proves_only_if_it_is_green_as_it_was_written() -> None:
    base, new = cell("base", [OLD], [RED]), cell("base+new tests", [OLD, NEW], [RED])
    head = cell("head", [OLD, NEW, RED])

    cured = four(base=base, base_new=new, head=head, head_old=cell("head+old tests", [OLD, RED]))
    rewritten = four(base=base, base_new=new, head=head, head_old=cell("head+old tests", [OLD], [RED]))

    assert proving_tests(cured) == (RED,)
    assert verdict(cured).kind == "proven"
    assert verdict(rewritten).kind == "passing"


def test_failures_of_base_are_not_counted() -> None:
    cells = four(
        base=cell("base", [OLD], [RED]),
        base_new=cell("base+new tests", [OLD], [NEW, RED]),
        head=cell("head", [OLD, NEW], [RED]),
        head_old=cell("head+old tests", [OLD], [RED]),
    )

    judged = verdict(cells)

    assert judged.kind == "proven"
    assert f"1 test failing on base already, not counted: {RED}" in judged.reasons


def test_without_a_change_of_tests_a_red_test_that_turns_green_proves() -> None:
    judged = verdict(Cells(cell("base", [OLD], [RED]), cell("head", [OLD, RED])))

    assert judged.kind == "proven"
    assert not [reason for reason in judged.reasons if "not counted" in reason]


def test_without_a_change_of_tests_and_nothing_cured_it_is_passing_at_best() -> None:
    judged = verdict(Cells(cell("base", [OLD], [RED]), cell("head", [OLD], [RED])))

    assert judged.kind == "passing"
    assert judged.objections


def test_a_new_test_that_passes_on_base_is_objected_to() -> None:
    judged = verdict(four(base_new=cell("base+new tests", [OLD, NEW])))

    assert judged.kind == "passing"
    assert "pass without the fix too" in judged.objections[0]


@pytest.mark.parametrize("name", [OLD, NEW])
def test_a_new_failure_is_a_regression_and_the_model_sees_it(name: str) -> None:
    output = f"x\n=== FAILURES ===\n____ {name.split('::')[1]} ____\nE   boom\n=== short test summary info ==="
    passed = [other for other in (OLD, NEW) if other != name]

    judged = verdict(four(head=cell("head", passed, [name], output=output)))

    assert judged.kind == "regressed"
    assert name in judged.objections[0]
    assert "E   boom" in judged.objections[0]
    assert "summary info" not in judged.objections[0]


@pytest.mark.parametrize(
    "head",
    [
        cell("head", [NEW], skipped=[OLD]),
        cell("head", [NEW]),
        cell("head", [NEW, OLD], problem="the report lists no failure, but the exit code is 1", exit_code=1),
        unread("head", 0),
    ],
)
def test_a_head_that_lost_tests_or_contradicts_itself_is_not_green(head: Cell) -> None:
    assert verdict(four(head=head)).kind == "unverified"


@pytest.mark.parametrize("exit_code", [None, 2, 4, 139])
def test_a_head_that_crashes_or_hangs_is_a_regression(exit_code: int | None) -> None:
    judged = verdict(four(head=unread("head", exit_code, output="Segmentation fault")))

    assert judged.kind == "regressed"
    assert "Segmentation fault" in judged.objections[0]


@pytest.mark.parametrize(
    "head_old",
    [
        cell("head+old tests", [], [OLD]),
        cell("head+old tests", []),
        cell("head+old tests", [], skipped=[OLD]),
        unread("head+old tests", 0),
        unread("head+old tests", None),
    ],
)
def test_old_tests_that_no_longer_pass_are_not_green(head_old: Cell) -> None:
    judged = verdict(four(head_old=head_old))

    assert judged.kind == "unverified"
    assert judged.objections


def test_a_report_that_contradicts_the_exit_code_on_base_proves_nothing() -> None:
    problem = "the report lists failures, but the exit code is 0"
    lying = cell("base+new tests", [OLD], [NEW], exit_code=0, problem=problem)

    assert verdict(four(base_new=lying)).kind == "passing"


def test_nothing_passing_on_head_is_not_green() -> None:
    cells = Cells(cell("base", exit_code=5), cell("head", exit_code=5))

    assert verdict(cells).kind == "unverified"


def test_the_first_tests_of_a_repository_can_prove() -> None:
    cells = four(
        base=cell("base", exit_code=5),
        base_new=cell("base+new tests", [], [NEW]),
        head=cell("head", [NEW]),
        head_old=cell("head+old tests", exit_code=5),
    )

    assert verdict(cells).kind == "proven"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (cell("head", [OLD]), "passing"),
        (cell("head", [OLD], [NEW]), "unverified"),
        (cell("head", [OLD], problem="p"), "unverified"),
        (cell("head", skipped=[OLD]), "unverified"),
        (unread("head", 0), "unverified"),
        (unread("head", 4), "unverified"),
    ],
)
def test_a_base_whose_tests_do_not_start_allows_no_regression_and_no_proof(head: Cell, kind: str) -> None:
    judged = verdict(four(base=unread("base", 4, "usage error"), head=head))

    assert judged.kind == kind
    assert "usage error" in " ".join(judged.reasons)


def by_code(base: int | None, base_new: int | None, head: int | None, head_old: int | None) -> Cells:
    return Cells(
        unread("base", base),
        unread("head", head),
        unread("base+new tests", base_new),
        unread("head+old tests", head_old),
        exit_codes_only=True,
    )


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        ((0, 1, 0, 0), "proven"),
        ((0, 0, 0, 0), "passing"),
        ((0, None, 0, 0), "passing"),
        ((0, 1, 0, 1), "unverified"),
        ((0, 1, 0, None), "unverified"),
        ((0, 1, 1, 1), "regressed"),
        ((0, 1, None, 0), "regressed"),
        ((1, 1, 0, 0), "passing"),
        ((1, 1, 1, 1), "unverified"),
        ((None, 1, 2, 0), "unverified"),
    ],
)
def test_exit_codes_alone_are_weaker(codes: tuple[int | None, int | None, int | None, int | None], kind: str) -> None:
    judged = verdict(by_code(*codes))

    assert judged.kind == kind
    if kind in {"proven", "regressed"}:
        assert any("weaker evidence" in reason for reason in judged.reasons)
    assert proving_tests(by_code(*codes)) == ()


def test_exit_codes_without_a_change_of_tests() -> None:
    cells = Cells(unread("base", 0), unread("head", 0), exit_codes_only=True)

    assert verdict(cells).kind == "passing"


def test_findings_lower_a_proof_and_fatal_ones_anything_green() -> None:
    mild, fatal = Finding("t.py", 3, "asserts less"), Finding("conftest.py", 1, "bends", fatal=True)

    assert verdict(four(), findings=[mild]).kind == "passing"
    assert verdict(four(), findings=[mild, fatal]).kind == "unverified"
    assert verdict(four(base_new=cell("base+new tests", [OLD, NEW])), findings=[fatal]).kind == "unverified"
    assert verdict(four(head=cell("head", [], [OLD])), findings=[fatal]).kind == "regressed"
    judged = verdict(four(), findings=[mild])
    assert "t.py:3: asserts less" in judged.reasons
    assert "t.py:3: asserts less" in judged.objections[0]


def test_many_findings_are_shortened_and_the_fatal_ones_stay() -> None:
    many = [Finding("t.py", line, "deleted") for line in range(1, 500)]

    judged = verdict(four(), findings=[*many, Finding("conftest.py", 1, "bends", fatal=True)])

    assert judged.kind == "unverified"
    assert len(judged.reasons) < 60
    assert "conftest.py:1: bends" in judged.reasons
    assert "and 460 more changes like these" in judged.reasons


def test_no_change_is_told_to_the_model() -> None:
    assert no_change().kind == "no_change"
    assert no_change().objections


def test_long_lists_of_tests_are_shortened() -> None:
    many = [f"t.py::n{number}" for number in range(500)]

    judged = verdict(four(head=cell("head", [], many, output="x" * 100_000)))

    assert judged.reasons[0].endswith("and 490 more")
    assert len(judged.objections[0]) < 8_000


def test_an_old_flake_in_a_file_that_the_patch_leaves_alone_proves_nothing() -> None:
    elsewhere = "tests/test_other.py::test_flaky"
    cells = four(
        base=cell("base", [OLD, elsewhere]),
        base_new=cell("base+new tests", [OLD, NEW], [elsewhere]),
        head=cell("head", [OLD, NEW, elsewhere]),
        head_old=cell("head+old tests", [OLD, elsewhere]),
    )
    changed = replace(cells, changed=frozenset({"tests/test_new.py"}))

    assert proving_tests(changed) == ()
    assert verdict(changed).kind == "passing"
    assert proving_tests(replace(cells, changed=frozenset({"tests/test_other.py"}))) == (elsewhere,)


def test_where_base_cannot_run_its_tests_either_nothing_is_sent_back() -> None:
    base = cell("base", errored=["tests/test_a.py"])
    told = base.model_copy(update={"output_tail": "E   ImportError: needs Python 3.12\n1 error"})

    judged = verdict(Cells(told, cell("head", errored=["tests/test_a.py"])))

    assert judged.kind == "unverified"
    assert judged.objections == ()
    assert any("needs Python 3.12" in reason for reason in judged.reasons)


MOVED = frozenset({("t.py", "old")})


def renamed(**changes: Cell) -> Cells:
    cells = four(
        **{
            "head": cell("head", ["t.py::older", NEW]),
            "base_new": cell("base+new tests", ["t.py::older"], [NEW]),
            **changes,
        }
    )
    return replace(cells, accounted=MOVED)


def test_a_renamed_test_that_passes_on_head_in_its_old_form_is_no_loss() -> None:
    assert verdict(renamed()).kind == "proven"
    assert verdict(replace(renamed(), accounted=frozenset())).kind == "unverified"
    assert verdict(replace(renamed(), accounted=frozenset({("other.py", "old")}))).kind == "unverified"


def test_a_renamed_test_that_fails_on_head_in_its_old_form_or_is_skipped_there_is_a_loss() -> None:
    fails = renamed(head_old=cell("head+old tests", [], [OLD]))
    skipped = renamed(head=cell("head", ["t.py::older", NEW], skipped=[OLD]))

    assert verdict(fails).kind == "unverified"
    assert verdict(skipped).kind == "unverified"


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("example.invalid/shop::TestAdds", True),
        ("shop.CartTest::adds", False),
        ("t.py::Class::old[1-2]", True),
        ("u.py::old", False),
        ("t.py", False),
    ],
)
def test_ids_of_runners_that_do_not_tell_the_file_go_by_the_name(name: str, *, is_known: bool) -> None:
    accounted = frozenset({("t.py", "Class.old"), ("shop/cart_test.go", "TestAdds")})
    cells = Cells(
        cell("base", [name, "t.py::stays"]),
        cell("head", ["t.py::stays"]),
        cell("base+new tests", ["t.py::stays"]),
        cell("head+old tests", [name, "t.py::stays"]),
        accounted=accounted,
    )

    assert (verdict(cells).kind == "passing") is is_known


ROWS, WIDER = ("t.py::row[1]", "t.py::row[2]"), ("t.py::row[1-a]", "t.py::row[2-a]")


def reparametrized(**changes: Cell) -> Cells:
    """Another parameter was put into the table of a test: every row has a new id."""
    return four(
        **{
            "base": cell("base", ROWS),
            "base_new": cell("base+new tests", WIDER, [NEW]),
            "head": cell("head", [*WIDER, NEW]),
            "head_old": cell("head+old tests", ROWS),
            **changes,
        }
    )


def test_another_parameter_of_a_table_loses_no_test() -> None:
    more_rows = cell("head", [*WIDER, "t.py::row[3-a]", NEW])

    assert verdict(reparametrized()).kind == "proven"
    assert verdict(reparametrized(head=more_rows)).kind == "proven"


@pytest.mark.parametrize(
    "changes",
    [
        {"head": cell("head", [WIDER[0], NEW])},
        {"head": cell("head", [*WIDER, NEW], skipped=["t.py::row[3-a]"])},
        {"head": cell("head", [NEW], skipped=["t.py::row[NOTSET]"])},
        {"head": cell("head", ["t.py::other[1]", "t.py::other[2]", NEW])},
        {"head_old": cell("head+old tests", ROWS[:1], ROWS[1:])},
    ],
)
def test_a_table_with_fewer_rows_or_that_old_rows_contradict_is_a_loss(changes: dict[str, Cell]) -> None:
    assert verdict(reparametrized(**changes)).kind == "unverified"


@pytest.mark.parametrize("file", ["test/twice.test.js", "test_twice.py"])
def test_a_file_that_loads_now_is_no_test_that_passes(file: str) -> None:
    failed = cell("base+new tests", [OLD], errored=[file])
    silent = four(base_new=failed, head=cell("head", [OLD, file]))
    told = four(base_new=failed, head=cell("head", [OLD, file, f"{file}::twice"]))

    assert verdict(silent).kind == "passing"
    assert proving_tests(told) == (f"{file}::twice",)
