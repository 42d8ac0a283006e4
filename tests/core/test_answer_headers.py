"""Header fields on the way back to the browser."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from proxy.core.answer_headers import AnswerPlan, AnswerRules, AnswerToKept, SecurityHeaders, Sharing
from proxy.core.cookies import OwnCookies

if TYPE_CHECKING:
    from proxy.core.request import Headers


def as_dict(headers: Headers) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


class TestAnswer:
    COOKIES = OwnCookies()

    def applied(
        self, *fields: tuple[str, str], status: int = 200, sharing: Sharing = Sharing.PRIVATE
    ) -> list[tuple[str, str]]:
        plan = AnswerPlan(AnswerRules(cookies=self.COOKIES, security_headers=SecurityHeaders.AS_SENT), sharing)
        headers = plan.apply(status, tuple((name.encode(), value.encode()) for name, value in fields))
        return [(name.decode(), value.decode()) for name, value in headers]

    def secured(self, *fields: tuple[str, str], scheme: str = "https") -> dict[str, str]:
        cookies = dataclasses.replace(self.COOKIES, scheme=scheme)
        plan = AnswerPlan(AnswerRules(cookies=cookies), Sharing.AS_SENT)
        return as_dict(plan.apply(200, tuple((name.encode(), value.encode()) for name, value in fields)))

    def test_an_ordinary_answer_keeps_its_fields(self) -> None:
        fields = [("Server", "gunicorn"), ("Content-Type", "text/html"), ("ETag", '"x"'), ("X-A", "1"), ("X-A", "2")]

        assert self.applied(*fields, sharing=Sharing.AS_SENT) == fields

    @pytest.mark.parametrize(
        "cookie",
        ["__Host-sidegate=x; Path=/", "sidegate=x", "SIDEGATE-login=", "__Secure-sidegate_known", " sidegate =x"],
    )
    def test_the_app_does_not_set_our_cookies(self, cookie: str) -> None:
        result = self.applied(("Set-Cookie", cookie), ("set-cookie", "app=sidegate=1"), sharing=Sharing.AS_SENT)

        assert result == [("set-cookie", "app=sidegate=1")]

    def test_hop_by_hop_and_framing_fields_stay_behind(self) -> None:
        fields = [("Connection", "close, X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "x"), ("Transfer-Encoding", "chunked")]
        fields += [
            ("Content-Length", "5"),
            ("Trailer", "x"),
            ("Upgrade", "h2c"),
            ("Proxy-Authenticate", "x"),
            ("X-Request-Id", "y"),
        ]

        assert self.applied(*fields, sharing=Sharing.AS_SENT) == []

    @pytest.mark.parametrize(
        ("stated", "private"),
        [
            ([], "private"),
            (["public, max-age=60"], "max-age=60, private"),
            (["Public", "S-MaxAge=5 , max-age=60"], "max-age=60, private"),
            (["private, max-age=1"], "private, max-age=1"),
            (["PRIVATE"], "PRIVATE"),
            (["no-store"], "no-store, private"),
            (['private="set-cookie, x", s-maxage=1'], 'private="set-cookie, x", private'),
            (['x="a, public, b", public'], 'x="a, public, b", private'),
            (["public=x, s-maxage"], "private"),
        ],
    )
    def test_an_answer_to_somebody_is_not_for_shared_caches(self, stated: list[str], private: str) -> None:
        result = self.applied(*(("Cache-Control", value) for value in stated))

        assert [value for name, value in result if name.lower() == "cache-control"] == [private]

    @pytest.mark.parametrize(
        ("stated", "merged"),
        [
            ([], "Cookie, Authorization"),
            (["Accept-Encoding"], "Accept-Encoding, Cookie, Authorization"),
            (["cookie", "Accept"], "cookie, Accept, Authorization"),
            (["Accept, *"], "*"),
        ],
    )
    def test_vary_is_merged(self, stated: list[str], merged: str) -> None:
        result = self.applied(*(("Vary", value) for value in stated))

        assert [value for name, value in result if name.lower() == "vary"] == [merged]

    @pytest.mark.parametrize(
        "name", ["CDN-Cache-Control", "Surrogate-Control", "X-Accel-Expires", "Cloudflare-CDN-Cache-Control"]
    )
    def test_orders_to_shared_caches_by_other_names_are_taken_out_too(self, name: str) -> None:
        assert name not in dict(self.applied((name, "public, max-age=60")))
        assert name in dict(self.applied((name, "x"), sharing=Sharing.AS_SENT))

    def test_caching_of_answers_to_nobody_is_the_apps(self) -> None:
        fields = [("Cache-Control", "public, s-maxage=5"), ("Vary", "Accept")]

        assert self.applied(*fields, sharing=Sharing.AS_SENT) == fields

    def test_missing_security_fields_are_added(self) -> None:
        assert self.secured() == {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "strict-origin-when-cross-origin",
            "Content-Security-Policy": "frame-ancestors 'self'",
            "Strict-Transport-Security": "max-age=31536000",
        }
        assert "Strict-Transport-Security" not in self.secured(scheme="http")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("x-content-type-options", "other"),
            ("referrer-policy", "no-referrer"),
            ("strict-transport-security", "max-age=0"),
            ("content-security-policy", "Frame-Ancestors https://x"),
        ],
    )
    def test_the_apps_own_security_fields_stay(self, name: str, value: str) -> None:
        result = self.secured((name, value))

        assert [text for key, text in result.items() if key.lower() == name] == [value]

    def test_who_frames_is_the_apps_when_it_says_so(self) -> None:
        assert "Content-Security-Policy" not in self.secured(("X-Frame-Options", "DENY"))

    def test_a_policy_that_does_not_speak_of_frames_stays_and_gets_a_second(self) -> None:
        plan = AnswerPlan(AnswerRules(cookies=self.COOKIES), Sharing.AS_SENT)

        result = plan.apply(200, ((b"Content-Security-Policy", b"default-src 'self'"),))

        policies = [value for name, value in result if name == b"Content-Security-Policy"]
        assert policies == [b"default-src 'self'", b"frame-ancestors 'self'"]

    def test_an_interim_answer_is_left_alone(self) -> None:
        plan = AnswerPlan(AnswerRules(cookies=self.COOKIES), Sharing.PRIVATE)

        assert plan.apply(103, ((b"Link", b"</a.css>"),)) == ((b"Link", b"</a.css>"),)


class TestTheAnswerToWhatWasKept:
    def test_no_cache_keeps_it_as_the_answer_to_the_get_that_it_seems_to_be(self) -> None:
        plan = AnswerToKept(AnswerRules(cookies=OwnCookies()), Sharing.AS_SENT)

        result = plan.apply(
            200,
            (
                (b"Cache-Control", b"public, max-age=600"),
                (b"ETag", b'"1"'),
                (b"Expires", b"Fri, 15 Jan 2027 08:00:00 GMT"),
                (b"Last-Modified", b"Fri, 15 Jan 2027 08:00:00 GMT"),
                (b"Set-Cookie", b"a=b"),
                (b"Set-Cookie", b"__Host-sidegate=x"),
            ),
        )

        assert [value for name, value in result if name == b"Cache-Control"] == [b"no-store"]
        assert not {b"ETag", b"Expires", b"Last-Modified"} & {name for name, _ in result}
        assert [value for name, value in result if name == b"Set-Cookie"] == [b"a=b"]
        assert (b"X-Content-Type-Options", b"nosniff") in result
