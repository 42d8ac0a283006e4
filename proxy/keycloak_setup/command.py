"""``sidegate keycloak-setup``, start to end: look, show the difference, ask, do it, look again.

What goes to the terminal goes through here. The secret never does.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack, asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from proxy.clock import SystemClock
from proxy.errors import SettingsError, SidegateError
from proxy.keycloak_setup.admin_api import AdminApi, Administrator
from proxy.keycloak_setup.difference import Plan, difference, new_client
from proxy.keycloak_setup.needs import at_each_host, needs_of, realm_of
from proxy.keycloak_setup.proof import DEFAULT_CLUSTER, note_on_cluster, notes_on_proof, proof_of
from proxy.keycloak_setup.secret_file import FreshFile, held_in, refuse_to_overwrite
from proxy.keycloak_setup.telling import Ink, counted, plan_lines
from proxy.keycloak_setup.wanted import wanted_client
from proxy.observe.log import LogLevel
from proxy.observe.observer import ProductionObserver
from proxy.oidc.http_client import HttpClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from proxy.core.secret import Secret
    from proxy.keycloak_setup.state import ClientState
    from proxy.keycloak_setup.wanted import ClientNeeds
    from proxy.settings.model import Settings
    from proxy.settings.portals import SiteSettings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_NO_URL = "--admin-url takes the URL of Keycloak, such as https://sso.example.com"


class Consent(Enum):
    """Whether a difference is mended."""

    ASK = "ask"
    GIVEN = "given"
    ONLY_SHOW = "only_show"


class Setup(Struct, frozen=True, kw_only=True):
    """What the command line says.

    Attributes:
        secret_file: where the client's secret is written; None: nowhere.
        audiences: what access tokens shall be good for besides.
        service_account: ``NAMESPACE/NAME`` of the pod's; None: that of the token, if it can be read here.
        cluster: alias of the identity provider that vouches for the pod's tokens.
    """

    administrator: Administrator
    consent: Consent = Consent.ASK
    secret_file: Path | None = None
    audiences: tuple[str, ...] = ()
    service_account: str | None = None
    cluster: str = DEFAULT_CLUSTER
    ink: Ink = Ink.PLAIN


def parse_admin_url(text: str) -> str:
    """Return the base URL of Keycloak, without a final slash.

    Raises:
        SettingsError: it is none, or more than that.
    """
    try:
        parts = urlsplit(text)
        is_base = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise SettingsError(_NO_URL) from None
    if not is_base or parts.query or parts.fragment or parts.username is not None:
        raise SettingsError(_NO_URL)
    path = parts.path.rstrip("/")
    if path.endswith("/admin") or "/admin/" in path or "/realms" in path:
        raise SettingsError(
            "--admin-url takes only what stands before /realms/ and /admin/, such as https://sso.example.com"
        )
    return f"{parts.scheme}://{parts.netloc}{path}"


def set_up_all(sites: Sequence[SiteSettings], setup: Setup, *, agree: Callable[[str], bool]) -> int:
    """Make or mend the client of each site, one after the other; returns the worst exit code.

    Raises:
        SettingsError, SidegateError: as :func:`set_up`; the sites after that one are left as they are.
    """
    if len(sites) > 1 and setup.secret_file is not None:
        raise SettingsError("--secret-file: each portal has a client of its own; choose one with --portal NAME")
    codes: list[int] = []
    for name, settings in sites:
        if len(sites) > 1:
            _say(f"{'' if not codes else chr(10)}=== {f'portal {name}' if name else 'the site at the top'}")
        neighbours = [one.settings for one in sites if one.settings is not settings]
        codes += [set_up(one, setup, agree=agree, neighbours=neighbours) for one in at_each_host(settings)]
    return max(codes)


def set_up(
    settings: Settings, setup: Setup, *, agree: Callable[[str], bool], neighbours: Sequence[Settings] = ()
) -> int:
    """Make or mend the client; returns the exit code.

    Args:
        agree: asks a person; False keeps everything as it is.
        neighbours: further sites of the file; one of the same client may be where Keycloak reaches us.

    Raises:
        SettingsError: the file and the arguments do not go together.
        SidegateError: it cannot be done; the sentence says why, and what to do.
    """
    try:
        auth = settings.keycloak.client_auth
        proof = proof_of(auth, service_account=setup.service_account, cluster=setup.cluster)
        needs = needs_of(settings, audiences=setup.audiences, neighbours=neighbours, proof=proof)
        return asyncio.run(_Work(settings, setup, agree, needs=needs).run())
    except KeyboardInterrupt:
        raise SidegateError("stopped; run the command again to see what is done and what is not") from None


class _Work:
    """One run."""

    def __init__(self, settings: Settings, setup: Setup, agree: Callable[[str], bool], *, needs: ClientNeeds) -> None:
        self._settings = settings
        self._setup = setup
        self._agree = agree
        self._realm = realm_of(settings.keycloak.issuer)
        self._wanted = wanted_client(needs)
        self._proof = needs.proof
        self._cluster: dict[str, object] | None = None
        if setup.secret_file is not None and not self._proof.has_secret:
            method = settings.keycloak.client_auth.method
            raise SettingsError(f"--secret-file: keycloak.client_auth.method is {method}, which has no secret")
        self._secret = _secret_of(settings)

    async def run(self) -> int:
        self._warn_of_clear_text()
        async with self._api() as api:
            state = await self._look(api)
            if self._proof.cluster is not None:
                self._cluster = await api.identity_provider(self._proof.cluster)
            plan = difference(self._wanted, state, secret=self._secret)
            self._show(state, plan)
            if self._setup.consent is Consent.ONLY_SHOW:
                _say(f"\n{counted(plan)}; --dry-run changes nothing")
                return 0
            return await self._mend(api, state, plan)

    async def _mend(self, api: AdminApi, state: ClientState, plan: Plan) -> int:
        """Ask, do it, and see that it is done."""
        writes = self._must_write(state)
        if plan.changes and not self._is_agreed(plan):
            _say("nothing was changed")
            return 1
        with ExitStack() as stack:
            # Before anything is changed: a secret that has no place to go to would be lost.
            file = stack.enter_context(FreshFile(writes)) if writes else None
            if plan.changes:
                state = await self._apply(api, state, plan)
            if file is not None and state.uuid is not None:
                file.write(await api.secret(state.uuid) or await api.make_secret(state.uuid))
        if plan.changes:
            _say(f"\ndone: {counted(plan)}; the client is as {self._wanted.redirect_uri.rpartition('/')[0]} needs it")
        self._tell_of_secret(writes)
        return 0

    async def _apply(self, api: AdminApi, state: ClientState, plan: Plan) -> ClientState:
        """Do every change; returns the client as it is then.

        Raises:
            SidegateError: Keycloak refuses one, or holds something else afterwards.
        """
        if state.uuid is None:
            await api.create(new_client(self._wanted, plan))
        elif plan.representation:
            # Named always: by a PUT without the member, a client that has none gets those of its addresses (26.7).
            kept = {"clientId": self._wanted.client_id, "webOrigins": list(state.web_origins)}
            await api.update(state.uuid, {**kept, **plan.representation})
        state = await self._look(api)
        for edit in plan.further_edits:
            await api.edit(str(state.uuid), edit)
        state = await self._look(api)
        left = difference(self._wanted, state, secret=self._secret).changes
        if left:
            raise SidegateError(
                f"Keycloak took the changes and still differs ({', '.join(change.where for change in left)}); "
                "look at Realm settings → Client policies, or run the command again"
            )
        return state

    async def _look(self, api: AdminApi) -> ClientState:
        return await api.look(self._wanted.client_id, self._wanted.scopes)

    def _is_agreed(self, plan: Plan) -> bool:
        return self._setup.consent is Consent.GIVEN or self._agree(f"\nMake {_these(plan)}?")

    def _must_write(self, state: ClientState) -> Path | None:
        """Return the file to write the secret into; None when there is none to write, or it holds it already."""
        path = self._setup.secret_file
        if path is None:
            return None
        held = held_in(path)
        if held is None:
            return path
        if held != (self._secret or state.secret):
            raise refuse_to_overwrite(path)
        return None

    # --- what is said ------------------------------------------------------------------------------------------------

    def _show(self, state: ClientState, plan: Plan) -> None:
        base_url = self._setup.administrator.base_url
        _say(f"Client {self._wanted.client_id} in realm {self._realm} at {base_url}")
        if state.uuid is None:
            _say("is not there yet; it would be made with:")
        elif plan.changes:
            _say("differs from what the file needs:")
        else:
            _say("is as the file needs it; nothing to do")
        for line in plan_lines(Plan(plan.changes, (*plan.notes, *self._notes(state))), self._setup.ink):
            _say(line)

    def _notes(self, state: ClientState) -> tuple[str, ...]:
        auth = self._settings.keycloak.client_auth
        source = auth.secret
        instead = "makes one" if state.uuid is None else "keeps the one it has"
        notes = []
        if source is not None and self._secret is None:
            notes.append(f"{source} (keycloak.client_auth.secret) cannot be read here, so Keycloak {instead}")
        notes += notes_on_proof(self._proof, auth)
        if self._proof.cluster is not None:
            notes.append(note_on_cluster(self._proof.cluster, self._cluster))
        if not self._settings.backchannel.enabled:
            notes.append("backchannel.enabled is false, so the back-channel logout settings stay as they are")
        return tuple(notes)

    def _tell_of_secret(self, written: Path | None) -> None:
        if written is not None:
            _say(f"the client's secret is in {written}, which you alone may read (mode 600)")
        elif self._setup.secret_file is not None:
            _say(f"{self._setup.secret_file} holds the client's secret already")
        elif self._proof.has_secret and self._secret is None:
            _say("the client's secret is in Keycloak; --secret-file PATH writes it into a file")

    def _warn_of_clear_text(self) -> None:
        parts = urlsplit(self._setup.administrator.base_url)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            sys.stderr.write("sidegate: --admin-url is http, so the password can be read on its way\n")

    @asynccontextmanager
    async def _api(self) -> AsyncIterator[AdminApi]:
        keycloak, clock = self._settings.keycloak, SystemClock()
        observer = ProductionObserver(lambda _lines: None, clock=clock, level=LogLevel.ERROR)
        http = HttpClient(
            clock=clock,
            observer=observer,
            timeout_s=keycloak.timeout,
            ca_file=None if keycloak.ca_file is None else Path(keycloak.ca_file),
        )
        try:
            yield AdminApi(http, self._setup.administrator, realm=self._realm, clock=clock)
        finally:
            await http.close()
            observer.close()


def _secret_of(settings: Settings) -> Secret | None:
    """Return the secret that the file names; None when it cannot be read here, or the client has none."""
    auth = settings.keycloak.client_auth
    if auth.secret is None:
        return None
    try:
        return auth.secret.read()
    except SettingsError:
        return None


def _these(plan: Plan) -> str:
    return "this change" if len(plan.changes) == 1 else f"these {len(plan.changes)} changes"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
