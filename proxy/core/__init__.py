"""Pure rules and values: what is allowed, what a token must say, what a header becomes.

Nothing here knows the time, chance, a socket, a file, a log or ``await``: instants and random bytes are arguments.
Only the standard library, the class of values (``msgspec.Struct``) and ``proxy.errors`` are imported; no asyncio,
logging, os, time, random, secrets.
"""
