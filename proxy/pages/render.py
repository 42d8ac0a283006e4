"""The renderer: a name, the visitor's languages and a context become bytes."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

from proxy.core.languages import chosen_language
from proxy.errors import SettingsError
from proxy.pages.brand import asset_path, load_brand
from proxy.pages.catalog import load_catalogs
from proxy.pages.contexts import CONTEXT_VERSION
from proxy.pages.environment import make_environment, read_templates
from proxy.pages.languages import any_of, language_of
from proxy.pages.moments import duration, relative
from proxy.pages.rehearsal import Rehearsal
from proxy.pages.security import NOBODY, OURSELVES, security_headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.core.request import Headers
    from proxy.pages.assets import Asset
    from proxy.pages.environment import OwnTemplates
    from proxy.pages.languages import Language
    from proxy.pages.look import Look

PageName = Literal[
    "callback_failed",
    "devices",
    "error",
    "forbidden",
    "frame",
    "frame_logout",
    "frontchannel",
    "kept",
    "logged_out",
    "logged_out_all",
    "login",
    "logout",
    "logout_at_provider",
    "not_kept",
    "setup_required",
    "unavailable",
]
"""Every page; a test holds that each has its template."""

_FRAMED_BY_SELF = frozenset({"frame", "frame_logout", "not_kept"})
_FRAMED_BY_PROVIDER = frozenset({"frontchannel"})


class JinjaPages:
    """Pages from the templates of this room and a company's own; implements ``ports.Pages``."""

    def __init__(self, look: Look) -> None:
        """Read templates, words and assets once, and draw every page when templates of others are among them.

        Raises:
            SettingsError: a picture, an asset, words or a template cannot be used; each fault on a line of its own.
        """
        self._look = look
        self._catalogs = load_catalogs(look.locales, look.templates_dir)
        self._brand = load_brand(look)
        own = None if look.templates_dir is None else read_templates(look.templates_dir)
        self._environment = make_environment(own)
        if own is not None:
            self._rehearse(own)

    @cached_property
    def _languages(self) -> tuple[Language, ...]:
        # What Babel knows of a language takes it 20 ms to read: the first page waits for it, not the start.
        return tuple(language_of(tag) for tag in self._catalogs)

    def _rehearse(self, own: OwnTemplates) -> None:
        shared = self._shared(next(iter(self._catalogs)))
        rehearsal = Rehearsal(self._environment, own, shared_names=tuple(shared), languages=tuple(self._catalogs))
        if faults := rehearsal.faults(self._draw):
            raise SettingsError("\n".join(map(str, faults)))

    @property
    def assets(self) -> Mapping[str, Asset]:
        """Return what ``/assets/`` serves, by hashed name."""
        return {asset.hashed_name: asset for asset in self._brand.assets.values()}

    def language(self, languages: Sequence[str]) -> str:
        """Return the tag of the language in which pages are written for this visitor."""
        return language_of(self._chosen(languages)).tag

    def speaks(self, tag: str) -> bool:
        """Say whether there are pages in exactly this language."""
        return tag in self._catalogs

    def render(
        self, name: str, *, languages: Sequence[str], context: Mapping[str, object], language_url: str = ""
    ) -> bytes:
        """Return the page as UTF-8 HTML; a language tag is appended to ``language_url`` to have it in another one.

        Raises:
            jinja2.TemplateNotFound, jinja2.UndefinedError: a mistake of ours; tests hold that there is none.
        """
        page = self._draw(name, self._chosen(languages), context, language_url)
        # A lone surrogate (half a character in somebody's name) has no UTF-8.
        return page.encode("utf-8", errors="replace")

    def _draw(self, name: str, chosen: str, context: Mapping[str, object], language_url: str = "/?ui_locales=") -> str:
        template = self._environment.get_template(f"{name}.html")
        return template.render(**self._shared(chosen, language_url), **context)

    def _shared(self, chosen: str, language_url: str = "") -> dict[str, object]:
        """Return what every template may use besides its context; ``docs/templates.md`` tells of each."""
        language = language_of(chosen)
        return {
            "t": self._catalogs[chosen].text,
            "language": language.tag,
            "direction": language.direction,
            "languages": self._languages if language_url and len(self._languages) > 1 else (),
            "language_url": language_url,
            "look": self._brand.look,
            "asset": self._asset_path,
            "relative": partial(relative, language=chosen),
            "duration": partial(duration, language=chosen),
            "any_of": partial(any_of, language=chosen),
            "context_version": CONTEXT_VERSION,
        }

    def headers(self, name: str) -> Headers:
        """Return Content-Type and the security fields of the page."""
        fields = security_headers(
            self._look.form_origins,
            frame_ancestors=self._framed_by(name),
            fonts_from=OURSELVES if self._brand.has_fonts else NOBODY,
        )
        return ((b"Content-Type", b"text/html; charset=utf-8"), *fields)

    def _chosen(self, languages: Sequence[str]) -> str:
        return chosen_language(languages, tuple(self._catalogs))

    def _framed_by(self, name: str) -> str:
        if name in _FRAMED_BY_PROVIDER:
            return " ".join(self._look.form_origins) or NOBODY
        return OURSELVES if name in _FRAMED_BY_SELF else NOBODY

    def _asset_path(self, name: str) -> str:
        """Return where a browser finds an asset.

        Raises:
            LookupError: there is none of this name.
        """
        asset = self._brand.assets.get(name)
        if asset is None:
            raise LookupError(f"there is no asset {name}")
        return asset_path(self._look.own_path, asset)
