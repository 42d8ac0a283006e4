"""Somebody in front of a house with a real browser, and everything that the browser complained about on our pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, ConsoleMessage, Page, Request, Response, WebError

# The browser says so itself when a policy stopped something; this names the directive too.
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy ${event.disposition}: ${event.effectiveDirective} stopped ${event.blockedURI}`));
"""
# A page that is a refusal (401, 403, 502) is one on purpose; the browser tells of it like of a missing picture.
REFUSED_DOCUMENT = "Failed to load resource"
ABORTED = "net::ERR_ABORTED"


class Visitor:
    """One person: a context of the browser with its own cookies.

    Attributes:
        complaints: errors and warnings of the console, violations of the policy, parts of a page that were not had;
            of pages at ``url`` only, because the provider's are not ours to mend.
    """

    def __init__(self, context: BrowserContext, page: Page, url: str) -> None:
        """See :func:`arrive`."""
        self.context = context
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        context.on("console", self._hear)
        context.on("weberror", self._hear_fault)
        context.on("response", self._see_answer)
        context.on("requestfailed", self._see_failure)

    async def open(self, path: str) -> Response:
        """Go to a path of the house."""
        answer = await self.page.goto(self.url + path)
        assert answer is not None
        return answer

    async def new_tab(self) -> Page:
        return await self.context.new_page()

    async def fill_form(self, username: str, password: str) -> None:
        """Sign in on the login page that is open."""
        await self.page.get_by_label("User name").fill(username)
        await self.page.get_by_label("Password", exact=True).fill(password)
        await self.page.get_by_role("button", name="Sign in").click()

    async def sign_in(self, username: str = "alice", *, path: str = "/") -> None:
        """Open a page of the app and sign in by the form; it must lead back there."""
        await self.open(path)
        await self.fill_form(username, f"{username}-pw")
        await self.page.wait_for_url(self.url + path)

    async def sign_in_at_keycloak(self, username: str = "alice", *, return_to: str = "/") -> None:
        """Sign in at the provider's page; it must lead back."""
        await self.open(f"/_sidegate/start?return_to={return_to}")
        await fill_keycloak_form(self.page, username, f"{username}-pw")
        await self.page.wait_for_url(self.url + return_to)

    async def is_signed_in(self) -> bool:
        answer = await self.context.request.get(f"{self.url}/_sidegate/status")
        return bool((await answer.json())["authenticated"])

    async def cookies(self) -> dict[str, dict[str, Any]]:
        """Those that this house would be sent, by name."""
        return {str(one.get("name")): dict(one) for one in await self.context.cookies(self.url)}

    def path(self) -> str:
        """Path and query of what the window shows."""
        parts = urlsplit(self.page.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def _hear(self, message: ConsoleMessage) -> None:
        source = str(message.location.get("url", ""))
        is_of_ours = self._is_ours(source or (message.page.url if message.page else ""))
        if message.type in {"error", "warning"} and is_of_ours and not message.text.startswith(REFUSED_DOCUMENT):
            self.complaints.append(f"{message.type} at {source}: {message.text}")

    def _hear_fault(self, fault: WebError) -> None:
        if fault.page is not None and self._is_ours(fault.page.url):
            self.complaints.append(f"uncaught: {fault.error}")

    def _see_answer(self, answer: Response) -> None:
        if self._is_part(answer.request) and answer.status >= 400:
            self.complaints.append(f"{answer.status} for {answer.url}")

    def _see_failure(self, request: Request) -> None:
        # What the window left behind when it went on is no fault of the page: pages that lead on by themselves do so.
        if self._is_part(request) and request.failure != ABORTED:
            self.complaints.append(f"{request.failure} for {request.url}")

    def _is_part(self, request: Request) -> bool:
        return self._is_ours(request.url) and request.resource_type not in {"document", "fetch", "xhr"}

    def _is_ours(self, url: str) -> bool:
        return url.startswith(f"{self.url}/")


async def fill_keycloak_form(page: Page, username: str, password: str) -> None:
    """Sign in on Keycloak's own page, which is open."""
    await page.locator("#username").fill(username)
    await page.locator("#password").fill(password)
    await page.locator("#kc-login").click()
