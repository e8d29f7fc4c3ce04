"""How long suites and parts that nothing needs are dealt with; the sandboxes are scripted."""

from collections.abc import Sequence

from coder.types import FileChange, Patch
from coder.verify.commands import given
from coder.verify.rules import ProofRules
from coder.verify.verifier import CellVerifier, Verification
from tests.unit.verify_fakes import IMAGE, FakeSandboxes, FakeTrees, Run

BEFORE = {
    "a.py": b"x = 1\ny = 1\nz = 1\nw = 1\nv = 1\n",
    "t.py": b"def test_old():\n    assert 1\n",
    "tests/test_a.py": b"import a\n",
    "tests/test_b.py": b"import b\n",
}
AFTER = {**BEFORE, "a.py": b"x = 2\ny = 1\nz = 1\nw = 1\nv = 2\n", "tests/test_a.py": b"import a\n\nassert a\n"}
OLD, NEW = "test_old", "test_new"


def run(*green: str, red: Sequence[str] = (), took_s: float = 1.0) -> Run:
    return Run({**dict.fromkeys(green, "pass"), **dict.fromkeys(red, "failure")}, took_s=took_s)


GREEN, BOTH, RED_NEW = run(OLD), run(OLD, NEW), run(OLD, red=[NEW])
LONG = run(OLD, took_s=100.0)
KILLED = Run({}, exit_code=None, killed=True, took_s=9.0)


def verified(*runs: Run | Sequence[Run], rules: ProofRules, offer: bool = True) -> tuple[Verification, FakeSandboxes]:
    trees = FakeTrees(
        {"base": BEFORE, "base-tree": BEFORE, "head": AFTER, "base-tree+head": AFTER, "head+base-tree": AFTER}
    )
    sandboxes = FakeSandboxes(runs)
    files = tuple(FileChange(path=path, status="modified") for path in ("a.py", "tests/test_a.py"))
    patch = Patch(base_sha="base", tree_sha="head", diff="", files=files)
    verifier = CellVerifier(
        trees, sandboxes, tests=given("pytest"), timeout_s=900, labels={"coder.run": "r"}, rules=rules
    )
    return verifier.verify(patch, image=IMAGE, round=1, offer=offer), sandboxes


SHORT = ProofRules(suite_s=250, max_hunks=0)


def test_of_a_suite_that_is_too_long_what_is_near_the_change_proves_and_the_whole_is_run_once_on_head() -> None:
    made, sandboxes = verified(LONG, GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH, run(OLD, NEW, took_s=100), rules=SHORT)

    runs = [command for command in sandboxes.commands if command.startswith("timeout")]
    assert made.verdict.kind == "proven", made.verdict
    assert ["tests/test_a.py" in command and "test_b" not in command for command in runs[:5]] == [False, *[True] * 4]
    assert "tests/test_a.py" not in runs[-1]
    assert any("takes 100 s: it ran once on base and on the change" in line for line in made.evidence.not_verified)
    assert sandboxes.left == []


def test_what_breaks_far_from_the_change_is_a_regression_all_the_same() -> None:
    far, broken = run(OLD, "test_far", took_s=100), run(OLD, red=["test_far"], took_s=60)

    made, _ = verified(far, GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH, broken, broken, broken, far, rules=SHORT)

    assert made.verdict.kind == "regressed"
    assert made.evidence.proving_tests == ()


def test_where_no_time_is_left_the_text_says_that_the_whole_was_not_run() -> None:
    made, sandboxes = verified(
        LONG, GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH, rules=ProofRules(suite_s=150, max_hunks=0)
    )

    assert made.verdict.kind == "proven"
    assert any("was not run on the change" in line for line in made.evidence.not_verified)
    assert sandboxes.left == []


def test_a_suite_that_does_not_end_is_judged_by_what_is_near() -> None:
    made, _ = verified(KILLED, GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH, rules=SHORT)

    assert made.verdict.kind == "proven"
    assert any("did not end within 900 s" in line for line in made.evidence.not_verified)


ABLATION = ProofRules(max_hunks=5)


def test_a_part_that_no_test_needs_is_offered_for_removal_and_the_proof_stands() -> None:
    without = (RED_NEW, BOTH, BOTH)

    made, sandboxes = verified(GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH, without, rules=ABLATION)

    assert made.verdict.kind == "proven"
    assert made.evidence.hunks_tried == 2
    assert made.evidence.unexercised == ("a.py:5",)
    assert "not exercised by any test: a.py:5" in made.evidence.not_verified
    assert "-v = 1\n+v = 2" in made.verdict.objections[0]
    assert sandboxes.left == []


def test_it_is_offered_once() -> None:
    made, _ = verified(GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH, (RED_NEW, BOTH, BOTH), rules=ABLATION, offer=False)

    assert made.verdict.objections == ()
    assert made.evidence.unexercised == ("a.py:5",)


def test_a_part_that_only_another_test_needs_is_needed() -> None:
    made, _ = verified(GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH, (RED_NEW, BOTH, run(NEW, red=[OLD])), rules=ABLATION)

    assert made.evidence.unexercised == ()
    assert made.verdict.objections == ()


def test_where_time_ends_it_says_what_was_not_tried() -> None:
    base, slow = run(OLD, took_s=40), run(OLD, NEW, took_s=400)

    made, _ = verified(base, BOTH, RED_NEW, GREEN, RED_NEW, BOTH, (slow,), rules=ABLATION)

    assert made.evidence.hunks_tried == 1
    told = "whether each part is needed was tried for 1 of 2 parts of the change"
    assert f"{told}: the 300 seconds for it were used up" in made.evidence.not_verified
    assert "not exercised by the proving tests: a.py:1" in made.evidence.not_verified


def test_where_there_are_more_parts_than_are_tried_it_says_so() -> None:
    few = ProofRules(max_hunks=1)

    made, _ = verified(GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH, (RED_NEW,), rules=few)

    told = "whether each part is needed was tried for 1 of 2 parts of the change"
    assert f"{told}: no more than 1 are, the largest first" in made.evidence.not_verified


def test_a_sandbox_that_dies_on_the_way_costs_nothing_but_the_answer() -> None:
    made, _ = verified(GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH, Run(dies=True), rules=ABLATION)

    assert made.verdict.kind == "proven"
    assert made.evidence.unexercised == ()
