"""The pipeline: accept, match, authenticate, authorize, mutate; from a ``RequestHead`` to a decision.

What lives here: the way of a request, readable top to bottom in ``handler.py``. What must not: aiohttp, a socket, a
parser of bytes, a concrete store or provider. Whoever parses the bytes can be exchanged, and every rule can be tested
without a socket.
"""
