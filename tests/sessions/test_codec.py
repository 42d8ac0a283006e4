"""A session survives the way to the store and back whole; whatever else lies there is no session, and no crash."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from proxy.core.identity import Identity
from proxy.core.secret import Secret
from proxy.core.session import BySid, BySubject, ByUsername, LoginOrigin, Persistence, Session, session_key
from proxy.core.tokens import TokenSet
from proxy.sessions.codec import FORMAT, SessionCodec, Unreadable, _summary_values, summary_of, version_prefix
from proxy.sessions.sealing import Sealer
from tests.support.clocks import START
from tests.support.hypothesis_profile import MORE
from tests.support.sessions import ISSUER, make_session, make_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
A, B = Secret("cookie-a"), Secret("cookie-b")
CODEC = SessionCodec(Sealer([KEY]))

# Any text, lone surrogates too: claims come from JSON, which has them.
texts = st.text(st.characters(), max_size=30)
instants = st.floats(min_value=0, max_value=1e11) | st.integers(0, 10**11)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
secrets = texts.map(Secret)


def all_fields(made_of: type, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Values of which every field is drawn: one that was added and forgotten here would never be tried."""
    assert set(fields) == set(names_of(made_of)), "a field is not tried"
    return st.fixed_dictionaries(fields).map(lambda drawn: made_of(**drawn))


def names_of(made_of: type) -> Iterable[str]:
    if issubclass(made_of, Struct):
        return made_of.__struct_fields__
    return [field.name for field in dataclasses.fields(made_of) if field.init]


identities = all_fields(
    Identity,
    issuer=texts,
    subject=texts,
    username=st.none() | texts,
    name=st.none() | texts,
    email=st.none() | texts,
    email_is_verified=st.booleans(),
    roles=st.frozensets(texts, max_size=4),
    groups=st.frozensets(texts, max_size=4),
    claims=st.dictionaries(texts, json_values, max_size=4),
)
token_sets = all_fields(
    TokenSet,
    access_token=secrets,
    refresh_token=st.none() | secrets,
    id_token=st.none() | secrets,
    obtained_at=instants,
    access_expires_at=st.none() | instants,
    refresh_expires_at=st.none() | instants,
    is_final=st.booleans(),
)


@st.composite
def sessions(draw: st.DrawFn) -> tuple[Secret, Session]:
    cookie_value = draw(st.text(st.characters(codec="ascii"), min_size=1, max_size=50).map(Secret))
    fields = {
        "client_id": texts,
        "identity": identities,
        "tokens": token_sets,
        "sid": st.none() | texts,
        "origin": st.sampled_from(LoginOrigin),
        "issued_at": instants,
        "authenticated_at": instants,
        "acr": st.none() | texts,
        "created_at": instants,
        "expires_at": instants,
        "idle_timeout_s": instants,
        "persistence": st.sampled_from(Persistence),
        "user_agent": texts,
        "address": texts,
        "notes": st.dictionaries(texts, texts, max_size=4),
        "version": st.integers(1, 2**32 - 1),
        "portal": texts,
    }
    return cookie_value, draw(all_fields(Session, key=st.just(session_key(cookie_value)), **fields))


@settings(max_examples=60 * MORE)
@given(made=sessions())
def test_every_session_comes_back_as_it_was(made: tuple[Secret, Session]) -> None:
    cookie_value, session = made

    record = CODEC.encode(cookie_value, session)

    assert CODEC.decode(cookie_value, record) == session
    assert CODEC.decode_summary(session.key, record) == summary_of(session)


def test_without_a_portal_a_record_is_what_a_replica_of_before_can_read() -> None:
    plain, of_portal = make_session(A), make_session(A, portal="admin")

    assert "portal" not in _summary_values(plain)
    assert _summary_values(of_portal)["portal"] == "admin"


def test_a_session_is_not_encoded_under_a_foreign_cookie() -> None:
    with pytest.raises(ValueError, match="cookie"):
        CODEC.encode(B, make_session(A))


def test_a_record_shows_nothing_of_what_it_holds() -> None:
    identity = Identity(issuer=ISSUER, subject="alice-id", username="alice", name="Alice A", email="alice@example.com")
    record = CODEC.encode(
        A, make_session(A, identity=identity, sid="the-sid", user_agent="Mozilla", address="10.0.0.1")
    )

    shown = [
        "access-1",
        "refresh-1",
        "id-1",
        "cookie-a",
        "alice",
        "Alice A",
        "example.com",
        "the-sid",
        "Mozilla",
        "10.0.",
    ]
    assert [text for text in shown if text.encode() in record] == []


def test_without_the_cookie_the_summary_opens_and_the_tokens_do_not() -> None:
    session = make_session(A)
    record = CODEC.encode(A, session)

    assert CODEC.decode_summary(session.key, record) == summary_of(session)
    assert CODEC.decode(B, record) is Unreadable.NOT_OURS
    sealed = record[9:]
    assert not any(Sealer([KEY]).open(sealed[n:], associated_data=b"") for n in range(len(sealed)))


def test_a_record_opens_for_no_other_session() -> None:
    record = CODEC.encode(A, make_session(A))

    assert CODEC.decode_summary(session_key(B), record) is Unreadable.NOT_OURS


def test_the_parts_of_two_versions_cannot_be_mixed() -> None:
    first = CODEC.encode(A, make_session(A))
    second = CODEC.encode(A, make_session(A, version=2, tokens=make_tokens(2)))

    assert len(first) == len(second)
    middle = len(first) // 2
    assert CODEC.decode(A, second[:middle] + first[middle:]) is Unreadable.NOT_OURS
    assert CODEC.decode(A, second[:9] + first[9:]) is Unreadable.NOT_OURS


def test_a_record_under_a_key_that_is_gone_is_no_session() -> None:
    record = SessionCodec(Sealer([OTHER_KEY])).encode(A, make_session(A))

    assert CODEC.decode(A, record) is Unreadable.NOT_OURS
    assert SessionCodec(Sealer([KEY, OTHER_KEY])).decode(A, record) == make_session(A)


def test_a_record_of_another_format_is_no_session() -> None:
    record = CODEC.encode(A, make_session(A))

    for other in (0, FORMAT + 1, 255):
        assert CODEC.decode(A, bytes([other]) + record[1:]) is Unreadable.OTHER_FORMAT


@pytest.mark.parametrize("length", [0, 1, 8])
def test_a_record_without_a_whole_header_is_truncated(length: int) -> None:
    assert CODEC.decode(A, CODEC.encode(A, make_session(A))[:length]) is Unreadable.TRUNCATED


@given(data=st.data())
def test_a_truncated_or_changed_record_is_no_session(data: st.DataObject) -> None:
    record = bytearray(CODEC.encode(A, make_session(A)))
    if data.draw(st.booleans()):
        del record[data.draw(st.integers(0, len(record) - 1)) :]
    else:
        record[data.draw(st.integers(0, len(record) - 1))] ^= data.draw(st.integers(1, 255))

    assert isinstance(CODEC.decode(A, bytes(record)), Unreadable)


@given(record=st.binary(max_size=300))
def test_nonsense_is_no_session(record: bytes) -> None:
    assert isinstance(CODEC.decode(A, record), Unreadable)
    assert isinstance(CODEC.decode_summary(session_key(A), record), Unreadable)


def test_what_was_sealed_by_us_and_has_other_members_is_garbled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.sessions.codec._rest_values", lambda _: {"tokens": None})
    record = CODEC.encode(A, make_session(A))
    assert CODEC.decode(A, record) is Unreadable.GARBLED

    monkeypatch.setattr("proxy.sessions.codec._summary_values", lambda _: {"surname": "x"})
    record = CODEC.encode(A, make_session(A))
    assert CODEC.decode_summary(session_key(A), record) is Unreadable.GARBLED


def test_a_record_begins_with_its_version_and_so_does_no_other_version() -> None:
    record = CODEC.encode(A, make_session(A, version=7))

    assert record.startswith(version_prefix(7))
    assert not any(record.startswith(version_prefix(other)) for other in (6, 8, 7 + 256))


def test_a_summary_names_every_filter_that_finds_it_and_is_listed_with_its_last_activity() -> None:
    summary = summary_of(make_session(A, sid="s1", user_agent="Mozilla"))

    assert set(summary.filters()) == {
        BySubject(ISSUER, "alice-id"),
        ByUsername(ISSUER, "alice"),
        BySid(ISSUER, "s1"),
    }
    listed = summary.listed(START + 5)
    assert (listed.last_seen_at, listed.user_agent, listed.sid) == (START + 5, "Mozilla", "s1")
    alone = summary_of(make_session(A, sid=None, identity=Identity(issuer=ISSUER, subject="alice-id")))
    assert set(alone.filters()) == {BySubject(ISSUER, "alice-id")}
