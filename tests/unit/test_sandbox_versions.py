"""Which versions a repository asks for, and which base has them."""

from collections.abc import Mapping

import pytest

from coder.sandbox.images import Catalogue, catalogue, default_folder
from coder.sandbox.setup_commands import detected, folders
from coder.sandbox.setup_versions import Span, asks, spans


@pytest.mark.parametrize(
    ("wish", "held", "not_held"),
    [
        (">=3.12,<4", [(3, 12), (3, 13)], [(3, 11), (4, 0)]),
        (">=3.12.0rc1", [(3, 12)], [(3, 11)]),
        ("^3.12", [(3, 13)], [(3, 11), (4, 0)]),
        ("~=3.11", [(3, 13)], [(3, 10)]),
        ("~=3.11.2", [(3, 11)], [(3, 12)]),
        (">=3.8, !=3.9.*, <3.13", [(3, 8), (3, 12)], [(3, 13)]),
        ("<=3.12", [(3, 12)], [(3, 13)]),
        ("<3.12.4", [(3, 12)], [(3, 13)]),
        ("==3.12.*", [(3, 12)], [(3, 11), (3, 13)]),
        ("3.10 || 3.11", [(3, 10), (3, 11)], [(3, 12)]),
        ("18 || >=20", [(18, 20), (20, 19), (24, 1)], [(19, 0), (16, 1)]),
        ("20.x", [(20, 19)], [(18, 20), (21, 0)]),
        ("18 - 22", [(18, 20), (22, 4)], [(23, 0), (17, 0)]),
        ("^8.1|^8.2", [(8, 2), (8, 4)], [(9, 0), (8, 0)]),
        ("~> 3.2", [(3, 3)], [(3, 1), (4, 0)]),
    ],
)
def test_specifiers_of_all_languages_are_understood(
    wish: str, held: list[tuple[int, ...]], not_held: list[tuple[int, ...]]
) -> None:
    found = spans(wish)

    assert [v for v in held if any(span.holds(v) for span in found)] == held
    assert [v for v in not_held if any(span.holds(v) for span in found)] == []


@pytest.mark.parametrize(
    "wish", ["", "*", "lts/*", "latest", ">=a", ">=3.12; rm -rf /", "3" * 500, "|" * 500, "-" * 99]
)
def test_what_is_not_understood_asks_for_nothing(wish: str) -> None:
    assert spans(wish) == ()


@pytest.mark.parametrize(
    ("files", "language", "least"),
    [
        ({"pyproject.toml": b'[project]\nrequires-python = ">=3.12"\n'}, "python", (3, 12)),
        ({"pyproject.toml": b'[tool.poetry.dependencies]\npython = "^3.12"\n'}, "python", (3, 12)),
        ({"setup.cfg": b"[options]\npython_requires = >=3.12\n"}, "python", (3, 12)),
        ({"setup.py": b"setup(python_requires='>=3.12')"}, "python", (3, 12)),
        ({".python-version": b"3.13.1\n"}, "python", (3, 13)),
        ({"Pipfile": b'[requires]\npython_version = "3.12"\n'}, "python", (3, 12)),
        ({".tool-versions": b"nodejs 20.1.0\npython 3.12.2\n"}, "python", (3, 12)),
        ({"package.json": b'{"engines": {"node": ">=20.9"}}'}, "node", (20, 9)),
        ({"package.json": b"{}", ".nvmrc": b"v22\n"}, "node", (22,)),
        ({"package.json": b'{"volta": {"node": "20.3.1"}}'}, "node", (20, 3)),
        ({"go.mod": b"module x\n\ngo 1.22.3\n"}, "go", (1, 22)),
        ({"go.work": b"go 1.23\n", "go.mod": b"module x\n\ngo 1.19\n"}, "go", (1, 23)),
        ({"Cargo.toml": b'[package]\nedition = "2024"\n'}, "rust", (1, 85)),
        ({"Cargo.toml": b'[workspace.package]\nrust-version = "1.90"\n'}, "rust", (1, 90)),
        ({"rust-toolchain.toml": b'[toolchain]\nchannel = "1.88.0"\n'}, "rust", (1, 88)),
        ({"pom.xml": b"<properties><java.version>21</java.version></properties>"}, "java", (21,)),
        ({"pom.xml": b"<maven.compiler.source>1.8</maven.compiler.source>"}, "java", (8,)),
        ({"build.gradle.kts": b"kotlin { jvmToolchain(21) }"}, "java", (21,)),
        ({"build.gradle": b"sourceCompatibility = JavaVersion.VERSION_1_8"}, "java", (8,)),
        ({"Gemfile": b'source "x"\nruby "~> 3.2"\n'}, "ruby", (3, 2)),
        ({".ruby-version": b"ruby-3.3.0\n"}, "ruby", (3, 3)),
        ({"composer.json": b'{"require": {"php": ">=8.3"}}'}, "php", (8, 3)),
        ({"CMakeLists.txt": b"cmake_minimum_required(VERSION 3.28...3.30)\n"}, "cpp", (3, 28)),
    ],
)
def test_each_manifest_is_read(files: Mapping[str, bytes], language: str, least: tuple[int, ...]) -> None:
    (ask,) = asks(folders(files), [language])

    assert [span.least for span in ask.spans] == [least]


@pytest.fixture(scope="module")
def images() -> Catalogue:
    return catalogue(default_folder())


@pytest.mark.parametrize(
    ("files", "main", "base"),
    [
        ({}, "python", "bookworm"),
        ({"pyproject.toml": b'[project]\nrequires-python = ">=3.9"\n'}, "python", "bookworm"),
        ({"pyproject.toml": b'[project]\nrequires-python = ">=3.12"\n'}, "python", "trixie"),
        ({"pyproject.toml": b'[project]\nrequires-python = ">=3.14"\n'}, "python", "trixie"),
        ({"pyproject.toml": b'[project]\nrequires-python = "<3.10"\n'}, "python", "bookworm"),
        ({"pyproject.toml": b'[project]\nrequires-python = "<3.12"\n', "package.json": b'{"engines": {"node": "20"}}'}, "python", "bookworm"),
        ({"pyproject.toml": b"", "package.json": b'{"engines": {"node": ">=20"}}'}, "python", "trixie"),
        ({"package.json": b'{"engines": {"node": "^22"}}'}, "node", "trixie"),
        ({"go.mod": b"module x\n\ngo 1.22\n"}, "go", "trixie"),
        ({"go.mod": b"module x\n\ngo 1.18\n"}, "go", "bookworm"),
        ({"Cargo.toml": b'[package]\nedition = "2024"\n'}, "rust", "bookworm"),
        ({"pom.xml": b"<java.version>21</java.version>"}, "java", "trixie"),
        ({"composer.json": b'{"require": {"php": "^8.3"}}'}, "php", "trixie"),
    ],
)  # fmt: skip
def test_the_base_is_the_usual_one_unless_more_is_asked_for(
    images: Catalogue, files: Mapping[str, bytes], main: str, base: str
) -> None:
    assert images.base(asks(folders(files), ["python", "node", "go", "rust", "java", "php"]), main).name == base


def test_an_operators_own_base_is_the_only_one() -> None:
    own = catalogue(default_folder(), "registry.invalid/debian:mine")

    assert [base.image for base in own.bases] == ["registry.invalid/debian:mine"]
    assert own.base(asks(folders({"go.mod": b"go 1.99\n"}), ["go"]), "go").name == "own"
    assert [base.name for base in catalogue(default_folder(), "debian:trixie-slim").bases] == ["trixie"]


@pytest.mark.parametrize("noise", [b"<" * 100_000 + b"ruby '" * 50_000, b"\n" * 500_000])
def test_a_manifest_of_noise_is_read_in_no_time_and_asks_for_nothing(noise: bytes) -> None:
    files = dict.fromkeys(
        ("pom.xml", "Gemfile", "go.mod", "build.gradle", "CMakeLists.txt", ".nvmrc", "setup.py"), noise
    )

    assert asks(folders(files), ["java", "ruby", "go", "cpp", "node", "python"]) == ()
    assert not any("bundle" in step.command for step in detected(files).steps)
    assert Span().holds((1,))
