"""What of a red run is told to a model."""

import pytest

from coder.verify.excerpt import MAX_CHARS, excerpt

PYTEST = (
    "collecting\n=== FAILURES ===\n___ TestA.test_x ___\nE   first\n___ test_y ___\nE   second\n"
    "- generated xml file: report.xml -\n=== short test summary info ===\nFAILED t.py::test_y"
)


def test_the_failures_that_are_asked_for_are_kept() -> None:
    assert excerpt(PYTEST, ["t.py::test_y"]) == "___ test_y ___\nE   second"
    assert excerpt(PYTEST, ["t.py::TestA::test_x"]) == "___ TestA.test_x ___\nE   first"
    assert excerpt(PYTEST) == "___ TestA.test_x ___\nE   first\n___ test_y ___\nE   second"
    assert excerpt("make: *** [test] Error 1") == "make: *** [test] Error 1"


@pytest.mark.parametrize(
    ("output", "name", "kept"),
    [
        (
            "--- FAIL: TestOne (0.00s)\n    a_test.go:7: got 1\n--- FAIL: TestTwo (0.00s)\n    a_test.go:9: got 2\nFAIL\n",
            "example.invalid/a::TestTwo",
            "got 2",
        ),
        (
            "failures:\n\n---- tests::one stdout ----\nleft: 1\n\n---- tests::two stdout ----\nleft: 2\n\nfailures:\n    x\n",
            "a:src/lib.rs::tests::two",
            "left: 2",
        ),
        (
            "  ● cart \u203a one\n\n    Expected: 1\n\n  ● cart \u203a two\n\n    Expected: 2\n",
            "test/cart.test.js::cart::two",
            "Expected: 2",
        ),
        (
            (
                "======\nFAIL: test_one (m.C.test_one)\n------\nAssertionError: 1\n\n======\nFAIL: test_two (m.C.test_two)\n"
                "------\nAssertionError: 2\n\nRan 2 tests\n"
            ),
            "m.C.test_two",
            "AssertionError: 2",
        ),
        (
            (
                "  1) Failure:\nXTest#test_one [/w/test/x_test.rb:4]:\nExpected: 1\n  Actual: 3\n\n"
                "  2) Failure:\nXTest#test_two [/w/test/x_test.rb:5]:\nExpected: 1\n  Actual: 2\n"
            ),
            "XTest#test_two",
            "Actual: 2",
        ),
        (
            "There were 2 failures:\n\n1) XTest::testone\nasserting 1\n\n2) XTest::testtwo\nasserting 2\n",
            "tests/XTest.php::XTest::testtwo",
            "asserting 2",
        ),
        (
            " FAIL  a/x.spec.mjs > s > one\nAssertionError: 1\n FAIL  a/x.spec.mjs > s > two\nAssertionError: 2\n",
            "a/x.spec.mjs::s::two",
            "AssertionError: 2",
        ),
        (
            "2/3 Test #2: one .....***Failed    0.01 sec\ngot 1\n3/3 Test #3: two .....***Failed    0.01 sec\ngot 2\n",
            "two::two",
            "got 2",
        ),
        ("\u2716 one (1.2ms)\n  got 1\n\u2716 two (0.9ms)\n  got 2\n", "t.js::two", "got 2"),
        (
            (
                "[ERROR] Tests run: 2, Failures: 2, Time elapsed: 2.003 s <<< FAILURE! - in x.XTest\n"
                "[ERROR] one(x.XTest)  Time elapsed: 0.2 s  <<< FAILURE!\njava.lang.AssertionError: expected:<1>\n\n"
                "[ERROR] two(x.XTest)  Time elapsed: 0.2 s  <<< FAILURE!\njava.lang.AssertionError: expected:<2>\n\n[INFO] \n"
            ),
            "x.XTest::two",
            "expected:<2>",
        ),
        ("not ok 1 - one\n  got 1\nnot ok 2 - two\n  got 2\n", "t.js::two", "got 2"),
        ("Failures:\n\n  1) Cart one\n     got: 1\n\n  2) Cart two\n     got: 2\n", "cart_spec.rb::Cart two", "got: 2"),
    ],
)
def test_failures_of_other_runners_are_told_apart(output: str, name: str, kept: str) -> None:
    found = excerpt(output, [name])

    assert kept in found
    assert "one" not in found


def test_a_long_failure_keeps_its_assertion_and_the_lines_of_the_repository() -> None:
    frames = "".join(f"/usr/lib/python3/dist-packages/lib/f{n}.py:{n}: in call\n    x = {n}\n" for n in range(200))
    output = f"=== FAILURES ===\n___ test_a ___\n{frames}src/cart.py:41: in total\nE   assert 3 == 4\n=== short ===\n"

    found = excerpt(output, ["t.py::test_a"])

    assert "src/cart.py:41: in total" in found
    assert "E   assert 3 == 4" in found
    assert "f150.py" not in found
    assert len(found) < 2_500


def test_many_failures_are_counted_where_there_is_no_room() -> None:
    sections = "".join(f"___ test_{n} ___\n{'z' * 900}\n" for n in range(50))

    found = excerpt(f"=== FAILURES ===\n{sections}")

    assert found.startswith("___ test_0 ___")
    assert found.endswith(" more failures]")
    assert len(found) < MAX_CHARS + 100


def test_what_cannot_be_told_apart_is_cut_in_the_middle() -> None:
    found = excerpt("a" * 50_000 + "the end")

    assert found.endswith("the end")
    assert len(found) < MAX_CHARS + 100


def test_a_failure_among_many_checks_that_pass_is_seen() -> None:
    green = [f"/w/tests/misc.c:{n}:a_check_with_a_long_name_{n}:PASS" for n in range(60)]
    red = "/w/tests/misc.c:294:detaches_the_first:FAIL: Failed to detach the first item."
    output = "\n".join(
        ["14/19 Test #14: misc ....***Failed    0.03 sec", *green[:30], red, *green[30:], "60 Tests 1 Failures"]
    )

    found = excerpt(output, ["misc::misc"])

    assert red in found
    assert "PASS" not in found


def test_a_smaller_part_ends_between_two_failures() -> None:
    sections = "".join(f"_____ test_{number} _____\nE   {'x' * 300}\n" for number in range(9))

    found = excerpt(f"=== FAILURES ===\n{sections}", max_chars=1_000)

    assert len(found) < 1_100
    assert found.endswith("[… 6 more failures]")
    assert "[…]" not in found


def test_of_an_aborted_run_the_stack_of_our_own_files_is_left() -> None:
    stack = "".join(f'  File "/opt/venv/lib/site-packages/_pytest/x.py", line {n} in call\n' for n in range(40))
    output = (
        "..Fatal Python error: Aborted\n\nCurrent thread 0x1 (most recent call first):\n"
        f'  File "/workspace/shop/cart.py", line 7 in total\n  File "/workspace/tests/test_cart.py", line 3 in test_a\n{stack}'
    )

    assert excerpt(output).splitlines()[2:] == [
        "Current thread 0x1 (most recent call first):",
        '  File "/workspace/shop/cart.py", line 7 in total',
        '  File "/workspace/tests/test_cart.py", line 3 in test_a',
    ]
