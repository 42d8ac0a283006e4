"""The wire to the identity provider: metadata, keys, signatures, the token endpoint.

What lives here: each call that Sidegate makes to Keycloak, with its named timeout and its parsed answer, and the
verification of a signature against the realm's keys. What must not: a rule about claims (that is ``proxy.core``), a
session, a page, a header of the app. An answer is parsed once, here, into a type; nobody else reads its text.
"""
