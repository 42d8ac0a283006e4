"""The wire to the identity provider: metadata, keys, signatures, token endpoint, userinfo.

What comes in is parsed into types here, once; what goes out of this room is verified (law 13: there is no off switch).
Claim *rules* are pure and live in ``core``. Only ``app`` makes an :class:`~proxy.oidc.provider.OpenIdProvider`; the
others know it as ``ports.Provider``.

Not here: HTTP answers of our own, sessions, pages. Nothing of a browser's request (Origin, X-Forwarded-*) is passed on.

The parts, from the outside in::

    provider        one client at one provider: the methods of ports.Provider, put together
    grants          a token answer -> verified claims -> Grant
    token_endpoint  the three grants and the end of a session; errors told apart
    userinfo        claims by access token
    jwks, jws       keys, and signatures with them
    metadata        discovery, and which address is whose
    fetched         something published: fetched again and again, old kept on failure
    client_auth     how we say who we are
    http_client     one request, one bounded answer
    json_object     JSON that can be read in one way only
"""
