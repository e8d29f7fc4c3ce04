"""A plug-in that breaks with the installed pytest is left out, on base and head alike."""

import pytest

from coder.verify.commands import given
from coder.verify.plugins import broken, without_plugin
from tests.unit.test_verify_verifier import BOTH, GREEN, RED_NEW, verified
from tests.unit.verify_fakes import Run

INSTALLED = "asyncio pytest_asyncio.plugin\nxdist xdist.plugin\nold_one pytest_old\nmine mine.plugin:hooks\nodd; x.y\n"
OLD = """Traceback (most recent call last):
  File "/opt/v/lib/python3.11/site-packages/_pytest/config/__init__.py", line 7, in main
  File "/opt/v/lib/python3.11/site-packages/xdist/plugin.py", line 9, in pytest_cmdline_main
  File "/opt/v/lib/python3.11/site-packages/pytest_old.py", line 3, in <module>
    from _pytest.config import Parser
ImportError: cannot import name 'Parser'
"""
STOPPED = Run(exit_code=1, output=OLD)
LISTED = Run(exit_code=0, output=INSTALLED)


@pytest.mark.parametrize(
    ("output", "name"),
    [
        (OLD, "old_one"),
        (OLD.replace("pytest_old.py", "pytest_asyncio/inner/x.py"), "asyncio"),
        (OLD.replace("pytest_old.py", "_pytest/python.py"), "xdist"),
        ("pluggy._manager.PluginValidationError: Plugin 'old_one' for hook 'pytest_x'", "old_one"),
        ('  File "/workspace/mine/plugin.py", line 2, in <module>\nImportError', ""),
        ('  File "/v/site-packages/requests/api.py", line 2, in get\nImportError', ""),
        ('  File "/v/site-packages/x/y.py", line 2, in get\nImportError', ""),
        ("ERROR: usage", ""),
    ],
)
def test_the_last_plug_in_of_the_traceback_is_named(output: str, name: str) -> None:
    assert broken(output, INSTALLED) == name


def test_the_suite_starts_without_it_and_people_are_told() -> None:
    made, sandboxes = verified(STOPPED, LISTED, GREEN, BOTH, RED_NEW, GREEN, RED_NEW, BOTH)

    runs = [command for command in sandboxes.commands if "--junitxml" in command]
    assert made.verdict.kind == "proven", made.verdict
    assert ["-p no:old_one" in run for run in runs[:2]] == [False, True]
    assert all("-p no:old_one" in run for run in runs[2:]), "all cells are run alike"
    assert "-p no:old_one" in made.evidence.cells[0].command
    assert "without pytest's plug-in old_one, which keeps its tests from starting" in made.evidence.not_verified


def test_what_starts_without_none_of_them_is_run_as_it_was_asked_for() -> None:
    made, sandboxes = verified(STOPPED, LISTED, STOPPED, LISTED, STOPPED, STOPPED, STOPPED)

    assert made.verdict.kind == "unverified"
    assert "-p no:" not in made.evidence.cells[0].command
    assert not any("plug-in" in line for line in made.evidence.not_verified)
    assert sandboxes.left == []


def test_the_option_is_a_part_of_what_people_can_type() -> None:
    assert without_plugin(given("pytest -q"), "old").shown == "pytest -q -p no:old --maxfail=0"
