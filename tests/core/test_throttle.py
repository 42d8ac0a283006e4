"""Names and addresses that count as one."""

from __future__ import annotations

import pytest

from proxy.core.throttle import counted_address, folded_username, is_inside


@pytest.mark.parametrize(
    "spelling",
    [
        "alice",
        "ALICE",
        "  alice ",
        "alice\t",
        "al\u200bice",
        "\u202ealice",
        "\u00a0Alice\u3000",
        "\uff41\uff4c\uff49\uff43\uff45",
        "álicë",
        "a\u0301lice",
        "\U0001d4b6\U0001d4c1\U0001d4be\U0001d4b8\u212f",
    ],
)
def test_every_spelling_that_a_provider_may_take_for_one_user_is_one(spelling: str) -> None:
    assert folded_username(spelling) == "alice"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("straße", "STRASSE"),
        ("İstanbul", "istanbul"),
        ("ﬁona", "FIONA"),
        ("bøb", "bob"),
        ("BØB", "bob"),
        ("ǿ", "o"),
        ("łukasz", "lukasz"),
        ("đura", "dura"),
        ("bɨll", "bill"),
        ("k\u0131rk", "KIRK"),
        ("mæve", "maeve"),
        ("cŒur", "coeur"),
        ("\u017fam", "sam"),
    ],
)
def test_letters_are_folded_as_unicode_does(one: str, other: str) -> None:
    assert folded_username(one) == folded_username(other)


@pytest.mark.parametrize("other", ["alice2", "alice@example.com", "bob", "\u0430lice"])
def test_other_names_stay_other_names(other: str) -> None:
    assert folded_username(other) != "alice"


@pytest.mark.parametrize("name", ["🙂", "\u0301\u0301", "   ", "\u200b"])
def test_a_name_of_which_nothing_would_be_left_stays_as_it_is(name: str) -> None:
    assert folded_username(name) == name


def test_every_character_can_be_folded() -> None:
    everything = "".join(map(chr, range(0x11000)))

    assert folded_username(everything)


def test_folding_twice_changes_nothing() -> None:
    for name in ("ẞtraße", "İ", "Ǆ", "K", "ﬀ", "ϓ", "ØŒ", "\u0131", "ŉ", "ᾼ"):
        assert folded_username(folded_username(name)) == folded_username(name)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_an_ipv6_address_counts_by_its_network(address: str, counted: str) -> None:
    assert counted_address(address) == counted


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "::1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.1.1",
        "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1",
    ],
)  # fmt: skip
def test_networks_of_ones_own_are_inside(address: str) -> None:
    assert is_inside(address)


@pytest.mark.parametrize(
    "address", ["203.0.113.7", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1", "::ffff:8.8.8.8", "", "10.0.0"]
)
def test_addresses_of_the_internet_are_not_inside(address: str) -> None:
    assert not is_inside(address)
