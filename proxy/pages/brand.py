"""What a company brings along: its logo, its icon, its colour, and files of its own in ``templates_dir/assets``.

Everything is read once into memory, what a company brings at the start: nothing is looked up in the file system for a
visitor. What cannot be used is a sentence with its remedy, and the process does not start.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.core.colour import parse_colour
from proxy.core.picture import ICON_KINDS, LARGEST_PICTURE_BYTES, LOGO_KINDS, Picture, PictureKind, describe_picture
from proxy.errors import SettingsError
from proxy.pages.assets import CONTENT_TYPES, Asset, load_assets, make_asset, suffix_of
from proxy.pages.look import SharedLook, ShownPicture
from proxy.pages.theme import DEFAULT_ACCENT, LIGHT, palette, theme_css

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from proxy.pages.look import Look

THEME: Final = "theme.css"
ICON: Final = "icon.svg"
"""Ours, drawn in :data:`DEFAULT_ACCENT`."""

MOST_FILES: Final = 64
"""Of a company's own: a page needs a handful, and all of them are kept in memory."""

LARGEST_FILE_BYTES: Final = 512 * 1024
"""The same as of a logo: a font of one script has 100 KB."""

_SUFFIX_OF: Final = {
    PictureKind.SVG: ".svg",
    PictureKind.PNG: ".png",
    PictureKind.JPEG: ".jpg",
    PictureKind.WEBP: ".webp",
    PictureKind.ICO: ".ico",
}
_PICTURE_SUFFIXES: Final = frozenset(_SUFFIX_OF.values()) | {".jpeg"}
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CSS_URL: Final = re.compile(rb"url\(\s*([\"']?)([A-Za-z0-9._-]+)\1\s*\)")


class Brand(Struct, frozen=True):
    """The files of all pages, ours and the company's.

    Attributes:
        assets: by plain name, as ``asset('…')`` in a template names them.
        look: what templates see.
    """

    assets: Mapping[str, Asset]
    look: SharedLook

    @property
    def has_fonts(self) -> bool:
        """Say whether a page may need a font of the company's."""
        return any(suffix_of(name) == ".woff2" for name in self.assets)


def load_brand(look: Look) -> Brand:
    """Read what the look names.

    Raises:
        SettingsError: a file cannot be read, is not what it should be, or is too large.
    """
    assets = load_assets()
    if look.templates_dir is not None:
        assets |= _own_assets(look.templates_dir / "assets", taken={*assets, THEME})
    if look.accent is not None:
        assets |= _themed(look.accent, assets[ICON])
    icon, icon_picture = assets[ICON], describe_picture(assets[ICON].content)
    if look.icon_file is not None:
        icon, icon_picture = _picture_file("icon", look.icon_file, ICON_KINDS)
    logo = None if look.logo_file is None else _picture_file("logo", look.logo_file, LOGO_KINDS)
    named = {asset.name: asset for asset in (icon, *((logo[0],) if logo else ()))}
    shared = SharedLook(
        title=look.title,
        description=look.description,
        own_path=look.own_path,
        home=look.home,
        icon=_shown(look, icon, icon_picture),
        logo=None if logo is None else _shown(look, *logo),
        has_theme=look.accent is not None,
    )
    return Brand({**assets, **named}, shared)


def asset_path(own_path: str, asset: Asset) -> str:
    """Return where a browser finds it."""
    return f"{own_path}/assets/{asset.hashed_name}"


def _themed(accent: str, icon: Asset) -> dict[str, Asset]:
    """Return the style of the colour, and our icon drawn in it."""
    colour = parse_colour(accent)
    edge = palette(colour, LIGHT)["accent-edge"]
    drawn = icon.content.replace(str(DEFAULT_ACCENT).encode(), str(edge).encode())
    return {THEME: make_asset(THEME, theme_css(colour)), ICON: make_asset(ICON, drawn)}


def _shown(look: Look, asset: Asset, picture: Picture) -> ShownPicture:
    return ShownPicture(
        url=asset_path(look.own_path, asset),
        media_type=asset.content_type,
        width=picture.width,
        height=picture.height,
        knows_dark=picture.kind is PictureKind.SVG and b"prefers-color-scheme" in asset.content,
    )


def _picture_file(role: str, path: Path, kinds: Sequence[PictureKind]) -> tuple[Asset, Picture]:
    """Return the picture under the name of its role, with the suffix of what it is."""
    content = _content(path, LARGEST_PICTURE_BYTES)
    picture = _described(path, content)
    if picture.kind not in kinds:
        wanted = ", ".join(_SUFFIX_OF[kind] for kind in kinds)
        raise SettingsError(f"{path} is {picture.kind}, which is no {role} for every browser; save it as {wanted}")
    return make_asset(f"{role}{_SUFFIX_OF[picture.kind]}", content), picture


def _described(path: Path, content: bytes) -> Picture:
    try:
        return describe_picture(content)
    except ValueError as error:
        raise SettingsError(f"{path} is no picture that browsers show ({error}); save it anew") from error


# --- a company's own files -------------------------------------------------------------------------------------------


def _own_assets(folder: Path, *, taken: set[str]) -> dict[str, Asset]:
    """Return the files of the folder; an absent one has none."""
    if not folder.is_dir():
        return {}
    # Names with a dot before them are the file system's own (.DS_Store, the ..data of a mounted ConfigMap).
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if len(paths) > MOST_FILES:
        raise SettingsError(f"{folder} has more than {MOST_FILES} files; keep those that pages name")
    contents = {path.name: _own_content(path, taken) for path in paths}
    plain = {name: make_asset(name, content) for name, content in contents.items() if suffix_of(name) != ".css"}
    # A style sheet may name its neighbours; it is done after them, for it needs their hashes.
    styles = {name: _with_hashes(folder / name, contents[name], plain) for name in contents.keys() - plain.keys()}
    return {**plain, **styles}


def _own_content(path: Path, taken: set[str]) -> bytes:
    kinds = ", ".join(CONTENT_TYPES)
    if path.is_dir():
        raise SettingsError(f"{path} is a folder; put its files into assets itself")
    if suffix_of(path.name) not in CONTENT_TYPES or not _PLAIN_NAME.fullmatch(path.name):
        raise SettingsError(f"{path} is no file that pages show; keep plain names that end with {kinds}")
    if path.name in taken or path.name.startswith(("logo.", "icon.")):
        raise SettingsError(f"{path} has the name of a file of ours; choose another")
    content = _content(path, LARGEST_FILE_BYTES)
    if suffix_of(path.name) in _PICTURE_SUFFIXES:
        described = _described(path, content)
        if CONTENT_TYPES[suffix_of(path.name)] != described.kind:
            raise SettingsError(f"{path} is {described.kind} by its content; name it *{_SUFFIX_OF[described.kind]}")
    return content


def _with_hashes(path: Path, content: bytes, neighbours: Mapping[str, Asset]) -> Asset:
    """Return a style sheet whose ``url(name)`` is that of the neighbour as it is served."""

    def hashed(found: re.Match[bytes]) -> bytes:
        name = found[2].decode()
        if name not in neighbours:
            raise SettingsError(f"{path} names {name}, which is not in {path.parent}; add it, or correct the name")
        return f'url("{neighbours[name].hashed_name}")'.encode()

    return make_asset(path.name, _CSS_URL.sub(hashed, content))


def _content(path: Path, largest: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); check path and permissions") from error
    if len(content) > largest:
        raise SettingsError(f"{path} is larger than {largest // 1024} KiB; make it smaller")
    return content
