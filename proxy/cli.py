"""The commands: argument parsing, and what is said on the terminal.

Each command reads its arguments, calls one function of another room and turns the outcome into an exit code: 0 well,
1 it could not be done, 2 the arguments or the file are wrong. Rooms that are slow to import are imported when their
command runs, so that ``check`` and ``--help`` answer at once. No traceback reaches a person for bad input.
"""

from __future__ import annotations

import gc
import os
import secrets
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Never

import click

from proxy import __version__
from proxy.aiohttp_trust import import_aiohttp
from proxy.core.lifetime import promised_lifetime
from proxy.core.secret import Secret
from proxy.errors import SettingsError, SidegateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from proxy.doctor.person import TriedAccount
    from proxy.keycloak_setup.admin_api import Administrator
    from proxy.keycloak_setup.command import Setup
    from proxy.operations import Form
    from proxy.settings.load import Loaded
    from proxy.settings.model import Settings
    from proxy.settings.portals import SiteSettings
    from proxy.settings.problems import Problem

EXIT_FAILED: Final = 1
EXIT_WRONG_INPUT: Final = 2

_FILE: Final = click.option(
    "-c",
    "--config",
    "path",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The settings (YAML).",
)


_BEGIN: Final = """\
sidegate demo
sidegate check -c sidegate.yaml
sidegate run -c sidegate.yaml"""

_SCHEMA: Final = """\
sidegate schema > sidegate.schema.json
# and in the first line of sidegate.yaml:
# yaml-language-server: $schema=sidegate.schema.json"""

_KEYGEN: Final = """\
(umask 077; sidegate keygen > session.key)
# and in sidegate.yaml:
sessions: {encryption_keys: [{file: session.key}]}
(umask 077; sidegate keygen --signing > assertion.pem)
# and in sidegate.yaml:
identity_headers:
  assertion: {audience: app, signing_key: {file: assertion.pem}}"""


_SESSIONS: Final = """\
sidegate sessions list -c sidegate.yaml
sidegate sessions end -c sidegate.yaml --user alice"""

_KEYCLOAK_SETUP: Final = """\
sidegate keycloak-setup -c sidegate.yaml --dry-run \\
    --admin-url https://sso.example.com
sidegate keycloak-setup -c sidegate.yaml --secret-file client-secret \\
    --admin-url https://sso.example.com"""

_ADMIN_PASSWORD: Final = "SIDEGATE_ADMIN_PASSWORD"  # noqa: S105 - the name of a variable

_EXPLAIN: Final = """\
sidegate explain -c sidegate.yaml GET /admin/users --role viewer
sidegate explain -c sidegate.yaml GET '/static/..;/admin' --anonymous
sidegate explain -c sidegate.yaml POST /save -H 'Sec-Fetch-Site: cross-site'"""

_DOCTOR: Final = """\
sidegate doctor -c sidegate.yaml
sidegate doctor -c sidegate.yaml --user alice
sidegate doctor -c sidegate.yaml --admin-url https://sso.example.com"""

_USER_PASSWORD: Final = "SIDEGATE_USER_PASSWORD"  # noqa: S105 - the name of a variable

_JSON: Final = click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")


class _WithExample:
    """Print the epilog as it stands, under "Example:": click would fill it like prose."""

    epilog: str | None

    def format_epilog(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lines of the example."""
        with formatter.section("Example"):
            for line in (self.epilog or "").splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class _Command(_WithExample, click.Command):
    """A command whose help ends with an example."""


class _Group(_WithExample, click.Group):
    """The whole, with commands of that kind."""

    command_class = _Command


@click.group(
    cls=_Group,
    epilog=_BEGIN,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="sidegate", message="%(prog)s %(version)s")
def main() -> None:
    """A login gate in front of an app that knows nothing of login."""


@main.command(epilog="sidegate run -c sidegate.yaml")
@_FILE
def run(path: Path) -> None:
    """Serve: sit in front of the app and let in who may.

    SIGTERM lets running requests end and exits with 0. SIGHUP reads the file again, and so does a change of it; one
    that cannot be used leaves what runs. Keycloak or the app may be away at the start.
    """
    if os.getpid() == 1:
        # Process 1 of a container hears no signal for which it has no handler, and what follows takes a moment.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _without_collections():
        sites = _usable(path)
        import_aiohttp()
        from proxy.app import serve_forever  # noqa: PLC0415 - the whole house is slow to import

        sys.exit(_outcome(lambda: serve_forever(path, sites)))


@contextmanager
def _without_collections() -> Iterator[None]:
    """Look for no garbage until it serves (``app``): nearly all that is made before stays until the end."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@main.command(epilog="sidegate demo --port 8080")
@click.option("--port", default=4180, show_default=True, type=click.IntRange(1, 65535), help="Where the demo listens.")
def demo(port: int) -> None:
    """Show it: an identity provider, a sample app and Sidegate in one process, with nothing to set up."""
    import_aiohttp()
    from proxy.app import demo as run_demo  # noqa: PLC0415 - the whole house is slow to import

    sys.exit(_outcome(lambda: run_demo(port)))


@main.command(epilog="sidegate check -c sidegate.yaml")
@_FILE
def check(path: Path) -> None:
    """Read the file and print every problem in it.

    Each problem is a line: FILE:LINE:COL  key.path: what is wrong; what to write instead.
    A further line says how long sessions last, as far as the file alone can tell.
    Exits with 0 when the file can be used (warnings do not count), else with 2.
    """
    loaded = _load(path)
    if any(problem.line == 0 for problem in loaded.problems):
        _to_stderr(loaded.problems)
        sys.exit(EXIT_WRONG_INPUT)
    template_faults = tuple(dict.fromkeys(fault for one in loaded.sites for fault in _template_faults(one.settings)))
    for problem in (*loaded.problems, *template_faults):
        click.echo(problem)
    for sentence, names in _lifetimes_of(loaded.sites).items():
        of_portals = f" ({', '.join(names)})" if len(loaded.sites) > 1 else ""
        click.echo(f"{path}: {sentence}{of_portals}")
    errors = len(loaded.errors) + len(template_faults)
    click.echo(f"{path}: {_summary(errors, len(loaded.warnings))}")
    sys.exit(EXIT_WRONG_INPUT if errors else 0)


@main.command(epilog=_EXPLAIN)
@_FILE
@click.argument("method")
@click.argument("url")
@click.option("--role", "roles", metavar="ROLE", multiple=True, help="A role of the realm, or CLIENT:ROLE.")
@click.option("--group", "groups", metavar="GROUP", multiple=True, help="A group, such as /staff.")
@click.option("--claim", "claims", metavar="NAME=VALUE", multiple=True, help="A claim; JSON, or else text.")
@click.option("--acr", metavar="ACR", help="How they proved who they are (step-up).")
@click.option("--authenticated-ago", "ago", metavar="DURATION", help="When: 10m, 2h. Now, if left out.")
@click.option("--anonymous", "is_anonymous", is_flag=True, help="Nobody is signed in.")
@click.option("-H", "--header", "headers", metavar="'NAME: VALUE'", multiple=True, help="What the request has besides.")
@_JSON
def explain(path: Path, method: str, url: str, headers: tuple[str, ...], **said: Any) -> None:
    """Say what the gate does with a request, and why: route, decision, conditions, headers.

    URL is a path or the whole URL; with portals its host says which one is meant. Without --anonymous and roles:
    somebody signed in who has no role. Goes nowhere: no network, no secret. Exits with 0 whatever the decision is, with
    2 when the arguments or the file are wrong.
    """
    as_json, person = said.pop("as_json"), _person(**said)
    sites = _usable_alone(path)
    from proxy.explain import command, question  # noqa: PLC0415 - the whole house is slow to import
    from proxy.explain.explanation import Ink  # noqa: PLC0415

    try:
        who = None if person is None else question.Person(**person)
        asked = question.Question(method=method, url=url, headers=headers, person=who)
        explanation = command.explain(sites, asked)
    except question.QuestionRefused as refusal:
        _wrong_input(str(refusal))
    if as_json:
        click.echo(command.document_text(explanation))
        return
    for line in explanation.lines(Ink.COLOUR if _has_colours() else Ink.PLAIN):
        click.echo(line)


@main.command(epilog=_DOCTOR)
@_FILE
@click.option("--user", metavar="USER", help="Try a login with this test account, and end its session again.")
@click.option(
    "--password-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"Its password; else that of {_USER_PASSWORD}, else you are asked.",
)
@click.option("--admin-url", metavar="URL", help="See the client as an administrator of Keycloak does.")
@click.option("--admin-user", default="admin", show_default=True, metavar="USER", help="Who signs in there.")
@click.option("--admin-realm", default="master", show_default=True, metavar="REALM", help="The realm of that account.")
@click.option(
    "--admin-password-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"Its password; else that of {_ADMIN_PASSWORD}, else you are asked.",
)
@_JSON
def doctor(path: Path, **given: Any) -> None:
    """Go and look whether Keycloak, Redis, the app and the public URL are as this file needs them.

    A line each: ok, warn or fail, and the remedy. Changes nothing. Of Keycloak is asked what it must refuse: a refresh
    token that is none, and the password of a user whom nobody has. Exits with 0, also with warnings, or with 1; with 2
    when the arguments or the file are wrong.
    """
    sites, problems = _sites_to_look_at(path)
    from proxy.doctor import command, report  # noqa: PLC0415 - aiohttp is slow to import
    from proxy.doctor.finding import Verdict  # noqa: PLC0415

    def work() -> int:
        administrator = None if given["admin_url"] is None else _administrator(given)
        account = None if given["user"] is None else _account(given)
        orders = command.Orders(file=str(path), problems=problems, administrator=administrator, account=account)
        diagnosis = command.examine(sites, orders)
        if given["as_json"]:
            click.echo(command.document_text(diagnosis))
        else:
            ink = report.Ink.COLOUR if _has_colours() else report.Ink.PLAIN
            click.echo("\n".join(report.lines(diagnosis, ink)).lstrip("\n"))
        return EXIT_FAILED if diagnosis.verdict is Verdict.FAIL else 0

    sys.exit(_outcome(work))


@main.command(epilog=_SCHEMA)
@click.option("--markdown", "as_markdown", is_flag=True, help="For people: every key in a table (docs/reference.md).")
def schema(as_markdown: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Print the JSON Schema of the file, for editors that complete and check YAML."""
    from proxy.settings.reference import reference_text  # noqa: PLC0415 - pydantic is slow to import
    from proxy.settings.schema import schema_text  # noqa: PLC0415 - pydantic is slow to import

    click.echo(reference_text() if as_markdown else schema_text(), nl=False)


@main.command(epilog=_KEYGEN)
@click.option("--signing", is_flag=True, help="A key that signs instead: PEM, PKCS#8, P-256.")
def keygen(*, signing: bool) -> None:
    """Print a fresh session key, as sessions.encryption_keys takes it.

    With --signing it is one for identity_headers.assertion.signing_key.
    """
    if signing:
        from proxy.settings.signing_keys import make_signing_key  # noqa: PLC0415 - cryptography is slow to import

        click.echo(make_signing_key(), nl=False)
        return
    from proxy.settings.secret_source import make_key  # noqa: PLC0415 - pydantic is slow to import

    click.echo(make_key(secrets.token_bytes))


@main.command(epilog="sidegate health -c sidegate.yaml --ready")
@_FILE
@click.option("--ready", is_flag=True, help="Ask /readyz: whether it serves, not only whether it lives.")
def health(path: Path, *, ready: bool) -> None:
    """Ask the running process whether it is well; for the health check of a container.

    Exits with 0 when it is, 1 when it is not, 2 when the file is wrong.
    """
    # A secret that is just being replaced makes no process ill that has read it already.
    settings = _usable_alone(path)[0].settings
    from proxy.health_client import ask_health  # noqa: PLC0415 - only here
    from proxy.settings.values import UnixAddress  # noqa: PLC0415 - pydantic is slow to import

    listen = settings.management.listen
    address = listen.path if isinstance(listen, UnixAddress) else (listen.host, listen.port)

    def ask() -> int:
        click.echo(ask_health(address, "readyz" if ready else "healthz"))
        return 0

    sys.exit(_outcome(ask))


@main.group(cls=_Group, epilog=_SESSIONS)
def sessions() -> None:
    """See who is signed in, and end it.

    Sessions in Redis are reached there; those in memory by the management API of the running process.
    """


@sessions.command("list", epilog="sidegate sessions list -c sidegate.yaml --user alice")
@_FILE
@click.option("--user", metavar="USER", help="Only this person's, by user name.")
@click.option("--sid", metavar="SID", help="Only those of this session of Keycloak.")
@click.option("--all", "is_all", is_flag=True, help="As many as can be listed, not the last 100 used.")
@_JSON
def list_sessions(path: Path, user: str | None, sid: str | None, **shown: bool) -> None:
    """List live sessions, the last used first."""
    if user is not None and sid is not None:
        _wrong_input("--user and --sid are two ways to choose; give one of them")
    sites, form = _usable(path), _form(shown["as_json"])
    from proxy import operations  # noqa: PLC0415 - aiohttp is slow to import
    from proxy.web.administration import DEFAULT_LIMIT, MAX_LIMIT  # noqa: PLC0415

    limit = MAX_LIMIT if shown["is_all"] else DEFAULT_LIMIT
    sys.exit(_outcome(lambda: operations.list_sessions(sites, form, user=user, sid=sid, limit=limit)))


@sessions.command("end", epilog="sidegate sessions end -c sidegate.yaml --user alice")
@_FILE
@click.option("--user", metavar="USER", help="This person's, by user name.")
@click.option("--sid", metavar="SID", help="Those of this session of Keycloak.")
@click.option("--all", "is_all", is_flag=True, help="Everybody's, logins under way included. Asks nothing.")
@_JSON
def end_sessions(path: Path, user: str | None, sid: str | None, **chosen: bool) -> None:
    """End sessions here, and print what ended; at Keycloak they go on.

    Exactly one of --user, --sid and --all says which.
    """
    if "" in {user, sid}:
        _wrong_input("an empty name is nobody's; write the user name or the sid")
    if (user is not None) + (sid is not None) + chosen["is_all"] != 1:
        _wrong_input("say whose sessions end: one of --user USER, --sid SID and --all")
    sites, form = _usable(path), _form(chosen["as_json"])
    from proxy import operations  # noqa: PLC0415 - aiohttp is slow to import

    sys.exit(_outcome(lambda: operations.end_sessions(sites, form, user=user, sid=sid)))


@main.command(epilog="sidegate audit -c sidegate.yaml --user alice --since 1h --follow")
@_FILE
@click.option("--user", metavar="USER", help="Only this person's, by user name.")
@click.option("--since", metavar="DURATION", help="Only the last 30m, 2h, 1d.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="At most so many.")
@click.option("--follow", "follows", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@_JSON
def audit(path: Path, user: str | None, since: str | None, limit: int, **how: bool) -> None:
    """Print who signed in and out, and who was refused; the newest last."""
    sites, form, span_s = _usable(path), _form(how["as_json"]), _span(since)
    from proxy import operations  # noqa: PLC0415 - aiohttp is slow to import

    show = operations.follow_audit if how["follows"] else operations.read_audit
    since_at = 0.0 if span_s is None else operations.ago(span_s)
    sys.exit(_outcome(lambda: show(sites, form, user=user, since=since_at, limit=limit)))


@main.command("keycloak-setup", epilog=_KEYCLOAK_SETUP)
@_FILE
@click.option("--admin-url", required=True, metavar="URL", help="Keycloak, as far as before /realms/ and /admin/.")
@click.option("--admin-user", default="admin", show_default=True, metavar="USER", help="Who signs in there.")
@click.option("--admin-realm", default="master", show_default=True, metavar="REALM", help="The realm of that account.")
@click.option(
    "--admin-password-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"Its password; else that of {_ADMIN_PASSWORD}, else you are asked.",
)
@click.option("--dry-run", is_flag=True, help="Only show the difference; exits with 0 whether or not there is one.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--secret-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the client's secret into this new file, mode 600. It is shown nowhere.",
)
@click.option("--audience", "audiences", multiple=True, metavar="CLIENT", help="Make access tokens good for this too.")
@click.option("--service-account", metavar="NAMESPACE/NAME", help="The pod's, where its own token proves the client.")
@click.option(
    "--identity-provider",
    "cluster",
    default="kubernetes",
    show_default=True,
    metavar="ALIAS",
    help="Keycloak's identity provider for the tokens of that cluster.",
)
@click.option("--portal", metavar="NAME", help="Only this portal's client, where the file has portals.")
def keycloak_setup(path: Path, **given: Any) -> None:
    """Make or mend the client in Keycloak as this file needs it.

    Shows the difference first, then asks. What others have set is kept. The account needs the role manage-clients.
    Exits with 0 when the client is as it should be, 1 when it could not be done or you said no, 2 when the arguments
    or the file are wrong.
    """
    sites = _portal(_usable_alone(path), given.pop("portal"))
    from proxy.keycloak_setup import command  # noqa: PLC0415 - aiohttp is slow to import

    def work() -> int:
        return command.set_up_all(sites, _setup(given), agree=_agreed)

    sys.exit(_outcome(work))


def _portal(sites: Sequence[SiteSettings], name: str | None) -> Sequence[SiteSettings]:
    """Return all sites, or the one of this name."""
    chosen = [site for site in sites if name in {None, site.name}]
    if not chosen:
        names = ", ".join(site.name for site in sites if site.name)
        _wrong_input(f"there is no portal {name}; " + (f"write {names}" if names else "the file has no portals"))
    return chosen


def _setup(given: dict[str, Any]) -> Setup:
    """Return what the command line says."""
    from proxy.keycloak_setup.command import Consent, Setup  # noqa: PLC0415 - aiohttp is slow to import
    from proxy.keycloak_setup.telling import Ink  # noqa: PLC0415

    consent = Consent.GIVEN if given["yes"] else Consent.ASK
    return Setup(
        administrator=_administrator(given),
        consent=Consent.ONLY_SHOW if given["dry_run"] else consent,
        secret_file=given["secret_file"],
        audiences=given["audiences"],
        service_account=given["service_account"],
        cluster=given["cluster"],
        ink=Ink.COLOURS if _has_colours() else Ink.PLAIN,
    )


def _administrator(given: dict[str, Any]) -> Administrator:
    """Return who signs in at Keycloak's admin API."""
    from proxy.keycloak_setup.admin_api import Administrator  # noqa: PLC0415 - aiohttp is slow to import
    from proxy.keycloak_setup.command import parse_admin_url  # noqa: PLC0415

    return Administrator(
        base_url=parse_admin_url(given["admin_url"]),
        realm=given["admin_realm"],
        username=given["admin_user"],
        password=_password(given["admin_user"], given["admin_password_file"], _ADMIN_PASSWORD),
    )


def _account(given: dict[str, Any]) -> TriedAccount:
    """Return whose login is tried."""
    from proxy.doctor.person import TriedAccount  # noqa: PLC0415 - aiohttp is slow to import

    return TriedAccount(given["user"], _password(given["user"], given["password_file"], _USER_PASSWORD))


def _password(user: str, file: Path | None, variable: str) -> Secret:
    """Return a password: from the file, the environment, or whoever sits there.

    Raises:
        SettingsError: the file cannot be read or is empty.
    """
    from proxy.settings.secret_source import SecretSource  # noqa: PLC0415 - pydantic is slow to import

    if file is not None:
        return SecretSource(file=str(file)).read()
    if os.environ.get(variable):
        return Secret(os.environ[variable])
    if not sys.stdin.isatty():
        option = "--admin-password-file" if variable == _ADMIN_PASSWORD else "--password-file"
        _wrong_input(f"nobody can be asked for the password of {user}; give {option}, or set {variable}")
    return Secret(click.prompt(f"Password of {user}", hide_input=True, err=True))


def _agreed(question: str) -> bool:
    """Ask; no answer is no, and Ctrl-C is none."""
    # The event loop below keeps Ctrl-C for itself until it turns again, and it stands still while somebody is asked.
    of_the_loop = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm(question)
    except click.Abort:
        raise SidegateError("nobody answered, so nothing was changed; --yes does not ask") from None
    finally:
        signal.signal(signal.SIGINT, of_the_loop)


def _has_colours() -> bool:
    """Say whether the terminal shows colours and the person wants them (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _template_faults(settings: Settings) -> tuple[str, ...]:
    """Return what is wrong with the company's own templates, a line each; every page is drawn to find out."""
    if settings.login.templates_dir is None:
        return ()
    from proxy.pages.render import JinjaPages  # noqa: PLC0415 - the whole house is slow to import
    from proxy.slices import look  # noqa: PLC0415

    try:
        JinjaPages(look(settings))
    except SettingsError as error:
        return tuple(str(error).splitlines())
    return ()


def _usable(path: Path) -> Sequence[SiteSettings]:
    """Return the sites of the file, or say what is wrong with it and end."""
    loaded = _load(path)
    if not loaded.sites:
        _to_stderr(loaded.errors)
        sys.exit(EXIT_WRONG_INPUT)
    return loaded.sites


def _sites_to_look_at(path: Path) -> tuple[Sequence[SiteSettings], tuple[Problem, ...]]:
    """Return the sites of a file, and what is wrong with secrets and other files that it names: only that may be."""
    from proxy.settings.load import load_alone  # noqa: PLC0415 - pydantic is slow to import

    loaded = _load(path)
    if loaded.sites:
        return _at_known_hosts(loaded.sites), ()
    alone = load_alone(path)
    if not alone.sites:
        _to_stderr(alone.errors)
        sys.exit(EXIT_WRONG_INPUT)
    return _at_known_hosts(alone.sites), loaded.errors


def _at_known_hosts(sites: Iterable[SiteSettings]) -> Sequence[SiteSettings]:
    """Return each site at its public URL; one below a wildcard at the names beside it, if there are any."""
    from proxy.keycloak_setup.needs import at_each_host  # noqa: PLC0415 - pydantic is slow to import

    known: list[SiteSettings] = []
    for site in sites:
        try:
            known += [site._replace(settings=there) for there in at_each_host(site.settings)]
        except SidegateError:
            known.append(site)
    return known


def _usable_alone(path: Path) -> Sequence[SiteSettings]:
    """Return the same without a look at secrets and other files: they may be on another machine."""
    from proxy.settings.load import load_alone  # noqa: PLC0415 - pydantic is slow to import

    loaded = load_alone(path)
    if not loaded.sites:
        _to_stderr(loaded.errors)
        sys.exit(EXIT_WRONG_INPUT)
    return loaded.sites


def _person(*, is_anonymous: bool, ago: str | None, **named: Any) -> dict[str, Any] | None:
    """Return what was said of somebody who is signed in; None for a stranger."""
    if is_anonymous and (ago is not None or any(named.values())):
        _wrong_input("--anonymous is nobody, who has no role, group, claim or proof; leave it or those out")
    return None if is_anonymous else {**named, "authenticated_ago_s": _span(ago, "--authenticated-ago") or 0.0}


def _form(as_json: bool) -> Form:  # noqa: FBT001 - where a flag ends
    from proxy.operations import Form  # noqa: PLC0415 - aiohttp is slow to import

    return Form.JSON if as_json else Form.TABLE


def _span(text: str | None, option: str = "--since") -> float | None:
    """Return seconds."""
    from proxy.settings.problems import ValueRefused  # noqa: PLC0415 - pydantic is slow to import
    from proxy.settings.values import parse_duration  # noqa: PLC0415

    try:
        return None if text is None else parse_duration(text)
    except ValueRefused:
        _wrong_input(f"{option} is a duration such as 30m, 2h or 1d")


def _wrong_input(sentence: str) -> Never:
    click.echo(f"sidegate: {sentence}", err=True)
    sys.exit(EXIT_WRONG_INPUT)


def _lifetimes_of(sites: Iterable[SiteSettings]) -> dict[str, list[str]]:
    """Return how long sessions last, as far as the file can tell, and in which portals."""
    said: dict[str, list[str]] = {}
    for name, settings in sites:
        said.setdefault(promised_lifetime(settings.session_plan), []).append(name or "top")
    return said


def _load(path: Path) -> Loaded:
    """Return the settings of the file and its problems."""
    from proxy.settings.load import load  # noqa: PLC0415 - pydantic is slow to import

    return load(path)


def _outcome(serve: Callable[[], int]) -> int:
    """Return the exit code of something that serves; a fault is a sentence on stderr."""
    try:
        return serve()
    except SettingsError as error:
        click.echo(str(error), err=True)
        return EXIT_WRONG_INPUT
    except SidegateError as error:
        click.echo(f"sidegate: {error}", err=True)
        return EXIT_FAILED


def _to_stderr(problems: Iterable[Problem]) -> None:
    """Print problems that keep a command from doing its work."""
    for problem in problems:
        click.echo(problem, err=True)


def _summary(errors: int, warnings: int) -> str:
    """Return how many problems there are, in words."""
    counts = [f"{count} {word}{'' if count == 1 else 's'}"
              for count, word in ((errors, "error"), (warnings, "warning")) if count]  # fmt: skip
    return ", ".join(counts if errors else ["ok", *counts])
