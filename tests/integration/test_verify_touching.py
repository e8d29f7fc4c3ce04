"""Which tests of a long suite are near a change, by the code map of a real repository."""

from pathlib import Path

from benchmarks.verdict_cases import Case
from benchmarks.verdict_stage import staged
from coder.codemap.map import CodeMap
from coder.verify.related import related_tests
from coder.verify.touching import by_code_map

FILES = {
    "pkg/cart/total.go": "package cart\n\nfunc GrandTotal(prices []int) int {\n\treturn len(prices)\n}\n",
    "pkg/tax/tax.go": "package tax\n\nfunc Rate() int {\n\treturn 7\n}\n",
    "e2e/checkout_test.go": 'package e2e\n\nimport "testing"\n\nfunc TestCheckout(t *testing.T) {\n'
    "\tif cart.GrandTotal([]int{1}) != 1 {\n\t\tt.Fatal()\n\t}\n}\n",
    "e2e/login_test.go": 'package e2e\n\nimport "testing"\n\nfunc TestLogin(t *testing.T) {\n\tt.Log()\n}\n',
}


def test_a_test_that_neither_imports_nor_is_named_after_a_file_is_found_by_what_it_calls(tmp_path: Path) -> None:
    stage = staged(Case("x", {"pkg/cart/total.go": "package cart\n"}, frozenset(), FILES), tmp_path / "case")
    changed = ["pkg/cart/total.go"]

    with CodeMap(tmp_path / "map.sqlite") as codemap:
        touching = by_code_map(codemap, stage.repository)
        near = related_tests(changed, FILES, lambda _: None, lambda path: touching(stage.patch.base_sha, path))
        unknown = touching(stage.patch.base_sha, "no/such.go")

    assert related_tests(changed, FILES, lambda _: None) == ()
    assert near == ("e2e/checkout_test.go",)
    assert unknown == ()
