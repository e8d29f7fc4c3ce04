"""Every text that a model or a person reads from us: Markdown templates beside this file, and the one way to fill them."""

import importlib.resources
from collections.abc import Mapping
from functools import cache

import jinja2

from coder.errors import ConfigError


def render(name: str, /, **values: object) -> str:
    """The text of `coder/prompts/<name>.md` with `values` filled in.

    A value is data: it is never read as a template and nothing in it is escaped, so callers fence or neutralise what
    strangers wrote. Lines that hold only a block tag vanish; the result neither begins nor ends with a newline.

    Raises:
        ConfigError: There is no such prompt, it does not parse, or it uses a value that was not given.
    """
    return _render(name, values, source=_library())


def exists(name: str) -> bool:
    """Whether there is a prompt of this name."""
    return name in _library()


def _render(name: str, values: Mapping[str, object], *, source: Mapping[str, str]) -> str:
    """As `render`, with the templates taken from `source`."""
    environment = jinja2.Environment(
        autoescape=False,  # noqa: S701 — the output is Markdown for models and for GitHub, never our own HTML
        undefined=jinja2.StrictUndefined,
        loader=jinja2.DictLoader(source),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        return environment.get_template(name).render(values).strip("\n")
    except jinja2.TemplateNotFound as exc:
        raise ConfigError(f"there is no prompt {exc.name!r} in coder/prompts") from exc
    except jinja2.TemplateError as exc:
        raise ConfigError(f"cannot fill the prompt {name!r}: {exc}") from exc


@cache
def _library() -> Mapping[str, str]:
    """All templates by name, read together: an upgrade of the files under a running process must not mix two versions."""
    here = importlib.resources.files("coder.prompts")
    found = {}
    for prefix, folder in (("", here), ("tools/", here.joinpath("tools"))):
        for file in folder.iterdir():
            if file.name.endswith(".md"):
                found[f"{prefix}{file.name.removesuffix('.md')}"] = file.read_text(encoding="utf-8")
    return found
