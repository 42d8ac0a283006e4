"""A reload from a file to what runs: laws of ``reload.reloader``, with a process that only notes what it serves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from msgspec.structs import force_setattr

from proxy.errors import ProviderUnavailable, SettingsError
from proxy.reload import reloader as reloading
from proxy.reload.outcome import Outcome
from proxy.reload.reloader import Reloader, ReloadParts
from proxy.reload.watcher import FileWatcher
from proxy.settings.load import load_sites
from tests.reload.test_watcher import Hand
from tests.support.eventually import eventually
from tests.support.made_sites import site_file
from tests.support.observers import RecordingObserver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from proxy.settings.portals import SiteSettings


class CountingObserver(RecordingObserver):
    def __init__(self) -> None:
        super().__init__()
        self.reloads: list[tuple[str, bool]] = []

    def config_reload(self, outcome: str, *, succeeded: bool) -> None:
        self.reloads.append((outcome, succeeded))


class Process:
    """What is reloaded: a file on disk, and the titles of what was served."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "sidegate.yaml"
        self.certificate = folder / "app.crt"
        self.certificate.write_text("first")
        self.write(title="first")
        self.hand, self.observer = Hand(), CountingObserver()
        self.served: list[str | None] = []
        self.fault: Exception | None = None
        self.reloader = Reloader(
            load_sites(self.path),
            ReloadParts(
                path=self.path,
                read=load_sites,
                serve=self.serve,
                watcher=FileWatcher(self.hand, clock=self.hand.clock, sleep=self.hand.sleep, look_every_s=3600.0),
                observer=self.observer,
            ),
        )

    def write(self, *, title: str, **file: Any) -> None:
        whole = site_file(login={"title": title}, **file)
        whole["upstreams"] = {"app": {"url": "https://app.internal", "tls": {"ca_file": str(self.certificate)}}}
        self.path.write_text(yaml.safe_dump(whole), "utf-8")

    def spoil(self) -> None:
        self.path.write_text("server: {public_url: [}\nroutes: 7\n", "utf-8")

    def renew_certificate(self, text: str = "second") -> None:
        self.certificate.write_text(text)

    async def serve(self, sites: Sequence[SiteSettings]) -> None:
        if self.fault is not None:
            raise self.fault
        self.served.append(sites[0].settings.login.title)

    @property
    def problems(self) -> list[str | float]:
        return [fields["problem"] for _, fields in self.observer.errors if "problem" in fields]


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    made = Process(tmp_path)
    # The checks of a real file look into the certificate; here it is a text.
    yield made
    await made.reloader.close()


@pytest.fixture(autouse=True)
def _without_certificate_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    from proxy.settings import load

    monkeypatch.setattr(load, "CHECKS", load.CHECKS_OF_THE_FILE_ALONE)


async def outcomes(process: Process) -> list[str]:
    return [outcome for outcome, _ in process.observer.reloads]


async def test_a_good_file_is_served_and_said(process: Process) -> None:
    process.write(title="second")

    ended = await process.reloader.reload()

    assert (ended.outcome, process.served) == (Outcome.APPLIED, ["second"])
    assert process.observer.reloads == [("applied", True)]
    assert process.reloader.detail is None
    assert process.observer.notices == [("the file was read again and is applied", {"file": str(process.path)})]


async def test_a_bad_file_is_told_as_check_tells_it_and_nothing_is_served(process: Process) -> None:
    process.spoil()

    ended = await process.reloader.reload()

    assert (ended.outcome, process.served) == (Outcome.REFUSED, [])
    assert process.observer.reloads == [("refused", False)]
    assert process.problems == list(ended.problems)
    assert str(process.problems[0]).startswith(f"{process.path}:1:")
    assert str(process.reloader.detail).startswith(f"the file on disk is not what runs: {process.path}:1:")


async def test_every_problem_of_a_bad_file_is_a_line_of_its_own(process: Process) -> None:
    process.write(title="second", server={"public_url": 7, "prefix": "no slash"}, keycloak={"timeout": "soon"})

    ended = await process.reloader.reload()

    assert len(process.problems) == len(ended.problems) == 3


async def test_what_cannot_be_made_of_a_good_file_is_refused_too(process: Process) -> None:
    process.fault = SettingsError("login.templates_dir: login.html is broken; mend it")

    ended = await process.reloader.reload()

    assert ended.problems == ("login.templates_dir: login.html is broken; mend it",)


async def test_a_defect_of_ours_is_a_refusal_and_not_the_end_of_the_watch(process: Process) -> None:
    process.fault = RuntimeError("secret details")
    await process.reloader.start()

    process.reloader.ask()
    await eventually(lambda: outcomes(process), ["refused"])

    assert "secret details" not in str(process.reloader.detail)
    process.fault = None
    process.reloader.ask()
    await eventually(lambda: outcomes(process), ["refused", "applied"])


async def test_a_mended_file_ends_the_refusal(process: Process) -> None:
    process.spoil()
    await process.reloader.reload()

    process.write(title="second")
    await process.reloader.reload()

    assert process.reloader.detail is None
    assert process.served == ["second"]


async def test_a_file_that_is_gone_leaves_what_runs(process: Process) -> None:
    process.path.rename(process.path.with_name("away"))

    await process.reloader.reload()

    assert process.served == []
    assert "there is no such file" in str(process.reloader.detail)


async def test_keys_that_wait_for_a_restart_are_named_and_the_rest_is_served(process: Process) -> None:
    process.write(title="second", management={"listen": "127.0.0.1:1"}, audit={"keep": "1d"})

    ended = await process.reloader.reload()

    assert (ended.outcome, process.served) == (Outcome.RESTART_NEEDED, ["second"])
    assert [fields["key"] for _, fields in process.observer.warnings] == ["management.listen", "audit.keep"]
    assert process.observer.reloads == [("restart_needed", True)]
    await process.reloader.reload()
    assert process.reloader.last == ended


async def test_a_signal_reloads_although_nothing_changed_and_many_at_once_reload_once(process: Process) -> None:
    await process.reloader.start()

    for _ in range(5):
        process.reloader.ask()
    await eventually(lambda: outcomes(process), ["applied"])

    await asyncio.sleep(0.05)
    assert process.served == ["first"]


async def test_a_changed_file_is_served_without_a_signal(process: Process) -> None:
    await process.reloader.start()

    process.write(title="second")
    process.hand.hint()

    await eventually(lambda: outcomes(process), ["applied"])
    assert process.served == ["second"]


async def test_a_renewed_certificate_is_a_change(process: Process) -> None:
    await process.reloader.start()

    process.renew_certificate()
    process.hand.hint()

    await eventually(lambda: outcomes(process), ["applied"])
    assert process.served == ["first"]


async def test_a_file_that_only_the_new_settings_name_is_watched(process: Process) -> None:
    await process.reloader.start()
    process.certificate = process.path.with_name("other.crt")
    process.renew_certificate()
    process.write(title="second")
    process.hand.hint()
    await eventually(lambda: outcomes(process), ["applied"])

    process.renew_certificate("third")
    process.hand.hint()

    await eventually(lambda: outcomes(process), ["applied", "applied"])


async def test_a_renewed_certificate_does_not_wait_for_a_broken_file_to_be_mended(process: Process) -> None:
    """It may end long before somebody looks."""
    await process.reloader.start()
    process.spoil()
    process.hand.hint()
    await eventually(lambda: outcomes(process), ["refused"])

    process.renew_certificate()
    process.hand.hint()
    await eventually(lambda: outcomes(process), ["refused", "refused"])

    assert process.served == ["first"]
    assert "without the settings file that is refused" in process.observer.warnings[0][0]


async def test_a_broken_certificate_beside_a_broken_file_leaves_the_old_one_and_is_said_once(process: Process) -> None:
    await process.reloader.start()
    process.spoil()
    process.renew_certificate("broken")
    process.fault = SettingsError("upstreams.app.tls: cannot be used; give PEM files")

    await process.reloader.reload()
    await process.reloader.reload()

    said = [fields["fault"] for _, fields in process.observer.errors if "fault" in fields]
    assert said == ["upstreams.app.tls: cannot be used; give PEM files"]


async def test_what_was_refused_is_tried_again_quietly_until_it_can_be_served(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new realm may come up a minute later than the file that names it."""
    monkeypatch.setattr(reloading, "RETRY_S", 0.01)
    tries = 0

    async def serve(sites: Sequence[SiteSettings]) -> None:
        nonlocal tries
        tries += 1
        if tries < 5:
            raise ProviderUnavailable("https://sso.example.com cannot be reached")

    force_setattr(process.reloader._parts, "serve", serve)
    await process.reloader.start()

    process.reloader.ask()

    await eventually(lambda: outcomes(process), ["refused", "applied"])
    assert len(process.problems) == 1


async def test_what_is_served_is_not_tried_again(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "RETRY_S", 0.01)
    await process.reloader.start()
    process.reloader.ask()
    await eventually(lambda: outcomes(process), ["applied"])

    await asyncio.sleep(0.1)

    assert process.served == ["first"]
