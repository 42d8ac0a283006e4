"""Where sessions live: the stores, the refresher, the open streams of a session.

What lives here: stores behind ``ports.SessionStore`` and ``ports.AuthenticationStore`` (one contract suite for all),
the single flight that refreshes tokens and the leases that make it one of all replicas, the registry of streams that a
session's end closes, and who looks after the sessions of which only a stream is open.

What must not: HTTP, cookies (``core.cookies``), the wire to the provider (behind ``ports.Provider``), settings.
"""
