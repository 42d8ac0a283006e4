"""A login form that was sent, as far as it could be read: what the page that is drawn again must know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.core.throttle import folded_username
from proxy.web.destination import destination
from proxy.web.flow_notes import Wish, wishes
from proxy.web.form_tokens import claimed
from proxy.web.login_form import NO_FORM, LoginForm
from proxy.web.options import Feature

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.core.identity import Identity
    from proxy.web.form_tokens import FormTab


class Submission(Struct):
    """Filled step by step; ``tab`` is what the form's token says, once that is authenticated."""

    form: LoginForm = NO_FORM
    tab: FormTab | None = None

    def wish(self, request: web.Request) -> Wish:
        """Return what the form was for: by its own field, else by its token, else the landing page.

        A token that nobody vouches for says as much as a link does, and is judged like one.
        """
        told, named = claimed(self.form.csrf_token)
        notes = wishes(named, Feature.OFF) if self.tab is None else self.tab.notes
        return Wish(destination(request, told if self.form.return_to is None else self.form.return_to), notes)

    def is_of(self, identity: Identity) -> bool:
        """Say whether the form was sent by this person, or names nobody.

        Whoever types another name is not led into the session of somebody else who is signed in here.
        """
        names = {folded_username(name) for name in (identity.username, identity.email) if name}
        return not self.form.username or folded_username(self.form.username) in names
