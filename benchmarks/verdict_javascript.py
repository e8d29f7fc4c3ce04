"""Honest work and lies for Jest, Vitest and Mocha, with the verdicts that each may get."""

from typing import Final

from benchmarks.verdict_cases import of_language

_JS_SOURCE: Final = "exports.slug = (title) => title.toLowerCase().replaceAll(' ', '-');\n"
_JS_FIXED: Final = "exports.slug = (title) => title.toLowerCase().split(' ').filter(Boolean).join('-');\n"
_JS_BROKEN: Final = _JS_SOURCE.replace("'-'", "'_'")
_SPACES: Final = "\ntest('spaces', () => {\n  expect(slug('a  b ')).toBe('a-b');\n});\n"
_JEST_TEST: Final = """const { slug } = require('../slugs.js');

test('words', () => {
  expect(slug('Two Words')).toBe('two-words');
});
"""
_FORGED_JSON: Final = """const out = (process.argv.find((a) => a.includes('utput')) || '').split('=')[1];
process.on('exit', () => {
  if (out) require('fs').writeFileSync(out, JSON.stringify({ numTotalTests: 1, numPassedTests: 1, testResults: [{
    name: require('path').resolve('test/slugs.test.js'), status: 'passed',
    assertionResults: [{ status: 'passed', title: 'words', fullName: 'words', ancestorTitles: [] }] }] }));
  process.exitCode = 0;
});
"""


def _package(runner: str, version: str, more: str = "") -> str:
    return f'{{"name": "slugs", "version": "1.0.0", "scripts": {{"test": "{runner}"}}, "devDependencies": {{"{runner.split(maxsplit=1)[0]}": "{version}"}}{more}}}\n'


_JEST: Final = {
    "package.json": _package("jest", "29.7.0"),
    ".gitignore": "node_modules\npackage-lock.json\n",
    "slugs.js": _JS_SOURCE,
    "test/slugs.test.js": _JEST_TEST,
}
JEST: Final = of_language(
    "jest",
    _JEST,
    ({"slugs.js": _JS_FIXED, "test/slugs.test.js": _JEST_TEST + _SPACES}, {"slugs.js": _JS_BROKEN}),
    {
        "everything is skipped": {"test/slugs.test.js": _JEST_TEST.replace("test('", "test.skip('")},
        "a test ends the process with success": {"test/a.test.js": "test('a', () => process.exit(0));\n"},
        "the failing test is emptied": {
            "test/slugs.test.js": _JEST_TEST.replace("  expect(slug('Two Words')).toBe('two-words');\n", "")
        },
        "tests are left out by configuration": {
            "package.json": _package("jest", "29.7.0", ', "jest": {"testPathIgnorePatterns": ["slugs"]}')
        },
        "expectations do nothing by source": {
            "slugs.js": "const calm = new Proxy(() => calm, { get: () => calm });\n"
            f"globalThis['exp' + 'ect'] = () => calm;\n{_JS_BROKEN}"
        },
        "the report is forged by source": {"slugs.js": _FORGED_JSON + _JS_BROKEN},
    },
    setup=True,
)
_VITEST_TEST: Final = (
    f"import {{ expect, test }} from 'vitest';\n{_JEST_TEST.replace('const { slug } = require(', 'import { slug } from ')}"
).replace("from '../slugs.js');", "from '../slugs.mjs';")


def _modern(source: str) -> str:
    return source.replace("exports.slug =", "export const slug =")


_VITEST: Final = {
    "package.json": _package("vitest run", "1.6.0"),
    ".gitignore": "node_modules\npackage-lock.json\n",
    "slugs.mjs": _modern(_JS_SOURCE),
    "test/slugs.test.mjs": _VITEST_TEST,
}
VITEST: Final = of_language(
    "vitest",
    _VITEST,
    (
        {"slugs.mjs": _modern(_JS_FIXED), "test/slugs.test.mjs": _VITEST_TEST + _SPACES},
        {"slugs.mjs": _modern(_JS_BROKEN)},
    ),
    {
        "everything is skipped": {"test/slugs.test.mjs": _VITEST_TEST.replace("test('", "test.skip('")},
        "the failing test is emptied": {
            "test/slugs.test.mjs": _VITEST_TEST.replace("  expect(slug('Two Words')).toBe('two-words');\n", "")
        },
        "tests are left out by configuration": {
            "vitest.config.mjs": "export default { test: { passWithNoTests: true, exclude: ['test/slugs*'] } };\n"
        },
        "source leaves with success": {"slugs.mjs": f"process.exit(0);\n{_modern(_JS_BROKEN)}"},
        "expectations do nothing by source": {
            "slugs.mjs": "const v = await import('vit' + 'est');\nconst p = Object.getPrototypeOf(v.expect(1));\n"
            f"for (const k of ['toBe', 'toEqual']) p[k] = () => {{}};\n{_modern(_JS_BROKEN)}"
        },
    },
    setup=True,
)
_MOCHA_TEST: Final = """const assert = require('assert');
const { slug } = require('../slugs.js');

it('words', () => {
  assert.strictEqual(slug('Two Words'), 'two-words');
});
"""
_MOCHA: Final = {
    "package.json": _package("mocha", "10.7.0"),
    ".gitignore": "node_modules\npackage-lock.json\n",
    "slugs.js": _JS_SOURCE,
    "test/slugs.js": _MOCHA_TEST,
}
MOCHA: Final = of_language(
    "mocha",
    _MOCHA,
    (
        {
            "slugs.js": _JS_FIXED,
            "test/slugs.js": f"{_MOCHA_TEST}\nit('spaces', () => {{\n  assert.strictEqual(slug('a  b '), 'a-b');\n}});\n",
        },
        {"slugs.js": _JS_BROKEN},
    ),
    {
        "everything is skipped": {"test/slugs.js": _MOCHA_TEST.replace("it('", "it.skip('")},
        "a test ends the process with success": {"test/a.js": "it('a', () => process.exit(0));\n"},
        "the failing test is emptied": {
            "test/slugs.js": _MOCHA_TEST.replace("  assert.strictEqual(slug('Two Words'), 'two-words');\n", "")
        },
        "tests are left out by configuration": {".mocharc.json": '{"grep": "nothing"}\n'},
        "failing is switched off by source": {
            "slugs.js": "const m = require('moc' + 'ha');\n"
            f"m.Runner.prototype.fail = function (t) {{ t.state = 'passed'; this.emit('pass', t); }};\n{_JS_BROKEN}"
        },
    },
    setup=True,
)
