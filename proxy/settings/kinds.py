"""The types that a single key may have: a parser of ``values.py``, how it is written back, its part of the JSON Schema.

Nothing is decided here. Durations become seconds (float), sizes bytes (int).
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from proxy.core.throttle import Rate
from proxy.settings import values
from proxy.settings.problems import ValueRefused
from proxy.settings.rates import RATE_PATTERN, parse_rate, rate_text
from proxy.settings.redis_url import RedisUrl, parse_host_and_port, parse_redis_url
from proxy.settings.values import Address, IpNetwork, PublicUrl, TcpAddress, UpstreamUrl

_AS_TEXT: Final = PlainSerializer(str, return_type=str)
_DURATION_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": values.DURATION_PATTERN})
_DURATION_TEXT: Final = PlainSerializer(values.duration_text, return_type=str)

Text = Annotated[str, BeforeValidator(values.parse_text)]
Switch = Annotated[bool, BeforeValidator(values.parse_switch)]
Count = Annotated[int, BeforeValidator(values.parse_integer), Field(ge=0)]
PositiveCount = Annotated[int, BeforeValidator(values.parse_integer), Field(ge=1)]

Duration = Annotated[float, PlainValidator(values.parse_duration), _DURATION_TEXT, _DURATION_SCHEMA]
DurationOrZero = Annotated[float, PlainValidator(values.parse_duration_or_zero), _DURATION_TEXT, _DURATION_SCHEMA]
Size = Annotated[
    int,
    PlainValidator(values.parse_size),
    PlainSerializer(values.size_text),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": values.SIZE_PATTERN}, {"const": 0}]}),
]
FailureRate = Annotated[
    Rate | None,
    PlainValidator(parse_rate),
    PlainSerializer(rate_text, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": RATE_PATTERN}, {"enum": ["off", False, 0]}]}),
]

ListenAddress = Annotated[Address, PlainValidator(values.parse_address), _AS_TEXT, WithJsonSchema({"type": "string"})]
BaseUrl = Annotated[PublicUrl, PlainValidator(values.parse_public_url), _AS_TEXT, WithJsonSchema({"type": "string"})]
AppUrl = Annotated[UpstreamUrl, PlainValidator(values.parse_upstream_url), _AS_TEXT, WithJsonSchema({"type": "string"})]
RedisServer = Annotated[RedisUrl, PlainValidator(parse_redis_url), _AS_TEXT, WithJsonSchema({"type": "string"})]
HostAndPort = Annotated[TcpAddress, PlainValidator(parse_host_and_port), _AS_TEXT, WithJsonSchema({"type": "string"})]
Network = Annotated[IpNetwork, PlainValidator(values.parse_network), _AS_TEXT, WithJsonSchema({"type": "string"})]
ProviderUrl = Annotated[str, BeforeValidator(values.parse_provider_url)]
EndpointUrl = Annotated[str, BeforeValidator(values.parse_endpoint_url)]
Origin = Annotated[str, BeforeValidator(values.parse_origin)]
Host = Annotated[str, BeforeValidator(values.parse_host)]

Method = Annotated[str, BeforeValidator(values.parse_method)]
HeaderName = Annotated[str, BeforeValidator(values.parse_header_name)]
OwnHeaderName = Annotated[str, BeforeValidator(values.parse_own_header_name)]
Template = Annotated[str, BeforeValidator(values.parse_template)]
CookieName = Annotated[str, BeforeValidator(values.parse_cookie_name)]
AnyCookieName = Annotated[str, BeforeValidator(values.parse_token)]
Domain = Annotated[str, BeforeValidator(values.parse_domain)]
LocalPath = Annotated[str, BeforeValidator(values.parse_local_path)]
Prefix = Annotated[str, BeforeValidator(values.parse_prefix)]
PortalName = Annotated[str, PlainValidator(values.parse_portal_name), WithJsonSchema({"type": "string"})]
Pattern = Annotated[str, BeforeValidator(values.parse_pattern)]
StripPrefix = Annotated[str, BeforeValidator(lambda value: value if value == "" else values.parse_prefix(value))]
Scope = Annotated[str, BeforeValidator(values.parse_scope)]
Scopes = Annotated[str, BeforeValidator(values.parse_scopes)]
Locale = Annotated[str, BeforeValidator(values.parse_locale)]
Algorithm = Annotated[str, BeforeValidator(values.parse_algorithm)]
Role = Annotated[str, BeforeValidator(values.parse_role)]

Accent = Annotated[str | None, BeforeValidator(values.parse_accent)]

Word: Final = BeforeValidator(values.parse_word)


def _at_least_one(items: tuple[object, ...]) -> tuple[object, ...]:
    """Refuse an empty list where nothing would be a hole or a riddle."""
    if not items:
        raise ValueRefused("is an empty list", "name at least one, or leave the key out")
    return items


def _without_doubles(items: tuple[object, ...]) -> tuple[object, ...]:
    """Refuse the same item twice: one of them is a mistake."""
    if len(set(items)) != len(items):
        raise ValueRefused("names something twice", "name each once")
    return items


def _given(value: object) -> object:
    """Refuse a condition without a value: its lines were commented out, and nobody meant "no condition"."""
    if value is None or value == {}:
        raise ValueRefused("has no value", "name what it asks for, or leave the key out")
    return value


Given: Final = BeforeValidator(_given)
AtLeastOne: Final = AfterValidator(_at_least_one)
WithoutDoubles: Final = AfterValidator(_without_doubles)

_CLAIM_VALUE: Final = {"type": ["string", "number", "boolean"]}

ClaimValues = Annotated[
    tuple[str | int | float | bool, ...],
    PlainValidator(values.parse_claim_values),
    WithJsonSchema({"anyOf": [_CLAIM_VALUE, {"type": "array", "minItems": 1, "items": _CLAIM_VALUE}]}),
]

AcrValues = Annotated[
    tuple[str, ...],
    PlainValidator(values.parse_acr_values),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}]}),
]
MaxAge = Annotated[float, PlainValidator(values.parse_max_age), _DURATION_TEXT, _DURATION_SCHEMA]
AssertionLifetime = Annotated[float, PlainValidator(values.parse_assertion_lifetime), _DURATION_TEXT, _DURATION_SCHEMA]
