"""What each page takes, name by name; a template may use nothing else.

Paths are of our own origin and begin with ``/``. ``None`` leaves the part away.
"""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - the specimens are made from what the annotations say
from typing import TYPE_CHECKING, Final, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTEXT_VERSION: Final = 1
"""Of all that templates may use (``docs/templates.md``): one more when a name goes or changes its meaning, so that a
company's own template can tell; a name that is added changes nothing.
"""


class ProviderLink(TypedDict):
    """A button that leads to an identity provider behind ours."""

    label: str
    url: str


class LoginPage(TypedDict):
    """Page ``login``.

    ``otp`` is ``hidden``, ``optional`` or ``required``; ``problem`` and ``notice`` are ids of the catalog.
    ``status_url`` is where the script asks whether somebody signed in from another tab; None when that leads nowhere.
    ``retry_after_s`` is how long a problem lasts, in seconds, where that is known: the place ``wait`` of its sentence.
    """

    action: str
    csrf_token: str
    return_to: str
    username: str
    otp: str
    offers_remember_me: bool
    remember_me: bool
    providers: Sequence[ProviderLink]
    registration_url: str | None
    forgot_password_url: str | None
    problem: str | None
    retry_after_s: int | None
    notice: str | None
    request_id: str
    status_url: str | None


class SetupRequiredPage(TypedDict):
    """Page ``setup_required``: the password was right, the account wants something that only the provider can ask."""

    continue_url: str
    username: str


class LogoutPage(TypedDict):
    """Page ``logout``: the question; ``action_all`` is where the same form ends every session of the person."""

    action: str
    action_all: str
    csrf_token: str
    return_to: str
    username: str | None
    stay_url: str
    problem: str | None


class LogoutAtProviderPage(TypedDict):
    """Page ``logout_at_provider``: a form that a script submits, with a button for browsers without script."""

    action: str
    fields: Sequence[tuple[str, str]]


class LoggedOutPage(TypedDict):
    """Page ``logged_out``."""

    login_url: str


class DeviceLine(TypedDict):
    """One session on page ``devices``.

    ``moments`` are rows: an id of the catalog, the instant as HTML's ``datetime``, seconds from now (negative: ago).
    """

    is_current: bool
    action: str
    browser: str | None
    system: str | None
    user_agent: str
    address: str
    moments: Sequence[tuple[str, str, float]]


class DevicesPage(TypedDict):
    """Page ``devices``; ``notice`` and ``problem`` are ids of the catalog; ``others_action`` is None without others."""

    csrf_token: str
    username: str | None
    devices: Sequence[DeviceLine]
    others_action: str | None
    notice: Sequence[str]
    problem: str | None


class LoggedOutAllPage(TypedDict):
    """Page ``logged_out_all``: everything of this person ended here.

    ``notice`` and ``problem`` are ids of the catalog, one of them None: what became of the rest, at the provider.
    """

    sessions_ended: int
    notice: str | None
    problem: str | None
    login_url: str


class FrontchannelPage(TypedDict):
    """Page ``frontchannel``: in a hidden frame of the provider's, so nobody reads it."""


class ErrorPage(TypedDict):
    """Pages ``error``, ``frame`` and ``callback_failed``; ``title`` and ``sentence`` are ids of the catalog.

    ``callback_failed`` is for whatever a login would mend; it and ``frame`` alone use ``login_url``.
    """

    status: int
    title: str
    sentence: str
    request_id: str
    login_url: str


class UnavailablePage(ErrorPage):
    """Page ``unavailable``: something is away and will be back; the browser asks for ``here`` again by itself.

    ``again_in_s``: whole seconds until it does; the field ``Refresh`` says the same.
    """

    here: str
    again_in_s: int


class MissingRight(TypedDict):
    """Something that a person lacks; any of ``any_of`` would do.

    ``kind`` is ``role``, ``group`` or ``attribute``, and ends the id ``forbidden.missing.<kind>``; ``attribute`` is the
    name of the claim, empty for the others.
    """

    kind: str
    any_of: Sequence[str]
    attribute: str


class ForbiddenPage(ErrorPage):
    """Page ``forbidden``: what is missing, who asks."""

    username: str | None
    missing: Sequence[MissingRight]


class KeptPage(TypedDict):
    """Page ``kept``: a form that waited is sent on; the browser goes to ``continue_url`` by itself (``Refresh``)."""

    continue_url: str


class NotKeptPage(TypedDict):
    """Page ``not_kept``: a form is not kept, or not sent on; ``why`` ends the id ``not_kept.<why>``.

    ``continue_url`` is the login page, or where the person wanted to go when ``why`` is ``gone`` or ``other_person``.
    """

    why: str
    continue_url: str
    request_id: str


CONTEXT_OF: Final[Mapping[str, type]] = {
    "callback_failed": ErrorPage,
    "devices": DevicesPage,
    "error": ErrorPage,
    "forbidden": ForbiddenPage,
    "frame": ErrorPage,
    "frame_logout": ErrorPage,
    "frontchannel": FrontchannelPage,
    "kept": KeptPage,
    "logged_out": LoggedOutPage,
    "logged_out_all": LoggedOutAllPage,
    "login": LoginPage,
    "logout": LogoutPage,
    "logout_at_provider": LogoutAtProviderPage,
    "not_kept": NotKeptPage,
    "setup_required": SetupRequiredPage,
    "unavailable": UnavailablePage,
}
"""The context of each page; from it the specimens are made with which every template is tried before it is used."""
