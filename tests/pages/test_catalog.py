"""The words: complete in every language, each used, each with the same places, and a company's own beside ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from proxy import respond
from proxy.core.kept import NotKept
from proxy.core.policy import LackKind
from proxy.errors import SettingsError
from proxy.pages import catalog
from proxy.pages.catalog import Catalog, Words, load_catalogs, places
from proxy.pages.look import LOCALES

PROXY = Path(catalog.__file__).parents[1]
CATALOGS = load_catalogs()
ENGLISH = CATALOGS["en"]
TRANSLATED = sorted(set(LOCALES) - {"en"})
TEMPLATES = "\n".join(file.read_text("utf-8") for file in (PROXY / "pages/templates").glob("*.html"))
HANDLERS = "\n".join(
    file.read_text("utf-8") for room in ("web", "gate") for file in sorted((PROXY / room).glob("*.py"))
)

THIN, NO_BREAK = "\u202f", "\u00a0"


def rows() -> list[respond.Row]:
    """Every row of ``respond``, also those that no error has."""
    single = [value for value in vars(respond).values() if isinstance(value, respond.Row)]
    return [*respond.ROWS.values(), *single, *respond._FORBIDDEN.values()]


def used_ids() -> set[str]:
    """Ids that templates look up, those that handlers choose among, and those made of codes and kinds."""
    families = sorted({name.partition(".")[0] for name in ENGLISH})
    looked_up = re.findall(rf'"((?:{"|".join(families)})\.[a-z_.]*[a-z_])"', TEMPLATES)
    # Words that begin like "login.failed" are events of the audit trail too.
    single = "|".join(family for family in families if family not in {"login", "logout"})
    chosen = re.findall(rf'"((?:{single})\.[a-z_.]*[a-z_]|log(?:in|out)\.(?:notice|problem)\.[a-z_]+)"', HANDLERS)
    refusals = [name for row in rows() for name in (row.title_id, row.sentence_id)]
    made = [*(f"forbidden.missing.{kind}" for kind in LackKind), *(f"not_kept.{why}" for why in NotKept)]
    files = {"error.html"}
    return {*looked_up, *chosen, *refusals, *made} - files


def sentences(tag: str) -> dict[str, tuple[str, ...]]:
    return {name: CATALOGS[tag].forms(name) for name in CATALOGS[tag]}


def test_every_id_that_a_page_uses_has_its_sentence() -> None:
    used = used_ids()

    assert len(used) > 100
    assert sorted(message for message in used if message not in ENGLISH) == []


def test_no_sentence_is_left_over() -> None:
    # Those of refusals at the form are named by the code of their error (tests/web/test_login_answers.py).
    left = {name for name in ENGLISH if name not in used_ids() and not name.startswith("login.problem.")}

    assert left == set()


@pytest.mark.parametrize("tag", TRANSLATED)
def test_a_language_has_every_sentence_and_no_other(tag: str) -> None:
    assert sorted(set(ENGLISH) - set(CATALOGS[tag])) == []
    assert sorted(set(CATALOGS[tag]) - set(ENGLISH)) == []


@pytest.mark.parametrize("tag", TRANSLATED)
def test_a_sentence_has_the_same_places_in_every_language(tag: str) -> None:
    differing = [name for name in ENGLISH if places(CATALOGS[tag].forms(name)) != places(ENGLISH.forms(name))]

    assert differing == []


@pytest.mark.parametrize("tag", LOCALES)
def test_what_has_plural_forms_has_as_many_as_the_language(tag: str) -> None:
    with (PROXY / f"pages/locales/{tag}/messages.po").open("rb") as file:
        read = read_po(file, locale=tag, abort_invalid=True)

    assert str(read.locale) == tag
    for message in read:
        assert not message.fuzzy
        if message.pluralizable:
            assert len(message.string) == read.num_plurals
            assert all(message.string)
    assert {name for name in CATALOGS[tag] if len(CATALOGS[tag].forms(name)) > 1} == {
        name for name in ENGLISH if len(ENGLISH.forms(name)) > 1
    }


@pytest.mark.parametrize("tag", TRANSLATED)
def test_nothing_was_left_in_english(tag: str) -> None:
    same = {name for name, forms in sentences(tag).items() if forms == ENGLISH.forms(name)}

    assert same == set()


@pytest.mark.parametrize("tag", LOCALES)
def test_sentences_are_set_as_the_language_is(tag: str) -> None:
    for name, forms in sentences(tag).items():
        for text in forms:
            said = f"{tag} {name}: {text}"
            assert "'" not in text or tag == "en", said
            assert '"' not in text, said
            assert "..." not in text, said
            assert text == text.strip(), said
            assert "  " not in text, said
            if tag == "fr":
                assert not re.search(rf"[^{THIN}][?!;]", text), said
                assert not re.search(rf"[^{NO_BREAK}]:(?!/)", text), said
            if tag == "es":
                assert text.count("¿") == text.count("?"), said
                assert text.count("¡") == text.count("!"), said


@pytest.mark.parametrize("tag", LOCALES)
def test_a_count_chooses_the_form(tag: str) -> None:
    one, three = (str(CATALOGS[tag].text("logged_out_all.count", count=count)) for count in (1, 3))

    assert one != three
    assert "3" in three


def test_languages_count_each_in_their_own_way() -> None:
    french = Catalog("fr", Words({"x": ("%(count)s fois", "%(count)s FOIS")}, lambda n: int(n > 1)))

    assert [str(french.text("x", count=count)) for count in (0, 1, 2)] == ["0 fois", "1 fois", "2 FOIS"]
    assert french.text("x", count=12345) == f"12{THIN}345 FOIS"


def test_a_value_is_escaped_in_its_place() -> None:
    assert ENGLISH.text("login.with_provider", provider="<b>'\"&") == "Continue with &lt;b&gt;&#39;&#34;&amp;"


def test_a_sentence_is_escaped_itself() -> None:
    words = Words({"a": ("<b> & %(x)s",)})

    assert Catalog("de", words).text("a", x="<i>") == "&lt;b&gt; &amp; &lt;i&gt;"


def test_what_a_language_lacks_comes_in_english_and_what_english_lacks_as_it_is() -> None:
    german = Catalog("de", Words({"login.submit": ("Los",)}), ENGLISH)

    assert german.text("login.submit") == "Los"
    assert german.text("login.heading") == "Sign in"
    assert german.text("logged_out_all.count", count=3) == ENGLISH.text("logged_out_all.count", count=3)
    assert german.text("100 % of it") == "100 % of it"


def test_a_place_without_a_value_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        ENGLISH.text("login.with_provider", other="x")


def test_languages_come_in_the_order_that_is_asked() -> None:
    assert tuple(load_catalogs(("fr", "en"))) == ("fr", "en")


@pytest.mark.parametrize("template", sorted((PROXY / "pages/templates").glob("*.html")), ids=lambda file: file.name)
def test_no_template_holds_a_word_of_its_own(template: Path) -> None:
    text = template.read_text("utf-8")
    said = re.findall(r'\s(?:title|alt|placeholder|aria-label|data-words|data-sending)="([^"]+)"', text)
    seen = re.sub(r"<[^>]*>", " ", re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", " ", text, flags=re.DOTALL))

    assert re.findall(r"[^\W\d_]+", seen) == []
    assert [value for value in said if not value.startswith("{{")] == []


# --- a company's own -------------------------------------------------------------------------------------------------


def own_words(folder: Path, tag: str, *messages: str, header: str = "") -> Path:
    file = folder / "locales" / tag / "messages.po"
    file.parent.mkdir(parents=True)
    head = f'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n{header}'
    file.write_text("\n".join([head, *messages]), "utf-8")
    return file


def test_a_company_replaces_a_sentence_and_keeps_the_others(tmp_path: Path) -> None:
    own_words(tmp_path, "de", 'msgid "login.heading"\nmsgstr "Willkommen"\n')

    german = load_catalogs(("de",), tmp_path)["de"]

    assert german.text("login.heading") == "Willkommen"
    assert german.text("login.submit") == "Anmelden"


def test_a_company_adds_messages_for_its_own_templates(tmp_path: Path) -> None:
    own_words(tmp_path, "en", 'msgid "acme.help"\nmsgstr "Call 4711"\n')

    assert load_catalogs(("en", "de"), tmp_path)["en"].text("acme.help") == "Call 4711"


def test_a_company_brings_a_language_with_its_plural_forms(tmp_path: Path) -> None:
    plural = (
        '"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2);\\n"\n'
    )
    forms = "\n".join(f'msgstr[{number}] "%(count)s {word}"' for number, word in enumerate(("raz", "razy", "razów")))
    own_words(tmp_path, "pl", f'msgid "logged_out_all.count"\nmsgid_plural "x"\n{forms}\n', header=plural)

    polish = load_catalogs(("en", "pl"), tmp_path)["pl"]

    said = [str(polish.text("logged_out_all.count", count=count)) for count in (1, 2, 5)]
    assert said == ["1 raz", "2 razy", "5 razów"]
    assert polish.text("login.heading") == "Sign in"


def test_a_variety_reads_its_own_words_then_those_of_its_language(tmp_path: Path) -> None:
    own_words(tmp_path, "de_AT", 'msgid "login.heading"\nmsgstr "Servus"\n')

    austrian = load_catalogs(("de-at",), tmp_path)["de-at"]

    assert austrian.text("login.heading") == "Servus"
    assert austrian.text("login.submit") == "Anmelden"


def test_what_is_fuzzy_does_not_count(tmp_path: Path) -> None:
    own_words(tmp_path, "de", '#, fuzzy\nmsgid "login.heading"\nmsgstr "Vielleicht"\n')

    assert load_catalogs(("de",), tmp_path)["de"].text("login.heading") == "Anmelden"


def test_a_language_without_words_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"it, .*write en, de, fr, es, or put .*locales/it/messages\.po"):
        load_catalogs(("en", "it"), tmp_path)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ('msgid "login.with_provider"\nmsgstr "Mit %(anbieter)s"\n', "login.with_provider has no place %(anbieter)s; "),
        ('msgid "login.with_provider"\nmsgstr "100 % %(provider)s"\n', "per cent sign"),
        ('msgid "acme.help"\nmsgstr "%(phone)s"\n', "write one of its own: none"),
    ],
)
def test_a_place_that_nobody_fills_is_refused_with_its_line(tmp_path: Path, message: str, said: str) -> None:
    file = own_words(tmp_path, "de", message)

    with pytest.raises(SettingsError) as refused:
        load_catalogs(("de",), tmp_path)

    assert str(refused.value).startswith(f"{file}:5:1  login.templates_dir: ")
    assert said in str(refused.value)


@pytest.mark.parametrize("content", [b"msgid nonsense\n", b'msgid "a"\nmsgstr "\xff"\n', b'msgid "a\n'])
def test_what_is_no_catalog_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = own_words(tmp_path, "de")
    file.write_bytes(content)

    with pytest.raises(SettingsError, match=re.escape(str(file))):
        load_catalogs(("de",), tmp_path)
