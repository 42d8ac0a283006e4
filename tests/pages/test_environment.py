"""A company's templates stand before ours, and reach nothing but values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from jinja2 import TemplateNotFound, UndefinedError
from jinja2.exceptions import SecurityError

from proxy.errors import SettingsError
from proxy.pages import environment
from proxy.pages.environment import OwnTemplates, make_environment, read_templates
from proxy.pages.look import SharedLook, ShownPicture

if TYPE_CHECKING:
    from pathlib import Path

ICON = ShownPicture(url="/i.svg", media_type="image/svg+xml", width=1, height=1, knows_dark=False)
LOOK = SharedLook(title="A", description="", own_path="/o", home="/", icon=ICON, logo=None, has_theme=False)


def drawn(tmp_path: Path, source: str, **context: object) -> str:
    (tmp_path / "own.html").write_text(source, "utf-8")
    return make_environment(read_templates(tmp_path)).get_template("own.html").render(**context)


def test_ours_is_reached_by_its_own_name_and_by_the_name_before_it(tmp_path: Path) -> None:
    (tmp_path / "error.html").write_text("own", "utf-8")
    made = make_environment(read_templates(tmp_path))

    assert made.get_template("error.html").render() == "own"
    assert {"ways_on", "foot"} <= made.get_template("sidegate/error.html").blocks.keys()
    assert made.get_template("login.html").filename == made.get_template("sidegate/login.html").filename


def test_parts_in_folders_are_read_and_what_is_hidden_is_not(tmp_path: Path) -> None:
    for name in ("login.html", "parts/foot.html", "..data/login.html", ".git/x.html", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", "utf-8")

    assert read_templates(tmp_path).sources.keys() == {"login.html", "parts/foot.html"}


def test_every_value_is_escaped_and_every_name_must_be_known(tmp_path: Path) -> None:
    assert drawn(tmp_path, "{{ x }}", x="<b>") == "&lt;b&gt;"
    with pytest.raises(UndefinedError, match="'x' is undefined"):
        drawn(tmp_path, "{{ x }}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ look.__init__.__globals__ }}",
        "{{ look.__class__ }}",
        "{{ t.__self__ }}",
        "{{ t.__func__.__globals__ }}",
        "{{ '{0.__class__}'.format(look) }}",
        "{{ items.append(1) }}",
        "{{ items.clear() }}",
        "{% for n in range(1000000000) %}{% endfor %}",
    ],
)
def test_python_is_out_of_reach(tmp_path: Path, source: str) -> None:
    with pytest.raises((SecurityError, OverflowError)):
        drawn(tmp_path, source, look=LOOK, t=OwnTemplates(tmp_path, {}).path, items=[1])


@pytest.mark.parametrize("name", ["../secret.html", "/etc/passwd", "parts/../../secret.html", "sidegate/../render.py"])
def test_no_file_besides_the_templates_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path.parent / "secret.html").write_text("secret", "utf-8")

    with pytest.raises(TemplateNotFound):
        drawn(tmp_path, f"{{% include {name!r} %}}")


def test_what_changes_after_the_start_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "own.html").write_text("first", "utf-8")
    made = make_environment(read_templates(tmp_path))

    (tmp_path / "own.html").write_text("second", "utf-8")

    assert made.get_template("own.html").render() == "first"


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is no folder"):
        read_templates(tmp_path / "nowhere")


def test_too_many_too_large_and_not_utf_8_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.html").write_bytes(b"fine\n\xff")
    with pytest.raises(SettingsError, match=r"a\.html:2  is not UTF-8"):
        read_templates(tmp_path)

    monkeypatch.setattr(environment, "LARGEST_TEMPLATE_BYTES", 3)
    with pytest.raises(SettingsError, match="larger than"):
        read_templates(tmp_path)

    monkeypatch.setattr(environment, "MOST_TEMPLATES", 0)
    with pytest.raises(SettingsError, match="more than 0 templates"):
        read_templates(tmp_path)
