"""The words: one gettext catalog for each language, ids on the left, sentences on the right.

The ids are names (``login.submit``), not English, so that a better English sentence breaks no translation. An id that a
catalog lacks is looked up in the catalog behind it: a company's own in ours of that language, every other one in
English; and what English lacks stands for itself.
"""

from __future__ import annotations

import re
from functools import cache
from gettext import c2py
from importlib import resources
from typing import TYPE_CHECKING

from babel.messages.pofile import PoFileError, read_po
from babel.numbers import format_decimal
from markupsafe import Markup, escape
from msgspec import Struct, field

from proxy.errors import SettingsError
from proxy.pages.languages import locale_of
from proxy.pages.look import LOCALES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from babel.messages.catalog import Catalog as PoCatalog
    from babel.messages.catalog import Message

FALLBACK = "en"
"""The language that is complete: ids and places of all the others are measured by it."""

COUNT = "count"
"""The place by which a sentence with several plural forms chooses."""

KEY = "login.templates_dir"
"""The key of the settings that leads to a company's own words."""

_PLACE = re.compile(r"%\((\w+)\)s")
_PERCENT = re.compile(r"%(?!\(\w+\)s|%)")


class Words(Struct, frozen=True):
    """What one file holds.

    Attributes:
        messages: id to sentence with ``%(name)s`` places; several where it has plural forms.
        form_of: a count to the number of its plural form.
    """

    messages: Mapping[str, tuple[str, ...]]
    form_of: Callable[[int], int] = field(default=lambda count: int(count != 1))


class Catalog:
    """The messages of one language."""

    def __init__(self, language: str, words: Words | None, fallback: Catalog | None = None) -> None:
        """Keep ``words``; ours of this language when None, read when the first of them is wanted.

        Args:
            fallback: asked for what is missing.
        """
        self.language = language
        self._given = words
        self._fallback = fallback

    @property
    def _words(self) -> Words:
        return self._given if self._given is not None else _our_words(_ours_for(self.language))

    def __contains__(self, message_id: str) -> bool:
        """Say whether this very catalog has the message."""
        return message_id in self._words.messages

    def __iter__(self) -> Iterator[str]:
        """Return every id of this very catalog."""
        return iter(self._words.messages)

    def forms(self, message_id: str) -> tuple[str, ...]:
        """Return the sentence in each plural form, one where it has none; an id without sentence is its own."""
        if message_id in self:
            return self._words.messages[message_id]
        return (message_id,) if self._fallback is None else self._fallback.forms(message_id)

    def text(self, message_id: str, **values: object) -> Markup:
        """Return the sentence, escaped, with ``values`` escaped in their places; ``count`` chooses the plural form.

        Raises:
            KeyError: a place has no value.
        """
        # The sentence is escaped before its places are filled, and Markup escapes what fills them.
        sentence = escape(self._form(message_id, values.get(COUNT)))
        return sentence % self._written(values) if values else sentence

    def _form(self, message_id: str, count: object) -> str:
        if message_id not in self and self._fallback is not None:
            return self._fallback._form(message_id, count)  # noqa: SLF001 - of its own kind
        forms = self.forms(message_id)
        number = self._words.form_of(count) if isinstance(count, int) else 0
        return forms[min(number, len(forms) - 1)]

    def _written(self, values: Mapping[str, object]) -> dict[str, object]:
        """Return the values with numbers as this language writes them."""
        locale = locale_of(self.language)
        return {
            name: format_decimal(value, locale=locale) if isinstance(value, int) else value
            for name, value in values.items()
        }


def load_catalogs(locales: Sequence[str] = LOCALES, folder: Path | None = None) -> dict[str, Catalog]:
    """Return the catalogs of these languages, in this order.

    Args:
        locales: tags in small letters, at least one.
        folder: of a company (``login.templates_dir``); its ``locales/xx/messages.po`` adds messages to ours, takes the
            place of ours, or brings a language that we do not have.

    Raises:
        SettingsError: a language has no words at all, or a file of the company's cannot be used.
    """
    english = Catalog(FALLBACK, None)
    return {tag: _catalog(tag, english, folder) for tag in locales}


def _catalog(tag: str, english: Catalog, folder: Path | None) -> Catalog:
    known = _ours_for(tag)
    ours = english if known not in LOCALES or known == FALLBACK else Catalog(tag, None, english)
    file = None if folder is None else own_file(folder, tag)
    if file is not None:
        return Catalog(tag, _own_words(file, tag, english), ours)
    if known in LOCALES:
        return ours
    remedy = f"write {', '.join(LOCALES)}, or put your own into locales/{tag}/messages.po of {KEY}"
    msg = f"login.locales names {tag}, and there are no words for it; {remedy}"
    raise SettingsError(msg)


def _ours_for(tag: str) -> str:
    """Return the language of ours that stands behind a tag: ``de`` behind ``de-at``; any other for itself."""
    return tag if tag in LOCALES else tag.partition("-")[0]


def own_file(folder: Path, tag: str) -> Path | None:
    """Return the file with a company's own words of a language, or None; ``pt-br`` may be written ``pt_BR`` there."""
    files = sorted((folder / "locales").glob("*/messages.po"))
    return next((file for file in files if file.parent.name.lower().replace("_", "-") == tag), None)


@cache
def _our_words(tag: str) -> Words:
    with _ours().joinpath(tag, "messages.po").open("rb") as file:
        return _words(read_po(file, locale=tag))


def _own_words(path: Path, tag: str, english: Catalog) -> Words:
    try:
        with path.open("rb") as file:
            read = read_po(file, locale=locale_of(tag), abort_invalid=True)
    except (OSError, PoFileError, ValueError) as error:
        msg = f"{path}:1:1  {KEY}: cannot be read as a gettext catalog ({error}); msgfmt --check says where"
        raise SettingsError(msg) from error
    faults = [(message.lineno or 1, fault) for message in read if (fault := _fault(message, english))]
    if faults:
        raise SettingsError("\n".join(f"{path}:{line}:1  {KEY}: {fault}" for line, fault in faults))
    return _words(read)


def _words(catalog: PoCatalog) -> Words:
    said = [message for message in catalog if message.id and message.string and not message.fuzzy]
    return Words({_id_of(message): _forms(message.string) for message in said}, c2py(catalog.plural_expr))


def _fault(message: Message, english: Catalog) -> str:
    """Say what would break a page: a place that nobody fills, or a per cent sign that begins none."""
    message_id = _id_of(message)
    known = places(english.forms(message_id)) if message_id in english else frozenset()
    if unknown := sorted(places(_forms(message.string)) - known):
        names = ", ".join(f"%({name})s" for name in sorted(known)) or "none"
        return f"{message_id} has no place %({unknown[0]})s; write one of its own: {names}"
    if known and any(_PERCENT.search(form) for form in _forms(message.string)):
        return f"{message_id} has a per cent sign that begins no place; write it twice"
    return ""


def places(forms: Sequence[str]) -> frozenset[str]:
    """Return the names of all places in a sentence."""
    return frozenset(name for form in forms for name in _PLACE.findall(form))


def _id_of(message: Message) -> str:
    return str(message.id[0] if isinstance(message.id, (list, tuple)) else message.id)


def _forms(string: object) -> tuple[str, ...]:
    return tuple(map(str, string)) if isinstance(string, (list, tuple)) else (str(string),)


def _ours() -> Traversable:
    return resources.files("proxy.pages").joinpath("locales")
