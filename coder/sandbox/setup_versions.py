"""Which versions of its languages a repository asks for: read from its manifests, as far as they say it plainly."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from coder.sandbox.setup_folder import Folder, table

Version = tuple[int, ...]
PARTS = 2
"""Major and minor: what a distribution's releases differ in."""
MAX_WISH_CHARACTERS = 200
MAX_FOLDERS = 8
"""How many projects of one language are asked."""

_COMPARATOR = re.compile(r"(===|==|~=|~>|!=|<=|>=|<|>|\^|~|=)?\s*v?(\d{1,4}(?:\.\d{1,9}){0,3})(?:\.[*xX])*(?=[\s,;]|$)")
_PRERELEASE = re.compile(r"(?<=\d)[-+.]?(?:a|b|rc|alpha|beta|dev|pre)\d?[\w.]*")
_OLD_JAVA = re.compile(r"^1\.(\d)$")


@dataclass(frozen=True, slots=True)
class Span:
    """Versions from `least` up to, but not with, `below` (None: no end)."""

    least: Version = (0,)
    below: Version | None = None

    def holds(self, version: Version) -> bool:
        """Whether `version` lies in it."""
        return self.least <= version and (self.below is None or version < self.below)


@dataclass(frozen=True, slots=True)
class Ask:
    """What one file asks of one language: any of `spans` will do."""

    language: str
    spans: tuple[Span, ...]

    def met(self, versions: Mapping[str, Version]) -> bool:
        """Whether these versions will do; a language without a known version is not judged."""
        version = versions.get(self.language)
        return version is None or any(span.holds(version) for span in self.spans)

    def too_old(self, versions: Mapping[str, Version]) -> bool:
        """Whether only a newer version would do."""
        version = versions.get(self.language)
        return version is not None and all(version < span.least for span in self.spans)


def spans(wish: str) -> tuple[Span, ...]:
    """The versions that a specifier of any of our languages allows; none when it says nothing that is understood.

    >>> spans(">=3.12,<4")
    (Span(least=(3, 12), below=(4,)),)
    >>> spans("18 || >=20")
    (Span(least=(18,), below=(19,)), Span(least=(20,), below=None))
    """
    found = []
    for alternative in re.split(r"\|\|?", wish[:MAX_WISH_CHARACTERS]):
        plain = re.sub(r"(\d)\s+-\s+(\d)", r"\1 <=\2", _PRERELEASE.sub("", alternative)).strip()
        plain = re.sub(r"^(\d[\d.]*) <=", r">=\1 <=", plain)
        matches = list(_COMPARATOR.finditer(plain))
        rest = _COMPARATOR.sub("", plain).strip(" ,;")
        if not matches or rest:
            return ()
        least: Version = (0,)
        below: Version | None = None
        for match in matches:
            low, high = _bounds(match[1] or "", tuple(int(part) for part in match[2].split(".")))
            least = max(least, low)
            below = high if below is None or (high is not None and high < below) else below
        found.append(Span(least, below))
    return tuple(found)


def _bounds(operator: str, version: Version) -> tuple[Version, Version | None]:
    """The lowest version that a comparator allows, and the first above those that it allows."""
    lowest: Version = (0,)
    short = version[:PARTS]
    after = (*short[:-1], short[-1] + 1)
    major = (short[0] + 1,)
    patched = len(version) > PARTS
    bounds: dict[str, tuple[Version, Version | None]] = {
        ">=": (short, None),
        ">": (short, None),
        "<": (lowest, after if any(version[PARTS:]) else short),
        "<=": (lowest, after),
        "!=": (lowest, None),
        "^": (short, major),
        **dict.fromkeys(("~=", "~>", "~"), (short, after if patched else major)),
    }
    return bounds.get(operator, (short, after))


def asks(folders: Iterable[Folder], languages: Iterable[str]) -> tuple[Ask, ...]:
    """What the outermost projects ask of `languages`; a wish that is not understood is none."""
    everything = list(folders)
    found: dict[Ask, None] = {}
    for language in languages:
        read = _READERS.get(language)
        wishing = [wishes for folder in everything if read and (wishes := [*read(folder), *_asdf(folder, language)])]
        for wish in (wish for wishes in wishing[:MAX_FOLDERS] for wish in wishes):
            if understood := spans(wish):
                found[Ask(language, understood)] = None
    return tuple(found)


# --- what each language's files say -----------------------------------------------------------------------------------


def _python(folder: Folder) -> list[str]:
    project, config = folder.toml("pyproject.toml"), folder.ini("setup.cfg")
    required: object = table(project, "project").get("requires-python")
    if config.has_option("options", "python_requires"):
        required = required or config.get("options", "python_requires")
    if script := re.search(r"python_requires\s*=\s*['\"]([^'\"]+)", folder.text("setup.py")):
        required = required or script[1]
    required = required or table(project, "tool", "poetry", "dependencies").get("python")
    pinned = [folder.text(".python-version"), str(table(folder.toml("Pipfile"), "requires").get("python_version", ""))]
    return [*([required] if isinstance(required, str) else []), *_at_least(*pinned)]


def _node(folder: Folder) -> list[str]:
    package = folder.json("package.json")
    wish = table(package, "engines").get("node")
    volta = str(table(package, "volta").get("node", ""))
    return [
        *([wish] if isinstance(wish, str) else []),
        *_at_least(folder.text(".nvmrc"), folder.text(".node-version"), volta),
    ]


def _go(folder: Folder) -> list[str]:
    text = folder.text("go.work") or folder.text("go.mod")
    return _at_least(*re.findall(r"^go\s+(\d+\.\d+)", text, re.MULTILINE)[:1])


def _rust(folder: Folder) -> list[str]:
    manifest = folder.toml("Cargo.toml")
    found = []
    for package in (table(manifest, "package"), table(manifest, "workspace", "package")):
        found += [str(package.get("rust-version", "")), "1.85" if package.get("edition") == "2024" else ""]
    channel = table(folder.toml("rust-toolchain.toml"), "toolchain").get("channel", "")
    return _at_least(*found, str(channel), folder.text("rust-toolchain"))


def _java(folder: Folder) -> list[str]:
    maven = r"<(?:maven\.compiler\.(?:release|source|target)|java\.version|release)>\s*(1\.\d|\d{1,2})\s*<"
    gradle = (
        r"(?:JavaLanguageVersion\.of|jvmToolchain)\(\s*(\d{1,2})\s*\)",
        r"(?:source|target)Compatibility\s*=?\s*['\"(]*(?:JavaVersion\.)?(?:VERSION_)?(1[._]\d|\d{1,2})\b",
    )
    build = folder.text("build.gradle") + folder.text("build.gradle.kts")
    found = re.findall(maven, folder.text("pom.xml")) + [
        one for pattern in gradle for one in re.findall(pattern, build)
    ]
    return _at_least(*(_OLD_JAVA.sub(r"\1", one.replace("_", ".")) for one in found))


def _ruby(folder: Folder) -> list[str]:
    wish = re.search(r"^[ \t]*ruby\s+['\"]([^'\"]+)['\"]", folder.text("Gemfile"), re.MULTILINE)
    pinned = folder.text(".ruby-version").strip().removeprefix("ruby-")
    return [*([wish[1] if wish[1].strip()[:1] in "<>~=" else f">={wish[1]}"] if wish else []), *_at_least(pinned)]


def _php(folder: Folder) -> list[str]:
    wish = table(folder.json("composer.json"), "require").get("php")
    return [wish] if isinstance(wish, str) else []


def _cpp(folder: Folder) -> list[str]:
    found = re.search(r"(?i)cmake_minimum_required\s*\(\s*VERSION\s+(\d+\.\d+)", folder.text("CMakeLists.txt"))
    return _at_least(found[1]) if found else []


_READERS: Mapping[str, Callable[[Folder], list[str]]] = {
    "python": _python,
    "node": _node,
    "go": _go,
    "rust": _rust,
    "java": _java,
    "ruby": _ruby,
    "php": _php,
    "cpp": _cpp,
}
_ASDF = {"python": "python", "nodejs": "node", "node": "node", "golang": "go", "go": "go", "ruby": "ruby", "php": "php"}


def _asdf(folder: Folder, language: str) -> list[str]:
    """`.tool-versions` of asdf and mise."""
    lines = (line.split() for line in folder.text(".tool-versions").splitlines())
    return _at_least(*(words[1] for words in lines if len(words) > 1 and _ASDF.get(words[0]) == language))


def _at_least(*pins: str) -> list[str]:
    """A pin as a least version: its patch release is a habit, and a newer minor release mostly will do."""
    found = (re.match(r"\s*(?:v|python-|cpython-)?(\d{1,4}(?:\.\d{1,4})?)", pin) for pin in pins)
    return [f">={match[1]}" for match in found if match]
