"""Sidegate's own endpoints under the prefix: login, code flow, logout, back-channel, status, health.

What lives here: one endpoint, one file, an aiohttp handler that reads its request, asks the rooms through
``proxy.ports`` and answers. What must not: a concrete store, provider or renderer; a rule that ``proxy.core`` could
hold without a socket.
"""
