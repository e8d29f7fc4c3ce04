"""Test commands of projects that are built first: CMake, Meson and the Autotools.

Each builds outside of the repository, where a later run goes on; a build is shown only where it fails, or does not end.
"""

import re
from collections.abc import Iterable
from typing import Final

from coder.types import FileChange
from coder.verify.runners import REPORT, Kind, TestCommand

_PLACE: Final = 'd=${TMPDIR:-/tmp}/%s-$(pwd | cksum | tr " " -)'
_QUIET: Final = '{ { %s; } > "$d.log" 2>&1 || { tail -n 80 "$d.log"; false; }; }'
_BUILT: Final = f'{_PLACE}; tail -n 80 "$d.log"'
_OFF: Final = re.compile(
    r"(?im)^[ \t]{0,40}option[ \t]{0,9}\([ \t]{0,9}((?!\w*(?:no|skip|disable)_)(?:\w{1,60}_)?(?:build|enable|with)_?(?:unit_?)?test(?:s|ing)?)\s"
    r'{1,40}(?:"[^"\n]{0,200}"\s{1,40})?OFF\s{0,9}\)'
)
"""An option of a project that has tests built, and is off: many libraries spare those who embed them."""
_MAX_OPTIONS: Final = 5
_CHECKED: Final = (
    r"""grep -rH --include='*.trs' '^:test-result:' . | LC_ALL=C sort | awk -F'[.]trs::test-result: *' '"""
    r"""{split($2, w, " "); t = $1; sub(/^\.\//, "", t); r = substr($2, length(w[1]) + 2); gsub(/#/, "", r); """
    r"""print (w[1] ~ /^(PASS|XFAIL|SKIP)$/ ? "ok " : "not ok ") NR " - " t (r == "" ? "" : ": " r) """
    r"""(w[1] == "SKIP" ? " # SKIP" : "")} END {if (NR) print "1.." NR}'"""
)
"""Automake's results as TAP; without any there is no plan, so that the exit code counts.

https://www.gnu.org/software/automake/manual/html_node/Log-files-generation-and-test-results-recording.html
"""


def tests_named_in(kind: Kind, changes: Iterable[FileChange]) -> tuple[str, ...]:
    """The files of a change in which a build is told what its tests are: with the tests of another commit they go along."""
    if kind != "ctest":
        return ()
    return tuple(
        change.path
        for change in changes
        if change.path.rpartition("/")[2] == "CMakeLists.txt" and change.status != "added"
    )


def ctest(lists: str = "") -> TestCommand:
    """CMake's tests; `lists` is the text of the uppermost CMakeLists.txt, which may have to be told to build them."""
    told = "".join(f" -D{name}=ON" for name in _OFF.findall(lists)[:_MAX_OPTIONS])
    build = _QUIET % f'cmake -S . -B "$d"{told} && cmake --build "$d" -j 2'
    run = f'ctest --test-dir "$d" --output-on-failure --output-junit "$PWD/{REPORT}"'
    shown = f"cmake -S . -B build{told} && cmake --build build && ctest --test-dir build --output-on-failure"
    return TestCommand(f"{_PLACE % 'ctest'}; {build} && {run}", "ctest", plain=shown, progress=_BUILT % "ctest")


def meson() -> TestCommand:
    """Meson's tests, by its JUnit report."""
    build = _QUIET % '{ [ -f "$d/build.ninja" ] || meson setup "$d"; } && meson compile -C "$d"'
    run = f'{{ meson test -C "$d" --print-errorlogs; code=$?; cp "$d/meson-logs/testlog.junit.xml" {REPORT}; (exit $code); }}'
    shown = "meson setup build && meson compile -C build && meson test -C build --print-errorlogs"
    return TestCommand(f"{_PLACE % 'meson'}; {build} && {run}", "junit", plain=shown, progress=_BUILT % "meson")


def autotools() -> TestCommand:
    """What `make check` checks, by the results that Automake records."""
    configured = (
        '{ [ -x configure ] || autoreconf -fi; } && mkdir -p "$d" && cd "$d" && { [ -f Makefile ] || "$s/configure"; }'
    )
    build = _QUIET % f"{configured} && make -j 2"
    checked = f'find . -name "*.trs" -delete; make -k check; code=$?; {_CHECKED} > "$s/{REPORT}"; (exit $code)'
    shown = "{ [ -x configure ] || autoreconf -fi; } && ./configure && make && make check"
    full = f'{_PLACE % "make"}; s=$PWD; {build} && {{ cd "$d"; {checked}; }}'
    return TestCommand(full, "tap", plain=shown, progress=_BUILT % "make")
