"""The renderer: a name, the visitor's languages and a context become bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from proxy.pages.assets import Asset, load_assets
from proxy.pages.catalog import load_catalogs
from proxy.pages.languages import chosen_language, direction
from proxy.pages.moments import relative
from proxy.pages.security import NOBODY, OURSELVES, security_headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.core.request import Headers

PageName = Literal[
    "callback_failed",
    "devices",
    "error",
    "forbidden",
    "frame",
    "frontchannel",
    "logged_out",
    "logged_out_all",
    "login",
    "logout",
    "logout_at_provider",
    "setup_required",
]
"""Every page; a test holds that each has its template."""

_FRAMED_BY_SELF = frozenset({"frame"})
_FRAMED_BY_PROVIDER = frozenset({"frontchannel"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What all pages share.

    Attributes:
        title: name of the site, shown on every page.
        description: a sentence below the heading of the login page; empty for none.
        own_path: path of our own pages: path of the public URL and prefix, without a final slash.
        home: path of the site's start.
        form_origins: origins besides our own to which forms may post: the issuer's, which may also frame the page of
            its front-channel logout.
    """

    title: str
    description: str
    own_path: str
    home: str
    form_origins: tuple[str, ...]


class JinjaPages:
    """Pages from the templates of this room; implements ``ports.Pages``."""

    def __init__(self, look: Look) -> None:
        """Read templates, words and assets once."""
        self._look = look
        self._catalogs = load_catalogs()
        self._assets = load_assets()
        self._environment = Environment(
            loader=PackageLoader("proxy.pages", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )

    @property
    def assets(self) -> Mapping[str, Asset]:
        """Return what ``/assets/`` serves, by hashed name."""
        return {asset.hashed_name: asset for asset in self._assets.values()}

    def render(self, name: str, *, languages: Sequence[str], context: Mapping[str, object]) -> bytes:
        """Return the page as UTF-8 HTML.

        Raises:
            jinja2.TemplateNotFound, jinja2.UndefinedError: a mistake of ours; tests hold that there is none.
        """
        language = chosen_language(languages, tuple(self._catalogs))
        shared = {
            "t": self._catalogs[language].text,
            "language": language,
            "direction": direction(language),
            "look": self._look,
            "asset": self._asset_path,
            "relative": partial(relative, language=language),
        }
        page = self._environment.get_template(f"{name}.html").render(**shared, **context)
        # A lone surrogate (half a character in somebody's name) has no UTF-8.
        return page.encode("utf-8", errors="replace")

    def headers(self, name: str) -> Headers:
        """Return Content-Type and the security fields of the page."""
        fields = security_headers(self._look.form_origins, frame_ancestors=self._framed_by(name))
        return ((b"Content-Type", b"text/html; charset=utf-8"), *fields)

    def _framed_by(self, name: str) -> str:
        if name in _FRAMED_BY_PROVIDER:
            return " ".join(self._look.form_origins) or NOBODY
        return OURSELVES if name in _FRAMED_BY_SELF else NOBODY

    def _asset_path(self, name: str) -> str:
        return f"{self._look.own_path}/assets/{self._assets[name].hashed_name}"
