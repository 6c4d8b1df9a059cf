"""What routes are given: the services of this process, and whose request it is."""

from dataclasses import dataclass, field
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request
from redis import Redis

from app.events import Wakes
from worker.contract import JobRecord
from worker.decoder import PLACES
from worker.ledger import Ledger
from worker.settings import Settings
from worker.store import Store


@dataclass(frozen=True)
class Services:
    """The open parts of one API process."""

    settings: Settings
    ledger: Ledger
    store: Store
    redis: Redis
    wakes: Wakes
    decoding: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(PLACES))


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _owner() -> str:
    """Everybody on the loopback interface is the same owner."""
    return "local"


ServicesDep = Annotated[Services, Depends(_services)]
OwnerDep = Annotated[str, Depends(_owner)]


def _job(job_id: str, services: ServicesDep, owner: OwnerDep) -> JobRecord:
    return services.ledger.job(job_id, owner=owner)


JobDep = Annotated[JobRecord, Depends(_job)]
