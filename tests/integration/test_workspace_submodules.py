"""Submodules come along into sandboxes, and nothing of them comes out."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.local_verify import verify
from coder.sandbox.config import SandboxSettings
from coder.sandbox.local import IMAGE, LocalSandboxProvider
from coder.sandbox.protocol import Sandbox
from coder.settings import Settings
from coder.types import Remote, RepoRef
from coder.workspace.policy import PatchRules
from coder.workspace.submodules import Fetched, fetch_submodules, submodules
from coder.workspace.workspace import Workspace
from tests.servers.github import GitHubServer
from tests.servers.github_git import commit_files, create_repository, git

APP = RepoRef(owner="octo", name="app")


def linked(folder: Path, links: dict[str, str], manifest: str | None) -> str:
    """A commit on top of main with submodules: path and commit of each, and what `.gitmodules` says."""
    if manifest is not None:
        commit_files(folder, {".gitmodules": manifest})
    git("read-tree", "main", cwd=folder)
    records = "".join(f"160000 {sha} 0\t{path}\0" for path, sha in links.items())
    git("update-index", "-z", "--index-info", cwd=folder, stdin=records.encode())
    tree = git("write-tree", cwd=folder).decode().strip()
    sha = git("commit-tree", tree, "-p", "main", cwd=folder, stdin=b"Submodules").decode().strip()
    git("update-ref", "refs/heads/main", sha, cwd=folder)
    return sha


def declared(path: str, url: str) -> str:
    return f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n'


class Checkout:
    """A checkout with a submodule that has one itself, as `git submodule update --init --recursive` leaves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "app"
        create_repository(self.folder, {"main.c": '#include "lib.h"\n'})
        lib = self.folder / ".git" / "modules" / "vendor/lib"
        create_repository(lib, {"lib.h": "// lib\n", "run.sh*": "#!/bin/sh\n"}, bare=True)
        deep = create_repository(lib / "modules" / "deep", {"deep.h": "// deep\n"}, bare=True)
        self.lib = linked(lib, {"deep": deep}, declared("deep", "../deep.git"))
        manifest = declared("vendor/lib", "../lib.git") + declared("elsewhere", "https://evil.example/a/b")
        self.base = linked(self.folder, {"vendor/lib": self.lib, "elsewhere": deep, "undeclared": deep}, manifest)
        remote = Remote(url=str(self.folder), local=True)
        workspace = Workspace(folder / "ws")
        self.repository = workspace.fetch(remote, APP, self.base)
        self.fetched = fetch_submodules(workspace, self.repository, remote, self.base)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("submodules"))


@pytest.fixture
def sandbox(checkout: Checkout) -> Iterator[Sandbox]:
    pack = checkout.repository.pack(checkout.base, depth=2)
    with LocalSandboxProvider(SandboxSettings()).open(IMAGE, pack, labels={}) as opened:
        yield opened


def test_what_is_checked_out_comes_along_and_the_rest_is_told(checkout: Checkout) -> None:
    assert checkout.fetched.present == ("vendor/lib", "vendor/lib/deep")
    assert [line.partition(":")[0] for line in checkout.fetched.missing] == ["elsewhere", "undeclared"]


def test_they_are_files_to_build_with(sandbox: Sandbox) -> None:
    assert sandbox.read("vendor/lib/lib.h") == b"// lib\n"
    assert sandbox.read("vendor/lib/deep/deep.h") == b"// deep\n"
    assert sandbox.exec("vendor/lib/run.sh && git status --porcelain", timeout_s=30).output == ""


def test_no_change_of_them_leaves_and_the_way_back_takes_it_back(checkout: Checkout, sandbox: Sandbox) -> None:
    before = sandbox.checkpoint()

    sandbox.exec("echo x >> vendor/lib/lib.h; rm vendor/lib/deep/deep.h; echo y >> main.c", timeout_s=30)
    diff = sandbox.diff()
    sandbox.restore("")

    patch = checkout.repository.apply(checkout.base, diff, PatchRules())
    assert [file.path for file in patch.files] == ["main.c"]
    assert sandbox.checkpoint() == before
    assert sandbox.read("vendor/lib/lib.h") == b"// lib\n"
    assert sandbox.read("vendor/lib/deep/deep.h") == b"// deep\n"


def test_they_survive_a_work_tree_that_had_to_be_cleared(sandbox: Sandbox) -> None:
    sandbox.exec(
        "rm -rf vendor; echo > vendor; chmod 0 vendor; rm main.c; mkdir -p main.c/x; chmod 0 main.c", timeout_s=30
    )

    sandbox.restore("")

    assert sandbox.read("vendor/lib/deep/deep.h") == b"// deep\n"


def test_the_trees_of_patches_have_them_too(checkout: Checkout) -> None:
    diff = "diff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+x\n"
    patch = checkout.repository.apply(checkout.base, diff, PatchRules())
    head = checkout.repository.commit_tree(
        patch.tree_sha, parents=[checkout.base], message="m", author_name="a", author_email="a@b.c", timestamp=1
    )

    assert [path for path, _ in checkout.repository.pack(head, depth=1).inner] == ["vendor/lib"]


def test_a_proof_is_repeated_with_them(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    test = "from app import answer\n\n\ndef test_it():\n    assert answer() == open('lib/answer.txt').read()\n"
    create_repository(folder, {"app.py": "def answer():\n    return ''\n", "test_app.py": test})
    lib = create_repository(folder / ".git" / "modules" / "lib", {"answer.txt": "42"}, bare=True)
    base = linked(folder, {"lib": lib, "gone": lib}, declared("lib", "../lib.git"))
    git("read-tree", "main", cwd=folder)
    blob = git("hash-object", "-w", "--stdin", cwd=folder, stdin=b"def answer():\n    return '42'\n").decode().strip()
    git("update-index", "--cacheinfo", f"100644,{blob},app.py", cwd=folder)
    tree = git("write-tree", cwd=folder).decode().strip()
    head = git("commit-tree", tree, "-p", base, cwd=folder, stdin=b"Fix").decode().strip()
    git("update-ref", "refs/heads/fix", head, cwd=folder)
    said: list[str] = []

    kind, _ = verify(
        "fix",
        repo=folder,
        base="",
        evidence=None,
        settings=Settings(state_dir=tmp_path / "state"),
        unsafe=True,
        echo=said.append,
    )

    # Without the file of the submodule the test would be red on both sides.
    assert kind == "proven", said
    assert [line for line in said if "submodule" in line] == [
        "· submodule not fetched: gone: .gitmodules does not say where it is"
    ]


def test_a_host_is_asked_with_the_credential_of_the_run(tmp_path: Path) -> None:
    with GitHubServer(tmp_path / "github") as server:
        for name in ("octo/app", "octo/lib"):
            server.add_repository(name, {"a.h": f"// {name}\n"}, private=True)
            server.add_user("bot", repo=server.state.repos[name], permission="write")
        server.add_token("ghs_0123456789abcdef", "bot")
        lib = server.state.repos["octo/lib"].branch("main") or ""
        manifest = declared("lib", "git@" + server.host.partition(":")[0] + ":octo/lib.git") + declared(
            "gone", "../lib"
        )
        base = linked(server.state.repos["octo/app"].folder, {"lib": lib, "gone": "1" * 40}, manifest)
        basic = base64.b64encode(b"x-access-token:ghs_0123456789abcdef").decode()
        remote = Remote(url=f"{server.url}/octo/app.git", authorization=f"Basic {basic}")
        workspace = Workspace(tmp_path / "ws", http_hosts=frozenset({server.host}))
        repository = workspace.fetch(remote, APP, base)

        fetched = fetch_submodules(workspace, repository, remote, base)

        assert fetched.present == ("lib",)
        assert fetched.missing[0].startswith("gone: cannot fetch")
        assert "ghs_" not in str(fetched)


MANIFESTS = {
    "no manifest": None,
    "noise": "\0\1[[[",
    "an include": "[include]\n\tpath = /etc/passwd\n" + declared("lib", "../lib"),
    "a command": '[submodule "lib"]\n\tpath = lib\n\turl = ../lib\n\tupdate = !touch pwned\n',
    "a path of options": declared("--upload-pack=id", "--upload-pack=id"),
    "a path out": declared("../../out", "../lib") + declared("/etc", "../lib"),
    "a name out": '[submodule "../../../x"]\n\tpath = lib\n\turl = ../lib\n',
    "twice": declared("lib", "../lib") + '[submodule "lib"]\n\turl = https://evil.example/a/b\n',
    "ten thousand": "".join(declared(f"m{number}", "../lib") for number in range(10_000)),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_hostile_manifest_fetches_nothing_and_stops_nothing(tmp_path: Path, name: str) -> None:
    start = create_repository(tmp_path / "app", {"a": "1\n"})
    base = linked(tmp_path / "app", {"lib": start}, MANIFESTS[name])
    remote = Remote(url=str(tmp_path / "app"), local=True)
    workspace = Workspace(tmp_path / "ws")
    repository = workspace.fetch(remote, APP, base)

    found = submodules(repository, base)
    fetched = fetch_submodules(workspace, repository, remote, base)

    assert [module.path for module in found] == ["lib"]
    assert fetched == Fetched((), fetched.missing)
    assert len(fetched.missing) == 1
