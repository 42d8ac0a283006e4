"""The pipeline of a request, readable top to bottom in ``handler.py``: accept, match, authenticate, authorize, mutate.

What lives here: the order of the rules. What must not be known here: sockets, aiohttp, how a session is stored or a
token refreshed; the gate sees a ``RequestHead`` and answers with an admission (``ports.Admission``), so that whoever
parses the bytes can be exchanged, and every rule can be tested without a socket. Rules themselves are pure and live in
``core``. Several sites have a gate each, and ``portals.py`` chooses among them by Host.
"""
