"""Where submodules may be fetched from."""

import pytest

from coder.errors import WorkspaceError
from coder.types import Remote
from coder.workspace.submodules import Submodule, remote_of

PARENT = Remote(url="https://git.example.org/octo/calc.git", authorization="Bearer secret")


@pytest.mark.parametrize(
    ("url", "fetched_from"),
    [
        ("https://git.example.org/octo/lib.git", "https://git.example.org/octo/lib.git"),
        ("https://GIT.example.org/octo/lib", "https://git.example.org/octo/lib.git"),
        ("https://somebody:word@git.example.org/octo/lib", "https://git.example.org/octo/lib.git"),
        ("git@git.example.org:octo/lib.git", "https://git.example.org/octo/lib.git"),
        ("ssh://git@git.example.org/octo/lib.git", "https://git.example.org/octo/lib.git"),
        ("ssh://git@git.example.org:2222/octo/lib.git", "https://git.example.org/octo/lib.git"),
        ("git://git.example.org/octo/lib.git", "https://git.example.org/octo/lib.git"),
        ("https://evil.example\\@git.example.org/octo/lib.git", "https://git.example.org/octo/lib.git"),
        ("../lib.git", "https://git.example.org/octo/lib.git"),
        ("../../other/lib.git", "https://git.example.org/other/lib.git"),
        ("./lib.git", "https://git.example.org/octo/calc.git/lib.git"),
    ],
)
def test_the_own_host_is_asked_in_the_own_way(url: str, fetched_from: str) -> None:
    assert remote_of(Submodule("lib", "", "lib", url), PARENT).url == fetched_from


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://elsewhere.example.org/octo/lib.git",
        "https://git.example.org.evil.example/octo/lib.git",
        "https://git.example.org:8443/octo/lib.git",
        "https://git.example.org@evil.example/octo/lib.git",
        "http://169.254.169.254/octo/lib",
        "https://[::1/octo/lib",
        "https://git.example.org:99999/octo/lib",
        "file:///etc/passwd",
        "/etc/passwd",
        "ext::sh -c id% >&2",
        "-uhttps://git.example.org/octo/lib",
        "--upload-pack=id",
        "https://git.example.org/octo/../../lib",
        "https://git.example.org/octo/%2e%2e/lib",
        "https://git.example.org/octo/lib?x=y",
        "https://git.example.org/octo/lib#x",
        "https://git.example.org/octo/lib\nx: y",
        "https://git.example.org/octo/li b",
        "https://git.example.org/-octo/lib",
        "https://git.example.org/lib",
        "https://git.example.org",
        "../../../../lib",
        "../..",
        "javascript:alert(1)",
    ],
)
def test_no_other_place_is(url: str) -> None:
    with pytest.raises(WorkspaceError):
        remote_of(Submodule("lib", "", "lib", url), PARENT)


@pytest.mark.parametrize(
    ("url", "is_told"),
    [("../lib", True), ("https://git.example.org/OCTO/lib", True), ("../../other/lib", False)],
)
def test_the_credential_stays_with_the_owner(url: str, *, is_told: bool) -> None:
    assert (remote_of(Submodule("lib", "", "lib", url), PARENT).authorization is not None) is is_told


@pytest.mark.parametrize("name", ["", "..", "../../elsewhere", "a/../../b", "/etc", "a//b", "a\0b"])
def test_a_name_leads_out_of_no_checkout(name: str) -> None:
    with pytest.raises(WorkspaceError, match="name"):
        remote_of(Submodule("lib", "", name, "../lib"), Remote(url="/somewhere", local=True))
