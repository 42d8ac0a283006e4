"""Where sessions live: the stores, the refresher, the open streams of a session.

What lives here: stores behind ``ports.SessionStore`` and ``ports.AuthenticationStore`` (one contract suite for all),
the single flight that refreshes tokens and the leases that make it one of all replicas, the registry of streams that a
session's end closes, and who looks after the sessions of which only a stream is open.

In Redis: ``redis`` is the store and says in which order things are done there; ``codec`` and ``sealing`` say what lies
there, ``redis_names`` where; ``redis_connection`` and its neighbours speak to it; ``tracking`` hears what others do,
``cache`` keeps what was read, ``recovery`` what Redis could not take.

What must not: HTTP, cookies (``core.cookies``), the wire to the provider (behind ``ports.Provider``), settings.
"""
