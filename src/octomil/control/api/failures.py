"""Client addresses, by which wrong credentials are counted."""

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.types import Scope

_ONE_HOUSEHOLD: Final = 64  # bits: so much of an IPv6 address is given to each subscriber


def address_of(scope: Scope) -> str:
    """Return where a request comes from, as far as it tells clients apart.

    Example:
        >>> address_of({"client": ("2001:db8::1:2:3:4", 50000)})
        '2001:db8::/64'
        >>> address_of({"client": ("192.0.2.1", 50000)})
        '192.0.2.1'
    """
    host: str = (scope.get("client") or ("",))[0]
    try:
        address = ip_address(host)
    except ValueError:
        return host  # a Unix socket has none
    if not isinstance(address, IPv6Address):
        return host
    return str(IPv6Network((address, _ONE_HOUSEHOLD), strict=False))
