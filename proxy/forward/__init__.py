"""The data path: one connection of a client, one of an upstream, and the framing between them; bytes.

What lives here: the protocols over llhttp, the pool, the tunnel after a 101, the way to Sidegate's own pages. What must
not: tokens, sessions, YAML, templates. Nothing is forwarded without an ``Allow``; framing headers are rebuilt, never
copied; every head, header count, line and silence has a limit.
"""
