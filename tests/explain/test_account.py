"""What is told of a decision: routes, readings, headers."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.explain.conftest import asked


class TestRoute:
    def test_the_routes_before_it_are_told_with_why_they_did_not_match(self) -> None:
        lines = "\n".join(asked("/admin/x").lines())

        assert "route:      routes[2] /admin/**" in lines
        assert "not routes[0] /signout: the path differs" in lines
        assert "not routes[1] GET /api/**: the path differs" in lines
        assert "routes[3]" not in lines

    def test_a_method_that_no_route_of_the_pattern_takes_is_told_with_those_that_they_take(self) -> None:
        explanation = asked("/api/x", "POST")

        assert (explanation.decision, explanation.reason) == ("refused", "method_not_allowed")
        assert explanation.sentence.endswith("they take GET, HEAD")
        assert [one.why.name for one in explanation.looked] == ["PATH", "METHOD", "PATH", "PATTERN"]

    def test_a_path_with_two_meanings_is_told_with_both_readings_and_both_routes(self) -> None:
        explanation = asked("/%61dmin/x")

        assert explanation.decision == "refused"
        assert [(str(one.reading), str(one.route)) for one in explanation.readings] == [
            ("/%61dmin/x (as sent)", "routes[3] /**"),
            ("/admin/x (percent-decoded)", "routes[2] /admin/**"),
        ]

    def test_a_dot_segment_is_told_with_the_reading_in_which_it_is_one(self) -> None:
        assert "dot segment when read so: /a/../b (percent-decoded)" in asked("/a/%2e%2e/b").sentence

    def test_what_could_be_ours_in_one_reading_is_told_with_it(self) -> None:
        sentence = asked("/_SideGate/login").sentence

        assert sentence.endswith("read as /_sidegate/login (letters folded)")

    def test_a_host_that_is_not_ours_is_refused_with_421(self) -> None:
        explanation = asked("https://other.example/x")

        assert explanation.reply is not None
        assert (explanation.decision, explanation.reply.status) == ("refused", 421)

    def test_a_preflight_that_passes_meets_the_route_of_the_method_to_come(self) -> None:
        explanation = asked(
            "/api/x", "OPTIONS", "Origin: https://x.example", "Access-Control-Request-Method: GET", is_anonymous=True
        )

        assert (explanation.decision, explanation.reason) == ("allow", "preflight")
        assert str(explanation.route) == "routes[1] GET /api/**"


class TestHeaders:
    def test_what_only_a_real_request_has_stands_in_brackets(self) -> None:
        upstreams = {"app": {"url": "http://127.0.0.1:8000", "access_token": True}}

        explanation = asked("/x", file={"upstreams": upstreams}, claims=("email=a@example.com",))

        assert explanation.passed is not None
        headers = dict(explanation.passed.headers)
        assert headers["Authorization"] == "Bearer <access token>"
        assert headers["X-Request-ID"] == "<request id>"
        assert headers["X-Forwarded-For"] == "<client address>"
        assert headers["X-Auth-Subject"] == "<sub>"
        assert "X-Auth-Email" not in headers
        assert explanation.notes[0].startswith("the e-mail address is not sent, for it is not verified")

    def test_what_is_taken_out_is_named(self) -> None:
        explanation = asked(
            "/admin/x",
            "GET",
            "X-Auth-Roles: admin",
            "Cookie: theirs=1; sidegate-login=2",
            roles=("admin",),
            groups=("staff",),
            claims=("department=finance",),
        )

        assert explanation.removed == ("Accept", "Cookie __Host-sidegate", "X-Auth-Roles", "Cookie sidegate-login")

    def test_a_header_whose_claim_was_not_given_is_told(self) -> None:
        file = {"identity_headers": {"set": {"X-Department": "{claims.department}"}}}

        assert asked("/", file=file).notes == ("X-Department is not sent: no claim department was given",)

    def test_another_site_is_told_apart_by_its_header(self) -> None:
        explanation = asked("/x", "POST", "Sec-Fetch-Site: cross-site")

        assert (explanation.decision, explanation.reason) == ("forbid", "cross_site")
        assert "allowed_origins" in explanation.sentence

    def test_a_form_that_waits_for_more_proof_is_told_to_be_kept(self) -> None:
        explanation = asked(
            "/x",
            "POST",
            "Content-Type: application/x-www-form-urlencoded",
            "Sec-Fetch-Site: same-origin",
            file={"routes": [{"path": "/**", "access": {"acr": "gold"}}]},
        )

        assert explanation.decision == "step_up"
        assert explanation.notes[0].startswith("what was sent is kept")


class TestWhatAnAppIsTold:
    FILE: ClassVar[dict[str, Any]] = {
        "identity_headers": {"assertion": {"audience": "app", "signing_key": {"file": "/no/such/key.pem"}}},
        "routes": [
            {
                "path": "/old/**",
                "headers": {"roles": ["viewer"], "groups": []},
                "token_exchange": {"audience": "billing"},
            },
            {"path": "/**"},
        ],
    }

    def test_a_token_and_an_assertion_are_told_and_neither_is_shown_or_needs_its_key(self) -> None:
        passed = asked("/old/x", file=self.FILE).passed

        assert passed is not None
        assert ("Authorization", "Bearer <token for billing>") in passed.headers
        assert ("X-Sidegate-Assertion", "<assertion>") in passed.headers

    def test_what_a_route_keeps_from_its_app_is_told_and_not_sent(self) -> None:
        explanation = asked("/old/x", file=self.FILE, roles=("viewer", "admin", "editor"), groups=("/staff",))

        assert explanation.passed is not None
        assert ("X-Auth-Roles", "viewer") in explanation.passed.headers
        assert "X-Auth-Groups" not in dict(explanation.passed.headers)
        assert "the app is not told of the roles admin, editor (headers.roles)" in explanation.notes
        assert "the app is not told of the group /staff (headers.groups)" in explanation.notes
        assert "Keycloak is asked for the token for billing; it may refuse it, which is 403" in explanation.notes

    def test_other_routes_have_nothing_of_it(self) -> None:
        explanation = asked("/x", file=self.FILE, roles=("viewer", "admin"))

        assert explanation.passed is not None
        assert ("X-Auth-Roles", "admin,viewer") in explanation.passed.headers
        assert "Authorization" not in dict(explanation.passed.headers)
        assert not any("not told" in note for note in explanation.notes)
