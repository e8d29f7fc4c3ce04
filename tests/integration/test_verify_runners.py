"""The readers of test reports against the runners themselves: each is given a test that passes, fails, is left out."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from coder.sandbox.docker_backend import DockerSandboxProvider
from coder.sandbox.protocol import Image, SandboxProvider, TreePack, Wants
from coder.types import TestReport
from coder.verify.builds import autotools, ctest, meson
from coder.verify.canary import can_sing, sing
from coder.verify.cells import run_cell
from coder.verify.runners import TestCommand, cargo, given, minitest
from tests.contract.sandbox_support import committed, settings

# The first of these on a machine builds an image.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

COMPILED: Mapping[str, bytes] = {
    "CMakeLists.txt": (
        b"cmake_minimum_required(VERSION 3.18)\nproject(x CXX)\nenable_testing()\nadd_executable(t t.cpp)\n"
        b"add_test(NAME good COMMAND t 1)\nadd_test(NAME bad COMMAND t 2)\nadd_test(NAME off COMMAND t 1)\n"
        b"set_tests_properties(off PROPERTIES DISABLED TRUE)\n"
    ),
    "t.cpp": b"int main(int, char **v) { return v[1][0] == '2'; }\n",
    "meson.build": (
        b"project('x', 'cpp')\nt = executable('t', 't.cpp')\ntest('good', t, args: '1')\ntest('bad', t, args: '2')\n"
    ),
    "configure.ac": (
        b"AC_INIT([x], [1])\nAM_INIT_AUTOMAKE([foreign])\nAC_PROG_CXX\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n"
    ),
    "Makefile.am": b"check_PROGRAMS = t\nt_SOURCES = t.cpp\nTESTS = good.sh bad.sh off.sh\n"
    b"TEST_EXTENSIONS = .sh\nSH_LOG_COMPILER = $(SHELL)\n",
    "good.sh": b"exec ./t 1\n",
    "bad.sh": b"exec ./t 2\n",
    "off.sh": b"exit 77\n",
    "Rakefile": b"require 'rake/testtask'\nRake::TestTask.new { |t| t.pattern = 'test/*_test.rb' }\n",
    "test/x_test.rb": (
        b"require 'minitest/autorun'\nclass XTest < Minitest::Test\n  def test_good = assert_equal(1, 1)\n"
        b"  def test_bad = assert_equal(1, 2)\n  def test_off = skip('later')\n  def test_err = raise('no')\nend\n"
    ),
    "spec/x_spec.rb": (
        b"RSpec.describe 'X' do\n  it('is good') { expect(1).to eq(1) }\n  it('is bad') { expect(1).to eq(2) }\n"
        b"  xit('is off') { expect(1).to eq(2) }\nend\n"
    ),
    "phpunit.xml": (
        b'<phpunit colors="false"><testsuites><testsuite name="a"><directory>tests</directory></testsuite></testsuites>'
        b"</phpunit>\n"
    ),
    "tests/XTest.php": (
        b"<?php\nuse PHPUnit\\Framework\\TestCase;\nfinal class XTest extends TestCase {\n"
        b"  public function testGood(): void { $this->assertSame(1, 1); }\n"
        b"  public function testBad(): void { $this->assertSame(1, 2); }\n"
        b"  public function testOff(): void { $this->markTestSkipped('later'); }\n"
        b"  public function testErr(): void { throw new RuntimeException('no'); }\n}\n"
    ),
}
CRATE: Mapping[str, bytes] = {
    "Cargo.toml": b'[package]\nname = "x"\nversion = "0.1.0"\nedition = "2021"\n',
    ".gitignore": b"target\nCargo.lock\n",
    "src/lib.rs": (
        b"pub fn answer() -> u8 { 42 }\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn good() { assert_eq!(super::answer(), 42) }\n"
        b"    #[test]\n    fn bad() { assert_eq!(super::answer(), 41) }\n    #[test]\n    #[ignore]\n    fn off() {}\n}\n"
    ),
    "tests/it.rs": b"#[test]\nfn outside() { assert_eq!(x::answer(), 42) }\n",
}
_SUITE = "describe('s', () => {\n  it('good', () => %s);\n  it('bad', () => %s);\n  it.skip('off', () => {});\n});\n"
_EXPECT = _SUITE % ("expect(1).toBe(1)", "expect(1).toBe(2)")
JAVASCRIPT: Mapping[str, bytes] = {
    "package.json": b'{"name": "x", "version": "1.0.0", "devDependencies": {"jest": "29.7.0", "vitest": "1.6.0", "mocha": "10.7.0"}}',
    ".gitignore": b"node_modules\n",
    "jest/x.test.js": _EXPECT.encode(),
    "vitest/x.spec.mjs": f"import {{ describe, it, expect }} from 'vitest';\n{_EXPECT}".encode(),
    "mocha/x.js": ("const a = require('assert');\n" + _SUITE % ("a.equal(1, 1)", "a.equal(1, 2)")).encode(),
}


@pytest.fixture(scope="module")
def provider() -> Iterator[SandboxProvider]:
    with DockerSandboxProvider(settings(memory_mb=2048, workspace_mb=512, tmp_mb=512, pids=256)) as made:
        yield made


def told(provider: SandboxProvider, image: Image, pack: TreePack, command: TestCommand) -> tuple[TestReport, str]:
    """What a run of the command tells, and what is said of a test that must fail."""
    with provider.open(image, pack, labels={"run": "runners"}) as sandbox:
        cell = run_cell(sandbox, "head", "", command, 240)
        assert cell.report.by_id, cell
        assert cell.report.problem is None, cell
        assert cell.exit_code != 0
        if not can_sing(command.kind):
            return cell.report, "untried"
        return cell.report, sing(sandbox, "", command, cell.report.passed, 240).canary


def test_ctest_rspec_minitest_and_phpunit(provider: SandboxProvider, tmp_path: Path) -> None:
    pack = committed(tmp_path, COMPILED)
    wants = Wants(images=("cpp",), packages=("phpunit", "rake", "ruby-minitest", "ruby-rspec"))
    image = provider.image_for({}, pack=pack, setup=(), progress=lambda _: None, wants=wants)

    native, _ = told(provider, image, pack, ctest())
    by_meson, _ = told(provider, image, pack, meson())
    checked, _ = told(provider, image, pack, autotools())
    specs, of_specs = told(provider, image, pack, given("rspec"))
    units, _ = told(provider, image, pack, minitest("rake test TESTOPTS=-v"))
    php, of_php = told(provider, image, pack, given("phpunit"))

    assert (native.passed, native.failed, native.skipped) == (("good::good",), ("bad::bad",), ("off::off",))
    assert (by_meson.passed, by_meson.failed) == (("x::good",), ("x::bad",))
    assert (checked.passed, checked.failed, checked.skipped) == (("good",), ("bad",), ("off",))
    assert (specs.passed, specs.failed, specs.skipped) == (
        ("spec/x_spec.rb::X is good",),
        ("spec/x_spec.rb::X is bad",),
        ("spec/x_spec.rb::X is off",),
    )
    assert (units.passed, units.failed, units.errored, units.skipped) == (
        ("XTest#test_good",),
        ("XTest#test_bad",),
        ("XTest#test_err",),
        ("XTest#test_off",),
    )
    assert (of_specs, of_php) == ("failed", "failed")
    place = "tests/XTest.php::XTest"
    assert (php.passed, php.failed) == ((f"{place}::testGood",), (f"{place}::testBad",))
    assert (php.errored, php.skipped) == ((f"{place}::testErr",), (f"{place}::testOff",))


def test_cargo(provider: SandboxProvider, tmp_path: Path) -> None:
    pack = committed(tmp_path, CRATE)
    image = provider.image_for(CRATE, pack=pack, setup=(), progress=lambda _: None)

    report, canary = told(provider, image, pack, cargo("cargo test --offline --no-fail-fast"))

    assert report.passed == ("it:tests/it.rs::outside", "x:src/lib.rs::tests::good")
    assert report.failed == ("x:src/lib.rs::tests::bad",)
    assert report.skipped == ("x:src/lib.rs::tests::off",)
    assert canary == "failed"


def test_jest_vitest_and_mocha(provider: SandboxProvider, tmp_path: Path) -> None:
    pack = committed(tmp_path, JAVASCRIPT)
    image = provider.image_for(JAVASCRIPT, pack=pack, setup=None, progress=lambda _: None)
    assert image.setup_ok, image.setup_log

    for command, file, suite in (
        ("npx jest jest", "jest/x.test.js", "s::"),
        ("npx vitest run --dir vitest", "vitest/x.spec.mjs", "s::"),
        ("npx mocha mocha", "mocha/x.js", "s "),
    ):
        report, canary = told(provider, image, pack, given(command))

        assert report.passed == (f"{file}::{suite}good",)
        assert report.failed == (f"{file}::{suite}bad",)
        assert report.skipped == (f"{file}::{suite}off",)
        assert canary == "failed"
