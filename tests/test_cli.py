"""The commands as a person meets them: exit codes, what goes to stdout and what to stderr, never a traceback."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner, Result

from proxy import __version__, cli
from proxy.cli import main
from proxy.doctor.finding import Diagnosis, Finding, Group, Place, Verdict
from proxy.errors import SettingsError, SidegateError
from proxy.keycloak_setup.command import Consent
from proxy.settings.schema import schema_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proxy.doctor.command import Orders
    from proxy.keycloak_setup.command import Setup
    from proxy.operations import Form
    from proxy.settings.portals import SiteSettings

GOOD = """\
server: {public_url: https://app.example.com, trusted_proxies: [10.0.0.0/8]}
keycloak:
  issuer: https://sso.example.com/realms/acme
  client_id: legacy-app
  client_auth: {method: none}
upstreams:
  app: {url: http://127.0.0.1:8000}
"""
WARNED = GOOD + "routes: [{path: /a}]\n"
BAD = WARNED.replace("server: {", "server: {listn: x, ")

COMMANDS = (
    *("run", "demo", "check", "doctor", "explain", "sessions", "audit", "schema", "keygen"),
    *("keycloak-setup", "health"),
)


def sidegate(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good file, one with a warning and a bad one."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("good", GOOD), ("warned", WARNED), ("bad", BAD)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.mark.usefixtures("here")
class TestCheck:
    def test_a_good_file_is_ok(self) -> None:
        result = sidegate("check", "-c", "good.yaml")

        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.splitlines()[1:] == ["good.yaml: ok"]

    def test_how_long_sessions_last_is_said_as_far_as_the_file_can_tell(self) -> None:
        line = sidegate("check", "-c", "good.yaml").stdout.splitlines()[0]

        assert line.startswith(
            "good.yaml: sessions last 30d, or 7d without activity, but not longer than the provider's"
        )
        assert "keycloak.offline_access: true" in line

    def test_a_file_with_warnings_alone_can_be_used(self) -> None:
        result = sidegate("check", "-c", "warned.yaml")

        assert result.exit_code == 0
        problem, _, summary = result.stdout.splitlines()
        assert [problem, summary] == [
            (
                "warned.yaml:8:1  routes: warning: have no /**, so every other path is 404; "
                "add {path: /**, access: authenticated} at the end if the app has more"
            ),
            "warned.yaml: ok, 1 warning",
        ]

    def test_a_bad_file_is_told_line_by_line_and_exits_with_2(self) -> None:
        result = sidegate("check", "-c", "bad.yaml")

        assert result.exit_code == 2
        assert result.stderr == ""
        lines = result.stdout.splitlines()
        assert lines[0] == "bad.yaml:1:10  server.listn: unknown key; did you mean server.listen?"
        assert lines[-1] == "bad.yaml: 1 error, 1 warning"

    def test_a_file_that_is_not_there_is_an_error_of_the_command(self) -> None:
        result = sidegate("check", "-c", "nope.yaml")

        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "nope.yaml: there is no such file; check the path after -c\n"

    def test_a_file_of_nothing_is_one_sentence(self, here: Path) -> None:
        (here / "empty.yaml").touch()

        result = sidegate("check", "-c", "empty.yaml")

        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "empty.yaml: is empty; start from config/sidegate.minimal.yaml\n"

    def test_a_broken_template_of_ones_own_is_told_with_its_own_line_and_exits_with_2(self, here: Path) -> None:
        (here / "own").mkdir()
        (here / "own" / "login.html").write_text('{% extends "sidegate/login.html" %}\n{% block leed %}{% endblock %}')
        (here / "looks.yaml").write_text(f"{GOOD}\nlogin: {{templates_dir: own}}\n")

        result = sidegate("check", "-c", "looks.yaml")

        assert result.exit_code == 2
        lines = result.stdout.splitlines()
        assert lines[0] == (
            "own/login.html:2:1  login.templates_dir: has a block leed, and sidegate/login.html has none; "
            "did you mean lead?"
        )
        assert lines[-1] == "looks.yaml: 1 error"

    def test_a_process_with_a_broken_template_does_not_start(self, here: Path) -> None:
        (here / "own").mkdir()
        (here / "own" / "logout.html").write_text("{{ nobody }}")
        (here / "looks.yaml").write_text(f"{GOOD}\nlogin: {{templates_dir: own}}\n")

        result = sidegate("run", "-c", "looks.yaml")

        assert result.exit_code == 2
        assert "own/logout.html:1:1  login.templates_dir: uses nobody" in result.stderr

    def test_no_file_at_all_names_the_option(self) -> None:
        result = sidegate("check")

        assert result.exit_code == 2
        assert "Missing option '-c'" in result.stderr


@pytest.mark.usefixtures("here")
class TestExplain:
    def test_the_example_of_the_readme_prints_what_the_readme_says(self, here: Path) -> None:
        readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
        _, _, section = readme.partition("## Rules\n\n```yaml\n")
        routes, _, section = section.partition("```")
        _, _, section = section.partition("```console\n$ sidegate ")
        command, _, rest = section.partition("\n")
        (here / "sidegate.yaml").write_text(GOOD + routes)

        result = sidegate(*command.split())

        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == rest.partition("```")[0]

    def test_programs_get_the_same_as_json(self) -> None:
        result = sidegate("explain", "-c", "good.yaml", "GET", "/a", "--anonymous", "--json")

        document = json.loads(result.stdout)
        assert (result.exit_code, document["decision"], document["reason"]) == (0, "challenge", "auth_required")
        assert document["answer"] == {"status": 302, "location": "/_sidegate/login?return_to=/a"}
        assert document["request"]["person"] is None

    def test_secrets_and_files_of_another_machine_are_not_asked_for(self, here: Path) -> None:
        secret = "client_auth: {secret: {file: /nowhere/secret}}"
        (here / "there.yaml").write_text(GOOD.replace("client_auth: {method: none}", secret))

        assert sidegate("check", "-c", "there.yaml").exit_code == 2
        assert sidegate("explain", "-c", "there.yaml", "GET", "/").exit_code == 0

    def test_what_was_proved_and_sent_is_taken_from_the_command_line(self, here: Path) -> None:
        step_up = "routes: [{path: /**, access: {acr: gold, max_age: 5m}}]\n"
        (here / "step.yaml").write_text(GOOD + step_up)
        ask = ("explain", "-c", "step.yaml", "POST", "/", "--acr", "gold", "--authenticated-ago")

        assert "decision:   allow\n" in sidegate(*ask, "299s").stdout
        assert "decision:   step_up\n" in sidegate(*ask, "301s").stdout
        assert "reason:     cross_site:" in sidegate(*ask, "1s", "-H", "Sec-Fetch-Site: cross-site").stdout

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["get", "/"], "get is no method; write it in capitals, such as GET"),
            (["GET", "a"], "a is no URL; write a path that begins with /, or https://host/path"),
            (["GET", "/", "--claim", "a"], "--claim a: write NAME=VALUE"),
            (["GET", "/", "--authenticated-ago", "long"], "--authenticated-ago is a duration such as 30m, 2h or 1d"),
            (
                ["GET", "/", "--anonymous", "--role", "admin"],
                "--anonymous is nobody, who has no role, group, claim or proof; leave it or those out",
            ),
        ],
    )
    def test_a_question_that_makes_no_sense_is_one_sentence_with_the_remedy(
        self, arguments: list[str], sentence: str
    ) -> None:
        result = sidegate("explain", "-c", "good.yaml", *arguments)

        assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"sidegate: {sentence}\n")

    def test_a_wrong_file_is_told_line_by_line(self) -> None:
        result = sidegate("explain", "-c", "bad.yaml", "GET", "/")

        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("bad.yaml:1:10  server.listn: unknown key")


@pytest.mark.usefixtures("here")
class TestHealth:
    def test_what_the_running_process_says_is_passed_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []
        monkeypatch.setattr("proxy.health_client.ask_health", lambda _address, page: asked.append(page) or "well")

        assert sidegate("health", "-c", "good.yaml").stdout == "well\n"
        assert sidegate("health", "-c", "good.yaml", "--ready").exit_code == 0
        assert asked == ["healthz", "readyz"]

    def test_nobody_there_exits_with_1_and_a_sentence(self, here: Path) -> None:
        (here / "away.yaml").write_text(f"{GOOD}management: {{listen: 'unix:{here}/nobody'}}\n")

        result = sidegate("health", "-c", "away.yaml")

        assert result.exit_code == 1
        assert result.stderr.startswith("sidegate: nobody answers on management.listen")

    def test_a_secret_that_is_being_replaced_makes_nobody_ill(
        self, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("proxy.health_client.ask_health", lambda _address, _page: "well")
        gone = GOOD.replace("client_auth: {method: none}", "client_auth: {secret: {file: nope}}")
        (here / "gone.yaml").write_text(gone)

        assert sidegate("check", "-c", "gone.yaml").exit_code == 2
        assert sidegate("health", "-c", "gone.yaml").stdout == "well\n"


@pytest.mark.usefixtures("here")
class TestRun:
    def test_a_bad_file_is_told_on_stderr_and_nothing_is_served(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("proxy.app.serve_forever", lambda _path, _sites: pytest.fail("served a bad file"))

        result = sidegate("run", "-c", "bad.yaml")

        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "bad.yaml:1:10  server.listn: unknown key; did you mean server.listen?\n"

    def test_process_1_hears_sigterm_while_it_starts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        heard: dict[int, Callable[..., object]] = {}
        monkeypatch.setattr("os.getpid", lambda: 1)
        monkeypatch.setattr("signal.signal", heard.__setitem__)
        monkeypatch.setattr("proxy.app.serve_forever", lambda _path, _sites: 0)

        sidegate("run", "-c", "good.yaml")

        with pytest.raises(SystemExit) as left:
            heard[signal.SIGTERM]()
        assert left.value.code == 0

    def test_a_good_file_is_served_and_the_exit_code_is_passed_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        served: list[tuple[Path, str]] = []

        def serve_forever(path: Path, sites: Sequence[SiteSettings]) -> int:
            served.extend((path, one.settings.keycloak.client_id) for one in sites)
            return 0

        monkeypatch.setattr("proxy.app.serve_forever", serve_forever)

        assert sidegate("run", "-c", "warned.yaml").exit_code == 0
        assert served == [(Path("warned.yaml"), "legacy-app")]

    def test_the_file_is_read_once_so_that_it_may_be_a_pipe(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reading, writing = os.pipe()
        os.write(writing, GOOD.encode())
        os.close(writing)
        served: list[str] = []
        monkeypatch.setattr(
            "proxy.app.serve_forever",
            lambda _path, sites: served.append(sites[0].settings.keycloak.client_id) or 0,
        )

        assert sidegate("run", "-c", f"/dev/fd/{reading}").exit_code == 0

        os.close(reading)
        assert served == ["legacy-app"]

    def test_garbage_is_not_looked_for_while_it_starts_and_is_again_when_the_command_is_over(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked_for: list[bool] = []
        monkeypatch.setattr("proxy.app.serve_forever", lambda _path, _sites: looked_for.append(gc.isenabled()) or 0)

        assert sidegate("run", "-c", "good.yaml").exit_code == 0
        assert sidegate("run", "-c", "bad.yaml").exit_code == 2

        assert (looked_for, gc.isenabled()) == ([False], True)

    @pytest.mark.parametrize(
        ("error", "exit_code", "said"),
        [
            (SettingsError("good.yaml:1:1  a: is wrong; write b"), 2, "good.yaml:1:1  a: is wrong; write b\n"),
            (SidegateError("port 80 is in use; free it"), 1, "sidegate: port 80 is in use; free it\n"),
        ],
    )
    def test_a_fault_is_a_sentence_on_stderr(
        self, monkeypatch: pytest.MonkeyPatch, error: SidegateError, exit_code: int, said: str
    ) -> None:
        def serve_forever(_path: Path, _sites: Sequence[SiteSettings]) -> int:
            raise error

        monkeypatch.setattr("proxy.app.serve_forever", serve_forever)

        result = sidegate("run", "-c", "good.yaml")

        assert (result.exit_code, result.stdout, result.stderr) == (exit_code, "", said)


class TestDemo:
    @pytest.mark.parametrize(("arguments", "port"), [((), 4180), (("--port", "8080"), 8080)])
    def test_it_listens_where_it_is_told(
        self, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], port: int
    ) -> None:
        ports: list[int] = []

        def demo(asked: int) -> int:
            ports.append(asked)
            return 0

        monkeypatch.setattr("proxy.app.demo", demo)

        assert sidegate("demo", *arguments).exit_code == 0
        assert ports == [port]

    @pytest.mark.parametrize("port", ["65536", "-1", "http"])
    def test_a_port_that_is_none_is_a_sentence(self, port: str) -> None:
        result = sidegate("demo", "--port", port)

        assert result.exit_code == 2
        assert "'--port'" in result.stderr


@pytest.mark.usefixtures("here")
class TestSessionsAndAudit:
    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
        """What was asked of the operations: their names, forms and members."""
        calls: list[tuple[str, str, dict[str, Any]]] = []

        def noting(name: str) -> Callable[..., int]:
            def note(sites: Sequence[SiteSettings], form: Form, **members: Any) -> int:
                assert [one.settings.keycloak.client_id for one in sites] == ["legacy-app"]
                calls.append((name, form.value, members))
                return 0

            return note

        for name in ("list_sessions", "end_sessions", "read_audit", "follow_audit"):
            monkeypatch.setattr(f"proxy.operations.{name}", noting(name))
        monkeypatch.setattr("proxy.operations.ago", lambda seconds: 1000.0 - seconds)
        return calls

    @pytest.mark.parametrize(
        ("arguments", "call"),
        [
            ("sessions list", ("list_sessions", "table", {"user": None, "sid": None, "limit": 100})),
            ("sessions list --all", ("list_sessions", "table", {"user": None, "sid": None, "limit": 10_000})),
            ("sessions list --user a --json", ("list_sessions", "json", {"user": "a", "sid": None, "limit": 100})),
            ("sessions end --user a", ("end_sessions", "table", {"user": "a", "sid": None})),
            ("sessions end --sid s --json", ("end_sessions", "json", {"user": None, "sid": "s"})),
            ("sessions end --all", ("end_sessions", "table", {"user": None, "sid": None})),
            ("audit", ("read_audit", "table", {"user": None, "since": 0.0, "limit": 100})),
            ("audit --since 10s --limit 5", ("read_audit", "table", {"user": None, "since": 990.0, "limit": 5})),
            ("audit --follow --json --user a", ("follow_audit", "json", {"user": "a", "since": 0.0, "limit": 100})),
        ],
    )
    def test_the_arguments_are_passed_on(self, asked: list[Any], arguments: str, call: tuple[Any, ...]) -> None:
        result = sidegate(*arguments.split(), "-c", "warned.yaml")

        assert (result.exit_code, asked) == (0, [call])

    @pytest.mark.parametrize(
        "arguments", ["", "--user a --sid s", "--user a --all", "--sid s --all", "--user a --sid s --all"]
    )
    def test_an_end_of_nobody_or_of_two_things_ends_nothing(self, asked: list[Any], arguments: str) -> None:
        result = sidegate("sessions", "end", "-c", "good.yaml", *arguments.split())

        assert (result.exit_code, result.stdout, asked) == (2, "", [])
        assert result.stderr == "sidegate: say whose sessions end: one of --user USER, --sid SID and --all\n"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ("sessions list --user a --sid s", "give one of them"),
            ("sessions end --user=", "an empty name is nobody's"),
            ("sessions end --sid=", "an empty name is nobody's"),
            ("audit --since yesterday", "such as 30m, 2h or 1d"),
            ("audit --since 0s", "such as 30m, 2h or 1d"),
            ("audit --limit 0", "'--limit'"),
            ("sessions", "Usage"),
        ],
    )
    def test_wrong_arguments_exit_with_2(self, asked: list[Any], arguments: str, said: str) -> None:
        result = sidegate(*arguments.split(), *(["-c", "good.yaml"] if " " in arguments else []))

        assert (result.exit_code, asked) == (2, [])
        assert said in result.stderr

    @pytest.mark.parametrize("command", ["sessions list", "sessions end --all", "audit"])
    def test_a_bad_file_is_told_on_stderr(self, asked: list[Any], command: str) -> None:
        result = sidegate(*command.split(), "-c", "bad.yaml")

        assert (result.exit_code, result.stdout, asked) == (2, "", [])
        assert "server.listn: unknown key" in result.stderr

    @pytest.mark.parametrize("command", ["sessions list", "sessions end --all", "audit", "audit --follow"])
    def test_memory_without_a_token_is_a_sentence(self, command: str) -> None:
        result = sidegate(*command.split(), "-c", "good.yaml")

        assert (result.exit_code, result.stdout) == (2, "")
        assert "management.admin_token" in result.stderr
        assert result.stderr.count("\n") == 1

    @pytest.mark.parametrize("command", ["list", "end"])
    def test_the_help_of_each_part_has_an_example(self, command: str) -> None:
        assert f"\nExample:\n  sidegate sessions {command}" in sidegate("sessions", command, "--help").stdout


class TestDoctor:
    """What the command line makes of it; the looks have tests of their own."""

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch, here: Path) -> list[Any]:
        """What the command is asked to look at, in a folder with files; all that it finds is one finding."""
        made: list[Any] = []

        def examine(sites: Sequence[SiteSettings], orders: Orders) -> Diagnosis:
            made.extend([sites, orders])
            group = Group("keys", "Keys", (self.finding,))
            return Diagnosis(orders.file, (Place(None, "https://app.example.com", (group,)),))

        monkeypatch.setattr("proxy.doctor.command.examine", examine)
        for name in ("SIDEGATE_ADMIN_PASSWORD", "SIDEGATE_USER_PASSWORD"):
            monkeypatch.delenv(name, raising=False)
        (here / "password").write_text("from-the-file\n")
        return made

    finding = Finding("keys", Verdict.OK, "they are well")

    @pytest.mark.parametrize(("verdict", "exit_code"), [("ok", 0), ("warn", 0), ("fail", 1)])
    def test_only_a_failure_is_one(
        self, asked: list[Any], monkeypatch: pytest.MonkeyPatch, verdict: str, exit_code: int
    ) -> None:
        found = Finding("keys", Verdict(verdict), "they are so", "" if verdict == "ok" else "do this")
        monkeypatch.setattr(self.__class__, "finding", found)

        result = sidegate("doctor", "-c", "good.yaml")

        assert (result.exit_code, result.stderr) == (exit_code, "")
        assert result.stdout.startswith(f"Keys\n  {verdict:<4}  keys")
        assert not asked[1].problems
        assert (asked[1].administrator, asked[1].account) == (None, None)

    @pytest.mark.usefixtures("asked")
    def test_programs_get_the_same_as_json(self) -> None:
        document = json.loads(sidegate("doctor", "-c", "good.yaml", "--json").stdout)

        assert (document["file"], document["verdict"]) == ("good.yaml", "ok")

    def test_passwords_come_from_files_before_the_environment(
        self, asked: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SIDEGATE_USER_PASSWORD", "from-the-environment")
        url = ("--admin-url", "https://sso.example.com/", "--admin-password-file", "password")

        sidegate("doctor", "-c", "good.yaml", "--user", "alice", *url)
        sidegate("doctor", "-c", "good.yaml", "--user", "alice", "--password-file", "password")

        assert asked[1].account.password.reveal() == "from-the-environment"
        assert asked[1].administrator.password.reveal() == "from-the-file"
        assert asked[1].administrator.base_url == "https://sso.example.com"
        assert asked[3].account.password.reveal() == "from-the-file"
        assert "from-the" not in repr(asked)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--user", "alice"], "give --password-file, or set SIDEGATE_USER_PASSWORD"),
            (["--admin-url", "https://sso.example.com"], "give --admin-password-file, or set SIDEGATE_ADMIN_PASSWORD"),
            (["--user", "alice", "--password-file", "nope"], "the file nope cannot be read"),
            (["--admin-url", "https://sso.example.com/realms/acme"], "--admin-url takes only what stands before"),
        ],
    )
    def test_what_cannot_be_asked_for_is_one_sentence(
        self, asked: list[Any], arguments: list[str], sentence: str
    ) -> None:
        result = sidegate("doctor", "-c", "good.yaml", *arguments)

        assert (result.exit_code, asked, result.stdout) == (2, [], "")
        assert sentence in result.stderr
        assert result.stderr.count("\n") == 1

    def test_a_secret_that_is_missing_is_told_among_the_findings_and_the_rest_is_looked_at(
        self, asked: list[Any], here: Path
    ) -> None:
        secret = "client_auth: {secret: {file: /nowhere/secret}}"
        (here / "there.yaml").write_text(GOOD.replace("client_auth: {method: none}", secret))

        assert sidegate("doctor", "-c", "there.yaml").exit_code == 0

        assert [problem.key_path for problem in asked[1].problems] == ["keycloak.client_auth.secret.file"]
        assert asked[0][0].settings.keycloak.client_id == "legacy-app"

    def test_a_file_that_is_wrong_by_itself_is_not_looked_at(self, asked: list[Any]) -> None:
        result = sidegate("doctor", "-c", "bad.yaml")

        assert (result.exit_code, result.stdout, asked) == (2, "", [])
        assert result.stderr == "bad.yaml:1:10  server.listn: unknown key; did you mean server.listen?\n"


class TestKeycloakSetup:
    """What the command line makes of it; the work itself has tests of its own."""

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch, here: Path) -> list[Any]:
        """What the command is asked to do, in a folder with files."""
        made: list[Any] = []

        def set_up_all(sites: Sequence[SiteSettings], setup: Setup, *, agree: Callable[[str], bool]) -> int:
            made.append(setup)
            if setup.consent is Consent.ASK:
                made.append(agree("Make it?"))
            return 0

        monkeypatch.setattr("proxy.keycloak_setup.command.set_up_all", set_up_all)
        monkeypatch.delenv("SIDEGATE_ADMIN_PASSWORD", raising=False)
        (here / "password").write_text("from-the-file\n")
        return made

    def call(self, *arguments: str, file: str = "good.yaml", answer: str | None = None) -> Result:
        url = () if "--admin-url" in arguments else ("--admin-url", "https://sso.example.com/")
        password = () if "none" in arguments else ("--admin-password-file", "password")
        given = [one for one in arguments if one != "none"]
        result = CliRunner().invoke(main, ["keycloak-setup", "-c", file, *url, *password, *given], input=answer)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def test_the_password_comes_from_the_file_before_the_environment(
        self, asked: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SIDEGATE_ADMIN_PASSWORD", "from-the-environment")

        results = [self.call("--yes"), self.call("--yes", "none")]

        assert [result.exit_code for result in results] == [0, 0]
        assert [setup.administrator.password.reveal() for setup in asked] == ["from-the-file", "from-the-environment"]
        assert asked[0].administrator.base_url == "https://sso.example.com"
        assert (asked[0].administrator.realm, asked[0].administrator.username) == ("master", "admin")

    def test_without_a_terminal_nobody_is_asked_for_a_password(self, asked: list[Any]) -> None:
        result = self.call("--yes", "none")

        assert (result.exit_code, asked) == (2, [])
        assert "give --admin-password-file, or set SIDEGATE_ADMIN_PASSWORD" in result.stderr

    def test_a_password_file_that_is_not_there_is_a_sentence(self, asked: list[Any]) -> None:
        result = self.call("--admin-password-file", "nope", "--yes", "none")

        assert (result.exit_code, asked) == (2, [])
        assert result.stderr == "the file nope cannot be read (no such file or directory); check the path\n"

    def test_a_wrong_admin_url_is_a_sentence(self, asked: list[Any]) -> None:
        result = self.call("--admin-url", "https://sso.example.com/realms/acme", "--yes")

        assert (result.exit_code, asked) == (2, [])
        assert result.stderr.startswith("--admin-url takes only what stands before /realms/")

    @pytest.mark.parametrize(("answer", "agreed"), [("y\n", True), ("n\n", False), ("\n", False)])
    def test_a_person_is_asked(self, asked: list[Any], answer: str, *, agreed: bool) -> None:
        assert self.call(answer=answer).exit_code == 0

        assert asked[1] is agreed

    def test_no_answer_is_a_sentence(self, asked: list[Any]) -> None:
        result = self.call(answer="")

        assert result.exit_code == 1
        assert "nobody answered, so nothing was changed; --yes does not ask" in result.stderr

    def test_ctrl_c_at_the_question_is_no_answer_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def person(_prompt: str) -> str:
            signal.raise_signal(signal.SIGINT)
            return "y"

        async def work() -> bool:
            before = signal.getsignal(signal.SIGINT)
            with pytest.raises(SidegateError, match="nobody answered, so nothing was changed"):
                cli._agreed("Make it?")
            return signal.getsignal(signal.SIGINT) is before

        monkeypatch.setattr("click.termui.visible_prompt_func", person)
        assert asyncio.run(work())

    def test_a_dry_run_stays_one_beside_yes(self, asked: list[Any]) -> None:
        self.call("--dry-run", "--yes")

        assert asked[0].consent is Consent.ONLY_SHOW

    def test_a_secret_that_is_not_here_yet_is_no_obstacle(self, asked: list[Any], here: Path) -> None:
        secret = "client_auth: {secret: {file: nope}}"
        (here / "apart.yaml").write_text(GOOD.replace("client_auth: {method: none}", secret))

        assert sidegate("check", "-c", "apart.yaml").exit_code == 2
        assert self.call("--yes", file="apart.yaml").exit_code == 0

    @pytest.mark.parametrize("secret", ["{fiel: nope}", "{file: nope, env: X}"])
    def test_any_other_problem_of_the_file_is_one(self, asked: list[Any], here: Path, secret: str) -> None:
        text = GOOD.replace("client_auth: {method: none}", f"client_auth: {{secret: {secret}}}")
        (here / "wrong.yaml").write_text(text)

        for file in ("wrong.yaml", "bad.yaml", "nope.yaml"):
            result = self.call("--yes", file=file)
            assert (result.exit_code, result.stdout, asked) == (2, "", [])
            assert result.stderr.startswith(file)


def test_the_schema_is_printed_as_it_stands_in_the_repository() -> None:
    assert sidegate("schema").stdout == schema_text()


def test_a_key_is_new_each_time_and_has_32_bytes() -> None:
    first, second = (sidegate("keygen").stdout.strip() for _ in range(2))

    assert first != second
    assert len(urlsafe_b64decode(first + "=")) == 32


def test_a_signing_key_of_keygen_is_taken_by_the_file(here: Path) -> None:
    made = sidegate("keygen", "--signing").stdout
    (here / "assertion.pem").write_text(made)
    assertion = "identity_headers: {assertion: {audience: app, signing_key: {file: assertion.pem}}}\n"
    (here / "signed.yaml").write_text(GOOD + assertion)

    assert made.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert made.endswith("-----END PRIVATE KEY-----\n")
    assert sidegate("check", "-c", "signed.yaml").stdout.endswith("\nsigned.yaml: ok\n")


def test_a_key_of_keygen_is_taken_by_the_file(here: Path) -> None:
    (here / "session.key").write_text(sidegate("keygen").stdout)
    (here / "keyed.yaml").write_text(f"{GOOD}sessions: {{encryption_keys: [{{file: session.key}}]}}\n")

    assert sidegate("check", "-c", "keyed.yaml").stdout.endswith("\nkeyed.yaml: ok\n")


def test_the_version_is_the_one_of_the_package() -> None:
    assert sidegate("--version").stdout == f"sidegate {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_ends_with_an_example(command: str) -> None:
    for option in ("-h", "--help"):
        text, _, example = sidegate(command, option).stdout.partition("\nExample:\n")

        assert text.startswith(f"Usage: main {command}")
        assert f"sidegate {command}" in example
        assert all(len(line) <= 80 for line in example.splitlines())


def every_command() -> dict[str, click.Command]:
    """Each command by what one types for it, those of groups too."""
    found: dict[str, click.Command] = {}
    for name, command in main.commands.items():
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {one}": part for one, part in command.commands.items()}
    return found


@pytest.mark.parametrize(("typed", "command"), every_command().items())
def test_every_command_and_option_says_what_it_is_for(typed: str, command: click.Command) -> None:
    silent = [one.opts[0] for one in command.params if isinstance(one, click.Option) and not one.help]

    assert silent == []
    assert command.help
    assert f"sidegate {typed.partition(' ')[0]}" in (command.epilog or "")


def test_the_help_names_every_command() -> None:
    text = sidegate("--help").stdout

    assert set(main.commands) == set(COMMANDS)
    assert all(f"\n  {command} " in text for command in COMMANDS)


@pytest.mark.parametrize("arguments", [["nonsense"], ["check", "--nonsense"], ["check", "-c", "a", "b"]])
def test_wrong_arguments_exit_with_2(arguments: list[str]) -> None:
    result = sidegate(*arguments)

    assert result.exit_code == 2
    assert "Error: " in result.stderr


ONLY_WHAT_IS_NEEDED = """\
import sys
from proxy.cli import main
try:
    main(["check", "-c", sys.argv[1]])
finally:
    print([name for name in ("aiohttp", "jinja2", "cryptography", "uvloop", "jwt") if name in sys.modules])
"""


def test_check_does_not_wait_for_what_it_does_not_need(here: Path) -> None:
    command = [sys.executable, "-c", ONLY_WHAT_IS_NEEDED, str(here / "good.yaml")]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)

    assert ended.stdout.splitlines()[-1] == "[]"


PORTALS = """\
keycloak: {issuer: https://sso.example.com/realms/acme, client_auth: {method: none}}
server: {trusted_proxies: [10.0.0.0/8]}
upstreams: {app: {url: http://127.0.0.1:8000}}
portals:
  - {name: wiki, hosts: [wiki.example.com], server: {public_url: https://wiki.example.com}, keycloak: {client_id: wiki},
     routes: [{path: /**, access: public}]}
  - {name: apps, hosts: ['*.apps.example.com'], server: {public_url: 'https://*.apps.example.com'},
     keycloak: {client_id: apps}, sessions: {lifetime: 1d}}
  - {name: one, hosts: [one.apps.example.com], server: {public_url: https://one.apps.example.com},
     keycloak: {client_id: one}, routes: [{path: /**, access: {any_role: [x]}}]}
"""


class TestPortals:
    """What commands make of a file with several sites."""

    @pytest.fixture(autouse=True)
    def _file(self, here: Path) -> None:
        (here / "portals.yaml").write_text(PORTALS)

    def test_check_says_how_long_sessions_last_in_each(self) -> None:
        result = sidegate("check", "-c", "portals.yaml")

        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert [line.rpartition(" (")[2] for line in lines[:2]] == ["wiki, one)", "apps)"]
        assert lines[-1] == "portals.yaml: ok"

    @pytest.mark.parametrize(
        ("url", "portal", "decision"),
        [
            ("https://wiki.example.com/x", "wiki", "allow"),
            ("/x", "wiki", "allow"),
            ("https://any.apps.example.com/x", "apps", "allow"),
            ("https://one.apps.example.com/x", "one", "forbid"),
            ("https://else.example.com/x", "wiki", "refused"),
        ],
    )
    def test_explain_takes_the_portal_from_the_host(self, url: str, portal: str, decision: str) -> None:
        told = json.loads(sidegate("explain", "-c", "portals.yaml", "GET", url, "--json").stdout)

        assert (told["portal"], told["decision"]) == (portal, decision)
        assert f"portal:     {portal}\n" in sidegate("explain", "-c", "portals.yaml", "GET", url).stdout

    def test_a_host_field_counts_as_it_does_at_the_door(self) -> None:
        fields = ("-H", "Host: one.apps.example.com")

        told = json.loads(sidegate("explain", "-c", "portals.yaml", "GET", "/x", *fields, "--json").stdout)

        assert told["portal"] == "one"

    def test_the_setup_is_of_all_portals_or_of_one(self, monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
        made: list[list[str]] = []

        def set_up_all(sites: Sequence[SiteSettings], _setup: Setup, *, agree: Callable[[str], bool]) -> int:
            made.append([one.name for one in sites])
            return 0

        monkeypatch.setattr("proxy.keycloak_setup.command.set_up_all", set_up_all)
        (here / "password").write_text("pw")
        arguments = ("keycloak-setup", "-c", "portals.yaml", "--admin-url", "https://sso.example.com", "--yes")
        arguments += ("--admin-password-file", "password")

        assert [sidegate(*arguments, *portal).exit_code for portal in ([], ["--portal", "one"])] == [0, 0]
        wrong = sidegate(*arguments, "--portal", "two")

        assert made == [["wiki", "apps", "one"], ["one"]]
        assert (wrong.exit_code, wrong.stderr) == (2, "sidegate: there is no portal two; write wiki, apps, one\n")
        assert (
            "the file has no portals"
            in sidegate(*[*arguments[:2], "good.yaml", *arguments[3:]], "--portal", "a").stderr
        )
