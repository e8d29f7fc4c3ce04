"""What devcontainer.json and Dockerfile tell, and what an environment is planned to be made of."""

from collections.abc import Mapping

import pytest

from coder.errors import InputError
from coder.sandbox.environment import known_services, plan
from coder.sandbox.images import Catalogue, catalogue, default_folder
from coder.sandbox.protocol import NOTHING, Wants
from coder.sandbox.setup_hints import MAX_BYTES, hints

CONTAINER = b"""{
    // what VS Code writes
    "image": "mcr.microsoft.com/devcontainers/python:1-3.12-bookworm", /* and more */
    "features": {"ghcr.io/devcontainers/features/node:1": {"version": "20"}, "ghcr.io/x/other:1": {}},
    "postCreateCommand": {"deps": "make deps", "root": "sudo apt-get install -y libpq-dev=15.* g++", "argv": ["echo", "a b"]},
    "onCreateCommand": "echo ${localEnv:TOKEN}",
    "customizations": {"url": "https://x.invalid//y"},
}"""
DOCKERFILE = b"""# syntax=docker/dockerfile:1
FROM --platform=linux/amd64 docker.invalid/library/golang:1.22-alpine AS build
RUN apt-get update && apt-get install -y --no-install-recommends \\
    # a comment between
    libxml2-dev zlib1g-dev:amd64 \\
    'evil;rm' $(whoami) later && rm -rf /var/lib/apt/lists/*
FROM scratch
"""


def test_a_development_container_tells_languages_versions_packages_and_commands() -> None:
    found = hints({".devcontainer/devcontainer.json": CONTAINER})

    assert found.languages == ("python", "node")
    assert [(ask.language, ask.spans[0].least) for ask in found.asks] == [("python", (3, 12)), ("node", (20,))]
    assert found.packages == ("libpq-dev", "g++")
    assert found.commands == ("make deps", "echo 'a b'")


def test_a_dockerfile_tells_its_language_and_packages() -> None:
    found = hints({"Dockerfile": DOCKERFILE})

    assert (found.languages, found.packages) == (("go",), ("libxml2-dev", "zlib1g-dev"))
    assert [ask.spans[0].least for ask in found.asks] == [(1, 22)]


def test_workflows_that_test_tell_packages_and_others_do_not() -> None:
    workflow = (
        b"jobs:\n  t:\n    steps:\n      - run: |\n          sudo apt-get update\n"
        b"          sudo apt-get -y install libxml2-dev \\\n            libxslt1-dev ${{ matrix.package }} texlive-full\n"
    )

    assert hints({".github/workflows/CI.yml": workflow}).packages == ("libxml2-dev", "libxslt1-dev")
    assert hints({".github/workflows/docs.yml": workflow}).packages == ()
    assert hints({"docs/.github/workflows/ci.yml": workflow}).packages == ()


@pytest.mark.parametrize(
    ("reference", "language", "least"),
    [
        ("python:3.13-slim", "python", (3, 13)),
        ("node:22", "node", (22,)),
        ("maven:3.9-eclipse-temurin-21", "java", (21,)),
        ("eclipse-temurin:17-jdk", "java", (17,)),
        ("ruby:3.3@sha256:abc", "ruby", (3, 3)),
        ("rust:latest", "rust", None),
    ],
)
def test_official_images_are_known(reference: str, language: str, least: tuple[int, ...] | None) -> None:
    found = hints({"Dockerfile": b"FROM " + reference.encode()})

    assert found.languages == (language,)
    assert [ask.spans[0].least for ask in found.asks] == ([] if least is None else [least])


@pytest.mark.parametrize(
    "text",
    [b"", b"[1]", b"{", b"[" * 100_000, b"{/*" + b"*" * 100_000, b'"' * 100_001, b" " * (MAX_BYTES + 1), b"\xff\x00{}"],
)
def test_nonsense_tells_nothing(text: bytes) -> None:
    found = hints({".devcontainer.json": text, "Dockerfile": text})

    assert (found.languages, found.packages, found.commands) == ((), (), ())


@pytest.fixture(scope="module")
def images() -> Catalogue:
    return catalogue(default_folder())


def planned(images: Catalogue, files: Mapping[str, bytes], wants: Wants = NOTHING) -> tuple[str, list[str], list[str]]:
    made = plan(images, files, setup=None, wants=wants)
    return made.base.name, [spec.name for spec in made.specs], [step.command for step in made.steps]


def test_hints_fill_in_where_the_manifests_are_silent(images: Catalogue) -> None:
    assert planned(images, {"Dockerfile": DOCKERFILE, "README.md": b""})[:2] == ("trixie", ["base", "go", "packages"])
    quiet = {"Dockerfile": b"FROM python:3.13", "requirements.txt": b"# none\n"}
    assert planned(images, quiet)[0] == "trixie"
    loud = {"Dockerfile": b"FROM python:3.13", "pyproject.toml": b'[project]\nrequires-python = ">=3.9"\n'}
    assert planned(images, loud)[0] == "bookworm"


def test_commands_of_a_development_container_are_run_after_what_is_known(images: Catalogue) -> None:
    alone = plan(images, {".devcontainer/devcontainer.json": CONTAINER}, setup=None, wants=NOTHING)
    beside = plan(
        images, {".devcontainer/devcontainer.json": CONTAINER, "requirements.txt": b"six\n"}, setup=None, wants=NOTHING
    )
    given = plan(images, {".devcontainer/devcontainer.json": CONTAINER}, setup=("mine",), wants=NOTHING)

    assert [(step.command, step.on_failure) for step in alone.steps] == [("make deps", "flag"), ("echo 'a b'", "flag")]
    assert [(step.command, step.on_failure) for step in beside.steps[1:]] == [("make deps", "note")]
    assert ".devcontainer/devcontainer.json" in beside.inputs
    assert [step.command for step in given.steps] == ["mine"]


def test_what_is_wanted_counts_more_than_what_is_found(images: Catalogue) -> None:
    files = {"package.json": b'{"dependencies": {"a": "1"}}'}

    _, specs, _ = planned(images, files, Wants(images=("python", "node"), packages=("libpq-dev",)))

    assert specs == ["base", "python", "node", "packages"]
    wanted = plan(images, files, setup=None, wants=Wants(packages=("libpq-dev",))).specs[-1].dockerfile
    assert "install -y --no-install-recommends libpq-dev;" in wanted
    with pytest.raises(InputError, match="`images:` names 'cobol'"):
        planned(images, files, Wants(images=("cobol",)))


def test_a_service_that_there_is_not_is_told(images: Catalogue) -> None:
    with pytest.raises(InputError, match="`services:` names 'oracle'"):
        known_services(images, ["oracle"])


@pytest.mark.parametrize("command", ["pnpm i", "uv sync --all-extras", ".devcontainer/on-create.sh"])
def test_a_development_container_that_only_installs_adds_nothing_to_manifests(images: Catalogue, command: str) -> None:
    container = {".devcontainer.json": b'{"postCreateCommand": "' + command.encode() + b'"}'}

    assert planned(images, container)[2] == [command]
    assert planned(images, {**container, "requirements.txt": b"six\n"})[2] == ["pip-install -r requirements.txt"]
    more = {".devcontainer.json": b'{"postCreateCommand": "' + command.encode() + b' && make it"}'}
    assert planned(images, {**more, "requirements.txt": b"six\n"})[2][1:] == [f"{command} && make it"]
