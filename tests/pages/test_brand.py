"""What a company brings is served as what it is, under a name that holds its hash; what is of no use is a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.errors import SettingsError
from proxy.pages import brand
from proxy.pages.assets import SVG_POLICY, load_assets
from proxy.pages.brand import ICON, THEME, Brand, load_brand
from proxy.pages.look import Look
from tests.support.pictures import LOGO_SVG, png

if TYPE_CHECKING:
    from pathlib import Path


def branded(**changes: Any) -> Brand:
    return load_brand(Look(title="Acme", description="", own_path="/o", home="/", form_origins=(), **changes))


def file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_without_anything_the_mark_and_the_files_are_ours() -> None:
    plain = branded()

    assert plain.assets.keys() == load_assets().keys()
    assert (plain.look.logo, plain.look.has_theme, plain.has_fonts) == (None, False, False)
    assert plain.look.icon.url == f"/o/assets/{plain.assets[ICON].hashed_name}"


def test_a_logo_is_known_by_its_bytes_and_its_size_before_it_is_drawn(tmp_path: Path) -> None:
    logo = branded(logo_file=file(tmp_path, "picture.bin", png(120, 40))).look.logo

    assert logo is not None
    assert logo.url.startswith("/o/assets/logo.")
    assert logo.url.endswith(".png")
    assert (logo.media_type, logo.width, logo.height, logo.knows_dark) == ("image/png", 120, 40, False)


def test_a_drawing_never_runs_a_script(tmp_path: Path) -> None:
    made = branded(logo_file=file(tmp_path, "logo.svg", LOGO_SVG))

    fields = made.assets["logo.svg"].headers
    assert fields["Content-Type"] == "image/svg+xml"
    assert fields["Content-Security-Policy"] == SVG_POLICY == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert fields["X-Content-Type-Options"] == "nosniff"


def test_a_drawing_that_knows_both_schemes_says_so(tmp_path: Path) -> None:
    style = b"<style>@media (prefers-color-scheme: dark) { text { fill: #fff } }</style></svg>"
    logo = branded(logo_file=file(tmp_path, "l.svg", LOGO_SVG.replace(b"</svg>", style))).look.logo

    assert logo is not None
    assert logo.knows_dark


def test_an_icon_of_ones_own_stands_for_ours(tmp_path: Path) -> None:
    look = branded(icon_file=file(tmp_path, "fav.ico", b"\x00\x00\x01\x00\x01\x00\x20\x20" + bytes(14))).look

    assert (look.icon.media_type, look.icon.width, look.icon.url[-4:]) == ("image/x-icon", 32, ".ico")


def test_a_colour_brings_its_style_and_paints_our_mark() -> None:
    made = branded(accent="#0f766e")

    assert made.look.has_theme
    assert b"--accent:#0f766e" in made.assets[THEME].content
    assert b"#0f766e" in made.assets[ICON].content
    assert made.assets[ICON].hashed_name != load_assets()[ICON].hashed_name


def test_own_files_are_served_and_a_style_sheet_names_its_neighbours_by_their_hash(tmp_path: Path) -> None:
    file(tmp_path, "assets/acme.woff2", b"wOF2 font")
    file(tmp_path, "assets/photo.jpeg", b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x02\x00\x03" + bytes(9))
    file(tmp_path, "assets/acme.css", b"@font-face{src:url( 'acme.woff2' )} a{background:url(data:image/png;base64,x)}")
    file(tmp_path, "assets/.DS_Store", b"noise")
    made = branded(templates_dir=tmp_path)

    assert made.assets.keys() - load_assets().keys() == {"acme.woff2", "photo.jpeg", "acme.css"}
    assert made.has_fonts
    assert made.assets["acme.woff2"].content_type == "font/woff2"
    font = made.assets["acme.woff2"].hashed_name
    expected = f'@font-face{{src:url("{font}")}} a{{background:url(data:image/png;base64,x)}}'
    assert made.assets["acme.css"].content.decode() == expected


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("assets/acme.css", b"a{background:url(nowhere.png)}", "names nowhere.png, which is not in"),
        ("assets/deep/a.css", b"", "is a folder; put its files into assets itself"),
        ("assets/readme.txt", b"", "is no file that pages show"),
        ("assets/a b.css", b"", "is no file that pages show"),
        ("assets/sidegate.css", b"", "has the name of a file of ours"),
        ("assets/theme.css", b"", "has the name of a file of ours"),
        ("assets/logo.png", png(1, 1), "has the name of a file of ours"),
        ("assets/a.png", b"<html>", "is no picture that browsers show"),
        ("assets/a.png", LOGO_SVG, "is image/svg\\+xml by its content; name it \\*.svg"),
    ],
)
def test_own_files_that_no_page_could_use_are_refused(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    file(tmp_path, name, content)

    with pytest.raises(SettingsError, match=sentence):
        branded(templates_dir=tmp_path)


def test_too_many_and_too_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file(tmp_path, "assets/a.css", b"a{}" * 400)
    monkeypatch.setattr(brand, "LARGEST_FILE_BYTES", 1024)
    with pytest.raises(SettingsError, match="larger than 1 KiB"):
        branded(templates_dir=tmp_path)

    monkeypatch.setattr(brand, "MOST_FILES", 0)
    with pytest.raises(SettingsError, match="more than 0 files"):
        branded(templates_dir=tmp_path)


@pytest.mark.parametrize(
    ("role", "content", "sentence"),
    [
        ("logo_file", b"not a picture", "is no picture that browsers show"),
        ("logo_file", b"\x00\x00\x01\x00\x01\x00\x20\x20" + bytes(14), "is image/x-icon, which is no logo"),
        ("icon_file", b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x02\x00\x03", "is image/jpeg, which is no icon"),
        ("logo_file", b"\x89PNG" + bytes(600 * 1024), "larger than 512 KiB"),
        ("logo_file", None, "cannot be read"),
    ],
)
def test_a_picture_that_is_none_is_a_sentence(tmp_path: Path, role: str, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "nowhere" if content is None else file(tmp_path, "picture", content)

    with pytest.raises(SettingsError, match=sentence):
        branded(**{role: path})
