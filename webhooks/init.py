"""`coder init`: a configuration file with a fresh secret, the address that registers the GitHub App, the labels."""

import re
import secrets
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote, urlencode, urlsplit

import typer

from coder.app import Application
from coder.errors import InputError
from coder.forge.config import GitHubSettings
from coder.forge.github_access import EVENTS
from coder.forge.github_lookup import GitHubLookup
from coder.settings import load
from coder.types import RepoRef
from webhooks.rules import Labels

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}", re.ASCII)
_COLORS: Final = ("1f6feb", "8957e5", "238636", "bf8700")
_SAYS: Final = (
    "Coder works on this",
    "Coder posts a plan and waits",
    "Coder works on this without a plan",
    "Coder works on this with a larger budget",
)


def init(
    repository: Annotated[str | None, typer.Argument(help="OWNER/NAME, to make the labels there.")] = None,
    url: Annotated[str, typer.Option(help="Where GitHub reaches the service.")] = "https://coder.example.com",
    organization: Annotated[str | None, typer.Option(help="Owner of the App, when not you.")] = None,
    config: Annotated[Path, typer.Option(help="File to write.")] = Path("coder.toml"),
) -> None:
    """Write a configuration file, show how to register the GitHub App, make the labels."""
    ref = None if repository is None else named(repository)
    settings = load(config if config.is_file() else None)
    if config.is_file():
        typer.echo(f"{config} is there already and stays as it is")
    else:
        written(config, secrets.token_urlsafe(32), ref)
        typer.echo(f"wrote {config} with a fresh webhook secret")
    github = settings.github
    typer.echo("\nRegister the App, then put its id and private key into [github]:\n")
    typer.echo(f"  {app_url(github, url, organization, mention=settings.service.mention)}\n")
    typer.echo("  Its webhook secret is service.webhook_secret of the file.")
    if ref is not None and github.token is None and github.app_id is None:
        typer.echo(f"\nThen call `coder init {ref.full_name}` again: it makes the labels.")
    elif ref is not None:
        with Application(load(config)) as app:
            lookup = app.lookup()
            service = app.settings.service
            labels = Labels(service.label, service.label_plan, service.label_auto, service.label_heavy)
            for line in labels_made(lookup, ref, labels):
                typer.echo(line)


def written(config: Path, secret: str, ref: RepoRef | None) -> None:
    """Write the file, readable by its owner alone.

    Raises:
        InputError: It cannot be written.
    """
    allowed = f'["{ref.full_name}"]' if ref else "[]  # OWNER/NAME or OWNER/*; none allowed is none"
    text = (
        "# `coder config` lists every setting.\n\n"
        "[github]\n"
        "# app_id = 12345\n"
        '# private_key = """-----BEGIN RSA PRIVATE KEY-----…"""\n'
        '# or token = "github_pat_…"\n\n'
        "[service]\n"
        f'webhook_secret = "{secret}"\n'
        f"allowed_repos = {allowed}\n"
    )
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        config.touch(mode=0o600)
        config.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise InputError(f"cannot write {config}: {exc}; name another file with --config") from exc


def app_url(github: GitHubSettings, url: str, organization: str | None, *, mention: str) -> str:
    """The page that registers the App with everything filled in.

    https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-using-url-parameters

    Raises:
        InputError: `url` is no https address.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise InputError(f"--url {url!r} is no https address: GitHub would send deliveries in the clear")
    where = f"/organizations/{quote(organization, safe='')}" if organization else ""
    query = [
        ("name", mention),
        ("url", url),
        ("public", "false"),
        ("webhook_active", "true"),
        ("webhook_url", f"{url.rstrip('/')}/webhooks/github"),
        *github.permissions.items(),
        *github.more_permissions.items(),
        *(("events[]", event) for event in (*EVENTS, "repository_dispatch")),  # the last one is for Apps alone
    ]
    return f"{github.git_url}{where}/settings/apps/new?{urlencode(query)}"


def named(repository: str) -> RepoRef:
    """`OWNER/NAME` as two names.

    Raises:
        InputError: It is not that.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise InputError(f"{repository!r} is not OWNER/NAME")
    owner, _, name = repository.partition("/")
    return RepoRef(owner=owner, name=name)


def labels_made(lookup: GitHubLookup, ref: RepoRef, labels: Labels) -> list[str]:
    """Make the labels that are missing; a line for each.

    Raises:
        ForgeError: We may not make them.
    """
    lines = []
    for label, color, says in zip(labels.all, _COLORS, _SAYS, strict=True):
        made = lookup.make_label(ref, label, color=color, description=says)
        lines.append(f"label {label}: {'made' if made else 'is there already'}")
    return lines
