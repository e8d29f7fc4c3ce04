"""What is lost from tests in Go, JavaScript, Rust and Java; ordinary edits are told nothing of."""

import pytest

from coder.verify.integrity import findings

GO = 'package x\n\nfunc TestA(t *testing.T) {\n\tif f() != 1 {\n\t\tt.Errorf("no")\n\t}\n\tif g() != 1 {\n\t\tt.Fatal()\n\t}\n}\n'
JS = "describe('s', () => {\n  it('adds', () => {\n    expect(add(1)).toBe(2);\n    expect(add(2)).toBe(3);\n  });\n  test('b', () => { assert.ok(b()); });\n});\n"
RUST = (
    "#[test]\nfn adds() {\n    assert_eq!(add(1), 2);\n    assert!(ok());\n}\n\n#[test]\nfn other() { assert!(x()); }\n"
)
JAVA = "class ATest {\n  @Test\n  public void adds() {\n    assertEquals(2, add(1));\n    assertTrue(ok());\n  }\n}\n"
RUBY = (
    "RSpec.describe 'S' do\n  it 'adds' do\n    expect(add(1)).to eq(2)\n    expect(add(2)).to eq(3)\n  end\nend\n\n"
    "class T < Minitest::Test\n  def test_b\n    assert_equal 4, b(3)\n  end\nend\n"
)
PHP = (
    "<?php\nclass ATest extends TestCase {\n  public function testAdds(): void {\n    $this->assertSame(2, add(1));\n"
    "    $this->assertSame(3, add(2));\n  }\n}\n"
)


def told(path: str, before: str, after: str | None) -> list[str]:
    new = None if after is None else after.encode()
    return [str(one) for one in findings([path], lambda _: before.encode(), lambda _: new)]


@pytest.mark.parametrize(
    ("path", "before", "after", "what"),
    [
        ("x_test.go", GO, GO.replace("\tif f()", '\tt.Skip("later")\n\tif f()'), "may now be skipped"),
        ("x_test.go", GO, GO.replace("\t\tt.Fatal()\n", ""), "asserts less: 2 checks before, 1 now"),
        ("x_test.go", GO, GO.replace("TestA", "checkA"), "TestA was deleted"),
        ("x_test.go", GO, None, "TestA was deleted"),
        ("a.test.js", JS, JS.replace("it('adds'", "it.skip('adds'"), "adds may now be skipped"),
        ("a.test.js", JS, JS.replace("it('adds'", "xit('adds'"), "adds may now be skipped"),
        ("a.spec.ts", JS, JS.replace("test('b'", "test.only('b'"), "b may now be skipped or fail unnoticed, or others"),
        ("a.test.js", JS, JS.replace("    expect(add(2)", "    // expect(add(2)"), "adds asserts less"),
        (
            "tests/a.rs",
            RUST,
            RUST.replace("#[test]\nfn adds", "#[test]\n#[ignore]\nfn adds"),
            "adds may now be skipped",
        ),
        ("tests/a.rs", RUST, RUST.replace("    assert!(ok());\n", ""), "adds asserts less"),
        ("ATest.java", JAVA, JAVA.replace("@Test", "@Test\n  @Disabled"), "adds may now be skipped"),
        ("a.test.js", JS, JS.replace("toBe(2)", "toBeTruthy()"), "adds asserts less: 2 of 2 checks compared before, 1"),
        ("a.test.js", JS, JS.replace("toBe(2)", "not.toBe(9)"), "adds asserts less: 2 of 2 checks compared before, 1"),
        ("x_test.go", GO, GO.replace("\tif f()", "\ttime.Sleep(5)\n\tif f()"), "TestA now waits, or is tried again"),
        ("spec/a_spec.rb", RUBY, RUBY.replace("it 'adds'", "xit 'adds'"), "adds may now be skipped"),
        ("spec/a_spec.rb", RUBY, RUBY.replace("    expect(add(2)).to eq(3)\n", ""), "adds asserts less"),
        ("spec/a_spec.rb", RUBY, RUBY.replace("to eq(2)", "not_to eq(9)"), "adds asserts less"),
        ("spec/a_spec.rb", RUBY, RUBY.replace("def test_b", "def check_b"), "test_b was deleted or renamed"),
        (
            "ATest.php",
            PHP,
            PHP.replace("void {\n", "void {\n    $this->markTestSkipped();\n"),
            "testAdds may now be skipped",
        ),
        ("ATest.php", PHP, PHP.replace("assertSame(2, add(1))", "assertNotNull(add(1))"), "testAdds asserts less"),
        ("ATest.java", JAVA, JAVA.replace("    assertTrue(ok());\n", ""), "adds asserts less"),
    ],
)
def test_what_a_test_loses_is_told(path: str, before: str, after: str | None, what: str) -> None:
    lines = told(path, before, after)

    assert len(lines) == 1, lines
    assert what in lines[0]


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("x_test.go", GO, f'{GO}\nfunc TestNew(t *testing.T) {{\n\tt.Skip("no")\n}}\n'),
        ("x_test.go", GO, GO.replace("f() != 1", "f() != 2").replace('"no"', '"no: %d"')),
        ("x_test.go", GO, f"// a comment\n\n{GO}\nfunc helper(t *testing.T) {{ t.Helper() }}\n"),
        ("a.test.js", JS, JS.replace("add(1)", "add(1, 0)").replace("  test(", "\n  it('new', () => {});\n\n  test(")),
        ("a.test.js", JS, JS.replace("  it('adds'", "  // it.skip and xit( are not used here\n  it('adds'")),
        ("a.test.js", JS + JS, JS),
        (
            "tests/a.rs",
            RUST,
            RUST.replace("#[test]\nfn other", "#[test]\nfn more() { assert!(y()); }\n\n#[test]\nfn other"),
        ),
        ("ATest.java", JAVA, JAVA.replace("  @Test", "  @Test\n  void more() { assertTrue(y()); }\n\n  @Test", 1)),
        ("tests/a.rs", RUST + "fn helper() { assert!(x()); }\n", RUST),
        ("ATest.java", JAVA, JAVA.replace("  @Test", "  void helper() { fail(); }\n  @Test", 1)),
        ("x.go", GO, "package x\n"),
    ],
)
def test_ordinary_edits_are_no_alarm(path: str, before: str, after: str) -> None:
    assert told(path, before, after) == []


@pytest.mark.parametrize(
    ("path", "text", "anchor", "added"),
    [
        (
            "src/test/java/ATest.java",
            "class A {\n  @Test\n  void adds() { assertEquals(2, 2); }\n}\n",
            "class A {",
            "class A {\n  @BeforeEach\n  void no() { assumeTrue(false); }",
        ),
        (
            "spec/spec_helper.rb",
            "RSpec.configure do |config|\nend\n",
            "|config|",
            "|config|\n  config.filter_run :focus",
        ),
        (
            "spec/a_spec.rb",
            "describe 'a' do\n  it 'adds' do\n    expect(1).to eq(1)\n  end\nend\n",
            "'a' do",
            "'a' do\n  before { skip }",
        ),
        (
            "spec/a_spec.rb",
            "describe 'a' do\n  it 'adds' do\n    expect(1).to eq(1)\n  end\nend\n",
            "describe",
            "xdescribe",
        ),
        (
            "tests/ATest.php",
            "<?php\nclass ATest {\n  function testA() { $this->assertTrue(1); }\n}\n",
            "ATest {",
            "ATest {\n  function setUp() { $this->markTestSkipped(); }",
        ),
        (
            "a.test.js",
            "describe('a', () => {\n  test('b', () => { expect(1).toBe(1); });\n});\n",
            "describe(",
            "describe.skip(",
        ),
    ],
)
def test_tests_that_are_left_out_by_what_stands_outside_of_them_are_told(
    path: str, text: str, anchor: str, added: str
) -> None:
    before, after = {path: text.encode()}, {path: text.replace(anchor, added, 1).encode()}

    found = findings([path], before.get, after.get)

    assert [one.what for one in found] == ["a whole class or module of tests may now be skipped or not collected"]
    assert findings([path], after.get, before.get) == ()


ROWS = "  it.each([1, 2])('n %s', (n) => {\n    expect(add(n)).toBe(n + 1);\n    expect(add(n)).not.toBe(n);\n  });\n"
AGAIN = "  it('adds', () => {\n    expect(sub(1)).toBe(0);\n  });\n"


@pytest.mark.parametrize(
    "after",
    [
        JS.replace("  test('b'", f"{AGAIN}  test('b'"),
        JS.replace("  test('b'", f"{ROWS}  test('b'"),
        JS.replace("});\n  test('b'", "});\n  beforeEach(() => assert.ok(ready()));\n  test('b'"),
    ],
)
def test_what_is_put_between_tests_takes_nothing_from_them(after: str) -> None:
    assert told("a.test.js", JS, after) == []
    assert (
        told(
            "a.test.js",
            JS.replace("  test('b'", f"{ROWS}  test('b'"),
            after.replace("test('b'", f"{AGAIN}{ROWS}test('b'"),
        )
        == []
    )


@pytest.mark.parametrize("lost", ["    expect(add(n)).toBe(n + 1);\n", "    expect(sub(1)).toBe(0);\n"])
def test_tests_of_rows_and_of_one_name_are_looked_at_too(lost: str) -> None:
    before = JS.replace("  test('b'", f"{ROWS}{AGAIN}  test('b'")

    assert any("asserts less" in line for line in told("a.test.js", before, before.replace(lost, "")))
