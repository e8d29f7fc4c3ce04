"""What an issue's template puts round a problem is not searched for; what its author said is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coder.codemap.boilerplate import without_boilerplate
from coder.codemap.query import MAX_FOCUS, Query

FORM = """Totals of a cart are wrong

<!-- Thanks for filing an issue!
Please search existing issues -->
### Describe the bug

`Cart.total` ignores the discount.

### Steps to reproduce

1. Upgrade from 1.2.3
2. `cart.total()` fails in 2.0.1

**Expected behavior:**

It is subtracted. It broke in version 2.0.0

### TypeError in round_price

```python
# Versions
total = 1.5
numpy==1.24.0
```

### System Info

```shell
# uname
Memory: 16 GB
```

### Validations

- [x] Follow our Code of Conduct
- [ ] I would like to send a patch
"""


def test_what_the_author_said_is_kept() -> None:
    lines = [line for line in without_boilerplate(FORM).split("\n") if line.strip()]

    assert lines == [
        "Totals of a cart are wrong",
        "`Cart.total` ignores the discount.",
        "1. Upgrade from 1.2.3",
        "2. `cart.total()` fails in 2.0.1",
        "It is subtracted. It broke in version 2.0.0",
        "### TypeError in round_price",
        "# Versions",
        "total = 1.5",
    ]


def test_a_form_round_a_problem_changes_no_query() -> None:
    plain = "Totals of a cart are wrong\n`Cart.total` ignores the discount."
    title, said = plain.split("\n")

    form = f"{title}\n\n### Describe the bug\n\n{said}\n\n### Environment\n\nPython 3.12.1\n- [x] I searched"

    assert Query.of(form) == Query.of(plain)


def test_a_title_alone_stays_when_its_form_is_empty() -> None:
    form = "Totals are wrong\n\n### Steps to reproduce\n\n### Validations\n\n- [x] Follow our Code of Conduct\n"

    assert without_boilerplate(form) == "Totals are wrong"


@pytest.mark.parametrize("text", ["", "\n", "### Environment\n\nLinux\n", "- [x] done", "<!-- all\nhidden"])
def test_a_text_that_is_nothing_else_comes_back_whole(text: str) -> None:
    assert without_boilerplate(text) == text


@pytest.mark.parametrize(
    "line", ["flask 2.3.1", "* requests: 2.28.1", "Python 3.9.2", "vite: ^2.9.0 => 2.9.1", "a==1.0"]
)
def test_a_version_is_not_searched_for(line: str) -> None:
    assert without_boilerplate(f"It fails\n{line}\nat once") == "It fails\nat once"


def test_what_addresses_carry_and_packed_bytes_are_not_searched_for() -> None:
    said = without_boilerplate(
        "It fails\nsee https://play.example/a.ts?x=eNp9Uk1PAjEQ and (https://h.example/o/r/blob/1/src/cart.py#L20)\n"
        f"> {'U3RhcnQg' * 9}=="
    )

    assert said.split("\n") == [
        "It fails",
        "see https://play.example/a.ts and (https://h.example/o/r/blob/1/src/cart.py)",
        ">",
    ]


@pytest.mark.parametrize(
    "heading",
    [
        "What version of the program are you using?",
        "What operating system are you using it on?",
        "How did you install it?",
        "Please tick this box to confirm you have searched",
        "Before submitting",
    ],
)
def test_what_a_form_asks_of_the_surroundings_is_not_searched_for(heading: str) -> None:
    assert without_boilerplate(f"It fails\n### {heading}\nwith apt\n### The cart\nis empty") == (
        "It fails\n### The cart\nis empty"
    )


@given(st.text(alphabet="# *-[]x`~<!>\n1.=:version", max_size=2000))
def test_any_text_is_cut_or_kept(text: str) -> None:
    said = without_boilerplate(text)

    assert len(said) <= len(text)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece", ["### reproduce ", "minimal ", "version ", "<!--", "1.1 ", "| ", "**a ", " ", "- [ ", "http://", "aA1+"]
)
def test_no_repetition_takes_long(piece: str) -> None:
    text = ("x\n### " + piece * MAX_FOCUS)[:MAX_FOCUS]

    assert without_boilerplate(text + "q")
