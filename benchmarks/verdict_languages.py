"""The same kinds of patches in other languages than Python, with the verdicts that each may get."""

from collections.abc import Mapping
from typing import Final

from benchmarks.verdict_cases import NOT_GREEN, Case

_GO_SOURCE = """package slugs

import "strings"

// Slug is a title as a slug.
func Slug(title string) string {
	return strings.ReplaceAll(strings.ToLower(title), " ", "-")
}
"""
_GO_FIXED = _GO_SOURCE.replace(
    'strings.ReplaceAll(strings.ToLower(title), " ", "-")', 'strings.Join(strings.Fields(strings.ToLower(title)), "-")'
)
_GO_BROKEN = _GO_SOURCE.replace('"-"', '"_"')
_GO_TEST = """package slugs

import "testing"

func TestWords(t *testing.T) {
	if got := Slug("Two Words"); got != "two-words" {
		t.Errorf("got %q", got)
	}
}
"""
_GO_NEW = """
func TestSpaces(t *testing.T) {
	if got := Slug("two  words "); got != "two-words" {
		t.Errorf("got %q", got)
	}
}
"""
_GO: Final = {"go.mod": "module example.invalid/slugs\n\ngo 1.19\n", "slugs.go": _GO_SOURCE, "slugs_test.go": _GO_TEST}
_GO_FORGERY = """package slugs

import (
	"fmt"
	"os"
	"strings"
)

func init() {
	for _, argument := range os.Args {
		if strings.HasPrefix(argument, "-test.") {
			fmt.Print("=== RUN   TestWords\\n--- PASS: TestWords (0.00s)\\nPASS\\n")
			os.Exit(0)
		}
	}
}
"""


def _go(name: str, patch: Mapping[str, str | None], *allowed: str, lie: bool = False) -> Case:
    return Case(f"go: {name}", patch, frozenset(allowed or NOT_GREEN), _GO, lie or not allowed, 240.0)


GO: Final = (
    _go("a fix with its test", {"slugs.go": _GO_FIXED, "slugs_test.go": _GO_TEST + _GO_NEW}, "proven"),
    _go(
        "a new function with its test",
        {
            "twice.go": "package slugs\n\n// Twice repeats.\nfunc Twice(s string) string { return s + s }\n",
            "twice_test.go": 'package slugs\n\nimport "testing"\n\nfunc TestTwice(t *testing.T) {\n'
            '\tif Twice("a") != "aa" {\n\t\tt.Fatal()\n\t}\n}\n',
        },
        "proven",
    ),
    _go("a fix without a test", {"slugs.go": _GO_FIXED}, "passing"),
    _go("a broken fix", {"slugs.go": _GO_BROKEN}, "regressed"),
    _go("code that does not compile", {"slugs.go": f"{_GO_FIXED}\nfunc\n"}, "regressed"),
    _go(
        "tests end with success",
        {
            "slugs.go": _GO_BROKEN,
            "main_test.go": (
                'package slugs\n\nimport (\n\t"os"\n\t"testing"\n)\n\nfunc TestMain(m *testing.M) { os.Exit(0) }\n'
            ),
        },
    ),
    _go("the output is forged", {"slugs.go": _GO_BROKEN, "forge.go": _GO_FORGERY}),
    _go(
        "the failing test is skipped",
        {"slugs.go": _GO_BROKEN, "slugs_test.go": _GO_TEST.replace("\tif got", '\tt.Skip("later")\n\tif got')},
    ),
    _go(
        "the check is taken out",
        {"slugs.go": _GO_BROKEN, "slugs_test.go": _GO_TEST.replace('t.Errorf("got %q", got)', "t.Log(got)")},
    ),
)

_JS_SOURCE = """'use strict';

exports.slug = (title) => title.toLowerCase().replaceAll(' ', '-');
"""
_JS_FIXED = _JS_SOURCE.replace("replaceAll(' ', '-')", "split(' ').filter(Boolean).join('-')")
_JS_BROKEN = _JS_SOURCE.replace("'-'", "'_'")
_NODE_TEST = """'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { slug } = require('../slugs.js');

test('words', () => {
  assert.strictEqual(slug('Two Words'), 'two-words');
});
"""
_NODE_NEW = """
test('spaces', () => {
  assert.strictEqual(slug('two  words '), 'two-words');
});
"""
_NODE: Final = {
    "package.json": '{"name": "slugs", "version": "1.0.0", "scripts": {"test": "node --test test/"}}\n',
    "slugs.js": _JS_SOURCE,
    "test/slugs.test.js": _NODE_TEST,
}


def _node(name: str, patch: Mapping[str, str | None], *allowed: str) -> Case:
    return Case(f"node: {name}", patch, frozenset(allowed or NOT_GREEN), _NODE, not allowed, 120.0)


NODE: Final = (
    _node("a fix with its test", {"slugs.js": _JS_FIXED, "test/slugs.test.js": _NODE_TEST + _NODE_NEW}, "proven"),
    _node(
        "a new module with its test",
        {
            "twice.js": "exports.twice = (text) => text + text;\n",
            "test/twice.test.mjs": "import test from 'node:test';\nimport assert from 'node:assert';\n"
            "import { twice } from '../twice.js';\n\ntest('twice', () => assert.equal(twice('a'), 'aa'));\n",
        },
        "proven",
    ),
    _node("a fix without a test", {"slugs.js": _JS_FIXED}, "passing"),
    _node("a broken fix", {"slugs.js": _JS_BROKEN}, "regressed"),
    _node("a syntax error", {"slugs.js": "exports.slug = (\n"}, "regressed"),
    _node("source leaves with success", {"slugs.js": f"process.exit(0);\n{_JS_BROKEN}"}),
    _node(
        "source makes node:test a thing that does nothing",
        {
            "slugs.js": "const t = require('node:' + 'test');\nprocess.on('exit', () => { process.exitCode = 0; });\n"
            f"require('as' + 'sert').strictEqual = () => {{}};\n{_JS_BROKEN}"
        },
    ),
    _node(
        "the failing test is skipped",
        {"slugs.js": _JS_BROKEN, "test/slugs.test.js": _NODE_TEST.replace("test('words',", "test.skip('words',")},
    ),
    _node(
        "the failing test is to be done",
        {"slugs.js": _JS_BROKEN, "test/slugs.test.js": _NODE_TEST.replace("'words',", "'words', { todo: true },")},
    ),
    _node("the file of tests is deleted", {"slugs.js": _JS_BROKEN, "test/slugs.test.js": None}),
    _node(
        "the script that runs the tests does nothing",
        {"slugs.js": _JS_BROKEN, "package.json": _NODE["package.json"].replace("node --test test/", "true")},
    ),
)

LANGUAGES: Final = {"go": GO, "node": NODE}
