"""`coder verify`: the proof of a branch again, without a model; real git, real test runs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.verdict_cases import HONEST
from benchmarks.verdict_stage import staged
from coder.errors import InputError
from coder.local_verify import verify
from coder.publish.evidence import statement
from coder.publish.texts import Texts
from coder.sandbox.config import SandboxSettings
from coder.sandbox.local import LocalSandboxProvider
from coder.settings import Settings
from coder.verify.recheck import recheck
from coder.workspace.contents import Contents
from coder.workspace.git import Git
from coder.workspace.repository import Repository


def committed(folder: Path, more: dict[str, str] | None = None) -> tuple[str, str]:
    """A repository with a fix on top of its base: both commits."""
    stage = staged(replace(HONEST[0], before={**HONEST[0].before, **(more or {})}), folder)
    head = stage.repository.commit_tree(
        stage.patch.tree_sha,
        parents=[stage.patch.base_sha],
        message="fix",
        author_name="a",
        author_email="a@localhost",
        timestamp=0,
    )
    return stage.patch.base_sha, head


def test_a_branch_is_proven_again_and_its_evidence_holds_until_it_is_forged(tmp_path: Path) -> None:
    base, head = committed(tmp_path / "repo")
    settings = Settings(state_dir=tmp_path / "state")
    made = recheck(
        Repository(tmp_path / "repo" / ".git", git=Git()),
        LocalSandboxProvider(SandboxSettings()),
        base=base,
        head=head,
        timeout_s=60,
    )
    document = statement(Texts(str), made.verdict, made.evidence, journal_digest="d", commit=head)
    file = tmp_path / "evidence.json"
    said: list[str] = []

    outcomes = []
    for forged in (False, True):
        document["predicate"]["coder"]["proving_tests"] += 5 if forged else 0
        file.write_text(json.dumps(document))
        outcomes.append(
            verify(
                head,
                repo=tmp_path / "repo",
                base=base if forged else "",
                evidence=file,
                settings=settings,
                unsafe=True,
                echo=said.append,
            )
        )

    assert outcomes == [("proven", True), ("proven", False)]
    assert "the published evidence holds" in said
    assert any("number of proving tests: published 6, found 1" in line for line in said)
    assert any(line.startswith("base+new tests") for line in said)


def test_what_cannot_be_verified_says_why(tmp_path: Path) -> None:
    base, _ = committed(tmp_path / "repo")
    settings = Settings(state_dir=tmp_path / "state")

    for rev, what in ((base, "nothing to verify"), ("no-such-branch", "no commit"), ("--help", "no commit")):
        with pytest.raises(InputError, match=what):
            verify(rev, repo=tmp_path / "repo", base=base, evidence=None, settings=settings, unsafe=True, echo=print)


def test_the_base_commits_own_configuration_counts(tmp_path: Path) -> None:
    base, head = committed(tmp_path / "repo", {".coder.yml": "test: python3 -c 'print(1)'\n"})
    said: list[str] = []

    kind, _ = verify(
        head,
        repo=tmp_path / "repo",
        base=base,
        evidence=None,
        settings=Settings(state_dir=tmp_path / "state"),
        unsafe=True,
        echo=said.append,
    )

    assert kind != "proven"  # by an exit code only, which is green before and after


def test_a_pull_request_elsewhere_is_not_looked_for_here(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not where"):
        verify(
            "https://git.example.org/o/r/pull/1",
            repo=tmp_path,
            base="",
            evidence=None,
            settings=Settings(state_dir=tmp_path / "state"),
            unsafe=True,
            echo=print,
        )


def test_a_file_that_is_not_there_is_missing_and_no_failure(tmp_path: Path) -> None:
    base, _ = committed(tmp_path / "repo")
    files = Contents(Repository(tmp_path / "repo" / ".git", git=Git()), base)

    assert files.get(".devcontainer/devcontainer.json") is None
    assert len(files) == len(set(files)) > 0
    assert all(isinstance(files[path], bytes) for path in files)
