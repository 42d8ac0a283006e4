"""Sidegate: a reverse-proxy authentication sidecar for Keycloak.

One process stands in front of an app that knows nothing of login. It decides who may pass, says who passed, and gets
out of the way.

The rooms, and what each is for::

    cli        commands; argument parsing only
    app        composition root: settings -> a wired process; with ``site`` (one portal, or all of a file without any),
               ``sites`` (those of the process, exchanged whole), ``stores`` (memory or Redis) and ``slices`` (what of
               the settings each room gets) the only one that knows concrete classes; what a start can do without
               comes later: the own pages (``own_server``, ``page_slices``), Redis (``redis_slices``)
    doctor     goes and looks whether the world is as a file needs it; ``keycloak_setup`` makes or mends the client
    explain    what the real gate would do with a request, and why; a part of the composition root too
    reload     a changed file: who notices, what is read, what needs a restart, what became of it
    gate       the pipeline: accept -> match -> authenticate -> authorize -> mutate; sees a RequestHead, never a socket
    web        Sidegate's own endpoints: login, code flow, logout, back-channel, status, health
    respond    the one table from an error or a Decision to an HTTP answer
    pages      templates, assets, rendering
    settings   YAML -> typed values with line numbers
    observe    one event per request: log, metrics, audit
    assertion  the signed statement of who asks, and its keys
    oidc       the wire to the identity provider: metadata, keys, signatures, token endpoint
    sessions   the stores (memory, Redis), the refresher, the open streams of a session
    forward    the data path: one client connection, one upstream connection, framing between them
    demo       an embedded identity provider and a sample legacy app; serves `sidegate demo` and the tests
    ports      Protocols: what the rooms need of one another
    core       pure rules and values: no clock, randomness, logging, await
    errors     the exception tree; knows no HTTP

Imports run left to right, never back (import-linter holds it):
``cli -> app -> gate | web -> respond -> keys | pages | settings | observe | assertion | oidc | sessions | forward ->
ports -> core -> errors``.

The way of a request: accept (peer trust, target, request id) -> match (route or 404) -> authenticate (cookie ->
session) -> authorize (``core.policy.decide``) -> mutate (``core.headers``) -> forward (stream) -> observe (one event).
Of several sites its Host chooses first whose gate is asked (``gate.portals``).
Only ``decide`` makes an ``Allow``, and nothing is forwarded without one.
"""

__version__ = "0.1.0"
