"""Hosts and origins as clients state them (RFC 9110, section 7.2; RFC 6454), taken or left whole.

Nothing is guessed of what is malformed: whoever reads it otherwise than the proxy in front of the
server does could be led elsewhere by it.
"""

import ipaddress
import re
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.problems import Problem

FORM = re.compile(r"(?P<host>\[(?P<v6>[0-9A-Fa-f:.]+)\]|[A-Za-z0-9._-]*)(:(?P<port>[0-9]{0,5}))?")
PORTS = {"http": 80, "https": 443}  # where none is stated


@dataclass(frozen=True)
class Authority:
    """A host in lower case, without brackets, and the port if one is stated."""

    host: str
    port: int | None = None


@dataclass(frozen=True)
class Origin:
    """Where a page in a browser comes from; the port is never None."""

    scheme: str
    authority: Authority


def authority_of(text: str) -> Authority | None:
    """What a Host header says; None when it is malformed."""
    stated = FORM.fullmatch(text)
    if stated is None:
        return None
    port = int(stated["port"]) if stated["port"] else None
    if port is not None and port >= 2**16:
        return None
    if stated["v6"] is None:
        return Authority(stated["host"].lower(), port)
    try:
        return Authority(str(ipaddress.IPv6Address(stated["v6"])), port)
    except ValueError:
        return None


def origin_of(text: str) -> Origin | None:
    """What an Origin header says; None when it is malformed, or `null`."""
    scheme, colon, rest = text.partition("://")
    authority = authority_of(rest) if colon and scheme in PORTS else None
    return None if authority is None or not authority.host else _origin(scheme, authority)


def own_origin(scheme: str, host: str) -> Origin | None:
    """The origin of this server's own pages, by the Host header of a request for them."""
    return origin_of(f"{scheme}://{host}")


def _origin(scheme: str, authority: Authority) -> Origin:
    port = PORTS[scheme] if authority.port is None else authority.port
    return Origin(scheme, Authority(authority.host, port))


class AuthorityMiddleware:
    """Refuses a request that does not say in one way for which host it is, as RFC 9112 wants."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = Headers(scope=scope).getlist("host")
            if len(hosts) > 1 or any(authority_of(host) is None for host in hosts):
                got = ", ".join(hosts)[:200]
                problem = Problem(
                    400, "invalid_host", f"got Host: {got}, expected one name or address and port"
                )
                await problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)
