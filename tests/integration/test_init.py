"""`coder init` as a command: first without a key, then with one."""

from pathlib import Path

import typer
from typer.testing import CliRunner

from tests.servers.github import GitHubServer
from webhooks.init import init

TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB"


def call(*args: str) -> str:
    program = typer.Typer()
    program.command()(init)
    result = CliRunner().invoke(program, list(args))
    assert result.exit_code == 0, result.output
    return result.output


def test_it_writes_the_file_shows_the_app_and_makes_the_labels_once_it_may(tmp_path: Path) -> None:
    with GitHubServer(tmp_path) as server:
        repo = server.add_repository("octo/calc", {"a.py": "1\n"})
        server.add_user("ann", repo=repo, permission="admin")
        server.add_token(TOKEN, "ann")
        file = tmp_path / "coder.toml"
        first = call("octo/calc", "--url", "https://coder.acme.io", "--config", str(file))
        secret = file.read_text().partition('webhook_secret = "')[2].partition('"')[0]
        connection = (
            f'token = "{TOKEN}"\napi_url = "{server.url}"\ngit_url = "{server.url}"\nhttp_hosts = ["{server.host}"]'
        )
        paced = "seconds_between_requests = 0\nseconds_between_writes = 0"
        file.write_text(file.read_text().replace("[github]\n", f"[github]\n{connection}\n{paced}\n"))

        second = call("octo/calc", "--url", "https://coder.acme.io", "--config", str(file))
        third = call("octo/calc", "--url", "https://coder.acme.io", "--config", str(file))

    assert "https://github.com/settings/apps/new?name=coder" in first
    assert "webhook_url=https%3A%2F%2Fcoder.acme.io%2Fwebhooks%2Fgithub" in first
    assert "it makes the labels" in first
    assert len(secret) >= 40
    assert secret not in first + second
    assert "stays as it is" in second
    names = ("coder", "coder:plan", "coder:auto", "coder:heavy")
    assert all(f"label {name}: made" in second and f"label {name}: is there already" in third for name in names)
    made = [one.body["name"] for one in server.requests if one.method == "POST" and one.status == 201]
    assert made == list(names)
