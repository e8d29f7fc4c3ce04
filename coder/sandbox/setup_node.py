"""Setup steps of a Node project, with the package manager that its lock file or `packageManager` names."""

import re

from coder.sandbox.setup_folder import TOOLS, Folder, Step, strings, table

NPM_OPTIONS = "--no-audit --no-fund"
_NEWER_PNPM, _NODE_OF_NEWER_PNPM = 11, 22
"""From that version on pnpm runs on no older Node: it needs node:sqlite."""
_CODE_NAMES = {"hydrogen": 18, "iron": 20, "jod": 22, "krypton": 24}
"""https://github.com/nodejs/Release#release-schedule"""
_DEFAULT = {"npm": "", "pnpm": "9", "yarn": "1"}


def node_steps(folder: Folder) -> tuple[Step, ...]:
    """What installs the dependencies of the package in `folder`; none when it has none."""
    package = folder.json("package.json")
    manager, version = _manager(folder, package)
    checks = _version_checks(folder, package)
    locked = folder.has("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml")
    wanted = any(table(package, key) for key in ("dependencies", "devDependencies", "optionalDependencies"))
    if not locked and not wanted and not has_workspaces(folder):
        return tuple(checks)
    loose = f"npm install {NPM_OPTIONS} --no-package-lock"
    if manager == "pnpm":
        get = f"npm install -g --prefix {TOOLS} {NPM_OPTIONS} pnpm@{version}"
        frozen = "pnpm install --frozen-lockfile" if folder.has("pnpm-lock.yaml") else "pnpm install"
        step = folder.step(f"{get} && {frozen}", f"{get} && pnpm install --no-frozen-lockfile", loose)
    elif manager == "yarn":
        berry = version.partition(".")[0] not in {"0", "1"}
        name, frozen = ("@yarnpkg/cli-dist", "--immutable") if berry else ("yarn", "--frozen-lockfile")
        get = f"npm install -g --prefix {TOOLS} {NPM_OPTIONS} {name}@{version}"
        option = f" {frozen}" if folder.has("yarn.lock") else ""
        step = folder.step(f"{get} && yarn install{option}", f"{get} && yarn install", loose)
    elif folder.has("package-lock.json", "npm-shrinkwrap.json"):
        # Strict about the lock, then strict about nothing: old locks with conflicting peers are common.
        step = folder.step(
            f"npm ci {NPM_OPTIONS}", f"npm ci {NPM_OPTIONS} --legacy-peer-deps", f"{loose} --legacy-peer-deps"
        )
    else:
        step = folder.step(loose, f"{loose} --legacy-peer-deps")
    return (*checks, step)


def has_workspaces(folder: Folder) -> bool:
    """Whether the package installs those in the folders below, too."""
    workspaces = folder.json("package.json").get("workspaces")
    return bool(strings(workspaces) or table(workspaces) or folder.has("pnpm-workspace.yaml"))


def has_tests(folder: Folder) -> bool:
    """Whether the package says how its tests are run; npm's own stand-in says nothing."""
    script = str(table(folder.json("package.json"), "scripts").get("test") or "")
    return bool(script.strip()) and "no test specified" not in script


def _manager(folder: Folder, package: dict[str, object]) -> tuple[str, str]:
    """Name and version of the package manager. The version is of digits, dots and letters: it goes into a command."""
    named = re.match(r"(npm|pnpm|yarn)@([0-9A-Za-z.-]{1,40})", str(package.get("packageManager") or ""))
    if named:
        return named[1], named[2]
    if folder.has("pnpm-lock.yaml", "pnpm-workspace.yaml"):
        return "pnpm", _DEFAULT["pnpm"]
    if folder.has("yarn.lock"):
        return "yarn", "4" if folder.has(".yarnrc.yml") or "__metadata:" in folder.text("yarn.lock")[:2000] else "1"
    return "npm", ""


def _version_checks(folder: Folder, package: dict[str, object]) -> list[Step]:
    """Gets a newer Node when the image's is older than the project asks for; says it when there is none."""
    wishes = [str(table(package, "engines").get("node") or ""), folder.text(".nvmrc"), folder.text(".node-version")]
    found = [least for wish in wishes if (least := _least(wish))]
    manager, version = _manager(folder, package)
    major = re.match(r"\d{1,3}", version)
    if manager == "pnpm" and major and int(major[0]) >= _NEWER_PNPM:
        found.append(_NODE_OF_NEWER_PNPM)
    # Older ones than CI has are not tried by anybody: tools of the tests may want a newer one than the package.
    if tried := [int(one) for text in folder.workflows() for one in _tried(text)]:
        found.append(min(tried))
    if not found:
        return []
    least = max(found)
    program = (
        f"const have = parseInt(process.versions.node); if (have < {least}) "
        f"{{ console.log('THE PROJECT ASKS FOR NODE {least}, THE IMAGE HAS ' + have); process.exit(1) }}"
    )
    check = f'node -e "{program}"'
    # Elsewhere than in the package, whose own settings are about its dependencies.
    get = f"(cd /tmp && npm install -g --prefix {TOOLS} {NPM_OPTIONS} node@{least}) && hash -r && {check}"
    return [folder.step(f"{check} || {{ {get}; }}", on_failure="flag")]


def _least(wish: str) -> int | None:
    """The oldest major version that will do; None when it is not said plainly."""
    name = wish.strip().lower().removeprefix("v")
    if name in {"node", "latest", "current", "stable"} or name.startswith("lts/"):
        return _CODE_NAMES.get(name.removeprefix("lts/"), _CODE_NAMES["jod"])
    alternatives = [re.match(r"\s*(?:>=|\^|~|=)?\s*v?(\d{1,3})(?:\.|\s|$|x)", part) for part in wish.split("||")]
    return min(int(match[1]) for match in alternatives if match) if all(alternatives) else None


def _tried(workflow: str) -> list[str]:
    """The major versions that a workflow sets up."""
    values = re.findall(r"\bnode(?:[-_]?versions?)?['\"]?:\s*(\[[^\]\[]{1,300}\]|['\"]?v?\d[\w.]*)", workflow)
    return [major for value in values for major in re.findall(r"(?<![\w.])v?(\d{1,3})(?![\w])", value)]
