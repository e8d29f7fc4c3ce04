"""The map as text: what is shown of which file, and never more than the budget."""

from hypothesis import given
from hypothesis import strategies as st

from coder.codemap.parsed import Definition
from coder.codemap.rank import Ranked
from coder.codemap.render import MAX_LINE, line_of, rendered
from coder.codemap.tokens import tokens


def definition(number: int, *, name: str = "", signature: str = "") -> Definition:
    name = name or f"name_{number}"
    return Definition(name, "function", number * 10 + 1, number * 10 + 5, 0, signature or f"def {name}()")


def fitting(path: str, *places: int) -> Ranked:
    return Ranked(path, 1, 1.0, places=places, fits=tuple(1 - 0.01 * number for number, _ in enumerate(places)))


def test_best_definitions_are_lines_and_the_next_are_names() -> None:
    found = [definition(number) for number in range(9)]

    text = rendered([fitting("a.py", 8, 0, 7, 1)], lambda _blob: found, max_tokens=1000)

    assert text.split("\n") == [
        "a.py",
        "  81: def name_8()",
        "  also: name_0:1 name_1:11 name_2:21 name_3:31 name_4 name_5 name_6 name_7:71",
    ]


def test_a_large_definition_goes_before_a_small_one_that_fits_as_well() -> None:
    small, large = definition(1), Definition("large", "function", 50, 500, 0, "def large()")

    text = rendered([Ranked("a.py", 1, 1.0, (0, 1), fits=(0.5, 0.45))], lambda _blob: [small, large], max_tokens=20)

    assert text == "a.py\n  50: def large()"


def test_a_larger_budget_shows_more_of_each_file() -> None:
    found = [definition(number) for number in range(90)]

    files = [fitting("a.py", 3), fitting("b.py", 3), *(fitting(f"c{number}.py", 3) for number in range(20))]

    maps = [rendered(files, lambda _blob: found, max_tokens=n).split("\nb.py\n") for n in (250, 500, 1000)]

    first, second = ([part.split("\nc0.py\n")[0].count("name_") for part in parts] for parts in zip(*maps, strict=True))
    assert first == sorted(first)
    assert first[0] < first[-1]
    assert second == sorted(second)
    assert second[0] < second[-1]


def test_a_file_that_fits_far_better_than_the_next_shows_more() -> None:
    found = [definition(number) for number in range(90)]

    near, far = (
        rendered(
            [Ranked("a.py", 1, 5.0, (3,), fits=(1.0,)), Ranked("b.py", 1, score, (3,), fits=(1.0,))],
            lambda _blob: found,
            max_tokens=300,
        )
        for score in (4.9, 1.0)
    )

    shown = [text.split("\nb.py")[0].count("name_") for text in (near, far)]
    assert shown[0] < shown[1]


def test_a_name_that_stands_many_times_is_shown_once() -> None:
    found = [definition(number, name="overload") for number in range(5)]

    text = rendered([fitting("a.py", 3, 1, 0)], lambda _blob: found, max_tokens=1000)

    assert text == "a.py\n  31: def overload()"


def test_files_behind_the_head_are_bare_paths() -> None:
    files = [Ranked(f"f{number}.py", number, 1.0, places=(0,)) for number in range(50)]

    lines = rendered(files, lambda blob: [definition(blob)], max_tokens=500).split("\n")

    assert lines[:2] == ["f0.py", "  1: def name_0()"]
    assert lines[-1] == "f49.py"
    assert [line for line in lines if not line.startswith(" ")] == [file.path for file in files]


def test_a_long_signature_is_cut() -> None:
    line = line_of(definition(1, signature="def f(" + "argument, " * 50))

    assert len(line) == len("  11: ") + MAX_LINE
    assert line.endswith("…")


@given(
    names=st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=30),
    paths=st.lists(st.text(min_size=1, max_size=60), max_size=40, unique=True),
    budget=st.integers(min_value=0, max_value=600),
)
def test_no_budget_is_exceeded(names: list[str], paths: list[str], budget: int) -> None:
    found = [definition(number, name=name) for number, name in enumerate(names)]
    files = [
        Ranked(path, number, 1.0, places=tuple(range(len(found))), fits=(0.5,) * len(found))
        for number, path in enumerate(paths)
    ]

    text = rendered(files, lambda _blob: found, max_tokens=budget)

    assert text == "" or tokens(text) <= budget
    text.encode("utf-8")
