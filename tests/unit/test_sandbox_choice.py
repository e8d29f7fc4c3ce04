"""Which image, which setup commands, which base: decisions without any engine."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from coder.errors import ConfigError
from coder.sandbox.config import ProxySettings, SandboxSettings
from coder.sandbox.docker_base import _mirror
from coder.sandbox.docker_container import environment
from coder.sandbox.images import Catalogue, catalogue, content_hash, default_folder, setup_key
from coder.sandbox.setup_commands import PIP, detected


@pytest.fixture(scope="module")
def images() -> Catalogue:
    return catalogue(default_folder())


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        (["pyproject.toml", "package.json"], "python"),
        (["web/package.json", "go.mod"], "go"),
        (["web/package.json", "README.md"], "node"),
        (["a/b.py"], "python"),
        (["a/b.ts"], "node"),
        (["README.md", "Makefile"], "base"),
        ([], "base"),
    ],
)
def test_the_image_follows_the_markers(images: Catalogue, paths: list[str], name: str) -> None:
    assert images.choice(paths).name == name


def test_every_image_is_built_on_the_base(images: Catalogue) -> None:
    for spec in images.specs:
        assert images.chain(spec)[0].name == "base"
        assert spec.dockerfile.count("ARG BASE=debian:bookworm-slim") == 1


def test_marker_paths_are_markers_and_one_file_of_each_kind(images: Catalogue) -> None:
    paths = ["a.py", "b.py", "x/go.mod", "web/app.ts", "README.md", "pyproject.toml"]

    assert images.marker_paths(paths) == ("a.py", "pyproject.toml", "web/app.ts", "x/go.mod")


def test_a_broken_catalogue_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sandbox images"):
        catalogue(tmp_path)
    (tmp_path / "images.toml").write_text('[[image]]\nname = "x"\n')
    with pytest.raises(ConfigError, match="markers"):
        catalogue(tmp_path)


def test_the_content_hash_follows_the_file_and_what_is_below(images: Catalogue) -> None:
    spec = images.named("python")

    assert content_hash(spec, "sha256:a") == content_hash(spec, "sha256:a")
    assert content_hash(spec, "sha256:a") != content_hash(spec, "sha256:b")
    assert content_hash(spec, "sha256:a") != content_hash(images.named("go"), "sha256:a")


def test_the_setup_key_follows_markers_and_commands_but_not_code(images: Catalogue) -> None:
    files = {"pyproject.toml": b"a", "a.py": b"1"}
    key = setup_key("d", files, images.markers, ("x", "y"))

    assert key == setup_key("d", files | {"a.py": b"2"}, images.markers, ("x", "y"))
    assert key != setup_key("d", files | {"pyproject.toml": b"b"}, images.markers, ("x", "y"))
    assert key != setup_key("d", files, images.markers, ("xy",))
    assert key != setup_key("e", files, images.markers, ("x", "y"))


@pytest.mark.parametrize(
    ("files", "commands"),
    [
        ({"a.py": b""}, ()),
        ({"pyproject.toml": b"[tool.ruff]\nline-length = 100\n"}, ()),
        ({"pyproject.toml": b"not toml ["}, ()),
        ({"requirements.txt": b"# nothing\n\n"}, ()),
        ({"requirements.txt": b"six\n", "docs/requirements.txt": b"x\n"}, (f"{PIP} -r requirements.txt",)),
        ({"setup.py": b""}, (f"{PIP} --no-build-isolation -e . || {PIP} -e .",)),
        (
            {"pyproject.toml": b'[project]\nname="x"\n[project.optional-dependencies]\ntest=["a"]\ndocs=["b"]\n'},
            (f"{PIP} --no-build-isolation -e '.[test]' || {PIP} -e '.[test]'",),
        ),
        (
            {"pyproject.toml": b'[build-system]\nbuild-backend="hatchling.build"\n[project]\nname="x"\n'},
            (f"{PIP} -e .",),
        ),
        (
            {"pyproject.toml": b'[dependency-groups]\ndev=["a>=1", {include-group="t"}, "--evil"]\n'},
            (f"{PIP} 'a>=1'",),
        ),
        ({"package.json": b"{}"}, ()),
        ({"package.json": b"nonsense"}, ()),
        ({"package.json": b'{"devDependencies": {"x": "1"}}'}, ("npm install --no-audit --no-fund --no-package-lock",)),
        ({"package.json": b"{}", "package-lock.json": b"{}"}, ("npm ci --no-audit --no-fund",)),
        ({"go.mod": b"module x\n\ngo 1.19\n"}, ()),
        ({"go.mod": b"module x\n\nrequire y v1.0.0\n"}, ("go mod download",)),
    ],
)
def test_setup_commands_follow_the_markers(files: Mapping[str, bytes], commands: tuple[str, ...]) -> None:
    assert detected(files) == commands


@pytest.mark.parametrize(
    ("sources", "mirror"),
    [
        ("deb http://mirror.invalid/debian bookworm main\n", "http://mirror.invalid/debian"),
        ("# deb http://no.invalid/debian bookworm main\n", None),
        ("deb [signed-by=/x] https://m.invalid/debian/ bookworm main\n", "https://m.invalid/debian/"),
        (
            (
                "Types: deb\nURIs: http://m.invalid/debian-security\nSuites: bookworm-security\n\n"
                "Types: deb\n# a comment\nURIs: http://m.invalid/debian\nSuites: bookworm bookworm-updates\n"
            ),
            "http://m.invalid/debian",
        ),
        ("deb http://mirror.invalid/ubuntu jammy main\n", None),
        ("", None),
    ],
)
def test_the_mirror_is_the_hosts_own(sources: str, mirror: str | None) -> None:
    assert _mirror(sources) == mirror


def test_only_the_setup_phase_gets_proxies_and_certificates() -> None:
    settings = SandboxSettings(ca_bundle="/x", proxy=ProxySettings(https_proxy="http://user:word@proxy.invalid"))

    setup, agent = environment("setup", settings), environment("agent", settings)

    assert setup["HTTPS_PROXY"] == setup["https_proxy"] == "http://user:word@proxy.invalid"
    assert {"SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"} <= set(setup)
    assert not [name for name, value in agent.items() if "proxy.invalid" in value or "CERT" in name]


def test_limits_that_cannot_hold_are_refused() -> None:
    with pytest.raises(ValidationError, match="three quarters"):
        SandboxSettings(memory_mb=1024)
