"""The open parts of one API process."""

import os
from dataclasses import dataclass, field
from typing import Annotated, Any

from anyio import CapacityLimiter
from fastapi import Depends, Request
from redis import Redis
from redis.exceptions import RedisError

from app.api.drawing import Easel
from app.api.events import Wakes
from app.api.inflight import InFlight
from app.api.lanes import Lanes
from app.api.live.feeds import Feeds
from app.api.live.known import Known
from app.api.live.valkey import Valkey
from app.api.rates import RateLimiter
from app.api.schemas import Health
from app.http.looks import SharedLook
from app.http.turns import Turns
from worker.contract import SessionRecord
from worker.denoising.model_files import Models
from worker.ledger.batches import Batches
from worker.ledger.database import Database
from worker.ledger.images import Images
from worker.ledger.jobs import Jobs
from worker.ledger.keys import Keyring
from worker.ledger.sessions import Sessions
from worker.ledger.webhooks import Webhooks
from worker.settings import Settings
from worker.store import Store

DECODERS = os.cpu_count() or 1  # children at a time that decode files of one owner


@dataclass(frozen=True)
class Services:
    """The open parts of one API process."""

    settings: Settings
    database: Database
    store: Store
    redis: Redis
    wakes: Wakes
    rates: RateLimiter
    in_flight: InFlight
    lanes: Lanes
    live: Valkey
    feeds: Feeds
    known_callers: Known[Any] = field(default_factory=Known)
    known_sessions: Known[SessionRecord] = field(default_factory=Known)
    easel: Easel = field(default_factory=Easel)
    # Of one owner, never all; how many wait is bounded by what they have sent to the disk.
    decoding: Turns = field(
        default_factory=lambda: Turns(DECODERS + 1, of_one=DECODERS, most_waiting=2**20)
    )
    readiness: SharedLook[Health] = field(default_factory=SharedLook)
    decoders: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(DECODERS + 1))

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.database)

    @property
    def batches(self) -> Batches:
        return Batches(self.database)

    @property
    def images(self) -> Images:
        return Images(self.database)

    @property
    def keyring(self) -> Keyring:
        return Keyring(self.database)

    def queue_answers(self) -> bool:
        """Whether the queue's server does."""
        try:
            return bool(self.redis.ping())
        except (RedisError, OSError):
            return False

    @property
    def sessions(self) -> Sessions:
        return Sessions(self.database)

    @property
    def webhooks(self) -> Webhooks:
        return Webhooks(self.database)

    @property
    def models(self) -> Models:
        return Models.of(self.settings)


async def _services(request: Request) -> Services:  # not in a thread: it only looks
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
