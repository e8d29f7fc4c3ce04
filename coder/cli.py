"""The command line. Each command loads what it needs when it runs, so that `--help` and `map` start in a blink."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coder import __version__
from coder.errors import CoderError, InputError

if TYPE_CHECKING:
    from coder.types import VerdictKind

VERDICT_EXIT_CODES: "dict[VerdictKind, int]" = {
    "proven": 0,
    "passing": 10,
    "unverified": 11,
    "regressed": 12,
    "no_change": 13,
    "refused": 14,
}
"""Exit codes of `coder run` by verdict; 64 to 75 are errors (`coder/errors.py`), 2 is wrong usage."""
ENDED_EARLY = 15
"""Exit code when a limit or a circle ended the agent before it handed in, whatever the tests then said."""
EVIDENCE_BROKEN = 16
"""Exit code of `coder verify` when published evidence does not hold, whatever the verdict."""
WAITS = 17
"""Exit code when the run waits for a person's word: on its plan, or as an answer."""

cli = typer.Typer(
    name="coder", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__.split(".")[0]
)
ConfigPath = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).", show_default=False)]
RepoPath = Annotated[Path, typer.Option("--repo", help="The checkout to work on.")]


@cli.command()
def run(
    issue: Annotated[str, typer.Argument(help="A GitHub issue: owner/repo#12.")] = "",
    *,
    issue_file: Annotated[Path | None, typer.Option(help="A file whose first line is the title.")] = None,
    prompt: Annotated[str, typer.Option(help="What to do, in words.")] = "",
    repo: RepoPath = Path(),
    model: Annotated[str, typer.Option(help="Model profile.")] = "",
    effort: Annotated[str, typer.Option(help="low, medium, high or max: thought, steps, rounds, attempts.")] = "",
    max_cost: Annotated[float | None, typer.Option(help="Most dollars.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Most model calls.")] = None,
    max_minutes: Annotated[float | None, typer.Option(help="Most minutes.")] = None,
    attempts: Annotated[int | None, typer.Option(min=1, max=8, help="Most beginnings, until one is proven.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Also apply the change to the working files.")] = False,
    dry_run: Annotated[Path | None, typer.Option(help="Write the pull request into this folder only.")] = None,
    pr: Annotated[bool, typer.Option("--pr", help="Push to GitHub and open the pull request.")] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only a plan first; `--resume RUN --say approve` goes on.")
    ] = False,
    resume: Annotated[str, typer.Option(help="Go on with this run.")] = "",
    say: Annotated[
        str, typer.Option(help="With --resume: approve the plan, answer, ask for more; `+$2` adds dollars.")
    ] = "",
    recorded: Annotated[Path | None, typer.Option(help="Play these recorded answers; no model is called.")] = None,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Work from HEAD, without uncommitted edits.")
    ] = False,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="No container: commands run on this machine.")] = False,
    config: ConfigPath = None,
) -> None:
    """Solve an issue in a checkout: ends with a branch, a verdict, and untouched working files."""
    from coder.local_run import RunCommand, execute, with_options
    from coder.settings import load

    command = RunCommand(
        issue=issue,
        issue_file=issue_file,
        prompt=prompt,
        repo=repo,
        apply=apply,
        dry_run=dry_run,
        pull_request=pr,
        resume=resume,
        recorded=recorded,
        allow_dirty=allow_dirty,
        unsafe=unsafe,
        say=say,
        plan=plan,
        attempts=attempts,
    )
    caps = {"max_cost_usd": max_cost, "max_steps": max_steps, "max_minutes": max_minutes}
    settings = with_options(load(config), caps, model=model, effort=effort)
    result = execute(command, settings)
    if result.outcome.kind == "asked":
        raise typer.Exit(WAITS)
    early = result.outcome.kind in {"limit", "stuck"}
    raise typer.Exit(ENDED_EARLY if early else VERDICT_EXIT_CODES[result.verdict.kind])


@cli.command(
    "map",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def code_map(context: typer.Context) -> None:
    """Show the files and functions that matter for a problem."""
    from coder import local_map

    local_map.run(context.args)


@cli.command("eval-map")
def evaluate_map(
    *,
    repo: RepoPath = Path(),
    commits: Annotated[int, typer.Option(min=1, max=1000, help="How many bug fixes of its history.")] = 20,
    misses: Annotated[bool, typer.Option("--misses", help="Also list what a map did not show.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    config: ConfigPath = None,
) -> None:
    """Measure the code map on a repository's past bug fixes: does it show what they changed?"""
    import json

    from coder.codemap import evaluate
    from coder.codemap.map import CodeMap
    from coder.settings import load

    state_dir = load(config).state_dir
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with CodeMap(state_dir / "codemap.sqlite") as maps:
        history = evaluate.History(repo, maps)
        cases = list(history.cases(commits))
        scores = evaluate.evaluate(maps, history, cases)
    if as_json:
        typer.echo(json.dumps({"cases": len(cases)} | {name: evaluate.means(one) for name, one in scores.items()}))
        return
    typer.echo(evaluate.report(cases, scores))
    for line in evaluate.misses(cases, scores) if misses else ():
        typer.echo(line)


@cli.command()
def trace(
    run_id: Annotated[str, typer.Argument(help="The run, or a bundle of one; without one, all runs are listed.")] = "",
    *,
    full: Annotated[bool, typer.Option("--full", help="Also what was thought, called and answered.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="The journal itself, a line of JSON each.")] = False,
    config: ConfigPath = None,
) -> None:
    """Show a run's journal, checking its chain of hashes."""
    from contextlib import ExitStack, closing

    from coder.bundle import opened
    from coder.display import run_line, trace_lines
    from coder.settings import load
    from coder.trace.journal import JournalStore

    with ExitStack() as stack:
        if run_id and Path(run_id).is_file():
            bundle = stack.enter_context(opened(Path(run_id)))
            store, run_id = bundle.store, bundle.manifest.run_id
        else:
            store = stack.enter_context(closing(JournalStore(load(config).state_dir / "journal.sqlite")))
        if not run_id:
            for line in store.runs():
                typer.echo(run_line(line))
            return
        journal = store.open(run_id)
        if not journal.entries:
            raise InputError(f"there is no run {run_id!r}; `coder trace` lists the runs")
        for text in store.lines(run_id) if jsonl else trace_lines(journal.entries, full=full):
            typer.echo(text)


@cli.command()
def export(
    run_id: Annotated[str, typer.Argument(help="The run.")],
    file: Annotated[Path, typer.Argument(help="The bundle to write.")],
    *,
    with_base: Annotated[
        bool, typer.Option("--with-base", help="Also the repository's files at the base commit, as they are.")
    ] = False,
    config: ConfigPath = None,
) -> None:
    """Write a run into one file that `coder replay` and `coder trace` read on any machine; secrets are taken out."""
    from coder.app import Application
    from coder.bundle import write_bundle
    from coder.replay import packed_base
    from coder.settings import load

    with Application(load(config)) as app:
        base = packed_base(app, run_id) if with_base else None
        written = write_bundle(file, app.journals, run_id, redact=app.redactor.full, base=base)
    typer.echo(f"{file}: {len(written.files)} parts, journal digest {written.digest}")
    if written.redacted_lines or written.redacted_blobs:
        typer.echo(
            f"taken out of {written.redacted_lines} lines and {written.redacted_blobs} blobs: what looked like a secret; "
            f"so the digest is not the original's {written.source_digest}"
        )


@cli.command()
def replay(
    run: Annotated[str, typer.Argument(help="A run, or a bundle of one.")],
    *,
    digest: Annotated[str, typer.Option(help="Refuse a journal without this digest, as a pull request names it.")] = "",
    verify: Annotated[bool, typer.Option(help="Run the tests too; without, only the tree is put to the proof.")] = True,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="No container: commands run on this machine.")] = False,
    config: ConfigPath = None,
) -> None:
    """Run a journal again with its recorded answers, and say whether it reaches the same tree."""
    from coder.app import Application
    from coder.replay import replay as play
    from coder.settings import load

    with Application(load(config)) as app:
        outcome = play(
            app,
            run,
            progress=lambda station: typer.echo(f"· {station}", err=True),
            unsafe_local=unsafe,
            tested=verify,
            digest=digest,
        )
    played = f"{outcome.answers} recorded answers played, no model called"
    typer.echo(f"{played}; verdict {outcome.verdict}{'' if outcome.tested else ', as recorded'}")
    typer.echo(f"journal digest {outcome.digest}")
    typer.echo(f"recorded tree {outcome.recorded_tree}")
    typer.echo(f"replayed tree {outcome.replayed_tree}: {'the same' if outcome.same else 'NOT the same'}")
    if outcome.segments_left_out:
        typer.echo(f"played up to its first end; people added to the run {outcome.segments_left_out} times after that")
    raise typer.Exit(0 if outcome.same else 1)


@cli.command()
def verify(
    target: Annotated[
        str, typer.Argument(help="A pull request (owner/repo#12 or its address), or a branch or commit.")
    ],
    *,
    base: Annotated[str, typer.Option(help="What a branch is held against; where it left HEAD without it.")] = "",
    repo: RepoPath = Path(),
    evidence: Annotated[Path | None, typer.Option(help="Published evidence to hold against what is found.")] = None,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="No container: tests run on this machine.")] = False,
    config: ConfigPath = None,
) -> None:
    """Repeat the proof of a pull request or branch without a model, and say whether published evidence holds."""
    from coder import local_verify
    from coder.settings import load

    kind, holds = local_verify.verify(
        target, repo=repo, base=base, evidence=evidence, settings=load(config), unsafe=unsafe, echo=typer.echo
    )
    raise typer.Exit(VERDICT_EXIT_CODES[kind] if holds else EVIDENCE_BROKEN)


@cli.command()
def models(*, config: ConfigPath = None) -> None:
    """List the model profiles, and which of them have a key."""
    from coder.model.profiles import profile_names, read_profile
    from coder.settings import data_folder, load

    settings = load(config)
    folders = [*([settings.model.profiles] if settings.model.profiles else []), data_folder("configs") / "models"]
    for name in profile_names(folders):
        profile = read_profile(next(f / f"{name}.toml" for f in folders if (f / f"{name}.toml").is_file()))
        key = f"needs {profile.api_key_env}" if profile.key_required else "needs no key"
        state = "retired" if profile.retired else "key set" if settings.api_key(profile) else key
        typer.echo(f"{name:<34} {profile.model:<36} {state}")


@cli.command()
def doctor(
    target: Annotated[str, typer.Argument(help="A checkout, or owner/name on GitHub.")] = ".",
    *,
    config: ConfigPath = None,
) -> None:
    """Check that a run would work: engine, image, setup, and the tests as they are, twice; proposes `.coder.yml`."""
    from coder.doctor import examine, target_of
    from coder.settings import load

    raise typer.Exit(0 if examine(target_of(target), load(config), typer.echo) else 1)


@cli.command("images")
def sandbox_images(
    action: Annotated[str, typer.Argument(help="build, list or gc.")] = "list",
    names: Annotated[list[str] | None, typer.Argument(help="For build: which; all without one.")] = None,
    *,
    days: Annotated[float, typer.Option(min=0, help="For gc: setup results older than this go.")] = 14,
    keep_mb: Annotated[float, typer.Option(min=0, help="For gc: most MiB of setup results.")] = 20_000,
    config: ConfigPath = None,
) -> None:
    """Build the sandbox images ahead of time, list ours, or throw old ones of ours away."""
    from coder.doctor import images
    from coder.settings import load

    if action not in {"build", "list", "gc"}:
        raise InputError(f"there is no `coder images {action}`; say build, list or gc")
    images(action, names or [], load(config), typer.echo, days=days, keep_mb=keep_mb)


@cli.command()
def gc(
    *,
    days: Annotated[float, typer.Option(min=0, help="Mirrors and setup images unused for longer go.")] = 30,
    keep_mb: Annotated[float, typer.Option(min=0, help="Most MiB of mirrors, and of setup images.")] = 20_000,
    journal_days: Annotated[
        float | None, typer.Option(min=1, help="Runs older than this are forgotten; none without.")
    ] = None,
    config: ConfigPath = None,
) -> None:
    """Throw away what was made once and can be made again: mirrors, setup images; with --journal-days also old runs."""
    from coder.doctor import tidy
    from coder.settings import load

    tidy(load(config), typer.echo, days=days, keep_mb=keep_mb, journal_days=journal_days)


@cli.command()
def memory(
    action: Annotated[str, typer.Argument(help="list, approve or forget.")] = "list",
    facts: Annotated[list[int] | None, typer.Argument(help="Numbers of facts.")] = None,
    *,
    repo: Annotated[str, typer.Option(help="Only facts of this one: owner/name.")] = "",
    config: ConfigPath = None,
) -> None:
    """Show what runs found out about repositories, let models be told it, or drop it."""
    from coder.memory.command import manage
    from coder.settings import load
    from coder.trace.journal import utc_now

    state_dir = load(config).state_dir
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    manage(state_dir / "memory.sqlite", action, facts or [], repo=repo, now=utc_now(), echo=typer.echo)


@cli.command("config")
def show_config(*, config: ConfigPath = None) -> None:
    """Show every setting with its value (secrets hidden) and its environment variable."""
    from pydantic import BaseModel

    from coder.settings import load, names

    settings = load(config)
    for name in names():
        value: object = settings
        for part in name.removeprefix("CODER_").lower().split("__"):
            value = getattr(value, part)
        if not isinstance(value, BaseModel):
            typer.echo(f"{name}={value}")


def main() -> None:
    """The program `coder`: errors of ours end it with one line and a code of their own."""
    try:
        if sys.argv[1:2] not in [[_name(command)] for command in cli.registered_commands]:
            _add_commands_of_the_service()
        cli()
    except CoderError as exc:
        typer.echo(f"coder: {exc}", err=True)
        sys.exit(exc.exit_code)
    except KeyboardInterrupt:
        typer.echo(
            "coder: interrupted; `coder trace` shows the run, `coder run --resume RUN` goes on with it", err=True
        )
        sys.exit(130)


def _add_commands_of_the_service() -> None:
    """Loading the service costs a second; only its command that is called pays for it, and no other for looking it up."""
    from importlib.metadata import entry_points

    for entry in entry_points(group="coder.commands"):
        cli.command(entry.name)(entry.load() if sys.argv[1:2] == [entry.name] else _elsewhere)


def _name(command: typer.models.CommandInfo) -> str:
    return str(command.name or getattr(command.callback, "__name__", ""))


def _elsewhere() -> None:
    """A command of the service; `coder COMMAND --help` tells more."""


def _version(*, shown: bool) -> None:
    if shown:
        typer.echo(f"coder {__version__}")
        raise typer.Exit


@cli.callback()
def _main(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda value: _version(shown=value), is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Turn an issue into a pull request that carries its own proof."""
