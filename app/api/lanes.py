"""A lane for each owner: however much one asks for at once, the requests of others go on.

Whose a request is, is told by its key before anything is asked of the ledger: by what earlier
requests have shown of that key, else by the client's address. A few of a lane are worked at, others
wait, keeping neither thread nor memory for their bodies; more than that are refused at the door. A
request gives its place back when its answer begins, or when it begins to wait for something else.
"""

import hashlib
from collections import Counter, OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.rates import RateLimiter
from app.http.bodies import is_streamed
from app.http.problems import Limit, Problem
from app.http.refusals import Refusals
from app.http.turns import CrowdedError, Place, Turns

MOST_WAITING = 256  # of one lane, requests and uploads each
MOST_KEYS = 4096  # that are remembered
WORTH_A_TURN = 2**18  # bytes of an answer
UNCOUNTED = (400, 401)  # statuses of requests of which a key's rate may know nothing
HEALTH = ("/livez", "/readyz")  # a server that refuses these is taken for dead
BEARER = "bearer "

_place: ContextVar[Place | None] = ContextVar("place", default=None)


def step_aside() -> None:
    """Give back the place of the request that is being answered: it waits for something else."""
    place = _place.get()
    if place is not None:
        place.leave()


@dataclass(frozen=True)
class Lane:
    """Whose requests go one after the other."""

    name: str
    key_id: str | None = None


class Lanes:
    """The lanes of one API process."""

    def __init__(self) -> None:
        self.requests = Turns(places=24, of_one=4, most_waiting=MOST_WAITING)
        self.uploads = Turns(places=64, of_one=8, most_waiting=MOST_WAITING)
        self.downloads = Turns(places=64, of_one=8, most_waiting=2**20)
        self.refusals = Refusals(a_second=50, within=10, most_held=4096)
        self.refused: Counter[str] = Counter()
        self._known: OrderedDict[bytes, Lane] = OrderedDict()

    def all(self) -> dict[str, Turns]:
        """The lanes by what is asked for."""
        return {
            "requests": self.requests,
            "uploads": self.uploads,
            "downloads": self.downloads,
        }

    def of(self, scope: Scope) -> Lane:
        """The lane of a request."""
        key = _shown(Headers(scope=scope))
        known = self._known.get(_digest(key)) if key else None
        client = scope.get("client")
        return known or Lane(f"address {client[0] if client else ''}")

    def know(self, key: str, key_id: str, owner: str) -> None:
        """Remember whose a key is."""
        digest = _digest(key)
        self._known[digest] = Lane(f"owner {owner}", key_id)
        self._known.move_to_end(digest)
        if len(self._known) > MOST_KEYS:
            self._known.popitem(last=False)


class LanesMiddleware:
    """Has each request wait for its place in its lane."""

    def __init__(self, app: ASGIApp, lanes: Lanes) -> None:
        self._app = app
        self._lanes = lanes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith(HEALTH):
            await self._app(scope, receive, send)
            return
        lane = self._lanes.of(scope)
        try:
            _refuse_while_closed(scope["app"].state.services.rates, lane)
            place = await self._enter(scope, lane)
        except Problem as problem:
            self._lanes.refused[problem.code] += 1
            await self._lanes.refusals.turn(lane.name)
            await problem.response()(scope, receive, send)
            return
        _place.set(place)
        sending = _Answer(place, self._lanes, lane, send)
        try:
            await self._app(scope, receive, sending)
        finally:
            place.leave()
            sending.end()

    async def _enter(self, scope: Scope, lane: Lane) -> Place:
        turns = self._lanes.uploads if _is_upload(scope) else self._lanes.requests
        try:
            return await turns.take(lane.name)
        except CrowdedError as error:
            raise Problem(
                429,
                "too_many_requests",
                f"got {error.got} requests at once that wait for those before them, at most "
                f"{error.most} may (max_requests_waiting)",
                headers={"Retry-After": "1"},
                limit=Limit(name="max_requests_waiting", value=error.most, got=error.got),
            ) from None


class _Answer:
    """An answer on its way: a large one has a place of its own while it is sent.

    Refusals of what no limit of a key counts, such as unknown keys, come one after the other.
    """

    def __init__(self, place: Place, lanes: Lanes, lane: Lane, send: Send) -> None:
        self._place, self._lanes, self._lane, self._send = place, lanes, lane, send
        self._download: Place | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._place.leave()
            if message["status"] in UNCOUNTED:
                await self._lanes.refusals.turn(self._lane.name)
            length = Headers(raw=message["headers"]).get("content-length", "0")
            if int(length) > WORTH_A_TURN:
                self._download = await self._lanes.downloads.take(self._lane.name)
        await self._send(message)

    def end(self) -> None:
        if self._download is not None:
            self._download.leave()


def _refuse_while_closed(rates: RateLimiter, lane: Lane) -> None:
    """Refuse a key that has had its requests."""
    closed = rates.closed(lane.key_id) if lane.key_id else None
    if closed is not None:
        raise closed.with_traceback(None)  # the same one again and again


def _is_upload(scope: Scope) -> bool:
    if scope["method"] not in ("POST", "PUT") or not is_streamed(scope["path"]):
        return False
    return not Headers(scope=scope).get("content-type", "").startswith("application/json")


def _shown(headers: Headers) -> str:
    stated = headers.get("authorization", "")
    if stated[: len(BEARER)].lower() == BEARER:
        return stated[len(BEARER) :].strip()
    return headers.get("x-api-key", "")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
