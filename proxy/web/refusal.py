"""Why a sign-in by the form did not come about: one value for the page, for programs and for the trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from proxy import errors
from proxy.core.authentication import TabStatus
from proxy.core.tokens import GrantRefusal
from proxy.respond import row_of

if TYPE_CHECKING:
    from proxy.web.sign_in import Refused
    from proxy.web.submission import Submission

INVALID_CREDENTIALS = "invalid_credentials"
SETUP_REQUIRED = "account_setup_required"
"""Codes that no error has, because they are expected outcomes."""

THROTTLED = "throttled"
"""The code of too many failures; the reason says which limit holds."""


class Refusal(Struct, frozen=True, kw_only=True):
    """Why a login did not come about, and the form to draw again.

    Attributes:
        code: of contract §3, for JSON and for the choice of the sentence.
        reason: finer word for the audit trail, never shown.
        detail: a sentence for the operator's log; None when nothing is to be mended.
        sent: what is known of the form.
        tab_id: of the tab that goes on in the form that is drawn again; None when a fresh one begins.
    """

    status: int
    code: str
    reason: str
    sent: Submission
    retry_after_s: int | None = None
    detail: str | None = None
    tab_id: str | None = None

    @classmethod
    def of(cls, error: errors.SidegateError, sent: Submission) -> Refusal:
        """Return the refusal that an error is, by the table of ``respond``."""
        row = row_of(error)
        detail = str(error) if isinstance(error, (errors.ProviderFault, errors.StoreFault)) else None
        return cls(
            status=row.status,
            code=row.code,
            reason=error.reason,
            sent=sent,
            retry_after_s=error.retry_after_s if isinstance(error, errors.Throttled) else row.retry_after_s,
            detail=detail,
            tab_id=None if sent.tab is None or isinstance(error, errors.CsrfRejected) else sent.tab.tab_id,
        )

    @classmethod
    def by_provider(cls, refused: Refused, sent: Submission) -> Refusal:
        """Return the refusal of a password; only an account that needs setting up is told from the rest."""
        is_setup = refused.why is GrantRefusal.ACCOUNT_SETUP_REQUIRED
        is_open = refused.tab.status is TabStatus.OPEN
        return cls(
            status=401,
            code=SETUP_REQUIRED if is_setup else INVALID_CREDENTIALS,
            reason=refused.why.value,
            sent=sent,
            tab_id=sent.tab.tab_id if sent.tab is not None and is_open else None,
        )
