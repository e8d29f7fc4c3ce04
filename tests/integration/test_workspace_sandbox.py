"""The way of a change: packed here, unpacked and changed in a sandbox, back as text, the same tree again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coder.errors import PatchRefusedError
from coder.sandbox.config import SandboxSettings
from coder.sandbox.local import IMAGE, LocalSandboxProvider
from coder.sandbox.protocol import Sandbox
from coder.types import Remote, RepoRef
from coder.workspace.policy import PatchRules
from coder.workspace.repository import Repository
from coder.workspace.workspace import Workspace
from tests.servers.github_git import commit_files, create_repository

FILES: dict[str, str | bytes] = {
    "calc.py": "def add(a, b):\n    return a - b\n",
    "crlf.txt": "one\r\ntwo\r\n",
    "latin.txt": "gr\xfc\xdfe\nzwei\n".encode("latin-1"),
    "run.sh*": "#!/bin/sh\n",
    "data.bin": bytes(range(256)) * 40,
    "old.txt": "old\n",
    "link@": "calc.py",
    ".gitattributes": "*.c ident\n*.trap filter=trap\n",
    ".gitignore": "*.log\n",
    "ident.c": "/* $Id$ */\nint x;\n",
    "sub dir/ü.md": "Grüße\n",
}


class Line:
    def __init__(self, repository: Repository, base: str, sandbox: Sandbox) -> None:
        self.repository = repository
        self.base = base
        self.sandbox = sandbox

    def sh(self, command: str) -> None:
        result = self.sandbox.exec(command, timeout_s=30)
        assert result.exit_code == 0, result.output


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    origin = tmp_path / "origin"
    create_repository(origin, FILES)
    base = [commit_files(origin, {"log.md": f"{number}\n"}, message=f"Change {number}") for number in range(3)][-1]
    remote = Remote(url=str(origin), local=True)
    repository = Workspace(tmp_path / "ws").fetch(remote, RepoRef(owner="ada", name="calc"), base)
    provider = LocalSandboxProvider(SandboxSettings())
    with provider.open(IMAGE, repository.pack(base, depth=2), labels={}) as sandbox:
        yield Line(repository, base, sandbox)


def test_an_untouched_sandbox_gives_no_change(line: Line) -> None:
    patch = line.repository.apply(line.base, line.sandbox.diff(), PatchRules())

    assert patch.files == ()
    assert patch.tree_sha == line.sandbox.checkpoint()


def test_what_leaves_the_sandbox_is_what_was_in_it(line: Line) -> None:
    line.sh(r"sed -i s/-/+/ calc.py && sed -i 's/two/TWO/' crlf.txt && printf 'gr\374n\n' >> latin.txt")
    line.sh("chmod -x run.sh && rm old.txt && head -c 9999 /dev/urandom > data.bin && printf x > 'sub dir/ü.md'")
    line.sh(
        r"""mkdir -p new/deep && printf 'a\tb \n\n' > 'new/deep/q"uote.py' && touch new/empty && ln -sfn run.sh link"""
    )
    line.sh("echo noise > x.log && printf 'int y;' >> ident.c && printf '#!/bin/sh\n' > tool && chmod +x tool")

    patch = line.repository.apply(line.base, line.sandbox.diff(), PatchRules())

    assert patch.tree_sha == line.sandbox.checkpoint()
    assert {file.path for file in patch.files} == {
        "calc.py",
        "crlf.txt",
        "latin.txt",
        "run.sh",
        "old.txt",
        "data.bin",
        "sub dir/ü.md",
        'new/deep/q"uote.py',
        "new/empty",
        "link",
        "ident.c",
        "tool",
    }
    assert line.repository.apply(line.base, patch.diff, PatchRules()).tree_sha == patch.tree_sha


def test_a_link_out_of_the_sandbox_goes_nowhere(line: Line) -> None:
    line.sh("ln -s /etc/passwd passwd")

    with pytest.raises(PatchRefusedError, match="leads out"):
        line.repository.apply(line.base, line.sandbox.diff(), PatchRules())


def test_a_repository_inside_the_repository_brings_no_submodule(line: Line) -> None:
    line.sh(
        "mkdir inner && cd inner && git init -q && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x"
    )

    try:
        patch = line.repository.apply(line.base, line.sandbox.diff(), PatchRules())
    except PatchRefusedError:
        return

    assert all(entry.mode != "160000" for entry in line.repository.files(patch.tree_sha).values())


def test_the_head_commit_can_be_packed_for_a_fresh_sandbox(line: Line) -> None:
    line.sh("sed -i s/-/+/ calc.py")
    patch = line.repository.apply(line.base, line.sandbox.diff(), PatchRules())
    head = line.repository.commit_tree(
        patch.tree_sha, parents=[line.base], message="Fix", author_name="c", author_email="c@example.org", timestamp=1
    )

    provider = LocalSandboxProvider(SandboxSettings())
    with provider.open(IMAGE, line.repository.pack(head, depth=1), labels={}) as fresh:
        assert fresh.checkpoint() == patch.tree_sha
        assert b"a + b" in fresh.read("calc.py")
