"""The words: one gettext catalog for each language, ids on the left, sentences on the right.

The ids are names (``login.submit``), not English, so that a better English sentence breaks no translation. An id that a
catalog lacks is looked up in English, and what English lacks stands for itself: sentences of ``respond`` come as they
are.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from babel.messages.pofile import read_po
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Mapping

FALLBACK = "en"
"""The language that is complete; the first of :func:`load_catalogs`."""


class Catalog:
    """The messages of one language."""

    def __init__(self, language: str, messages: Mapping[str, str], fallback: Catalog | None = None) -> None:
        """Keep ``messages`` (id to sentence with ``%(name)s`` places); ``fallback`` is asked for what is missing."""
        self.language = language
        self._messages = messages
        self._fallback = fallback

    def __contains__(self, message_id: str) -> bool:
        """Say whether this very catalog has the message."""
        return message_id in self._messages

    def text(self, message_id: str, **values: object) -> Markup:
        """Return the sentence, escaped, with ``values`` escaped in their places.

        Raises:
            KeyError: a place has no value.
        """
        # The sentence is escaped before its places are filled, and Markup escapes what fills them.
        sentence = escape(self._raw(message_id))
        return sentence % values if values else sentence

    def _raw(self, message_id: str) -> str:
        if message_id in self._messages:
            return self._messages[message_id]
        return message_id if self._fallback is None else self._fallback._raw(message_id)  # noqa: SLF001 - of its own kind


def load_catalogs() -> dict[str, Catalog]:
    """Return every catalog of the package, English first."""
    folders = sorted(entry.name for entry in _folder().iterdir() if entry.is_dir() and not entry.name.startswith("_"))
    english = Catalog(FALLBACK, _read(FALLBACK))
    others = {name: Catalog(name, _read(name), english) for name in folders if name != FALLBACK}
    return {FALLBACK: english, **others}


def _folder() -> resources.abc.Traversable:
    return resources.files("proxy.pages").joinpath("locales")


def _read(language: str) -> dict[str, str]:
    with _folder().joinpath(language, "messages.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    return {str(message.id): str(message.string) for message in catalog if message.id and message.string}
