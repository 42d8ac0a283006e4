"""The wire to the identity provider: metadata, keys, signatures, token endpoint, introspection, userinfo.

What comes in is parsed into types here, once; what goes out of this room is verified (law 13: there is no off switch).
Claim *rules* are pure and live in ``core``. Only ``app`` makes an :class:`~proxy.oidc.provider.OpenIdProvider`; the
others know it as ``ports.Provider``.

Not here: HTTP answers of our own, sessions, pages. Nothing of a browser's request (Origin, X-Forwarded-*) is passed on.

The parts, from the outside in::

    provider        one client at one provider: the methods of ports.Provider, put together
    options         the client and the provider, as the file has them
    person_calls    what is asked for one person, made with the first: the next five
    grants          a token answer -> verified claims -> Grant
    token_endpoint  the three grants and the end of a session; errors told apart
    token_exchange  an access token for another one
    introspection   what the provider says of a token
    userinfo        claims by access token
    jwks, jws       keys, and signatures with them
    metadata        discovery, and which address is whose
    fetched         something published: fetched again and again, old kept on failure
    client_call     a form, and who we are with it; a rotated secret is found by asking once more
    client_auth     how we say who we are, with a secret or without
    client_assertion    the same by a JWT: signed here, or the pod's own
    http_client     one request, one bounded answer
    provider_tls    whose certificate is believed, and which of ours is shown
    json_object     JSON that can be read in one way only
"""
