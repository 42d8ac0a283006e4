"""Web: Sidegate's own endpoints, as an ordinary aiohttp application.

What lives here: the login form, the code flow, how both end in a session, logout (ours, everywhere, and the provider's
word by back channel, front channel and Admin URL), devices, ``/status``, the assets, and small applications for health
and management. What must not: a concrete store, provider or observer (they come through ``proxy.ports`` in
``request.app[keys.X]``), the verification of tokens (a ``Grant`` is verified already), the rules about paths and
routes.

How it is reached: the gate gives a request under the prefix to this application with a fresh head; who calls stands in
fields that no client can send through (``ports.OWN_HEADERS``), and :mod:`proxy.web.caller` reads them.

Every handler raises ``proxy.errors``; one middleware (:mod:`proxy.web.answers`) turns them into answers by
``proxy.respond``.
"""
