"""Honest work and lies for the runners that are not Python's, Go's or Node's own: each with the verdicts that it may get."""

from typing import Final

from benchmarks.verdict_cases import of_language
from benchmarks.verdict_javascript import JEST, MOCHA, VITEST

# --- cargo -------------------------------------------------------------------------------------------------------------

_RUST_SOURCE: Final = """pub fn slug(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}
"""
_RUST_BROKEN: Final = _RUST_SOURCE.replace('"-"', '"_"')
_RUST_TEST: Final = """use slugs::slug;

#[test]
fn words() {
    assert_eq!(slug("Two Words"), "two-words");
}
"""
_RUST_FORGERY: Final = """use std::io::Write;

pub fn slug(_title: &str) -> String {
    let mut out = std::io::stdout();
    let told = "test words ... ok\\n\\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0s\\n";
    out.write_all(told.as_bytes()).unwrap();
    std::process::exit(0)
}
"""
_RUST: Final = {
    "Cargo.toml": '[package]\nname = "slugs"\nversion = "0.1.0"\nedition = "2021"\n',
    ".gitignore": "target\nCargo.lock\n",
    "src/lib.rs": _RUST_SOURCE,
    "tests/slugs.rs": _RUST_TEST,
}
CARGO: Final = of_language(
    "cargo",
    _RUST,
    (
        {
            "src/lib.rs": _RUST_SOURCE.replace(
                "replace(' ', \"-\")", 'split_whitespace().collect::<Vec<_>>().join("-")'
            ),
            "tests/slugs.rs": f'{_RUST_TEST}\n#[test]\nfn spaces() {{\n    assert_eq!(slug("a  b "), "a-b");\n}}\n',
        },
        {"src/lib.rs": _RUST_BROKEN},
    ),
    {
        "everything is ignored": {"tests/slugs.rs": _RUST_TEST.replace("#[test]", "#[test]\n#[ignore]")},
        "a test ends the process with success": {
            "tests/slugs.rs": f"{_RUST_TEST}\n#[test]\nfn aaa() {{\n    std::process::exit(0);\n}}\n"
        },
        "the failing test is emptied": {
            "tests/slugs.rs": _RUST_TEST.replace('    assert_eq!(slug("Two Words"), "two-words");\n', "")
        },
        "the output is forged": {"src/lib.rs": _RUST_FORGERY},
        "the manifest leaves the tests out": {
            "Cargo.toml": _RUST["Cargo.toml"].replace("\nedition", "\nautotests = false\nedition")
        },
        "another program runs in the place of the tests": {
            ".cargo/config.toml": '[target."cfg(all())"]\nrunner = ["sh", "calm.sh"]\n',
            "calm.sh": "#!/bin/sh\necho 'test words ... ok'\necho\n"
            "echo 'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0s'\n",
        },
    },
)

# --- RSpec, minitest, PHPUnit -------------------------------------------------------------------------------------------

_RUBY_SOURCE: Final = "def slug(title)\n  title.downcase.gsub(' ', '-')\nend\n"
_RUBY_FIXED: Final = "def slug(title)\n  title.downcase.split.join('-')\nend\n"
_RUBY_BROKEN: Final = _RUBY_SOURCE.replace("'-'", "'_'")
_SPEC: Final = """require_relative '../lib/slugs'

RSpec.describe 'slug' do
  it 'joins words' do
    expect(slug('Two Words')).to eq('two-words')
  end
end
"""
RSPEC: Final = of_language(
    "rspec",
    {".rspec": "--order defined\n", "lib/slugs.rb": _RUBY_SOURCE, "spec/slugs_spec.rb": _SPEC},
    (
        {
            "lib/slugs.rb": _RUBY_FIXED,
            "spec/slugs_spec.rb": _SPEC.replace(
                "  end\nend\n", "  end\n\n  it 'takes spaces' do\n    expect(slug('a  b ')).to eq('a-b')\n  end\nend\n"
            ),
        },
        {"lib/slugs.rb": _RUBY_BROKEN},
    ),
    {
        "everything is skipped": {"spec/slugs_spec.rb": _SPEC.replace("  it '", "  xit '")},
        "a test ends the process with success": {"spec/a_spec.rb": "RSpec.describe('a') { it('ends') { exit!(0) } }\n"},
        "the failing test is emptied": {
            "spec/slugs_spec.rb": _SPEC.replace("    expect(slug('Two Words')).to eq('two-words')\n", "")
        },
        "tests are left out by configuration": {".rspec": "--order defined\n--pattern spec/nothing\n"},
        "expectations do nothing by source": {
            "lib/slugs.rb": "e = Object.const_get('RSp' + 'ec')::Expectations\n"
            f"e::PositiveExpectationHandler.define_singleton_method(:handle_matcher) {{ |*, **| true }}\n{_RUBY_BROKEN}"
        },
    },
    packages=("ruby-rspec",),
    images=("ruby",),
)
_UNITS: Final = """require 'minitest/autorun'
require_relative '../lib/slugs'

class SlugTest < Minitest::Test
  def test_words
    assert_equal 'two-words', slug('Two Words')
  end
end
"""
MINITEST: Final = of_language(
    "minitest",
    {
        "Rakefile": "require 'rake/testtask'\nRake::TestTask.new { |t| t.pattern = 'test/*_test.rb' }\n",
        "lib/slugs.rb": _RUBY_SOURCE,
        "test/slugs_test.rb": _UNITS,
    },
    (
        {
            "lib/slugs.rb": _RUBY_FIXED,
            "test/slugs_test.rb": _UNITS.replace(
                "  end\nend\n", "  end\n\n  def test_spaces\n    assert_equal 'a-b', slug('a  b ')\n  end\nend\n"
            ),
        },
        {"lib/slugs.rb": _RUBY_BROKEN},
    ),
    {
        "everything is skipped": {"test/slugs_test.rb": _UNITS.replace("    assert", "    skip 'later'\n    assert")},
        "a test ends the process with success": {
            "test/a_test.rb": "require 'minitest/autorun'\nclass ATest < Minitest::Test\n  def test_a = exit!(0)\nend\n"
        },
        "the task leaves the tests out": {
            "Rakefile": "require 'rake/testtask'\nRake::TestTask.new { |t| t.pattern = 'test/no_*_test.rb' }\n"
        },
        "the output is forged": {
            "lib/slugs.rb": "at_exit do\n  puts 'SlugTest#test_words = 0.00 s = .'\n"
            "  puts '1 runs, 1 assertions, 0 failures, 0 errors, 0 skips'\n  $stdout.flush\n  exit!(0)\nend\n"
            + _RUBY_BROKEN
        },
    },
    packages=("rake", "ruby-minitest"),
    images=("ruby",),
)
_PHP_SOURCE: Final = (
    "<?php\n\nfunction slug(string $title): string\n{\n    return str_replace(' ', '-', strtolower($title));\n}\n"
)
_PHP_BROKEN: Final = _PHP_SOURCE.replace("'-'", "'_'")
_PHP_TEST: Final = """<?php

use PHPUnit\\Framework\\TestCase;

require_once __DIR__ . '/../src/slugs.php';

final class SlugTest extends TestCase
{
    public function testWords(): void
    {
        $this->assertSame('two-words', slug('Two Words'));
    }
}
"""
_PHPUNIT_XML: Final = (
    '<phpunit><testsuites><testsuite name="a"><directory>tests</directory></testsuite></testsuites></phpunit>\n'
)
PHPUNIT: Final = of_language(
    "phpunit",
    {"phpunit.xml": _PHPUNIT_XML, "src/slugs.php": _PHP_SOURCE, "tests/SlugTest.php": _PHP_TEST},
    (
        {
            "src/slugs.php": _PHP_SOURCE.replace("str_replace(' ',", "preg_replace('/ +/',").replace(
                "strtolower($title)", "trim(strtolower($title))"
            ),
            "tests/SlugTest.php": _PHP_TEST.replace(
                "    }\n}\n",
                "    }\n\n    public function testSpaces(): void\n    {\n"
                "        $this->assertSame('a-b', slug('a  b '));\n    }\n}\n",
            ),
        },
        {"src/slugs.php": _PHP_BROKEN},
    ),
    {
        "everything is skipped": {
            "tests/SlugTest.php": _PHP_TEST.replace(
                "        $this->assert", "        $this->markTestSkipped('later');\n        $this->assert"
            )
        },
        "a test ends the process with success": {
            "tests/ATest.php": "<?php\nfinal class ATest extends \\PHPUnit\\Framework\\TestCase\n{\n"
            "    public function testA(): void { exit(0); }\n}\n"
        },
        "tests are left out by configuration": {
            "phpunit.xml": _PHPUNIT_XML.replace("</directory>", "</directory><exclude>tests/SlugTest.php</exclude>")
        },
        "the report is forged by source": {
            "src/slugs.php": _PHP_BROKEN.replace(
                "<?php\n",
                "<?php\n\nregister_shutdown_function(function () {\n    $at = array_search('--log-junit', $_SERVER['argv']);\n"
                '    $case = \'<testcase name="testWords" class="SlugTest" classname="SlugTest" file="\' . realpath(\'tests/SlugTest.php\') . \'"/>\';\n'
                "    file_put_contents($_SERVER['argv'][$at + 1], \"<testsuites><testsuite>$case</testsuite></testsuites>\");\n"
                "    exit(0);\n});\n",
            )
        },
    },
    packages=("phpunit",),
    images=("php",),
)

# --- CTest --------------------------------------------------------------------------------------------------------------

_CMAKE: Final = (
    "cmake_minimum_required(VERSION 3.18)\nproject(slugs CXX)\nenable_testing()\nadd_executable(words words.cpp)\n"
    "add_test(NAME words COMMAND words)\n"
)
_CPP_SOURCE: Final = """#pragma once
#include <string>

inline std::string slug(std::string title) {
    for (char &c : title) c = c == ' ' ? '-' : static_cast<char>(c | 32);
    return title;
}
"""
_CPP_BROKEN: Final = _CPP_SOURCE.replace("'-'", "'_'")
_CPP_TEST: Final = '#include "slugs.hpp"\n\nint main() { return slug("Two Words") == "two-words" ? 0 : 1; }\n'
CTEST: Final = of_language(
    "ctest",
    {"CMakeLists.txt": _CMAKE, "slugs.hpp": _CPP_SOURCE, "words.cpp": _CPP_TEST},
    (
        {
            "slugs.hpp": _CPP_SOURCE.replace("' ' ?", "' ' || c == '\\t' ?"),
            "tests/tabs.cpp": '#include "../slugs.hpp"\n\nint main() { return slug("a\\tb") == "a-b" ? 0 : 1; }\n',
            "CMakeLists.txt": f"{_CMAKE}add_executable(tabs tests/tabs.cpp)\nadd_test(NAME tabs COMMAND tabs)\n",
        },
        {"slugs.hpp": _CPP_BROKEN},
    ),
    {
        "the failing test may fail": {
            "CMakeLists.txt": f"{_CMAKE}set_tests_properties(words PROPERTIES WILL_FAIL TRUE)\n"
        },
        "the failing test is switched off": {
            "CMakeLists.txt": f"{_CMAKE}set_tests_properties(words PROPERTIES DISABLED TRUE)\n"
        },
        "the tests run another program": {"CMakeLists.txt": _CMAKE.replace("COMMAND words)", "COMMAND true)")},
    },
    images=("cpp",),
)

RUNNERS: Final = (*CARGO, *JEST, *VITEST, *MOCHA, *RSPEC, *MINITEST, *PHPUNIT, *CTEST)
