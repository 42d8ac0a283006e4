"""The client as an administrator of Keycloak sees it: what ``keycloak-setup`` would change, each a finding.

The comparison is that command's own. What is not asked for here stays unseen: whether the back-channel URL is set and
the front channel is off shows in no answer that a client gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.doctor.finding import SETUP, Finding, Verdict, of_fault, ok
from proxy.errors import SettingsError, SidegateError
from proxy.keycloak_setup.admin_api import AdminApi
from proxy.keycloak_setup.difference import Change, SetAttribute, SetMember, difference
from proxy.keycloak_setup.needs import realm_of
from proxy.keycloak_setup.wanted import wanted_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.secret import Secret
    from proxy.doctor.visit import Visit
    from proxy.keycloak_setup.admin_api import Administrator
    from proxy.keycloak_setup.difference import Plan
    from proxy.keycloak_setup.state import ClientState
    from proxy.keycloak_setup.wanted import WantedClient

CHECK: Final = "client"

_NAMES: Final = {
    "backchannel.logout.url": "back-channel",
    "backchannel.logout.session.required": "back-channel sid",
    "frontchannelLogout": "front-channel",
    "adminUrl": "admin URL",
}
"""What is told by a line of its own also when it is well."""

_WORKS_WITHOUT: Final = frozenset(
    {
        "adminUrl",
        "backchannel.logout.session.required",
        "baseUrl",
        "implicitFlowEnabled",
        "pkce.code.challenge.method",
        "serviceAccountsEnabled",
        "webOrigins",
    }
)
"""Members of the client that make it safer or better; with any other, somebody cannot sign in or out."""


async def look_at_registration(visit: Visit, administrator: Administrator) -> tuple[Finding, ...]:
    """Compare the client with what the file needs."""
    wanted = wanted_client(visit.needs)
    api = AdminApi(visit.http, administrator, realm=realm_of(visit.settings.keycloak.issuer), clock=visit.clock)
    try:
        state = await api.look(wanted.client_id, wanted.scopes)
    except SidegateError as fault:
        return (of_fault(CHECK, fault, remedy="check --admin-url, --admin-user and the password"),)
    if state.uuid is None:
        sentence = f"the realm has no client {wanted.client_id}"
        return (Finding(CHECK, Verdict.FAIL, sentence, f"make it: {SETUP}"),)
    plan = difference(wanted, state, secret=_secret_of(visit))
    return (*_changes(visit, plan), *_well(wanted, state, plan))


def how_to_see(visit: Visit) -> str:
    """Return what to do where nobody gave an administrator's account."""
    return (
        f"whether Keycloak has our back-channel URL ({visit.own_pages}/backchannel-logout), session required, and the "
        f"front channel off: see {visit.console('Logout settings')}, or give --admin-url"
    )


def _changes(visit: Visit, plan: Plan) -> Iterator[Finding]:
    for change in plan.changes:
        verdict = Verdict.WARN if _member(change) in _WORKS_WITHOUT or _narrows(change) else Verdict.FAIL
        yield Finding(_name(change), verdict, _sentence(change), f"{visit.console(change.where)}, or run: {SETUP}")


def _narrows(change: Change) -> bool:
    """Say whether it only takes away what is not needed: direct access grants where nobody signs in by the form."""
    return change.edit == SetMember("directAccessGrantsEnabled", value=False)


def _member(change: Change) -> str:
    return change.edit.name if isinstance(change.edit, SetMember | SetAttribute) else ""


def _name(change: Change) -> str:
    return _NAMES.get(_member(change), CHECK)


def _sentence(change: Change) -> str:
    is_now = f" is {', '.join(change.gone)}" if change.gone else ""
    return f"{change.where.rpartition('→ ')[2]}{is_now}; needed: {', '.join(change.come)}, for {change.why}"


def _well(wanted: WantedClient, state: ClientState, plan: Plan) -> Iterator[Finding]:
    amiss = {_member(change) for change in plan.changes}
    for setting in wanted.settings:
        name = _NAMES.get(setting.member)
        if name is not None and setting.member not in amiss:
            yield ok(name, setting.shown(state.member(setting.member)))
    if not amiss and not plan.changes:
        yield ok(CHECK, f"{wanted.client_id} is as the file needs it")


def _secret_of(visit: Visit) -> Secret | None:
    source = visit.settings.keycloak.client_auth.secret
    try:
        return None if source is None else source.read()
    except SettingsError:
        return None
