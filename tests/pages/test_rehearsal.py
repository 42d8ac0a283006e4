"""A broken template of a company's is told with file and line before anybody sees a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.errors import SettingsError
from proxy.pages.contexts import CONTEXT_OF
from proxy.pages.look import Look
from proxy.pages.render import JinjaPages
from proxy.pages.specimens import specimens

if TYPE_CHECKING:
    from pathlib import Path

EXTENDS = '{% extends "sidegate/login.html" %}\n'


def pages(folder: Path, **files: str) -> JinjaPages:
    for name, source in files.items():
        path = folder / f"{name.replace('__', '/')}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, "utf-8")
    look = Look(
        title="Acme",
        description="",
        own_path="/o",
        home="/",
        form_origins=(),
        locales=("en",),
        templates_dir=folder,
    )
    return JinjaPages(look)


def drawn(made: JinjaPages, page: str) -> str:
    return made.render(page, languages=("en",), context=next(specimens(page))).decode()


def test_a_single_block_is_changed_and_the_rest_stays(tmp_path: Path) -> None:
    made = pages(tmp_path, login=EXTENDS + '{% block lead %}<p class="lead">Ask 4711 for help.</p>{% endblock %}')

    text = drawn(made, "login")
    assert "Ask 4711 for help." in text
    assert 'name="csrf_token"' in text
    assert "4711" not in drawn(made, "logout")


def test_the_base_of_all_pages_is_changed_in_one_place(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "acme.css").write_text("a{}", "utf-8")
    made = pages(
        tmp_path,
        base='{% extends "sidegate/base.html" %}{% block head %}{{ super() }}\n'
        '<link rel="stylesheet" href="{{ asset(\'acme.css\') }}">{% endblock %}',
    )

    for page in sorted(set(CONTEXT_OF) - {"login", "logout_at_provider"}):
        if "{% block head %}" not in (made._environment.loader.get_source(made._environment, f"{page}.html")[0]):  # type: ignore[union-attr]
            assert "/o/assets/acme." in drawn(made, page), page


def test_parts_and_whole_pages_of_ones_own_are_drawn(tmp_path: Path) -> None:
    made = pages(
        tmp_path,
        logged_out="<title>Bye</title>{% include 'parts/foot.html' %}",
        parts__foot="<p>{{ look.title }}, version {{ context_version }}</p>",
    )

    assert drawn(made, "logged_out") == "<title>Bye</title><p>Acme, version 1</p>"


@pytest.mark.parametrize(
    ("source", "line", "sentence"),
    [
        ("{% block lead %}{% endblok %}", 2, "unknown tag 'endblok'"),
        ("{% block lead %}\n\n{{ username }", 4, "unexpected '}'"),
        (
            "\n{% block leed %}{% endblock %}",
            3,
            "has a block leed, and sidegate/login.html has none; did you mean lead?",
        ),
        ("{% block zzzz %}{% endblock %}", 2, "has none; write one of brand, "),
        (
            "{% block lead %}\n{{ usernam }}{% endblock %}",
            3,
            "uses usernam, which this page does not know; did you mean us",
        ),
        ("{% block lead %}{% if 0 %}{{ nobody }}{% endif %}{% endblock %}", 2, "uses nobody, which this page does not"),
        ("{% block lead %}\n{{ look.nothing }}{% endblock %}", 3, "has no attribute 'nothing'"),
        ("{% block lead %}\n{{ asset('a.css') }}{% endblock %}", 3, "there is no asset a.css"),
        ("{% block lead %}\n\n{{ 1 / 0 }}{% endblock %}", 4, "division by zero"),
        (
            "{% block lead %}\n{% include 'gone.html' %}{% endblock %}",
            3,
            "names gone.html, and there is no such template",
        ),
        ("{% block lead %}\n{{ t.__self__ }}{% endblock %}", 3, "is unsafe"),
        ("{% block lead %}\n{{ t('login.with_provider', x=1) }}{% endblock %}", 3, "'provider'"),
        (
            "{% block lead %}<b style='x'>{% endblock %}",
            2,
            "holds a style, which the policy of our pages stops; put it into",
        ),
        ("{% block lead %}\n<style>a{}</style>{% endblock %}", 3, "holds a style"),
        ("{% block lead %}<script>1</script>{% endblock %}", 2, "holds a script"),
        ('{% block lead %}<b onclick="x()">{% endblock %}', 2, "holds a script"),
        (
            '{% block lead %}<img alt="" src="https://cdn.example/x.png">{% endblock %}',
            2,
            "loads something from elsewhere",
        ),
    ],
)
def test_a_broken_template_is_told_with_its_line(tmp_path: Path, source: str, line: int, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        pages(tmp_path, login=EXTENDS + source)

    said = str(caught.value).splitlines()
    assert said[0].startswith(f"{tmp_path / 'login.html'}:{line}:1  login.templates_dir: "), said
    assert sentence in said[0]
    assert len(said) == 1


def test_all_faults_of_all_templates_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        pages(tmp_path, login="{{ a1 }}\n{{ a2 }}", logout="{% if %}")

    assert [line.partition("  ")[0].rpartition("/")[2] for line in str(caught.value).splitlines()] == [
        "login.html:1:1",
        "login.html:2:1",
        "logout.html:1:1",
    ]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            {"login": '{% extends "login.html" %}'},
            'login.html:1:1  login.templates_dir: extends itself; write {% extends "s',
        ),
        ({"error": '{% extends "base.html" %}', "base": '{% extends "error.html" %}'}, "leads back to itself"),
        ({"log_in": "<p>"}, "log_in.html:1:1  login.templates_dir: is used by no page; did you mean login.html?"),
        ({"error": "{{ nothing.at.all }}"}, "uses nothing, which this page does not know"),
        ({"base": "{{ username }}"}, "base.html:1:1  login.templates_dir: 'username' is undefined"),
    ],
)
def test_what_leads_nowhere_is_told(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        pages(tmp_path, **files)

    assert sentence in str(caught.value)


def test_a_name_of_a_later_version_may_be_asked_for(tmp_path: Path) -> None:
    pages(tmp_path, login=EXTENDS + "{% block lead %}{% if of_tomorrow is defined %}!{% endif %}{% endblock %}")


def test_what_is_set_above_a_block_is_known_in_it(tmp_path: Path) -> None:
    source = EXTENDS + "{% set number = 4711 %}{% block lead %}{{ number }}{% endblock %}"

    assert "4711" in drawn(pages(tmp_path, login=source), "login")


def test_an_empty_folder_changes_nothing(tmp_path: Path) -> None:
    assert "sidegate." in drawn(pages(tmp_path), "login")
