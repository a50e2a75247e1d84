"""Which addresses webhooks may have: a server must not be talked into calling its neighbours."""

import ipaddress
from urllib.parse import urlsplit

from octomil.errors import BadRequestError

_SCHEMES = ("http", "https")
_LAST_FOUR = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "::/96",  # IPv4-compatible, RFC 4291
        "::ffff:0:0:0/96",  # IPv4-translated, RFC 2765
        "64:ff9b::/96",  # NAT64, RFC 6052
    )
)
"""Networks whose addresses end with the IPv4 address that is meant."""
_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in (
        "64:ff9b:1::/48",  # NAT64 of one's own network, RFC 8215
        "fec0::/10",  # site-local, RFC 3879
        "3fff::/20",  # for documents, RFC 9637
        "5f00::/16",  # segment routing, RFC 9602
        "192.88.99.0/24",  # relays for 6to4, RFC 7526
    )
)
"""What is not public, and taken for it by the oldest `ipaddress` that we run on."""


def check_url(url: str, *, allow_private: bool) -> None:
    """Return if messages may be posted to a URL, for all its text says.

    A name can be anybody's, so look at the addresses it has as well, whenever it is called.

    Args:
        url: what somebody wants to be told at.
        allow_private: whether addresses that are not public are fine.

    Raises:
        BadRequestError: they may not.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise BadRequestError(f"url: {error}") from None
    if parts.scheme not in _SCHEMES or not host:
        raise BadRequestError("url: write http:// or https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise BadRequestError("url: leave out user and password; messages are signed instead")
    if not allow_private and (host == "localhost" or not _may_be_public(host)):
        raise BadRequestError(
            f"url: {host} is not a public address; OCTOMIL_WEBHOOKS_PRIVATE=1 allows those"
        )


def is_public(address: str) -> bool:
    """Tell whether an IP address can be reached from anywhere, in all forms that hide another.

    Example:
        >>> is_public("93.184.216.34"), is_public("169.254.169.254"), is_public("::ffff:10.0.0.1")
        (True, False, False)
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        hidden = _hidden_in(ip)
        if hidden is not None:
            return is_public(str(hidden))
    if any(ip in network for network in _NEVER):
        return False
    return ip.is_global and not ip.is_multicast


def _may_be_public(host: str) -> bool:
    try:
        return is_public(host)
    except ValueError:
        return True  # a name


def _hidden_in(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that would be called in the end, where there is one."""
    if any(ip in network for network in _LAST_FOUR):
        return ipaddress.IPv4Address(ip.packed[-4:])
    if ip.teredo is not None:
        return ip.teredo[1]
    return ip.ipv4_mapped if ip.ipv4_mapped is not None else ip.sixtofour
