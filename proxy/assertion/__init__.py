"""The identity assertion: who asks, signed, for apps that want proof instead of trust in headers.

``key_ring.py`` holds the keys, ``signer.py`` says and signs. What goes into it is decided by ``core``; the gate asks
through ``ports.IdentityAssertion`` and the own pages show the public keys.
"""
