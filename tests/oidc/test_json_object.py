"""What two parsers could read differently is refused."""

from __future__ import annotations

import pytest

from proxy.oidc.json_object import NotAnObject, parse_json_object


def test_an_object_gives_its_members() -> None:
    assert parse_json_object('{"a": {"b": [1, 2.5, null, "ü"]}}'.encode()) == {"a": {"b": [1, 2.5, None, "ü"]}}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"<html>",
        b"{} {}",
        b'{"a": 1, "a": 1}',
        b'{"a": {"b": 1, "b": 2}}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1' + b"0" * 5000 + b"}",
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda document: repr(document[:24]),
)
def test_anything_else_is_refused(document: bytes) -> None:
    with pytest.raises(NotAnObject):
        parse_json_object(document)
