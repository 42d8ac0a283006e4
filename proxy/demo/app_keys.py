"""What handlers of the embedded provider find in ``request.app``, and how they read a form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from proxy.demo.backchannel import BackchannelSender
from proxy.demo.realm import Realm

if TYPE_CHECKING:
    from collections.abc import Mapping

REALM: Final = web.AppKey("realm", Realm)
BACKCHANNEL: Final = web.AppKey("backchannel", BackchannelSender)

NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Form(dict[str, str]):
    """The fields of a form: the first value of each, and the names that came more than once."""

    repeated: frozenset[str] = frozenset()


async def read_form(request: web.Request) -> Form:
    """The urlencoded body; empty when the body is something else."""
    form = Form()
    if request.content_type != "application/x-www-form-urlencoded":
        return form
    posted = await request.post()
    for name, value in posted.items():
        form.setdefault(name, str(value))
    form.repeated = frozenset(name for name in form if len(posted.getall(name)) > 1)
    return form


def first_values(parameters: Mapping[str, str]) -> dict[str, str]:
    """A multidict as a plain one, the first value of each name."""
    values: dict[str, str] = {}
    for name, value in parameters.items():
        values.setdefault(name, value)
    return values


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON as Keycloak sends it: no charset."""
    encoded = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(status=status, body=encoded, content_type="application/json", headers=headers)
