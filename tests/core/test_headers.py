"""Header fields on the way to the app and back (law 3)."""

from __future__ import annotations

import dataclasses

import pytest
from msgspec.structs import replace

from proxy.core.headers import (
    MAX_LIST_BYTES,
    MAX_VALUE_BYTES,
    NOBODY,
    AccessTokenField,
    HeaderRules,
    HeaderTemplate,
    HostField,
    Preset,
    UnverifiedEmail,
    UpstreamHeaders,
    checked_field_name,
    fold,
)
from proxy.core.identity import Identity
from proxy.core.remembered import MAX_REMEMBERED
from proxy.core.request import Accepted, Headers, PeerTrust, RequestHead
from proxy.core.routing import PUBLIC, Route
from proxy.core.secret import Secret
from proxy.core.target import TargetRules, parse_target

ROUTE = Route(pattern="/**", access=PUBLIC)
ALICE = Identity(
    issuer="https://sso/realms/acme",
    subject="sub-1",
    username="alice",
    name="Alice Ä",
    email="alice@example.com",
    email_is_verified=True,
    roles=frozenset({"viewer", "legacy-app:editor", "realm:a:b", "other-app:spy"}),
    groups=frozenset({"/staff", "/a"}),
    claims={"department": ["it", "a,b"], "level": 5, "address": {"country": "DE"}, "member": True, "object": {}},
)


def rules(**changes: object) -> HeaderRules:
    return dataclasses.replace(HeaderRules(client_id="legacy-app"), **changes)


def accepted(*fields: tuple[str, str], **changes: object) -> Accepted:
    pairs = tuple((name.encode(), value.encode("latin-1")) for name, value in fields)
    head = RequestHead(b"GET", b"/a", pairs, "10.0.0.9", "http")
    settled = Accepted(
        head=head,
        target=parse_target(b"/a", rules=TargetRules()),
        request_id="id-1",
        traceparent="00-aa-bb-00",
        client_address="10.0.0.9",
        scheme="https",
        host="app.example.com",
        forwarded_for=(),
    )
    return replace(settled, **changes)


def upstream(header_rules: HeaderRules | None = None, **changes: object) -> UpstreamHeaders:
    return dataclasses.replace(UpstreamHeaders(rules=header_rules or rules(), host=b"127.0.0.1:8000"), **changes)


def sent(*fields: tuple[str, str], to: UpstreamHeaders | None = None, **changes: object) -> Headers:
    """Return what of the client's own fields reaches the app: everything before X-Forwarded-For, without Host."""
    result = (to or upstream()).for_request(accepted(*fields, **changes), identity=NOBODY, route=ROUTE)
    return result[1 : [name for name, _ in result].index(b"X-Forwarded-For")]


def as_dict(headers: Headers) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


class TestDropped:
    NAMES = (
        *("X-Auth-Subject", "X-Auth-Username", "X-Auth-Email", "X-Auth-Name", "X-Auth-Roles", "X-Auth-Groups"),
        *("X-Auth-Request-User", "X-Auth-Request-Preferred-Username", "X-Auth-Request-Email", "X-Auth-Request-Groups"),
        *("X-Forwarded-User", "X-Forwarded-Preferred-Username", "X-Forwarded-Email", "X-Forwarded-Groups"),
        *("Remote-User", "Remote-Email", "Remote-Name", "Remote-Groups", "X-Department", "X-Sidegate-Assertion"),
    )
    FRAMING = (
        *("Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "Expect"),
        *("Proxy-Authorization", "Proxy-Connection", "Proxy-Authenticate", "HTTP2-Settings"),
    )
    OURS = (
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Request-ID",
        "traceparent",
    )

    def plan(self, **changes: object) -> UpstreamHeaders:
        templates = (HeaderTemplate("X-Department", "{claims.department}"),)
        return upstream(rules(templates=templates, assertion="X-Sidegate-Assertion"), **changes)

    @pytest.mark.parametrize("name", [*NAMES, *FRAMING, *OURS])
    @pytest.mark.parametrize("trust", PeerTrust)
    @pytest.mark.parametrize("preset", Preset)
    def test_no_spelling_of_our_names_passes_whoever_sends_it(
        self, name: str, trust: PeerTrust, preset: Preset
    ) -> None:
        plan = self.plan(allow_request_headers=(name,))
        plan = dataclasses.replace(plan, rules=dataclasses.replace(plan.rules, preset=preset))
        spellings = [name, name.lower(), name.upper(), name.replace("-", "_"), name.lower().replace("-", "_", 1)]
        spellings += [name.replace("-", "."), name.swapcase()]

        assert not sent(*((spelling, "x") for spelling in spellings), to=plan, peer_trust=trust)

    @pytest.mark.parametrize(
        "name",
        [
            "X-Original-URL",
            "X-Original-URI",
            "X-Rewrite-URL",
            "X-HTTP-Method",
            "X-HTTP-Method-Override",
            "X-Method-Override",
            "Proxy",
            "x_original_url",
        ],
    )
    def test_what_changes_the_decision_passes_only_where_the_upstream_needs_it(self, name: str) -> None:
        allowing = upstream(allow_request_headers=(name.upper(),))

        assert not sent((name, "x"), peer_trust=PeerTrust.TRUSTED)
        assert sent((name, "x"), to=allowing) == ((name.encode(), b"x"),)

    @pytest.mark.parametrize(
        "name",
        [
            "Forwarded",
            "Front-End-Https",
            "X-Real-IP",
            "True-Client-IP",
            "X-Client-IP",
            "X-Forwarded-Prefix",
            "X_Forwarded_Ssl",
        ],
    )
    def test_what_speaks_of_the_client_passes_only_from_trusted_peers(self, name: str) -> None:
        assert not sent((name, "x"))
        assert sent((name, "x"), peer_trust=PeerTrust.TRUSTED) == ((name.encode(), b"x"),)
        assert sent((name, "x"), to=upstream(allow_request_headers=(name,))) == ((name.encode(), b"x"),)

    def test_other_fields_pass_byte_for_byte_and_in_order(self) -> None:
        fields = [
            ("aCCept", "a , b"),
            ("X-A", ""),
            ("x_b", "\xff\xfe"),
            ("X-A", "2"),
            ("Authorization", "Basic x"),
            ("DNT", "1"),
        ]

        assert sent(*fields) == tuple((name.encode(), value.encode("latin-1")) for name, value in fields)

    def test_what_connection_names_is_dropped_but_never_ours(self) -> None:
        client = accepted(
            ("Host", "app.example.com"),
            ("Connection", "close, X-Secret, X-Auth-Roles, host"),
            ("connection", "x_other, X-Forwarded-For"),
            ("X-Secret", "1"),
            ("X-Other", "2"),
            ("X-Kept", "3"),
        )

        result = as_dict(upstream().for_request(client, identity=rules().identity_headers(ALICE), route=ROUTE))

        assert "X-Secret" not in result
        assert "X-Other" not in result
        assert result["X-Kept"] == "3"
        assert result["Host"] == "app.example.com"
        assert result["X-Auth-Roles"]
        assert result["X-Forwarded-For"]

    def test_names_beyond_what_is_remembered_are_dropped_all_the_same(self) -> None:
        plan = upstream()
        sent(*((f"X-N{index}", "x") for index in range(2 * MAX_REMEMBERED)), to=plan)

        assert not sent(("x_aUth_rOles", "x"), to=plan)


class TestCookies:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("a=1; __Host-sidegate=x; b=2", "a=1; b=2"),
            ("__Host-sidegate=x; a=1", "a=1"),
            ("a=1; sidegate=x", "a=1"),
            ("a=1;  b = 2 ;c", "a=1;  b = 2 ;c"),
            ("__Secure-sidegate-login=1; sidegate-known=2; __HOST_SIDEGATE=3; a=sidegate=1", "a=sidegate=1"),
            ("__Host-sidegate-language=de; sidegate_language=fr; language=es", "language=es"),
            ("tracker=1; a=1", "a=1"),
            ("sidegate2=1; xsidegate=2", "sidegate2=1; xsidegate=2"),
        ],
    )
    def test_ours_are_taken_out_and_the_others_stay_byte_for_byte(self, before: str, after: str) -> None:
        plan = upstream(rules(cookie_strip=("tracker",)))

        assert sent(("Cookie", before), to=plan) == ((b"Cookie", after.encode()),)

    def test_a_field_of_ours_alone_is_not_sent(self) -> None:
        assert sent(("Cookie", "__Host-sidegate=x; sidegate"), ("cookie", "a=1")) == ((b"cookie", b"a=1"),)


class TestPut:
    def test_the_way_so_far_is_told(self) -> None:
        client = accepted(("Host", "app.example.com"), forwarded_for=("1.2.3.4", "10.1.1.1"))

        assert upstream().for_request(client, identity=NOBODY, route=ROUTE) == (
            (b"Host", b"app.example.com"),
            (b"X-Forwarded-For", b"1.2.3.4, 10.1.1.1, 10.0.0.9"),
            (b"X-Forwarded-Proto", b"https"),
            (b"X-Forwarded-Host", b"app.example.com"),
            (b"X-Forwarded-Port", b"443"),
            (b"X-Request-ID", b"id-1"),
            (b"traceparent", b"00-aa-bb-00"),
        )

    @pytest.mark.parametrize(
        ("scheme", "host", "port"),
        [("http", "h", "80"), ("https", "h:8443", "8443"), ("https", "[::1]", "443"), ("http", "[::1]:8080", "8080")],
    )
    def test_the_port_is_of_the_host_or_of_the_scheme(self, scheme: str, host: str, port: str) -> None:
        client = accepted(("Host", host), scheme=scheme, host=host)

        assert as_dict(upstream().for_request(client, identity=NOBODY, route=ROUTE))["X-Forwarded-Port"] == port

    def test_the_upstream_may_get_its_own_host(self) -> None:
        client = accepted(("Host", "app.example.com"))
        plan = upstream(host_field=HostField.OF_UPSTREAM)

        assert plan.for_request(client, identity=NOBODY, route=ROUTE)[0] == (b"Host", b"127.0.0.1:8000")

    def test_the_access_token_takes_the_place_of_the_clients_authorization(self) -> None:
        client = accepted(("Host", "h"), ("authorization", "Basic x"))
        plan = upstream(access_token_field=AccessTokenField.SENT)

        with_token = plan.for_request(client, identity=NOBODY, route=ROUTE, access_token=Secret("at"))
        without = plan.for_request(client, identity=NOBODY, route=ROUTE)
        withheld = upstream().for_request(client, identity=NOBODY, route=ROUTE, access_token=Secret("at"))

        assert [value for name, value in with_token if name.lower() == b"authorization"] == [b"Bearer at"]
        assert [value for name, value in without if name.lower() == b"authorization"] == [b"Basic x"]
        assert [value for name, value in withheld if name.lower() == b"authorization"] == [b"Basic x"]

    def test_a_field_of_a_route_holds_claims_and_is_dropped_when_one_is_missing(self) -> None:
        route = replace(
            ROUTE, header_set=(HeaderTemplate("X-Mail", "{claims.email}"), HeaderTemplate("X-Gone", "{claims.gone}"))
        )
        client = accepted(("Host", "h"), ("x_gone", "forged"))
        alice = dataclasses.replace(rules().identity_headers(ALICE), claims={"email": "a@b.test"})

        result = upstream().for_request(client, identity=alice, route=route)

        assert (b"X-Mail", b"a@b.test") in result
        assert "x-gone" not in {name.decode().lower().replace("_", "-") for name, _ in result}

    def test_a_route_sets_and_removes_last(self) -> None:
        route = replace(
            ROUTE,
            header_set=(HeaderTemplate("X-Auth-Roles", "fixed"),),
            header_remove=frozenset({b"x-auth-groups", b"dnt", b"host"}),
        )
        client = accepted(("Host", "h"), ("DNT", "1"))

        result = upstream().for_request(client, identity=rules().identity_headers(ALICE), route=route)

        assert [value for name, value in result if name == b"X-Auth-Roles"] == [b"fixed"]
        assert not {b"X-Auth-Groups", b"DNT"} & {name for name, _ in result}
        assert result[0] == (b"Host", b"h")


class TestIdentity:
    def rendered(self, identity: Identity = ALICE, **changes: object) -> dict[str, str]:
        return as_dict(rules(**changes).identity_headers(identity).headers)

    def test_x_auth(self) -> None:
        assert self.rendered() == {
            "X-Auth-Subject": "sub-1",
            "X-Auth-Username": "alice",
            "X-Auth-Email": "alice@example.com",
            "X-Auth-Name": "Alice Ä",
            "X-Auth-Roles": "legacy-app:editor,realm:a:b,viewer",
            "X-Auth-Groups": "/a,/staff",
        }

    @pytest.mark.parametrize(
        ("preset", "prefix"), [(Preset.X_AUTH_REQUEST, "X-Auth-Request-"), (Preset.X_FORWARDED, "X-Forwarded-")]
    )
    def test_presets_without_roles_send_them_among_the_groups(self, preset: Preset, prefix: str) -> None:
        assert self.rendered(preset=preset) == {
            f"{prefix}User": "sub-1",
            f"{prefix}Preferred-Username": "alice",
            f"{prefix}Email": "alice@example.com",
            f"{prefix}Groups": "/a,/staff,role:legacy-app:editor,role:realm:a:b,role:viewer",
        }

    def test_remote_and_none(self) -> None:
        assert self.rendered(preset=Preset.REMOTE) == {
            "Remote-User": "alice",
            "Remote-Email": "alice@example.com",
            "Remote-Name": "Alice Ä",
            "Remote-Groups": "/a,/staff",
        }
        assert not self.rendered(preset=Preset.NONE)

    def test_roles_of_other_clients_are_sent_on_demand(self) -> None:
        assert "other-app:spy" in self.rendered(role_clients=("other-app",))["X-Auth-Roles"]

    def test_an_unverified_email_is_sent_on_demand(self) -> None:
        unverified = replace(ALICE, email_is_verified=False)

        assert "X-Auth-Email" not in self.rendered(unverified)
        assert "X-Auth-Email" in self.rendered(unverified, unverified_email=UnverifiedEmail.SEND)

    def test_somebody_of_whom_only_the_subject_is_known_is_somebody(self) -> None:
        assert self.rendered(Identity(issuer="i", subject="s")) == {"X-Auth-Subject": "s"}

    @pytest.mark.parametrize(
        "text", ["a\r\nX-Auth-Roles: admin", "a\x00", "a\x85", "a\u2028b", "\ud800", " alice", "alice\t"]
    )
    def test_a_value_that_could_become_anothers_is_left_out_and_told(self, text: str) -> None:
        rendered = rules().identity_headers(replace(ALICE, username=text))

        assert "X-Auth-Username" not in as_dict(rendered.headers)
        assert len(rendered.left_out) == 1
        assert text not in rendered.left_out[0]

    def test_entries_that_would_be_two_are_left_out_and_told(self) -> None:
        odd = replace(ALICE, roles=frozenset({"a,admin", "b\n", " c", "viewer"}))

        rendered = rules().identity_headers(odd)

        assert as_dict(rendered.headers)["X-Auth-Roles"] == "viewer"
        assert len(rendered.left_out) == 3

    def test_many_roles_do_not_make_a_head_that_the_app_refuses(self) -> None:
        many = replace(ALICE, roles=frozenset(f"role-{index:04}" for index in range(2000)))

        rendered = rules().identity_headers(many)

        roles = as_dict(rendered.headers)["X-Auth-Roles"]
        assert MAX_LIST_BYTES - 20 < len(roles) <= MAX_LIST_BYTES
        assert roles.startswith("role-0000,role-0001,")
        assert "the rest is left out" in rendered.left_out[0]

    def test_a_long_value_is_left_out(self) -> None:
        assert "X-Auth-Name" not in self.rendered(replace(ALICE, name="x" * (MAX_VALUE_BYTES + 1)))
        assert "X-Auth-Name" in self.rendered(replace(ALICE, name="x" * MAX_VALUE_BYTES))

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("{claims.department}", "it"),
            ("{claims.address.country}-{claims.level}", "DE-5"),
            ("{claims.member}", "true"),
            ("fixed", "fixed"),
            ("{claims.absent}", None),
            ("x-{claims.absent.deeper}", None),
            ("{claims.object}", None),
        ],
    )
    def test_templates_take_claims(self, text: str, value: str | None) -> None:
        assert self.rendered(templates=(HeaderTemplate("X-T", text),)).get("X-T") == value

    def test_a_template_wins_over_the_presets_field(self) -> None:
        rendered = self.rendered(templates=(HeaderTemplate("x-auth_name", "{claims.level}"),))

        assert rendered["x-auth_name"] == "5"
        assert "X-Auth-Name" not in rendered

    @pytest.mark.parametrize("text", ["{claims}", "{name}", "a{", "}", "{claims.}", "a\nb"])
    def test_a_template_that_means_nothing_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="X-T"):
            HeaderTemplate("X-T", text)

    @pytest.mark.parametrize(
        "name",
        ["Host", "cookie", "Content_Length", "connection", "Transfer-Encoding", "proxy-x", "a b", "", "X:Y", "Upgrade"],
    )
    def test_some_names_cannot_be_set(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"name|set"):
            checked_field_name(name)


@pytest.mark.parametrize("name", [b"X-Auth-Roles", b"x_auth_roles", b"X_AUTH-roles", b"X.Auth~Roles"])
def test_names_are_folded_as_servers_fold_them(name: bytes) -> None:
    assert fold(name) == b"x-auth-roles"
