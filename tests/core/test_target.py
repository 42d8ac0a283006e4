"""The law of the target: what is refused, what is read, and what is forwarded."""

from __future__ import annotations

import pytest

from proxy.core.target import (
    Extensions,
    RequestTarget,
    TargetRules,
    fold_letters,
    parse_target,
)
from proxy.errors import TargetRefused

RULES = TargetRules()


def parse(raw: bytes, rules: TargetRules = RULES) -> RequestTarget:
    return parse_target(raw, rules=rules)


def paths(raw: bytes, rules: TargetRules = RULES) -> set[bytes]:
    return {reading.path for reading in parse(raw, rules).readings}


@pytest.mark.parametrize("byte", [*range(0x21), 0x7F, ord("#")])
@pytest.mark.parametrize("place", [b"/a%cb", b"/a?x%cy", b"%c/a", b"/%c"])
def test_control_bytes_space_and_fragment_are_refused_wherever_they_stand(byte: int, place: bytes) -> None:
    with pytest.raises(TargetRefused):
        parse(place.replace(b"%c", bytes([byte])))


@pytest.mark.parametrize("raw", [b"/%", b"/%4", b"/%zz", b"/a%2", b"/%u002f", b"/%%32e", b"/a;%"])
def test_a_bad_escape_in_the_path_is_refused(raw: bytes) -> None:
    with pytest.raises(TargetRefused, match="escape"):
        parse(raw)


def test_a_percent_sign_in_the_query_is_the_apps_business() -> None:
    assert parse(b"/sale?off=50%&x=%zz").query == b"off=50%&x=%zz"


@pytest.mark.parametrize("escape", [b"%c0%af", b"%c1%9c", b"%e0%80%af", b"%f0%80%80%af", b"%25c0%25af", b"\xc0\xaf"])
def test_an_overlong_sequence_is_refused_in_every_reading(escape: bytes) -> None:
    with pytest.raises(TargetRefused, match="overlong"):
        parse(b"/a" + escape)


@pytest.mark.parametrize(
    "raw",
    [
        b"/.",
        b"/..",
        b"/a/../b",
        b"/a/./b",
        b"/a/%2e%2e/b",
        b"/a/%252e%252e/b",
        b"/public/..;/admin",
        b"/public/..%3b/admin",
        b"/a/..%2fb",
        b"/a/..%5cb",
        b"/a\\..\\b",
        b"/a/..%20/b",
        b"/a/..:x/b",
        b"/a/..%3f",
        b"/a/..%23",
        b"//host/../a",
    ],
)
def test_a_dot_segment_in_any_reading_is_refused(raw: bytes) -> None:
    with pytest.raises(TargetRefused, match="dot segment"):
        parse(raw)


@pytest.mark.parametrize("raw", [b"/a%00", b"/a%0d%0a", b"/a%2500", b"/%7f", b"/a%257f", b"/a;%00"])
def test_a_control_byte_in_any_reading_is_refused(raw: bytes) -> None:
    with pytest.raises(TargetRefused, match="control byte"):
        parse(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"*", b"?x", b"a", b"host:443", b"ftp://h/", b"http://", b"http://u@h/", b"http:///x", b"http:/x"]
)
def test_what_is_neither_a_path_nor_an_absolute_url_is_refused(raw: bytes) -> None:
    with pytest.raises(TargetRefused):
        parse(raw)


@pytest.mark.parametrize(
    ("raw", "forward", "authority"),
    [
        (b"http://Example.com/a?b", b"/a?b", b"example.com"),
        (b"HTTPS://h:8443/%61", b"/%61", b"h:8443"),
        (b"http://[::1]:80/", b"/", b"[::1]:80"),
        (b"http://h", b"/", b"h"),
        (b"http://h?", b"/?", b"h"),
        (b"http://h?q=1", b"/?q=1", b"h"),
        (b"http://h//x", b"//x", b"h"),
    ],
)
def test_absolute_form_is_forwarded_in_origin_form(raw: bytes, forward: bytes, authority: bytes) -> None:
    target = parse(raw)

    assert (target.raw, target.forward, target.authority) == (raw, forward, authority)


@pytest.mark.parametrize("raw", [b"/", b"/a?", b"/a??", b"/a%2Fb?x=%20", b"//x", b"/a;b=c", b"/caf\xc3\xa9", b"/a/"])
def test_what_is_forwarded_is_byte_for_byte_what_was_sent(raw: bytes) -> None:
    assert parse(raw).forward == raw


def test_an_empty_query_is_another_thing_than_none() -> None:
    assert (parse(b"/a").query, parse(b"/a?").query, parse(b"/a;x?").query) == (None, b"", b"")


@pytest.mark.parametrize("raw", [b"/", b"/a/b-c_d~e/f.css", b"/.well-known/x", b"/a/", b"/jquery.min.js?v=1", b"/A"])
def test_an_ordinary_path_has_one_reading(raw: bytes) -> None:
    assert paths(raw) == {raw.partition(b"?")[0]}


@pytest.mark.parametrize(
    ("raw", "reading"),
    [
        (b"/%61dmin", b"/admin"),
        (b"/%2561dmin", b"/admin"),
        (b"/a\\b", b"/a/b"),
        (b"/a%5cb", b"/a/b"),
        (b"/a//b", b"/a/b"),
        (b"/a%2f%2fb", b"/a/b"),
        (b"/a;x=1/b;y", b"/a/b"),
        (b"/a;x=1/b;y", b"/a;x=1/b"),
        (b"/a%3bx", b"/a"),
        (b"/admin%3F.css", b"/admin"),
        (b"/admin%23.css", b"/admin"),
        (b"/a%23b%3fc", b"/a#b"),
        (b"//name/admin", b"/admin"),
        (b"///name/admin", b"/admin"),
        (b"///name/admin", b"/name/admin"),
        (b"/%2fname/admin", b"/admin"),
        (b"/\\name/admin", b"/admin"),
        (b"//name", b"/"),
        (b"/admin.", b"/admin"),
        (b"/admin%20/x.%20.", b"/admin/x"),
        (b"/admin%20", b"/admin"),
        (b"/a:x/b::$DATA", b"/a/b"),
        (b"/a:x/b::$DATA", b"/a:x/b"),
        (b"/admin.%3a", b"/admin"),
        (b"/%61/b%2fc", b"/a/b%2fc"),
        (b"/admin%253b.%2520%3f", b"/admin"),
    ],
)
def test_every_reading_of_the_law_is_found(raw: bytes, reading: bytes) -> None:
    assert reading in paths(raw)


def test_escapes_are_decoded_at_most_twice() -> None:
    assert paths(b"/%25252561") == {b"/%25252561", b"/%252561", b"/%2561"}


def test_what_is_no_escape_the_second_time_stays() -> None:
    assert paths(b"/100%25x") == {b"/100%25x", b"/100%x"}


def test_an_authority_is_taken_away_once() -> None:
    assert b"/c" not in paths(b"//a//b/c")
    assert b"//b/c" in paths(b"//a//b/c")


def test_an_extension_is_taken_away_once_and_only_when_the_app_does_so() -> None:
    rails = TargetRules(extensions=Extensions.REMOVED)

    assert paths(b"/a.b/x.tar.gz", rails) == {b"/a.b/x.tar.gz", b"/a.b/x.tar"}
    assert paths(b"/x.json/", rails) == {b"/x.json/", b"/x/"}
    assert b"/x" in paths(b"/x%2Ejson", rails)
    assert paths(b"/x.json") == {b"/x.json"}


@pytest.mark.parametrize("name", ["index.php", "app"])
def test_a_front_controller_is_taken_away_where_the_app_has_one(name: str) -> None:
    rules = TargetRules(front_controllers=(name,))

    assert b"/admin" in paths(f"/{name}/admin".encode(), rules)
    assert b"/sub/admin" in paths(f"/sub/{name.upper()}/admin".encode(), rules)
    assert b"/" in paths(f"/{name}".encode(), rules)
    assert paths(f"/{name}/admin".encode()) == {f"/{name}/admin".encode()}


@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_front_controller_is_the_name_of_a_file(name: str) -> None:
    with pytest.raises(ValueError, match="name of one file"):
        TargetRules(front_controllers=(name,))


def test_readings_are_distinct_and_begin_with_the_path_as_sent() -> None:
    readings = parse(b"//a%2f%2fb;c:d./%41").readings

    assert readings[0].path == b"//a%2f%2fb;c:d./%41"
    assert not readings[0].by
    assert len({reading.path for reading in readings}) == len(readings)


def test_a_reading_says_how_it_came_about() -> None:
    [_, decoded, cut] = parse(b"/admin%3F.css").readings

    assert str(decoded) == "/admin?.css (percent-decoded)"
    assert str(cut) == "/admin (percent-decoded, cut at ?)"


def test_a_path_with_too_many_readings_is_refused() -> None:
    hostile = b"//a/" + b"/".join(b"%%2561;b%d:c.%%20%%23%%3f\\//x" % index for index in range(8)) + b"."

    with pytest.raises(TargetRefused, match="too many ways"):
        parse(hostile)


def test_a_long_path_may_have_fewer_readings_than_a_short_one() -> None:
    segment = b"%2561;b:c.%20%3fd%23"

    assert len(paths(b"/x/" + segment)) > 16
    with pytest.raises(TargetRefused, match="too many ways"):
        parse(b"/x/" * 2600 + segment)


def test_an_odd_path_that_is_longer_than_any_real_one_is_refused_before_it_costs_time() -> None:
    assert parse(b"/" + b"a" * 12_000).readings

    with pytest.raises(TargetRefused, match="longer than 8192 bytes"):
        parse(b"/" + b"\\;" * 4100)


@pytest.mark.parametrize("path", [b"/" + b"%25" * 2700, b"/" + b";" * 8000, b"/" + b". " * 2000 + b"x", b"/" * 8000])
def test_a_long_path_of_one_trick_is_read_in_time(path: bytes) -> None:
    try:
        assert parse(path.replace(b" ", b"%20")).readings
    except TargetRefused:
        pytest.fail("one trick alone is no reason to refuse")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"/ADMIN", b"/admin"),
        ("/Ü".encode(), "/ü".encode()),
        ("/\u212a".encode(), b"/k"),
        ("/\u017f".encode(), b"/s"),
        ("/\u0131".encode(), b"/i"),
        ("/ΟΔΟΣ".encode(), "/οδος".encode()),
        (b"/A\xff\xc3\x9c", b"/a\xff\xc3\xbc"),
    ],
)
def test_letters_are_folded_as_text(one: bytes, other: bytes) -> None:
    assert fold_letters(one) == fold_letters(other)
