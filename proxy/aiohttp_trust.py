"""aiohttp's own TLS contexts trust nobody here.

aiohttp makes two of them for clients when it is imported, each with all authorities of the system: a tenth of a second
and some MiB, for calls that bring no context of their own, and no setting leaves them out. Ours to whatever speaks TLS
bring theirs (``oidc.provider_tls``), so aiohttp's stay empty, and a call that forgot to bring one is refused. Where
OpenSSL does not heed the environment, the start is slower and nothing else.
"""

from __future__ import annotations

import os
import ssl


def import_aiohttp() -> None:
    """Import aiohttp while the system has no authorities; call it before anything else imports aiohttp."""
    names = ssl.get_default_verify_paths()
    kept = {name: os.environ.get(name) for name in (names.openssl_cafile_env, names.openssl_capath_env)}
    os.environ.update(dict.fromkeys(kept, os.devnull))
    try:
        import aiohttp  # noqa: F401, PLC0415 - here and now is the point
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
