"""Test commands of projects that are built first: CMake, Meson and the Autotools.

Each builds outside of the repository, where a later run goes on; a build is shown only where it fails.
"""

from typing import Final

from coder.verify.runners import REPORT, TestCommand

_PLACE: Final = 'd=${TMPDIR:-/tmp}/%s-$(pwd | cksum | tr " " -)'
_QUIET: Final = '{ { %s; } > "$d.log" 2>&1 || { tail -n 80 "$d.log"; false; }; }'
_CHECKED: Final = (
    r"""grep -rH --include='*.trs' '^:test-result:' . | LC_ALL=C sort | awk -F'[.]trs::test-result: *' '"""
    r"""{split($2, w, " "); t = $1; sub(/^\.\//, "", t); r = substr($2, length(w[1]) + 2); gsub(/#/, "", r); """
    r"""print (w[1] ~ /^(PASS|XFAIL|SKIP)$/ ? "ok " : "not ok ") NR " - " t (r == "" ? "" : ": " r) """
    r"""(w[1] == "SKIP" ? " # SKIP" : "")} END {if (NR) print "1.." NR}'"""
)
"""Automake's results as TAP; without any there is no plan, so that the exit code counts.

https://www.gnu.org/software/automake/manual/html_node/Log-files-generation-and-test-results-recording.html
"""


def ctest() -> TestCommand:
    """CMake's tests."""
    build = _QUIET % 'cmake -S . -B "$d" && cmake --build "$d" -j 2'
    run = f'ctest --test-dir "$d" --output-on-failure --output-junit "$PWD/{REPORT}"'
    shown = "cmake -S . -B build && cmake --build build && ctest --test-dir build --output-on-failure"
    return TestCommand(f"{_PLACE % 'ctest'}; {build} && {run}", "ctest", plain=shown)


def meson() -> TestCommand:
    """Meson's tests, by its JUnit report."""
    build = _QUIET % '{ [ -f "$d/build.ninja" ] || meson setup "$d"; } && meson compile -C "$d"'
    run = f'{{ meson test -C "$d" --print-errorlogs; code=$?; cp "$d/meson-logs/testlog.junit.xml" {REPORT}; (exit $code); }}'
    shown = "meson setup build && meson compile -C build && meson test -C build --print-errorlogs"
    return TestCommand(f"{_PLACE % 'meson'}; {build} && {run}", "junit", plain=shown)


def autotools() -> TestCommand:
    """What `make check` checks, by the results that Automake records."""
    configured = (
        '{ [ -x configure ] || autoreconf -fi; } && mkdir -p "$d" && cd "$d" && { [ -f Makefile ] || "$s/configure"; }'
    )
    build = _QUIET % f"{configured} && make -j 2"
    checked = f'find . -name "*.trs" -delete; make -k check; code=$?; {_CHECKED} > "$s/{REPORT}"; (exit $code)'
    shown = "{ [ -x configure ] || autoreconf -fi; } && ./configure && make && make check"
    return TestCommand(f'{_PLACE % "make"}; s=$PWD; {build} && {{ cd "$d"; {checked}; }}', "tap", plain=shown)
