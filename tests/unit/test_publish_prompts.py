import pytest

from coder.errors import ConfigError
from coder.prompts import _render, render


def filled(template: str, **values: object) -> str:
    return _render("made_up", values, source={"made_up": template})


def test_a_value_is_never_a_template() -> None:
    template = "\nTitle: {{ title }}\n{% if more %}\nmore\n{% endif %}\nend\n\n"

    text = filled(template, title="{{ 7 * 7 }} <b> {% raw %}", more=True)

    assert text == "Title: {{ 7 * 7 }} <b> {% raw %}\nmore\nend"


def test_a_missing_value_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match=r"made_up.*'absent'"):
        filled("{{ absent }}")


def test_a_broken_template_is_an_error() -> None:
    with pytest.raises(ConfigError, match="made_up"):
        filled("{% if %}")


@pytest.mark.parametrize("name", ["nope", "../types", "/etc/passwd", "a/../status", "", "status.md"])
def test_an_unknown_or_escaping_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no prompt"):
        render(name)
