"""The command: the real gate of a file, with nobody else in its store, is asked once."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from proxy.core.secret import Secret
from proxy.explain.account import Account
from proxy.explain.question import asked_of, head_of, session_of, site_asked
from proxy.explain.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.explain.explanation import Explanation
    from proxy.explain.question import Question
    from proxy.settings.model import Settings
    from proxy.settings.portals import SiteSettings


def explain(sites: Sequence[SiteSettings], question: Question) -> Explanation:
    """Say what the gate does with a request; of several sites that one's gate which has the host of the URL.

    Raises:
        QuestionRefused: no such request, or no such person, can be.
    """
    site = site_asked(sites, question)
    return asyncio.run(_explained(site.settings, question, portal=site.name))


async def _explained(settings: Settings, question: Question, *, portal: str) -> Explanation:
    stage = Stage(settings)
    cookie_value = Secret(secrets.token_urlsafe(32))
    session = (
        None if question.person is None else session_of(settings, question.person, cookie_value, stage.clock.now())
    )
    head = head_of(settings, question, None if session is None else cookie_value)
    if session is not None:
        await stage.store.create(cookie_value, session)
    admission = stage.gate.admit(head)
    if isinstance(admission, Awaitable):
        admission = await admission
    asked = replace(asked_of(question, head, session), portal=portal)
    return Account(stage, head, session, admission).explanation(asked)


def document_text(explanation: Explanation) -> str:
    """Return the document as it is printed."""
    document: dict[str, Any] = explanation.document()
    return json.dumps(document, indent=2)
