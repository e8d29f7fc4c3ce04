"""The languages that the code map parses: a row here and a query file make one."""

import re
from pathlib import Path
from typing import Final, NamedTuple


class Language(NamedTuple):
    """A grammar and what finds definitions in it."""

    name: str
    suffixes: tuple[str, ...]
    module: str
    """The grammar's Python module."""
    factory: str = "language"
    """The function of that module that gives the grammar."""
    query: str = ""
    """Stem of the file under `queries/`; the language's name when empty."""
    unread: str = ""
    """A regular expression for words that the grammar does not know yet and trips over: blanked before parsing."""
    is_embedded: bool = False
    """Only what stands in `<script>` is of this language."""

    @property
    def query_path(self) -> Path:
        """The file that finds definitions."""
        return Path(__file__).parent / "queries" / f"{self.query or self.name}.scm"


# Macros where no expression can be: `EXPORT_API` before a declaration or behind `class`. The grammar takes them for types.
_MACROS: Final = (
    r"(?m)^[ \t]*[A-Z][A-Z0-9_]{3,}(?=\s+(?:template|class|struct|enum|union|namespace|using|typedef|inline|static|constexpr"
    r"|virtual|extern|friend|explicit|(?:public|protected|private)\s*:|#[ \t]*(?:if|el|end|inc|def|pra)))"
    r"|(?<=class )[A-Z][A-Z0-9_]{2,}(?=\s+(?!final\b)\w+\s*(?:<[^;{}]{0,200}>\s*)?(?:final\s*)?[:{;])"
    r"|(?<=struct )[A-Z][A-Z0-9_]{2,}(?=\s+(?!final\b)\w+\s*(?:<[^;{}]{0,200}>\s*)?(?:final\s*)?[:{;])"
)

LANGUAGES: Final = (
    Language("python", (".py", ".pyi", ".pyw"), "tree_sitter_python"),
    Language("javascript", (".js", ".jsx", ".mjs", ".cjs"), "tree_sitter_javascript"),
    Language("typescript", (".ts", ".mts", ".cts"), "tree_sitter_typescript", "language_typescript"),
    Language("tsx", (".tsx",), "tree_sitter_typescript", "language_tsx", "typescript"),
    Language("go", (".go",), "tree_sitter_go"),
    Language("rust", (".rs",), "tree_sitter_rust"),
    Language("java", (".java",), "tree_sitter_java"),
    Language("c", (".c",), "tree_sitter_c"),
    # A header says not which of the two it is; the grammar of C++ reads both.
    Language(
        "cpp",
        (".cpp", ".cc", ".cxx", ".c++", ".hpp", ".hh", ".hxx", ".h", ".ipp", ".inl", ".tpp", ".cu", ".cuh"),
        "tree_sitter_cpp",
        unread=_MACROS,
    ),
    Language("csharp", (".cs", ".csx"), "tree_sitter_c_sharp"),
    Language("ruby", (".rb", ".rake", ".gemspec", ".ru"), "tree_sitter_ruby"),
    Language("php", (".php", ".phtml", ".inc"), "tree_sitter_php", "language_php"),
    Language("kotlin", (".kt", ".kts"), "tree_sitter_kotlin", unread=r"\bfun(?=\s+interface\s)"),
    Language("swift", (".swift",), "tree_sitter_swift"),
    Language("scala", (".scala", ".sc", ".sbt"), "tree_sitter_scala"),
    Language("bash", (".sh", ".bash", ".bats", ".ksh"), "tree_sitter_bash"),
    Language("lua", (".lua",), "tree_sitter_lua"),
    Language("elixir", (".ex", ".exs"), "tree_sitter_elixir"),
    Language("dart", (".dart",), "tree_sitter_dart"),
    # JavaScript is read by TypeScript's grammar, too.
    Language("vue", (".vue",), "tree_sitter_typescript", "language_typescript", "typescript", is_embedded=True),
    Language("svelte", (".svelte",), "tree_sitter_typescript", "language_typescript", "typescript", is_embedded=True),
)

TEXT: Final = "text"
"""The language of every file that no row claims: words and a regular-expression outline."""

BY_NAME: Final = {language.name: language for language in LANGUAGES}

_BY_SUFFIX: Final = {suffix: language.name for language in LANGUAGES for suffix in language.suffixes}


def language_of(path: str) -> str:
    """The name of the language that a path's suffix says, `TEXT` for all else."""
    dot = path.rfind(".")
    if dot <= 0 or path[dot - 1] == "/" or "/" in path[dot:]:  # `.py` is a hidden file's name, `a.d/b` has no suffix
        return TEXT
    return _BY_SUFFIX.get(path[dot:].lower(), TEXT)


def kinds(language: Language) -> tuple[str, ...]:
    """What a language's query file finds, in its order."""
    text = language.query_path.read_text(encoding="utf-8")
    return tuple(dict.fromkeys(re.findall(r"@definition\.(\w+)", text.replace("@definition.KIND", ""))))
