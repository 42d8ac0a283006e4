"""What ``sidegate doctor`` prints: the lines and the document."""

from __future__ import annotations

import json

from proxy.doctor.finding import SETUP, Diagnosis, Finding, Group, Place, fail, ok, warn
from proxy.doctor.report import COLUMNS, Ink, document, lines

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


def diagnosis(*findings: Finding, unseen: tuple[str, ...] = ()) -> Diagnosis:
    return Diagnosis("a.yaml", (Place(None, "https://app", (Group("keys", "Keys", findings, unseen),)),))


def test_a_finding_is_a_line_with_its_verdict_first_and_the_remedy_below() -> None:
    printed = list(lines(diagnosis(ok("issuer", "is well"), fail("clock", "is off", "set it"))))

    assert printed == [
        "",
        "Keys",
        "  ok    issuer            is well",
        "  fail  clock             is off",
        "                          remedy: set it",
        "",
        "a.yaml: 1 ok, 1 fail",
    ]


def test_the_last_line_counts_what_there_is() -> None:
    assert list(lines(diagnosis(warn("a", "b", "c"), warn("d", "e", "f"))))[-1] == "a.yaml: 2 warnings"


def test_no_line_is_longer_than_80_columns_but_for_what_cannot_be_broken() -> None:
    long = diagnosis(
        fail("c" * 30, "word " * 60, "to do " * 50), ok("a", "http://" + "x" * 200), unseen=("unseen " * 40,)
    )

    printed = [line for line in lines(long) if "http" not in line]

    assert max(map(len, printed)) <= COLUMNS
    assert len(printed) > 20


def test_a_name_that_is_too_long_has_a_line_of_its_own() -> None:
    printed = list(lines(diagnosis(ok("an-upstream-with-a-name", "is well"))))

    assert printed[2:4] == ["  ok    an-upstream-with-a-name", "                          is well"]


def test_colour_adds_nothing_but_colour() -> None:
    seen = diagnosis(ok("a", "b"), warn("c", "d", "e"), fail("f", "g", "h"))
    plain, coloured = "\n".join(lines(seen)), "\n".join(lines(seen, Ink.COLOUR))

    assert "\x1b[31mfail\x1b[0m" in coloured
    for code in ("\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"):
        assert code in coloured
        coloured = coloured.replace(code, "")
    assert coloured == plain


def test_nothing_that_somebody_wrote_reaches_the_terminal_as_a_command() -> None:
    printed = "\n".join(lines(diagnosis(fail("a", "\x1b[2Jgone\u202e", "\x07"), unseen=("\x1b[2J",))))

    assert not set(printed) & set("\x1b\u202e\x07")


def test_what_looks_like_a_token_is_shown_nowhere() -> None:
    seen = diagnosis(fail("a", f"it says {TOKEN}", f"not {TOKEN}"), unseen=(TOKEN,))

    assert "eyJ" not in "\n".join(lines(seen)) + json.dumps(document(seen))


def test_what_was_not_looked_at_is_said() -> None:
    assert "  not looked at: the back-channel" in list(lines(diagnosis(unseen=("the back-channel",))))


def test_the_command_that_mends_the_client_is_written_out_once_below_where_a_remedy_means_it() -> None:
    groups = (Group("client", "Client", (fail("a", "b", f"run: {SETUP}"), warn("c", "d", f"run: {SETUP}"))),)
    seen = Diagnosis("a.yaml", (Place(None, "https://app", groups, f"{SETUP} -c a.yaml --admin-url https://sso"),))

    assert list(lines(seen)).count("  sidegate keycloak-setup -c a.yaml --admin-url https://sso") == 1
    assert document(seen)["setup"] == "sidegate keycloak-setup -c a.yaml --admin-url https://sso"
    assert not any("--admin-url" in line for line in lines(diagnosis(fail("a", "b", "c"))))


def test_a_group_without_anything_is_left_out() -> None:
    assert "Keys" not in list(lines(diagnosis()))


def test_each_portal_is_named_where_there_are_several() -> None:
    groups = (Group("keys", "Keys", (ok("a", "b"),)),)
    seen = Diagnosis("a.yaml", (Place("main", "https://a", groups), Place("admin", "https://b", groups)))

    printed = list(lines(seen))

    assert "=== portal main: https://a" in printed
    assert "=== portal admin: https://b" in printed
    assert "=== the site at the top: https://c" in lines(Diagnosis("f", (Place(None, "https://c", ()), *seen.places)))
    assert printed.count("Keys") == 2


def test_the_document_has_every_key_always() -> None:
    made = document(diagnosis(ok("issuer", "is well"), fail("clock", "is off", "set it"), unseen=("more",)))

    assert made == {
        "file": "a.yaml",
        "verdict": "fail",
        "setup": None,
        "findings": [
            {
                "portal": None,
                "group": "keys",
                "check": "issuer",
                "verdict": "ok",
                "sentence": "is well",
                "remedy": None,
            },
            {
                "portal": None,
                "group": "keys",
                "check": "clock",
                "verdict": "fail",
                "sentence": "is off",
                "remedy": "set it",
            },
        ],
        "not_looked_at": [{"portal": None, "group": "keys", "sentence": "more"}],
    }
