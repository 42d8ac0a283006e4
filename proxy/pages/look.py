"""What all pages share, as the operator says it; a value, so that each site can have its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from pathlib import Path

LOCALES = ("en", "de", "fr", "es")
"""The languages that come with us, in the order of the default of ``login.locales``."""


class Look(Struct, frozen=True, kw_only=True):
    """What all pages share.

    Attributes:
        title: name of the site, shown on every page.
        description: a sentence below the heading of the login page; empty for none.
        own_path: path of our own pages: path of the public URL and prefix, without a final slash.
        home: path of the site's start.
        form_origins: origins besides our own to which forms may post: the issuer's, which may also frame the page of
            its front-channel logout.
        locales: tags of the languages of pages, in small letters; the first is for who reads none of them.
        accent: the company's colour as CSS writes it in hexadecimal; None for ours.
        logo_file: picture above every page, instead of mark and title.
        icon_file: picture in the tab of the browser, and the mark beside the title.
        templates_dir: folder with the company's own templates, its own files in ``assets``, its own words in
            ``locales``.
    """

    title: str
    description: str
    own_path: str
    home: str
    form_origins: tuple[str, ...]
    locales: tuple[str, ...] = LOCALES
    accent: str | None = None
    logo_file: Path | None = None
    icon_file: Path | None = None
    templates_dir: Path | None = None

    @property
    def names_files(self) -> bool:
        """Say whether anything of it is read from files that an operator gave, which may be wrong."""
        return any((self.logo_file, self.icon_file, self.templates_dir))


class ShownPicture(Struct, frozen=True, kw_only=True):
    """A picture as a template names it.

    Attributes:
        url: path from this origin.
        media_type: of its bytes.
        width: in its own units, at least 1; with ``height`` it keeps the place of a picture that is on its way.
        knows_dark: whether it changes by itself with the colours that the visitor prefers (SVG with a media query).
    """

    url: str
    media_type: str
    width: int
    height: int
    knows_dark: bool


class SharedLook(Struct, frozen=True, kw_only=True):
    """``look`` in a template: what of the look a page may say. Texts and numbers only, nothing that leads further."""

    title: str
    description: str
    own_path: str
    home: str
    icon: ShownPicture
    logo: ShownPicture | None
    has_theme: bool
