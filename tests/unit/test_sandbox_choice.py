"""Which image, which setup commands, which base: decisions without any engine."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from coder.errors import ConfigError
from coder.sandbox.config import ProxySettings, SandboxSettings
from coder.sandbox.docker_base import _mirror
from coder.sandbox.docker_container import environment
from coder.sandbox.images import Catalogue, catalogue, content_hash, default_folder, setup_key


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
        (["package.json", "go.mod"], "go"),
        (["Gemfile", "package.json"], "ruby"),
        (["Cargo.toml"], "rust"),
        (["pom.xml"], "java"),
        (["composer.json", "package.json"], "php"),
        (["CMakeLists.txt", "src/a.cpp"], "cpp"),
        (["src/a.c", "Makefile"], "cpp"),
        (["src/a.c", "src/b.h", "Makefile", "utils/check/requirements.txt", "utils/check/run.py"], "cpp"),
        (["server/app.py", "server/pyproject.toml", "web/package.json", "web/a.ts", "web/b.ts"], "node"),
        ([], "base"),
    ],
)
def test_the_image_follows_the_markers(images: Catalogue, paths: list[str], name: str) -> None:
    assert images.choice(paths).name == name


def test_every_image_is_built_on_the_base(images: Catalogue) -> None:
    for spec in images.specs:
        assert images.chain(spec)[0].name == "base"
        assert spec.dockerfile.count("ARG BASE=debian:bookworm-slim") == 1


def test_several_languages_are_stacked_in_one_image(images: Catalogue) -> None:
    stacked = images.stack(images.named("python"), ("python", "node", "cobol"))

    assert [spec.name for spec in stacked] == ["base", "python", "node"]


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


def test_the_setup_key_follows_inputs_and_commands_but_not_code() -> None:
    files = {"pyproject.toml": b"a", "a.py": b"1"}
    key = setup_key("d", files, ["pyproject.toml"], ("x", "y"))

    assert key == setup_key("d", files | {"a.py": b"2"}, ["pyproject.toml"], ("x", "y"))
    assert key != setup_key("d", files | {"pyproject.toml": b"b"}, ["pyproject.toml"], ("x", "y"))
    assert key != setup_key("d", files, ["pyproject.toml"], ("xy",))
    assert key != setup_key("e", files, ["pyproject.toml"], ("x", "y"))


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
        ("deb http://mirror.invalid/debian trixie main\n", "http://mirror.invalid/debian"),
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


@pytest.mark.parametrize(
    ("proxy", "options"),
    [
        (ProxySettings(), ""),
        (
            ProxySettings(https_proxy="http://proxy.invalid:3128", no_proxy="localhost,.intra.invalid"),
            "-Dhttps.proxyHost=proxy.invalid -Dhttps.proxyPort=3128 -Dhttp.nonProxyHosts=localhost|*.intra.invalid",
        ),
        (
            ProxySettings(http_proxy="user:word@proxy.invalid"),
            "-Dhttp.proxyHost=proxy.invalid -Dhttp.proxyPort=80 -Dhttp.proxyUser=user -Dhttp.proxyPassword=word",
        ),
    ],
)
def test_java_is_told_of_proxies_in_its_own_words(proxy: ProxySettings, options: str) -> None:
    assert proxy.java_options() == options
    assert environment("setup", SandboxSettings(proxy=proxy)).get("JAVA_TOOL_OPTIONS", "") == options
    assert "JAVA_TOOL_OPTIONS" not in environment("agent", SandboxSettings(proxy=proxy))


def test_limits_that_cannot_hold_are_refused() -> None:
    with pytest.raises(ValidationError, match="three quarters"):
        SandboxSettings(memory_mb=1024)


def test_old_commits_can_be_given_the_packages_of_their_day() -> None:
    dated = environment("setup", SandboxSettings(packages_before="2024-06-01"))

    assert dated["UV_EXCLUDE_NEWER"] == dated["npm_config_before"] == "2024-06-01T00:00:00Z"
    assert "UV_EXCLUDE_NEWER" not in environment("setup", SandboxSettings())
    assert "UV_EXCLUDE_NEWER" not in environment("agent", SandboxSettings(packages_before="2024-06-01"))
    with pytest.raises(ValidationError, match="packages_before"):
        SandboxSettings(packages_before="; rm -rf /")
