"""The identity provider of the demo as a process: ``python -m benchmarks.provider CLIENTS``.

``CLIENTS`` is JSON, the origins of each server under test by its client id. Prints the issuer and serves until ended.
Tokens live for an hour, so that no refresh falls into a sample: what is measured is the way of a request.
"""

from __future__ import annotations

import asyncio
import json
import sys

from proxy.demo.clients import Client, Lifetimes
from proxy.demo.issuer import Issuer, running_issuer
from proxy.demo.shape import Shape

SECRET = "a-secret-of-the-benchmark"  # noqa: S105  of a provider that lives for minutes on loopback
USERS = 50
LIFETIMES = Lifetimes(access_token_s=3600, session_idle_s=7200, session_max_s=36_000)


async def serve(origins: dict[str, list[str]]) -> None:
    """Run the provider until the process is ended."""
    async with running_issuer(shape=Shape("/realms/bench"), lifetimes=LIFETIMES) as issuer:
        _populate(issuer, origins)
        sys.stdout.write(f"{issuer.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def _populate(issuer: Issuer, origins: dict[str, list[str]]) -> None:
    for client_id, its_origins in origins.items():
        issuer.register_client(
            Client(
                client_id=client_id,
                secret=SECRET,
                redirect_uris=tuple(f"{origin}/*" for origin in its_origins),
                audiences=(client_id,),
            )
        )
    for number in range(USERS):
        issuer.add_user(
            f"user{number}",
            "password",
            first_name="Ada",
            last_name=f"Number {number}",
            email=f"user{number}@bench.test",
            realm_roles=("viewer", "editor"),
            groups=("/staff",),
        )


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
