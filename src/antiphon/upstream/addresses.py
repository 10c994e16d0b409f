"""Which IP addresses this server may connect to because a client told it to. Pure.

An address that carries an IPv4 address in itself (mapped, 6to4, NAT64) is judged by that one. Machines that
hand out credentials to whoever asks from inside (metadata services) are never reached, whatever is allowed.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_Address = IPv4Address | IPv6Address

#: Metadata services that do not stand at a link-local address.
_METADATA = frozenset(
    map(
        ip_address,
        (
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure; a public address
            "192.0.0.192",  # Oracle
            "fd00:ec2::254",  # AWS
            "fd20:ce::254",  # Google
        ),
    )
)
#: IPv6 networks whose last 32 bits are the IPv4 address that a gateway connects to.
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_UNICAST = IPv6Network("2000::/3")
_THIS_NETWORK = IPv4Network("0.0.0.0/8")
#: Not for the public, although older tables of the standard library let them pass.
_SPECIAL_V4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
_SPECIAL_V6 = (IPv6Network("3fff::/20"),)


def objection(text: str, *, allow_private: bool) -> str | None:
    """Why this address may not be connected to; None when it may.

    ``allow_private`` lets loopback and local networks pass.
    """
    try:
        address = _innermost(ip_address(text))
    except ValueError:
        return "its address cannot be read"
    if address.is_link_local or address in _METADATA:
        return "its address is link-local or a metadata service's"
    if address.is_multicast or address.is_unspecified or not _is_unicast(address):
        return "its address is not one host's"
    if not allow_private and not _is_public(address):
        return "its address is not public"
    return None


def _innermost(address: _Address) -> _Address:
    """The IPv4 address inside, where there is one."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is not None:
        return inner
    if any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _is_unicast(address: _Address) -> bool:
    if isinstance(address, IPv4Address):
        return not address.is_reserved and address not in _THIS_NETWORK
    return address.is_loopback or address in _UNICAST or (address.is_private and not address.is_reserved)


def _is_public(address: _Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _SPECIAL_V4)
    return address.is_global and address in _UNICAST and not any(address in network for network in _SPECIAL_V6)
