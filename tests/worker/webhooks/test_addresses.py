"""Which addresses a webhook may have."""

import asyncio
import socket
from typing import Any
from unittest.mock import patch

import pytest

from worker.webhooks.addresses import AddressError, is_public, parse, resolve

PRIVATE = (
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1%eth0",
    "fc00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "2002:7f00:1::",
    "64:ff9b::7f00:1",
    "ff02::1",
)


@pytest.mark.parametrize("number", PRIVATE)
def test_addresses_of_this_machine_and_of_local_networks_are_not_public(number: str) -> None:
    assert not is_public(number)


@pytest.mark.parametrize("number", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_addresses_of_the_internet_are(number: str) -> None:
    assert is_public(number)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/",
        "file:///etc/passwd",
        "http://",
        "//host/path",
        "http://user:password@host/",
        "javascript:alert(1)",
        "http://host/" + "x" * 2000,
        "http://[::1",
    ],
)
def test_addresses_of_another_kind_are_refused(url: str) -> None:
    with pytest.raises(AddressError, match="got the address"):
        parse(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80/", "http://localhost/x", "http://[::1]/", "http://2130706433/"]
)
def test_a_name_of_this_machine_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(AddressError, match=r"not public|cannot look up"):
        asyncio.run(resolve(url, private=False))


def looked_up(*numbers: str) -> Any:
    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in numbers]

    return patch("asyncio.base_events.BaseEventLoop.getaddrinfo", getaddrinfo)


def test_what_was_checked_is_what_is_connected_to() -> None:
    with looked_up("93.184.215.14"):
        target = asyncio.run(resolve("https://lims.example.org:8443/a?b=c", private=False))
    assert str(target.url) == "https://93.184.215.14:8443/a?b=c"
    assert (target.host, target.name) == ("lims.example.org:8443", "lims.example.org")


def test_one_private_address_among_several_is_enough_to_refuse() -> None:
    with looked_up("93.184.215.14", "10.0.0.1"), pytest.raises(AddressError, match=r"10\.0\.0\.1"):
        asyncio.run(resolve("https://lims.example.org/", private=False))
