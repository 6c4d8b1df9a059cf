"""Whose request it is, and what that owner may do.

Until the first key is made, the machine itself may do everything: requests that came over its
loopback interface, not through a proxy and not from another site's page in a browser. From the
first key on, every request has to show one.
"""

import ipaddress
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from app.api.services import Services, ServicesDep
from app.http.authority import authority_of, origin_of, own_origin
from app.http.problems import Problem
from app.http.query import refuse_unknown
from worker.contract import Scope

LOCAL = "local"  # the owner of what is made before there are keys
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")  # by these a proxy is known

OWN_SITE = ("same-origin", "none")  # of Sec-Fetch-Site: our own page, or the user's own doing

bearer = HTTPBearer(
    auto_error=False, scheme_name="bearer", description="A key, as `Authorization: Bearer KEY`."
)
header = APIKeyHeader(
    name="X-API-Key", auto_error=False, scheme_name="header", description="The same key."
)


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    owner: str
    scopes: frozenset[Scope]
    key_id: str | None = None

    @property
    def sees(self) -> str | None:
        """The owner whose objects the caller sees; None for all."""
        return None if self.key_id and Scope.ADMIN in self.scopes else self.owner

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes


async def shown(  # not in a thread: it only looks
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    key: Annotated[str | None, Depends(header)],
) -> str | None:
    """The key that came with the request."""
    return _the_key(request, credentials, key)


async def shown_in(request: Request) -> str | None:
    """The key that came with a request that no route was given."""
    return _the_key(request, await bearer(request), await header(request))


def _the_key(
    request: Request, credentials: HTTPAuthorizationCredentials | None, key: str | None
) -> str | None:
    if credentials is None and "authorization" in request.headers:
        raise _unauthorized("got an Authorization header, expected `Authorization: Bearer KEY`")
    shown = {credentials.credentials if credentials else None, key} - {None}
    if len(shown) > 1:
        raise _unauthorized("got two different keys in Authorization and X-API-Key, expected one")
    return shown.pop() if shown else None


def _caller(
    request: Request,
    needed: SecurityScopes,
    services: ServicesDep,
    key: Annotated[str | None, Depends(shown)],
) -> Caller:
    caller = identify(request, services, key)
    for scope in needed.scopes:
        check_scope(caller, Scope(scope))
    refuse_unknown(request)  # of a caller who may ask; whoever may not learns nothing
    return caller


def identify(request: Request, services: Services, key: str | None) -> Caller:
    """Whose request it is; 401 when nobody's."""
    caller = _local(request, services) if key is None else _known(services, key)
    request.state.caller = caller  # for the log
    return caller


def check_scope(caller: Caller, scope: Scope) -> None:
    """403 when the caller lacks a scope."""
    if not caller.may(scope):
        has = ", ".join(sorted(caller.scopes))
        raise Problem(
            403, "missing_scope", f"this needs a key with the scope {str(scope)!r}, got {has}"
        )


def _known(services: Services, key: str) -> Caller:
    record = services.keyring.find(key)
    if record is None:
        raise _unauthorized("got a key that is not known here")
    if record.state != "valid":
        raise _unauthorized(f"got the key {record.prefix}..., which is {record.state}")
    services.lanes.know(key, record.id, record.owner)
    services.rates.check(record.id)
    return Caller(record.owner, record.scopes, record.id)


def _local(request: Request, services: Services) -> Caller:
    if not services.keyring.is_empty():
        raise _unauthorized("got no key, expected `Authorization: Bearer KEY` or `X-API-Key: KEY`")
    if not is_local(request):
        raise _unauthorized(
            "got no key, and only this machine itself needs none: make the first one on it with "
            "`reucid keys create`"
        )
    return Caller(LOCAL, frozenset(Scope))


def is_local(request: Request) -> bool:
    """Whether a request comes from this machine, and not at another site's instigation."""
    if request.client is None or not is_loopback(request.client.host):
        return False
    if any(name in request.headers for name in FORWARDED):
        return False
    stated = authority_of(request.headers.get("host", ""))
    return stated is not None and is_loopback(stated.host) and not _is_of_another_site(request)


def _is_of_another_site(request: Request) -> bool:
    """Whether a browser says so: of what changes things by Origin, of all by Sec-Fetch-Site.

    `same-site` is another site, too: any other program's page on this machine is one.
    """
    if any(site not in OWN_SITE for site in request.headers.getlist("sec-fetch-site")):
        return True
    own = own_origin(request.scope["scheme"], request.headers.get("host", ""))
    origins = request.headers.getlist("origin")
    return any(own is None or origin_of(each) != own for each in origins)


def is_loopback(host: str) -> bool:
    """Whether an address or host name is that of the loopback interface."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unauthorized(detail: str) -> Problem:
    return Problem(
        401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="REUCID"'}
    )


CallerDep = Annotated[Caller, Security(_caller)]
ReaderDep = Annotated[Caller, Security(_caller, scopes=[Scope.READ])]
SubmitterDep = Annotated[Caller, Security(_caller, scopes=[Scope.SUBMIT])]
AdminDep = Annotated[Caller, Security(_caller, scopes=[Scope.ADMIN])]
