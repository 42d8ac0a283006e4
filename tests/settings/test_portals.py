"""Portals in the file: what each site gets, and what is wrong with them, with the line of the portal's own key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.settings.load import load_sites
from proxy.settings.portals import OF_THE_PROCESS, cookies_of_neighbours
from proxy.settings.schema import keys_at

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.settings.model import Settings
    from tests.settings.conftest import LoadText

TOP = """\
server: {trusted_proxies: [10.0.0.0/8]}
keycloak: {issuer: "https://sso.example.com/realms/acme", client_auth: {secret: {value: s}}}
login: {title: Acme, remember_me: false}
upstreams: {app: {url: "http://127.0.0.1:8000"}}
"""
WIKI = """\
  - name: wiki
    hosts: [wiki.example.com]
    server: {public_url: "https://wiki.example.com"}
    keycloak: {client_id: wiki}
"""
ADMIN = """\
  - name: admin
    hosts: [admin.example.com, admin.internal.example.com]
    server: {public_url: "https://admin.example.com"}
    keycloak: {client_id: admin}
"""


def file_of(*portals: str, top: str = TOP) -> str:
    return f"{top}portals:\n{''.join(portals)}"


def portal(name: str = "admin", hosts: str = "admin.example.com", *further: str, url: str = "") -> str:
    lines = (f"name: {name}", f"hosts: [{hosts}]", f'server: {{public_url: "{url or f"https://{hosts}"}"}}')
    keycloak = () if any(line.startswith("keycloak") for line in further) else (f"keycloak: {{client_id: {name}}}",)
    return "  - " + "\n    ".join((*lines, *keycloak, *further)) + "\n"


def site(load_text: LoadText, name: str, *portals: str, top: str = TOP) -> Settings:
    loaded = load_text(file_of(*portals, top=top))
    assert loaded.sites, loaded.problems
    return dict(loaded.sites)[name]


class TestSites:
    """What each portal gets."""

    def test_each_portal_is_a_site_with_the_keys_at_the_top_and_its_own_in_their_place(
        self, load_text: LoadText
    ) -> None:
        admin = site(load_text, "admin", WIKI, ADMIN + "    login: {title: The boiler room}\n")

        assert admin.keycloak.client_id == "admin"
        assert admin.keycloak.issuer == "https://sso.example.com/realms/acme"
        assert (admin.login.title, admin.login.remember_me) == ("The boiler room", False)
        assert set(admin.server.host_values) == {"admin.example.com", "admin.internal.example.com"}

    def test_what_is_no_section_is_taken_whole(self, load_text: LoadText) -> None:
        top = TOP + "identity_headers: {set: {X-A: a}}\nroutes: [{path: /a/**}, {path: /**}]\n"
        own = portal(
            "admin",
            "admin.example.com",
            "keycloak: {client_id: admin, client_auth: {secret: {file: s.yaml}}, scopes: [openid]}",
            "identity_headers: {set: {X-B: b}}",
            "routes: [{path: /**}]",
        )

        admin = site(load_text, "admin", own, top=top)

        assert admin.keycloak.client_auth.secret is not None
        assert admin.keycloak.client_auth.secret.file == "s.yaml"
        assert admin.keycloak.scopes == ("openid",)
        assert admin.identity_headers.set == {"X-B": "b"}
        assert [route.path for route in admin.routes] == ["/**"]

    def test_upstreams_of_a_portal_are_the_only_ones_it_has(self, load_text: LoadText) -> None:
        own = "upstreams: {other: {url: 'http://127.0.0.1:9000'}}"

        assert list(site(load_text, "admin", portal("admin", "admin.example.com", own)).upstreams) == ["other"]

    def test_without_a_public_url_the_top_is_no_site(self, load_text: LoadText) -> None:
        assert [name for name, _ in load_text(file_of(WIKI, ADMIN)).sites] == ["wiki", "admin"]

    def test_with_a_public_url_the_top_is_a_site_as_well_whose_hosts_no_portal_inherits(
        self, load_text: LoadText
    ) -> None:
        top = TOP.replace("server: {", 'server: {public_url: "https://www.example.com", hosts: [old.example.com], ')
        top = top.replace("keycloak: {", "keycloak: {client_id: www, ")

        sites = dict(load_text(file_of(WIKI, top=top)).sites)

        assert list(sites) == ["", "wiki"]
        assert set(sites[""].server.host_values) == {"www.example.com", "old.example.com"}
        assert set(sites["wiki"].server.host_values) == {"wiki.example.com"}

    def test_an_empty_list_is_no_portals(self, load_text: LoadText) -> None:
        top = TOP.replace("server: {", 'server: {public_url: "https://www.example.com", ')
        text = top.replace("keycloak: {", "keycloak: {client_id: www, ") + "portals: []\n"

        assert [name for name, _ in load_text(text).sites] == [""]

    def test_keys_of_the_process_are_the_same_in_all(self, load_text: LoadText) -> None:
        wiki, admin = (one.settings for one in load_text(file_of(WIKI, ADMIN)).sites)

        assert wiki.server.trusted_proxies == admin.server.trusted_proxies
        assert wiki.sessions.store == admin.sessions.store

    def test_they_are_given_by_their_names(self, tmp_path: Path) -> None:
        path = tmp_path / "sidegate.yaml"
        path.write_text(file_of(WIKI, ADMIN))

        assert [(one.name, one.settings.keycloak.client_id) for one in load_sites(path)] == [
            ("wiki", "wiki"),
            ("admin", "admin"),
        ]

    def test_a_wildcard_makes_the_public_url_of_each_host(self, load_text: LoadText) -> None:
        apps = site(load_text, "apps", portal("apps", "'*.apps.example.com'", url="https://*.apps.example.com/base"))

        assert apps.server.public_url.is_wildcard
        assert apps.server.public_url.host_name == "apps.example.com"
        assert "a.apps.example.com" in apps.server.host_values


WRONG = [
    (portal("admin", "admin.example.com", url="https://other.example.com"),
     ("12:14  portals[1].server.public_url: has the host other.example.com, which is not among the portal's hosts; "
     "add it to hosts, or write a URL with one of them")),
    (portal("admin", "wiki.example.com"),
     "11:13  portals[1].hosts[0]: names wiki.example.com, which is portal wiki's too; let one of the two have it"),
    (portal("wiki", "admin.example.com"),
     "10:5  portals[1].name: is the name of portals[0] too; choose another one"),
    ("  - {name: admin, server: {public_url: 'https://a.example.com'}, keycloak: {client_id: a}}\n",
     "10:5  portals[1].hosts: is missing; add hosts: [admin.example.com]"),
    ("  - {name: admin, hosts: [], server: {public_url: 'https://a.example.com'}, keycloak: {client_id: a}}\n",
     "10:19  portals[1].hosts: names no host, so nobody would come here; write [admin.example.com]"),
    ("  - {name: admin, hosts: [a.example.com], keycloak: {client_id: a}}\n",
     "10:5  portals[1].server.public_url: is missing; add public_url: https://app.example.com"),
    (("  - {name: The Admin, hosts: [a.example.com], server: {public_url: 'https://a.example.com'}, "
     "keycloak: {client_id: a}}\n"),
     "10:6  portals[1].name: is no name of a portal; write small letters, digits and hyphens, at most 64"),
    ("  - admin\n", "10:5  portals[1]: must be a mapping, not text; write keys below it: name, hosts"),
    (portal("admin", "admin.example.com", "log: {level: debug}"),
     ("14:5  portals[1].log: is of the whole process, and no portal has one of its own; "
     "write log once, at the top of the file")),
    (portal("admin", "admin.example.com", "sessions: {store: redis, lifetime: 1d}"),
     ("14:16  portals[1].sessions.store: is of the whole process, and no portal has one of its own; "
     "write sessions.store once, at the top of the file")),
    (("  - {name: admin, hosts: [a.example.com], server: {public_url: 'https://a.example.com', hosts: [b]}, "
     "keycloak: {client_id: a}}\n"),
     "10:89  portals[1].server.hosts: is what a portal says in its own hosts; write hosts beside name"),
    (portal("admin", "admin.example.com", "loginn: {title: x}"),
     "14:5  portals[1].loginn: unknown key; did you mean login?"),
    (portal("admin", "admin.example.com", "login: {titel: x}"),
     "14:13  portals[1].login.titel: unknown key; did you mean login.title?"),
    (portal("admin", "admin.example.com", "routes: [{path: /**, upstream: nope}]"),
     "14:26  portals[1].routes[0].upstream: names nope, and there is no such upstream; write app"),
    (portal("admin", "'*.com'", url="https://a.com"),
     ("11:13  portals[1].hosts[0]: has a wildcard that is too wide; "
     "write at least two labels after it: *.apps.example.com")),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "said"), WRONG)
def test_what_is_wrong_with_a_portal_is_said_with_its_own_line(wrong: str, said: str, load_text: LoadText) -> None:
    errors = [str(problem).removeprefix("s.yaml:") for problem in load_text(file_of(WIKI, wrong)).errors]

    assert said in errors
    assert not [line for line in errors if "portals[1]" not in line], "nothing else is to blame"


def test_a_portals_host_with_the_port_of_its_scheme_is_warned_of_with_its_own_line(load_text: LoadText) -> None:
    admin = portal("admin", "admin.example.com, 'a.example.com:443'", url="https://admin.example.com")

    warnings = load_text(file_of(WIKI, admin)).warnings

    assert [one.key_path for one in warnings if "never answered" in one.message] == ["portals[1].hosts[1]"]


def test_what_is_wrong_at_the_top_is_said_once(load_text: LoadText) -> None:
    top = TOP.replace("remember_me: false", "remember_me: maybe")

    errors = [str(problem) for problem in load_text(file_of(WIKI, ADMIN, top=top)).errors]

    assert errors == [("s.yaml:3:22  login.remember_me: must be true or false, not text; "
                      "write true or false, without quotes")]  # fmt: skip


def test_what_every_portal_has_from_the_top_is_said_once_where_it_stands(load_text: LoadText) -> None:
    top = TOP + "forward_auth: {source: path}\nroutes: [{path: /**, upstream: nope, token_exchange: {scope: x}}]\n"
    top = top.replace("{trusted_proxies: [10.0.0.0/8]}", '{public_url: "https://www.example.com"}')
    top = top.replace("client_auth:", "client_id: www, client_auth:")

    said = [(problem.key_path, problem.line) for problem in load_text(file_of(WIKI, ADMIN, top=top)).errors]

    assert said == [("forward_auth", 5), ("routes[0].upstream", 6), ("routes[0].token_exchange.audience", 6)]


def test_what_is_missing_everywhere_is_missing_in_each(load_text: LoadText) -> None:
    top = TOP.replace('issuer: "https://sso.example.com/realms/acme", ', "")

    errors = [problem.key_path for problem in load_text(file_of(WIKI, ADMIN, top=top)).errors]

    assert errors == ["portals[0].keycloak.issuer", "portals[1].keycloak.issuer"]


def test_hosts_at_a_top_that_is_no_site_are_a_mistake(load_text: LoadText) -> None:
    top = TOP.replace("server: {", "server: {hosts: [www.example.com], ")

    errors = [str(problem) for problem in load_text(file_of(WIKI, top=top)).errors]

    assert errors == [("s.yaml:1:10  server.hosts: names hosts of no site, for the top has no server.public_url; "
                      "name them in a portal's hosts, or write server.public_url here too")]  # fmt: skip


@pytest.mark.parametrize("cookie", ["", "sessions: {cookie: {name: b}}"])
def test_portals_that_share_a_cookie_are_warned_of_it(cookie: str, load_text: LoadText) -> None:
    one = portal("one", "one.example.com", "sessions: {cookie: {domain: example.com}}")
    loaded = load_text(file_of(one, portal("two", "two.example.com", *([cookie] if cookie else []))))

    said = [problem.message for problem in loaded.warnings if "shares the session cookie" in problem.message]

    assert loaded.sites
    assert bool(said) == (not cookie)


@pytest.mark.parametrize(
    ("hosts", "cookie", "brought"),
    [
        (("wiki.example.com", "admin.example.com"), "{name: admin, domain: example.com}", {"admin"}),
        (("wiki.example.com", "admin.example.com"), "{name: admin, domain: .Example.com}", {"admin"}),
        (("'*.example.com'", "admin.example.com"), "{name: admin, domain: example.com}", {"admin"}),
        (("x.example.com:8443", "x.example.com:9443"), "{name: admin}", {"admin"}),
        (("'*.example.com'", "admin.example.com"), "{name: admin}", set()),
        (("wiki.example.com", "admin.example.com"), "{name: admin}", set()),
        (("wiki.example.org", "admin.example.com"), "{name: admin, domain: example.com}", set()),
        (("wiki.example.com", "admin.example.com"), "{domain: example.com}", set()),
    ],
)
def test_a_site_knows_which_cookies_of_another_browsers_bring_to_it(
    hosts: tuple[str, str], cookie: str, brought: set[str], load_text: LoadText
) -> None:
    """They open sessions of the other site: no app of this one may see them."""
    urls = [f"https://{host.strip(chr(39))}" for host in hosts]
    sites = load_text(
        file_of(
            portal("wiki", hosts[0], url=urls[0]),
            portal("admin", hosts[1], f"sessions: {{cookie: {cookie}}}", url=urls[1]),
        )
    ).sites

    assert cookies_of_neighbours(sites[0].settings, sites) == brought


def test_a_name_may_lie_below_the_wildcard_of_another_portal(load_text: LoadText) -> None:
    wide = portal("apps", "'*.apps.example.com'", url="https://*.apps.example.com")

    assert len(load_text(file_of(wide, portal("one", "one.apps.example.com"))).sites) == 2


def test_variables_are_put_into_portals_too(load_text: LoadText, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_HOST", "admin.example.com")

    text = file_of(WIKI, ADMIN.replace("[admin.example.com,", "['${ADMIN_HOST}',"))

    assert "admin.example.com" in dict(load_text(text).sites)["admin"].server.host_values
    monkeypatch.delenv("ADMIN_HOST")
    assert [problem.key_path for problem in load_text(text).errors] == ["portals[1].hosts[0]"]


@pytest.mark.parametrize("path", OF_THE_PROCESS)
def test_every_key_of_the_process_is_a_key(path: tuple[str, ...]) -> None:
    assert path[-1] in keys_at(path[:-1])
