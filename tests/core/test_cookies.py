"""Our cookies: names, reading, writing."""

from __future__ import annotations

import pytest

from proxy.core.cookies import (
    OwnCookies,
    SameSite,
    cookie_values,
    fold_cookie_name,
    kept_cookie_value,
    language_cookie_value,
    login_cookie_value,
    session_cookie_value,
)
from proxy.core.request import RequestHead
from proxy.core.secret import Secret

HTTPS, HTTP = OwnCookies(), OwnCookies(scheme="http")
VALUE = "a-_" + "Z" * 40


def head(*cookies: str) -> RequestHead:
    fields = tuple((b"Cookie", value.encode("latin-1")) for value in cookies)
    return RequestHead(b"GET", b"/", ((b"Host", b"h"), *fields), "10.0.0.1", "https")


@pytest.mark.parametrize(
    ("cookies", "names"),
    [
        (HTTPS, (b"__Host-sidegate", b"__Host-sidegate-login", b"__Host-sidegate-known", b"__Host-sidegate-language")),
        (HTTP, (b"sidegate", b"sidegate-login", b"sidegate-known", b"sidegate-language")),
        (
            OwnCookies(name="s", domain="example.com"),
            (b"__Secure-s", b"__Host-s-login", b"__Host-s-known", b"__Host-s-language"),
        ),
        (
            OwnCookies(scheme="http", domain="example.com"),
            (b"sidegate", b"sidegate-login", b"sidegate-known", b"sidegate-language"),
        ),
    ],
)
def test_names_follow_scheme_and_domain(cookies: OwnCookies, names: tuple[bytes, ...]) -> None:
    assert (cookies.session, cookies.login, cookies.known, cookies.language) == names


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a=b", "__Host-x", "__secure-x", "é"])
def test_a_name_that_no_cookie_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"cookie\.name"):
        OwnCookies(name=name)


@pytest.mark.parametrize("domain", ["", "a b", "a;Secure", "a..b"])
def test_a_domain_that_is_no_host_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match=r"cookie\.domain"):
        OwnCookies(domain=domain)


@pytest.mark.parametrize(
    "sent",
    [
        f"__Host-sidegate={VALUE}",
        f"a=1; __Host-sidegate={VALUE}; b=2",
        f"a=1;__Host-sidegate={VALUE}",
        f';;=;bad cookie; x="y; __Host-sidegate={VALUE} ;\xff=\xfe',
        f"__Host-sidegate-login=x; __Host-sidegate={VALUE}; sidegate=other",
    ],
)
def test_the_session_cookie_is_found_among_others(sent: str) -> None:
    assert session_cookie_value(head(sent), HTTPS) == Secret(VALUE)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "a=1",
        f"sidegate={VALUE}",
        f"__host-sidegate={VALUE}",
        f"x__Host-sidegate={VALUE}",
        f"__Host-sidegatex={VALUE}",
        f"__Host-sidegate={VALUE}x",
        f"__Host-sidegate={VALUE[1:]}",
        f"__Host-sidegate={VALUE[1:]}+",
        f'__Host-sidegate="{VALUE}"',
        "__Host-sidegate=",
        "__Host-sidegate",
        f"a=__Host-sidegate={VALUE}",
    ],
)
def test_what_is_not_exactly_ours_does_not_count(sent: str) -> None:
    assert session_cookie_value(head(sent), HTTPS) is None


@pytest.mark.parametrize(
    "sent",
    [
        (f"__Host-sidegate={VALUE}; __Host-sidegate={VALUE}",),
        (f"__Host-sidegate={VALUE}", f"__Host-sidegate={VALUE}"),
        (f"__Host-sidegate={VALUE}; __Host-sidegate=",),
        (f"__Host-sidegate; a=1; __Host-sidegate={VALUE}",),
        (f"__Host-sidegate ={VALUE}; __Host-sidegate={VALUE}",),
    ],
)
def test_of_two_cookies_of_our_name_none_counts(sent: tuple[str, ...]) -> None:
    assert session_cookie_value(head(*sent), HTTPS) is None


def test_the_login_cookie_is_read_by_the_same_rules() -> None:
    assert login_cookie_value(head(f"__Host-sidegate-login={VALUE}"), HTTPS) == VALUE
    assert login_cookie_value(head(f"__Host-sidegate-login={VALUE}", "__Host-sidegate-login=x"), HTTPS) is None


def test_other_cookies_can_be_read_by_their_exact_name() -> None:
    assert cookie_values(head("a=1; b=2", "a=3"), b"a") == (b"1", b"3")


def test_the_session_cookie_is_written_for_this_host_alone() -> None:
    assert HTTPS.session_cookie(Secret(VALUE), max_age_s=60) == (
        f"__Host-sidegate={VALUE}; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60".encode()
    )


def test_a_cookie_that_ends_with_the_browser_has_no_age() -> None:
    assert (
        HTTP.session_cookie(Secret(VALUE), max_age_s=None)
        == f"sidegate={VALUE}; Path=/; HttpOnly; SameSite=Lax".encode()
    )


def test_a_domain_is_for_the_session_alone() -> None:
    cookies = OwnCookies(domain="example.com", same_site=SameSite.STRICT)

    assert b"; SameSite=Strict; Secure; Domain=example.com" in cookies.session_cookie(Secret(VALUE), max_age_s=None)
    for written in (cookies.login_cookie("root"), cookies.known_cookie("mark"), cookies.clear_login_cookie()):
        assert b"Domain" not in written
        assert b"SameSite=Lax" in written


def test_login_and_known_have_the_contracts_ages() -> None:
    assert HTTPS.login_cookie("r").endswith(b"Max-Age=1800")
    assert HTTPS.known_cookie("m").endswith(b"Max-Age=15552000")


def test_clearing_names_the_cookie_with_the_same_attributes_and_no_age() -> None:
    cookies = OwnCookies(domain="example.com")

    assert cookies.clear_session_cookie() == (
        b"__Secure-sidegate=; Path=/; HttpOnly; SameSite=Lax; Secure; Domain=example.com; Max-Age=0"
    )
    assert cookies.clear_known_cookie().startswith(b"__Host-sidegate-known=; ")


@pytest.mark.parametrize("value", ["a;b", "a b", "a\r\nSet-Cookie: x", "é", "a,b"])
def test_a_value_that_could_be_more_than_a_value_is_not_written(value: str) -> None:
    with pytest.raises(ValueError, match="cookie value"):
        HTTPS.login_cookie(value)


def test_every_spelling_of_our_names_is_known() -> None:
    spellings = [
        b"sidegate",
        b"__Host-sidegate",
        b"__Secure-sidegate-login",
        b" SIDEGATE_known",
        b"__host_sidegate",
        b"sidegate.login",
    ]

    assert all(fold_cookie_name(name) in HTTP.every_name for name in spellings)
    assert fold_cookie_name(b"sidegate2") not in HTTP.every_name


@pytest.mark.parametrize(
    ("sent", "language"),
    [
        ("", None),
        ("__Host-sidegate-language=de", "de"),
        ("a=1; __Host-sidegate-language=pt-BR", "pt-BR"),
        ("sidegate-language=de", None),
        ("__Host-sidegate-language=de; __Host-sidegate-language=fr", None),
        ("__Host-sidegate-language=<b>", None),
        ("__Host-sidegate-language=", None),
        ("__Host-sidegate-language=" + "a" * 36, None),
    ],
)
def test_the_language_is_a_tag_or_none(sent: str, language: str | None) -> None:
    assert language_cookie_value(head(sent), HTTPS) == language


def test_the_language_is_kept_for_half_a_year_out_of_reach_of_scripts() -> None:
    written = HTTPS.language_cookie("de")

    assert written == (b"__Host-sidegate-language=de; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=15552000")


@pytest.mark.parametrize(
    ("sent", "mark"),
    [
        ("__Host-sidegate-kept=a.b", b"a.b"),
        ("sidegate-kept=a.b", None),
        ("__Host-sidegate-kept=a; __Host-sidegate-kept=b", None),
        ("x=1", None),
    ],
)
def test_what_names_a_kept_form_is_there_once_or_not_at_all(sent: str, mark: bytes | None) -> None:
    assert kept_cookie_value(head(sent), HTTPS) == mark


def test_what_names_a_kept_form_lasts_two_minutes_and_never_reaches_the_app() -> None:
    written = HTTPS.kept_cookie("a.b")

    assert written == b"__Host-sidegate-kept=a.b; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=120"
    assert {b"sidegate-kept", b"--host-sidegate-kept"} <= HTTPS.every_name
