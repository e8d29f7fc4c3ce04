"""A line that calls pytest, as the command that we run: what chooses tests and shapes their behaviour is kept."""

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from coder.verify import runners
from coder.verify.runners import TestCommand

_VALUED: Final = frozenset(
    {"-m", "-k", "-o", "-p", "-c", "-W", "-n", "-r", "--ignore", "--deselect", "--ignore-glob", "--import-mode"}
    | {"--override-ini", "--pythonwarnings", "--config-file", "--rootdir", "--confcutdir", "--doctest-glob"}
    | {"--junitxml", "--junit-xml", "--durations", "--timeout", "--tb", "--maxfail", "--color", "--log-level"}
    | {"--dist", "--cov", "--cov-report", "--cov-config", "--cov-fail-under", "--reruns", "--reruns-delay", "--html"}
    | {"--alluredir", "--randomly-seed", "--log-cli-level", "--log-file", "--basetemp", "--numprocesses", "--capture"}
)
"""Options that take the next word where they have no `=`."""
_OF_PYTEST: Final = frozenset(
    {"-m", "-k", "-o", "-c", "-W", "--ignore", "--deselect", "--ignore-glob", "--import-mode", "--override-ini"}
    | {"--pythonwarnings", "--config-file", "--rootdir", "--confcutdir", "--doctest-glob", "--doctest-modules"}
    | {"--doctest-ignore-import-errors", "--doctest-continue-on-failure", "--pyargs", "--noconftest", "--runxfail"}
    | {"--strict-markers", "--strict-config", "--keep-duplicates", "--collect-in-virtualenv"}
)
"""Kept: every pytest has them."""
_DROPPED: Final = (
    # What is printed and measured.
    "--cov", "--no-cov", "--junit", "--durations", "--tb", "--color", "--html", "--self-contained-html", "--alluredir",
    "--log-", "--verbose", "--quiet", "--verbosity", "--no-header", "--no-summary", "--show", "--report", "--capture", "--md",
    "--code-highlight", "--codeblocks", "--full-trace", "--debug", "--trace", "--pdb", "--setup-show", "--github", "--sw",
    # How much is run, how fast, and in which processes.
    "--maxfail", "--exitfirst", "--lf", "--last-failed", "--ff", "--failed-first", "--nf", "--new-first", "--stepwise", "--co",
    "--cache", "--numprocesses", "--dist", "--forked", "--timeout", "--basetemp", "--randomly", "--random-order", "--splits",
    "--group", "--store-durations", "--fixtures", "--markers", "--help", "--version", "--picked", "--testmon", "--shard",
    # What tries again, or writes expectations: tests that are made to pass tell nothing.
    "--reruns", "--only-rerun", "--rerun", "--force-flaky", "--no-flaky", "--snapshot-update", "--inline-snapshot",
    "--force-regen", "--regen-all", "--update", "--accept", "--mypy-update", "--golden-update",
)  # fmt: skip


@dataclass(slots=True)
class _Words:
    """The words of a call, sorted."""

    places: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    """Options that every pytest knows."""
    foreign: list[str] = field(default_factory=list)
    """Options of plug-ins and of a repository's conftest.py, which may be missing."""


def pytest_command(words: Sequence[str], known: Collection[str]) -> TestCommand | None:
    """The command for the words behind `pytest`; None where it names files that the repository has not."""
    sorted_out = _sorted_out(words, known)
    if not all(is_there(place, known) for place in sorted_out.places):
        return None
    few, all_ = _command(sorted_out.own), _command([*sorted_out.own, *sorted_out.foreign])
    places = shlex.join(sorted_out.places)
    return TestCommand(all_, "pytest", everything=places, spare=few if few != all_ else "")


def _command(options: Sequence[str]) -> str:
    return " ".join([runners.PYTEST, *([shlex.join(options)] if options else []), runners.SELECT])


def is_there(word: str, known: Collection[str]) -> bool:
    """Whether the repository has this file or folder; of an id only the file is looked for."""
    place = word.split("::", 1)[0].removeprefix("./").rstrip("/")
    return place in {"", "."} or any(path == place or path.startswith(f"{place}/") for path in known)


def _sorted_out(words: Sequence[str], known: Collection[str]) -> _Words:
    found, at = _Words(), 0
    while at < len(words):
        word, following = words[at], words[at + 1 : at + 2]
        at += 1
        if not word.startswith("-"):
            found.places.append(word)
            continue
        option, equals, value = word.partition("=")
        if not equals and following and _takes(option, following[0], known):
            value, equals = following[0], "="
            at += 1
        _keep(option, value if equals else None, found)
    return found


def _takes(option: str, following: str, known: Collection[str]) -> bool:
    """Whether an option is followed by its value: a known one is, an unknown one by what is neither option nor file."""
    if option in _VALUED:
        return True
    return (
        option.startswith("--")
        and option not in _OF_PYTEST
        and not (following.startswith("-") or is_there(following, known))
    )


def _keep(option: str, value: str | None, found: _Words) -> None:
    if option == "-p":
        # Without a plug-in that may be missing every pytest does; with it only some.
        (found.own if (value or "").startswith("no:") else found.foreign).extend(["-p", value or ""])
    elif option in _OF_PYTEST:
        # In one word a value can begin with a sign; short options take it without one between.
        found.own.append(option if value is None else f"{option}{'=' if option.startswith('--') else ''}{value}")
    elif option.startswith("--") and not option.startswith(_DROPPED):
        found.foreign.append(option if value is None else f"{option}={value}")
