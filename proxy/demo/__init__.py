"""The demo: an embedded identity provider, a sample legacy app, and the two put together.

What lives here: ``sidegate demo`` and the issuer that the tests use where time must be bent or an answer forged.
The issuer is shaped like Keycloak 26 down to error texts and key order; one contract suite
(``tests/contracts/test_provider_contract.py``) asks it and a real Keycloak the same questions.

What must not be known here: any other room, but ``proxy.errors`` and ``proxy.core``. A provider that shared code with
the relying party would agree with its mistakes.

How it hangs together::

    run         the demo: issuer, legacy_server (with legacy_app) and whatever starts Sidegate
    issuer      starts and stops a server; what tests and the demo hold in their hands
      application   the aiohttp application: routes, error answers, the place where faults are injected
        discovery, token_endpoint, authorization, login_actions, logout, bearer_endpoints, account, sessions_page
          grants, client_authentication, single_sign_on, backchannel
            realm       the state: clients, users, sessions, keys, codes, clock
              tokens, sessions, key_ring, users, clients, totp, misbehaviour

Not supported, because nothing here needs it: brute-force detection (set ``UserState.LOCKED``), consent, brokers,
WebAuthn, levels of authentication, pushed authorization requests, token exchange, client assertions, the admin API.
"""
