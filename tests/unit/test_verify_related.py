"""Which tests are near a change."""

from coder.verify.related import MAX_RELATED, related_tests


def near(changed: list[str], files: dict[str, str]) -> tuple[str, ...]:
    return related_tests(changed, files, lambda path: files[path].encode())


def test_python_tests_are_found_by_what_they_import_directly_and_over_others() -> None:
    files = {
        "src/shop/__init__.py": "",
        "src/shop/money.py": "x = 1",
        "src/shop/cart.py": "from .money import x\n",
        "src/shop/other.py": "import json\n",
        "tests/test_money.py": "from shop.money import x\n",
        "tests/test_cart.py": "from shop import cart\n",
        "tests/test_other.py": "import shop.other\n",
        "tests/helper.py": "from shop.money import x\n",
        "tests/conftest.py": "from shop.money import x\n",
    }

    assert near(["src/shop/money.py"], files) == ("tests/test_money.py", "tests/test_cart.py")
    assert near(["src/shop/money.py", "tests/test_other.py"], files)[0] == "tests/test_other.py"


def test_javascript_imports_are_followed() -> None:
    files = {
        "src/money.ts": "",
        "src/cart.ts": "import { a } from './money';",
        "src/index.ts": "export * from './cart'",
        "test/cart.test.ts": "import { c } from '../src/cart.js';",
        "test/all.spec.ts": "const all = require('../src');",
        "test/none.test.ts": "import x from 'left-pad';",
    }

    assert near(["src/money.ts"], files) == ("test/cart.test.ts", "test/all.spec.ts")


def test_other_languages_go_by_imports_names_and_folders() -> None:
    java = {
        "src/main/java/shop/Cart.java": "package shop;",
        "src/test/java/shop/CartTest.java": "import org.junit.Test;",
        "src/test/java/other/UsesTest.java": "import shop.Cart;",
        "src/test/java/other/NoneTest.java": "",
    }
    go = {"cart/cart.go": "", "cart/cart_test.go": "", "cart/more_test.go": "", "money/money_test.go": ""}

    assert near(["src/main/java/shop/Cart.java"], java) == (
        "src/test/java/other/UsesTest.java",
        "src/test/java/shop/CartTest.java",
    )
    assert near(["cart/cart.go"], go) == ("cart/cart_test.go", "cart/more_test.go")


def test_imports_in_a_circle_end_and_a_name_of_many_files_tells_nothing() -> None:
    circle = {"a.py": "import b", "b.py": "import a", "test_a.py": "import a"}
    many = {f"p{n}/models.py": "" for n in range(30)} | {"tests/test_x.py": "from models import y"}

    assert near(["b.py"], circle) == ("test_a.py",)
    assert near(["p1/models.py"], many) == ()


def test_no_more_are_named_than_a_command_line_should_hold() -> None:
    files = {"m.py": ""} | {f"tests/test_{n}.py": "import m" for n in range(200)}

    assert len(near(["m.py"], files)) == MAX_RELATED


def test_tests_that_speak_of_a_file_by_the_code_map_come_before_those_of_its_folder() -> None:
    files = {"src/cart.go": "", "src/other_test.go": "", "tests/it_test.go": "", "tests/far_test.go": ""}
    asked: list[str] = []

    def touching(path: str) -> list[str]:
        asked.append(path)
        return ["tests/it_test.go", "tests/gone_test.go"]

    found = related_tests(["src/cart.go", "tests/new_test.go"], files, lambda path: files[path].encode(), touching)

    assert found == ("tests/it_test.go", "src/other_test.go")
    assert asked == ["src/cart.go"]
