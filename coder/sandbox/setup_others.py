"""Setup steps of Go, Rust, Java, Ruby and PHP projects: each fetches with the language's own package manager."""

import re
import shlex

from coder.sandbox.setup_folder import TOOLS, Folder, Step, table

_OLDEST_GO_MINOR = 19
"""Go of Debian 12, the oldest that an image may have: what asks for no more needs no look."""


def go_steps(folder: Folder) -> tuple[Step, ...]:
    """Modules into the module cache, and what their tests are built of into the build cache."""
    content = folder.text("go.mod")
    warm = folder.step(_GO_WARM, on_failure="note")
    if folder.has("go.work"):
        return (*_go_check(folder.text("go.work"), folder), folder.step("go work sync", on_failure="flag"), warm)
    if not re.search(r"^[ \t]*require\b", content, re.MULTILINE):
        return (*_go_check(content, folder), warm)
    return (*_go_check(content, folder), folder.step("go mod download"), warm)


_GO_BUILT = f"{TOOLS}/go-build"
_MAX_BUILT_MB = 3_000
# Links, so that nothing is copied and nothing of the image can be written; Go stores what it adds beside them. It would end
# with an error where it cannot write when it last tidied up: https://pkg.go.dev/cmd/go#hdr-Build_and_test_caching
_GO_SEED = (
    f'[ -e "$GOCACHE" ] || {{ t=$(mktemp -d) && cp -rs {_GO_BUILT} "$t/c" && rm -f "$t/c/trim.txt" && '
    'date +%s >"$t/c/trim.txt" && mv -T "$t/c" "$GOCACHE"; rm -rf "$t"; } 2>/dev/null'
)
_GO_WARM = (
    # Tests are built and examined, and `true` is run in their place. Only a setup phase writes here, before any model acts.
    f"GOCACHE={_GO_BUILT} timeout 300 go test -exec true ./... >/dev/null 2>&1; "
    f'[ "$(du -sm {_GO_BUILT} | cut -f1)" -lt {_MAX_BUILT_MB} ] || rm -rf {_GO_BUILT}; '
    f'real="$(go env GOROOT)/bin/go" && [ -x "$real" ] && mkdir -p {_GO_BUILT} {TOOLS}/bin && '
    f"printf '%s\\n' '#!/bin/sh' {shlex.quote(_GO_SEED)} \"exec '$real' \\\"\\$@\\\"\" >{TOOLS}/go.new && "
    f"chmod +x {TOOLS}/go.new && mv -T {TOOLS}/go.new {TOOLS}/bin/go"
)


def _go_check(content: str, folder: Folder) -> tuple[Step, ...]:
    wish = re.search(r"^go\s+1\.(\d{1,3})", content, re.MULTILINE)
    if wish is None or int(wish[1]) <= _OLDEST_GO_MINOR:
        return ()
    minor = int(wish[1])
    check = (
        # Elsewhere than in the module: an old Go refuses to answer beside a newer module's file.
        f"check() {{ have=$(cd / && go env GOVERSION); "
        f'have=${{have#go1.}}; have=${{have%%[!0-9]*}}; [ "${{have:-0}}" -ge {minor} ] || '
        f'{{ echo "THE PROJECT ASKS FOR GO 1.{minor}, THE IMAGE HAS GO 1.$have"; return 1; }}; }}'
    )
    # From 1.21 on Go gets the one that a module names from the module proxy: https://go.dev/doc/toolchain
    get = (
        f"root=$(GOTOOLCHAIN=auto go env GOROOT) && mkdir -p {TOOLS}/bin && "
        f'ln -sf "$root/bin/go" "$root/bin/gofmt" {TOOLS}/bin/ && hash -r && check'
    )
    return (folder.step(f"{check}; check || {{ {get}; }}", on_failure="flag"),)


def rust_steps(folder: Folder) -> tuple[Step, ...]:
    """Crates into cargo's home."""
    manifest = folder.toml("Cargo.toml")
    wanted = any(table(manifest, key) for key in ("dependencies", "dev-dependencies", "build-dependencies"))
    if folder.has("Cargo.lock") and not wanted and not table(manifest, "workspace") and not table(manifest, "target"):
        return ()
    # Without a lock file one is made here, so that a test run does not add it to the change.
    locked = ["cargo fetch --locked"] if folder.has("Cargo.lock") else []
    first, *rest = [*locked, "cargo fetch"]
    return (folder.step(first, *rest),)


def cpp_steps(folder: Folder) -> tuple[Step, ...]:
    """What the Autotools generate, before the tests do: so it is in no change."""
    others = any(map(folder.has, ("configure", "CMakeLists.txt", "meson.build")))
    if folder.path or others or not folder.has("Makefile.am"):
        return ()
    return (folder.step("autoreconf -fi", on_failure="flag"),)


def java_steps(folder: Folder) -> tuple[Step, ...]:
    """Maven or Gradle: everything that a test run needs, plug-ins too, is only known to a test run."""
    if folder.has("pom.xml"):
        everything = "mvn -q -B -Dmaven.test.failure.ignore=true test"
        return (folder.step(everything, "mvn -q -B dependency:go-offline", on_failure="flag"),)
    if folder.path and not folder.has("gradlew"):
        # A part that its own project's build does not start.
        return ()
    gradle = "sh ./gradlew" if folder.has("gradlew") else "gradle"
    return (
        folder.step(
            f"{gradle} --no-daemon -q test --continue", f"{gradle} --no-daemon -q testClasses", on_failure="flag"
        ),
    )


def ruby_steps(folder: Folder) -> tuple[Step, ...]:
    """Gems of the bundle."""
    if not re.search(r"^[ \t]*(?:gem|gemspec)\b", folder.text("Gemfile"), re.MULTILINE):
        return ()
    return (folder.step("bundle install --jobs 2 --retry 2"),)


def php_steps(folder: Folder) -> tuple[Step, ...]:
    """Composer's packages into `vendor/`."""
    package = folder.json("composer.json")
    needs = {**table(package, "require"), **table(package, "require-dev")}
    if not any("/" in name for name in needs):
        return ()
    install = "composer install --no-interaction --no-progress --prefer-dist"
    return (folder.step(install, f"{install} --ignore-platform-reqs"),)
