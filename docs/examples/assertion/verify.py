"""Who asks, proved: the assertion that Sidegate sends in X-Sidegate-Assertion. Needs PyJWT with cryptography."""

import os

import jwt

SIDEGATE = os.environ.get("SIDEGATE_URL", "https://app.example.com")  # server.public_url
AUDIENCE = os.environ.get("SIDEGATE_AUDIENCE", "app")  # identity_headers.assertion.audience
KEYS = jwt.PyJWKClient(f"{SIDEGATE}/_sidegate/jwks", lifespan=300)  # an unknown key id makes it ask again


def who_asks(assertion: str) -> dict:
    """Return the claims: sub, roles, groups, …; raises jwt.PyJWTError when they cannot be believed."""
    key = KEYS.get_signing_key_from_jwt(assertion)
    required = ["iss", "aud", "exp", "iat", "sub"]
    return jwt.decode(
        assertion, key, ["ES256"], issuer=SIDEGATE, audience=AUDIENCE, leeway=10, options={"require": required}
    )
