"""Pages that are made when the first of them is wanted: templates, words and what reads them are a tenth of a start.

What an operator gave cannot wait: a picture or a template that cannot be used is to be told at the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.core.request import Headers
    from proxy.pages.look import Look
    from proxy.pages.render import JinjaPages


class LatePages:
    """The pages of one look; implements ``ports.Pages``."""

    def __init__(self, look: Look) -> None:
        """Make them now only where the look names files.

        Raises:
            SettingsError: a picture, an asset, words or a template cannot be used; each fault on a line of its own.
        """
        self._look = look
        self._made: JinjaPages | None = None
        if look.names_files:
            _ = self.made

    @property
    def made(self) -> JinjaPages:
        """Return the pages themselves."""
        if self._made is None:
            from proxy.pages.render import JinjaPages  # noqa: PLC0415 - see the module

            self._made = JinjaPages(self._look)
        return self._made

    def render(
        self, name: str, *, languages: Sequence[str], context: Mapping[str, object], language_url: str = ""
    ) -> bytes:
        """Return the page as UTF-8 HTML."""
        return self.made.render(name, languages=languages, context=context, language_url=language_url)

    def language(self, languages: Sequence[str]) -> str:
        """Return the tag of the language in which pages are written for this visitor."""
        return self.made.language(languages)

    def speaks(self, tag: str) -> bool:
        """Say whether there are pages in exactly this language."""
        return self.made.speaks(tag)

    def headers(self, name: str) -> Headers:
        """Return Content-Type and the security fields of the page."""
        return self.made.headers(name)
