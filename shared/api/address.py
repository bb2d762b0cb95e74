"""Where a request comes from: the peer, or what the nearest of our own proxies has seen."""

import re
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from litestar.types import HTTPScope

UNKNOWN: Final = "unknown"
"""One caller, whoever they are: what cannot be read gets around no limit."""

LONGEST: Final = 64

_WITH_PORT = re.compile(r"\A(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:]+))(?::\d+)?\Z")


def client_address(scope: HTTPScope, proxies: int) -> str:
    """The client's address. A client with IPv6 has a whole /64 for itself, and is known by it.

    Each proxy appends whom it was called by to X-Forwarded-For, and what stands before that is the client's own invention:
    behind `proxies` proxies of ours it is the one so far from the right. A request with fewer entries has not passed them.
    """
    peer = scope.get("client")
    host = peer[0] if peer else UNKNOWN
    if proxies:
        sent = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        entries = sent.decode("latin-1").split(",") if sent else []
        if len(entries) >= proxies:
            host = entries[-proxies].strip()
    return network_of(host[:LONGEST])


@lru_cache(maxsize=8192)
def network_of(host: str) -> str:
    """`192.0.2.7` or `2001:db8:1:2::/64`, of an address with or without a port."""
    match = _WITH_PORT.match(host)
    try:
        address = ip_address((match["v6"] or match["v4"]) if match else host)
    except ValueError:
        return UNKNOWN
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address.packed, 64), strict=False))
