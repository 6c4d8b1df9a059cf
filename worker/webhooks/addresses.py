"""Where a webhook may point: resolved once, and connected to where it was resolved to.

A name that points to a public address when it is looked at, and to a private one when it is
connected to, gets nothing: the connection is made to the address that was checked.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

import httpx

SCHEMES = {"http": 80, "https": 443}
LONGEST = 2000  # characters of an address


class AddressError(Exception):
    """The address cannot or must not be delivered to."""


@dataclass(frozen=True)
class Target:
    """An address to connect to, and what it is called there."""

    url: httpx.URL  # with the number in place of the name
    host: str  # as the header has it
    name: str  # for the certificate


def parse(url: str) -> httpx.URL:
    """An address of the kind that webhooks have.

    Raises
    ------
    AddressError
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise AddressError(f"got the address {url[:80]!r}: {error}") from error
    if len(url) > LONGEST or parsed.scheme not in SCHEMES or not parsed.host or parsed.userinfo:
        raise AddressError(
            f"got the address {url[:80]!r}, expected http(s)://HOST/..., without a user or "
            f"password, of at most {LONGEST} characters"
        )
    return parsed


async def resolve(url: str, *, private: bool) -> Target:
    """Look an address up.

    Parameters
    ----------
    url : str
    private : bool
        Whether addresses of this machine and of local networks may be delivered to.

    Raises
    ------
    AddressError
        Also when one of several addresses is private: the next look could give that one.
    """
    parsed = parse(url)
    port = parsed.port or SCHEMES[parsed.scheme]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(parsed.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressError(f"cannot look up {parsed.host!r}: {error}") from error
    numbers = [str(each[4][0]) for each in found]
    if not private:
        for number in numbers:
            if not is_public(number):
                raise AddressError(
                    f"got {parsed.host!r}, which is {number}: addresses that are not public are "
                    "refused unless whoever runs the server sets REUCID_WEBHOOK_PRIVATE=true"
                )
    return Target(parsed.copy_with(host=numbers[0]), parsed.netloc.decode("ascii"), parsed.host)


def is_public(number: str) -> bool:
    """Whether an address is one of the internet at large."""
    address = ipaddress.ip_address(number.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        within = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if within is not None:
            return is_public(str(within))
        if address in ipaddress.ip_network("64:ff9b::/96"):  # IPv4 behind a translator
            return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
    return address.is_global and not address.is_multicast
