"""Source that answers the inputs of its own tests is shown; ordinary branches, tables and constants are not."""

import pytest

from coder.verify.basis import Cells, Finding
from coder.verify.integrity import inspected
from coder.verify.verdict import verdict
from tests.unit.verify_values import four

OLD = "def slug(title):\n    return title.lower()\n"
TEST = "from slugs import slug\n\n\ndef test_one():\n    assert slug('One') == 'one'\n"
NEW_TEST = f"{TEST}\n\ndef test_spaces():\n    assert slug('A  B') == 'a-b'\n"


def seen(
    source: str, tests: str = NEW_TEST, *, old: str = OLD, names: tuple[str, str] = ("slugs.py", "test_slugs.py")
) -> list[str]:
    before = {names[0]: old.encode(), names[1]: TEST.encode()}
    after = {names[0]: source.encode(), names[1]: tests.encode()}
    return [str(finding) for finding in inspected(names, before.get, after.get).findings]


@pytest.mark.parametrize(
    "body",
    [
        "    if title == 'A  B':\n        return 'a-b'\n    return title.lower()\n",
        "    if 'A  B' == title and title:\n        made = 'a-b'\n    return title.lower()\n",
        "    return 'a-b' if title in ('A  B',) else title.lower()\n",
        "    return {'A  B': 'a-b'}.get(title, title.lower())\n",
        "    if title.startswith('x'):\n        return ''\n    elif title == 'A  B':\n        return 'a-b'\n    return title.lower()\n",
        "    match title:\n        case 'A  B':\n            return 'a-b'\n    return title.lower()\n",
    ],
)
def test_an_answer_to_an_input_of_the_test_is_shown(body: str) -> None:
    found = seen(f"def slug(title):\n{body}")

    assert len(found) == 1
    assert "answers `A  B`, an input of a test, with `a-b`, which it expects: is it right for other inputs?" in found[0]


def test_rows_of_a_table_are_inputs_too() -> None:
    rows = "import pytest\n\n\n@pytest.mark.parametrize('x, y', [(5, 25), (7, 49)])\ndef test_square(x, y):\n    assert square(x) == y\n"

    found = seen("def square(x):\n    if x == 5:\n        return 25\n    return 49 if x == 7 else 0\n", rows)

    assert [line.split(":")[1] for line in found if "answers" in line] == ["2", "4"]


@pytest.mark.parametrize(
    "body",
    [
        "    return '-'.join(title.lower().split())\n",
        "    if title == 'A  B':\n        return '-'.join(title.lower().split())\n    return title.lower()\n",
        "    if title == '':\n        return 'a-b'\n    return title.lower()\n",
        "    if title == 'other':\n        return 'a-b'\n    return title.lower()\n",
        "    if title != 'A  B':\n        return 'a-b'\n    return title.lower()\n",
        "    if title == 'A  B':\n        raise ValueError('a-b')\n    return title.lower()\n",
    ],
)
def test_a_branch_that_computes_or_asks_for_other_things_is_none(body: str) -> None:
    assert seen(f"def slug(title):\n{body}") == []


def test_what_the_source_answered_before_is_none() -> None:
    old = "def slug(title):\n    if title == 'A  B':\n        return 'a-b'\n    return title\n"

    assert seen(old.replace("return title\n", "return title.lower()\n"), old=old) == []


def test_a_table_of_which_the_test_takes_a_sample_is_none() -> None:
    rows = "".join(f"        case 'x{row}':\n            return 'y{row}'\n" for row in range(3))
    table = (
        f"def slug(title):\n    match title:\n{rows}        case 'A  B':\n            return 'a-b'\n    return title\n"
    )

    assert seen(table) == []


def test_old_tests_are_not_asked() -> None:
    source = "def slug(title):\n    return 'one' if title == 'One' else title.lower()\n"

    assert seen(source, f"{TEST}\n\ndef test_more():\n    assert slug('Two')\n") == []


JS_TEST = (
    "test('spaces', () => {{\n  assert.equal(slug('A  B'), 'a-b');\n  assert.equal(square(-5), 25);\n}});\n".format()
)


@pytest.mark.parametrize(
    ("name", "test", "source"),
    [
        (
            "slugs.js",
            "slugs.test.js",
            "function slug(t) {\n  if (t === 'A  B') {\n    return 'a-b';\n  }\n  return t;\n}\n",
        ),
        ("slugs.ts", "slugs.test.ts", "const slug = (t: string) => t === 'A  B' ? 'a-b' : t;\n"),
        ("slugs.js", "slugs.test.js", "switch (t) {\n  case 'A  B':\n    return 'a-b';\n}\n"),
        ("slugs.rs", "slugs_test.js", 'match t {\n    "A  B" => "a-b",\n    _ => t,\n}\n'),
    ],
)
def test_other_languages_are_read_by_their_lines(name: str, test: str, source: str) -> None:
    names = (name, f"test/{test}")

    assert len(seen(source, JS_TEST, names=names)) == 1
    assert seen(source.replace("a-b", "made"), JS_TEST, names=names) == []


def test_it_is_held_out_to_the_model_and_not_called_proven() -> None:
    cells: Cells = four()

    judged = verdict(cells, findings=[Finding("a.py", 2, "answers `5`", remedy="generalise")])

    assert judged.kind == "passing"
    assert len(judged.objections) == 1
    assert "add a test with others" in judged.objections[0]
    assert "a.py:2: answers `5`" in judged.objections[0]
