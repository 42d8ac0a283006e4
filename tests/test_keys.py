"""Keys of the application: each under its own name."""

from __future__ import annotations

from aiohttp import web

from proxy import keys


def test_every_key_has_a_name_of_its_own() -> None:
    found = [value for value in vars(keys).values() if isinstance(value, web.AppKey | web.RequestKey)]

    assert len({str(key) for key in found}) == len(found) == 13


def test_a_key_finds_what_was_put_under_it() -> None:
    app = web.Application()
    app[keys.SLEEP] = sleep = object()  # type: ignore[assignment]

    assert app[keys.SLEEP] is sleep
