"""The data path: bytes in, bytes out, close to nginx and framed once.

What lives here: one ``asyncio`` protocol for the client's connection, one for the upstream's, and the framing between
them. What must not be known here: sessions, tokens, routes, settings; the gate answers with a ``Forward`` (and its
``Allow``), an ``OwnPage`` or a ``Reply``, and nothing goes upstream without the first two.

::

    options      what the composition root sets, as frozen values
    framing      PURE: heads parsed and judged
    writing      PURE: heads and chunks written; framing is rebuilt, never copied
    bodies       PURE: the three ways a body is delimited, decoded piece by piece
    deadlines    one lazy timer for each connection
    recent       what comes again within seconds: heads of clients, heads of answers
    pool         idle upstream connections; synchronous, returns what to close
    upstream     the connection to an upstream
    origin       where upstream connections come from: TCP, TLS, unix sockets
    served       who decides and where requests go, as one value that is exchanged while we run
    own_pages    the origin that is our own aiohttp application, over socket pairs
    exchange     one request and its answer; holds both sides together, and lets go of both
    keeping      a body that is read for whoever keeps it, and sent nowhere
    websocket    what is left of an exchange after a 101: a tunnel that watches frame boundaries
    client       the connection of a client: a table of states and events
    server       the listener, and the end of it

The way of a request: ``client`` reads a head, ``framing`` judges it, the gatekeeper admits it, an ``exchange`` takes a
connection from an ``origin`` and streams both ways. The ordinary request (a head that came before, no body, an answer
that comes whole) goes a shorter way through the same hands, and is decided about like every other. llhttp (httptools)
parses every head that is not plain after our own scan refused what llhttp would let pass; bodies are ours alone, since
httptools cannot say where in the bytes a message ended.

Public names: :class:`~proxy.forward.server.DataPath`, :class:`~proxy.forward.served.Served`,
:class:`~proxy.forward.own_pages.OwnPages`,
:class:`~proxy.forward.options.ForwardOptions`, :class:`~proxy.forward.options.UpstreamOptions`.

Not supported, on purpose: trailers (read, limited, dropped), HTTP/2, HTTP/0.9, any transfer coding but ``chunked``,
upgrades other than WebSocket, CONNECT and TRACE.
"""
