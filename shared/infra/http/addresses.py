"""Addresses that a URL given by a user may lead to: those of the public Internet, decided once per call."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from shared.domain.outbound import AddressRefused, Unreachable

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_NOT_PUBLIC: Final = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
        "168.63.129.16/32",
    )
)  # fmt: skip
"""Special-purpose registries of IANA, and the one public address at which a cloud (Azure) answers its own machines.

Of IPv6, only what is assigned (2000::/3) is public: that leaves out mapped, translated (64:ff9b::/96), link-local and
unique local addresses by itself; Teredo and 6to4, which carry an IPv4 address, are listed.
"""
_GLOBAL_UNICAST: Final = ip_network("2000::/3")
_NUMBER: Final = re.compile(r"\A(?:0x[0-9a-f]*|[0-9]+)\Z")


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public Internet and to nobody's own network, nor to a cloud's metadata."""
    if isinstance(address, IPv6Address) and (address.scope_id is not None or address not in _GLOBAL_UNICAST):
        return False
    return not any(address in network for network in _NOT_PUBLIC)


async def resolve(host: str, port: int) -> Sequence[str]:
    """As the operating system says, the best address first."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class PublicAddresses:
    """Resolves a name once, and answers the address to connect to: a second look could be answered differently (DNS rebinding)."""

    def __init__(self, resolve: Resolve = resolve, admits: Callable[[Address], bool] = is_public) -> None:
        self._resolve = resolve
        self._admits = admits

    async def admit(self, host: str, port: int) -> str:
        """Raises AddressRefused, also where only one of several addresses is not public; Unreachable for an unknown name."""
        if _is_disguised(host):
            raise AddressRefused("an IPv4 address is written in another way than as four decimal numbers")
        try:
            found = [ip_address(each) for each in await self._resolve(host, port)]
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise Unreachable("the name of the host is not known")
        if not all(self._admits(each) for each in found):
            raise AddressRefused("the URL leads to an address that is not public")
        return str(found[0])


def _is_disguised(host: str) -> bool:
    """`2130706433`, `0x7f.1` and `0177.0.0.1` are 127.0.0.1 to the operating system, and names to some libraries."""
    if not _NUMBER.match(host.rstrip(".").rpartition(".")[2].lower()):
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False
