"""Which processes of which version work on one ledger, and which may start beside the others.

During an upgrade versions are mixed, and one mixture fails jobs: an API that accepts parameters
of which an older worker knows nothing. So workers and dispatchers are upgraded first: they do what
every earlier version has accepted, as it may lie in the queue. No API starts beside an older worker
or dispatcher, and none of these beside a newer API.
"""

import os
import re
import socket
import time
from importlib.metadata import version
from threading import Event
from typing import Literal

import structlog

from worker.contract import WORKER_SILENCE
from worker.ledger.database import Database, ledger_may_be_away
from worker.ledger.members import Member, Members

Role = Literal["api", "dispatcher", "worker"]

INTERVAL = 5.0  # s between two signs of life
PATIENCE = WORKER_SILENCE + INTERVAL  # s: who was killed a moment ago is still among the living
AGAIN = 1.0  # s between two looks

log = structlog.get_logger()


class MixedVersionsError(Exception):
    """A process may not start beside others of another version; the message says what to do."""


def this_member(role: Role) -> Member:
    """How others hear of this process."""
    return Member(f"{socket.gethostname()}:{os.getpid()}", role, version("reucid"))


def admit(database: Database, role: Role, patience: float = PATIENCE) -> Member:
    """Enter this process, when it may start; who keeps it from that may end meanwhile.

    Raises
    ------
    MixedVersionsError
    """
    member, end = this_member(role), time.monotonic() + patience
    while reason := obstacle(member, Members(database).alive(within_s=WORKER_SILENCE)):
        if time.monotonic() > end:
            raise MixedVersionsError(reason)
        log.warning("waiting", reason=reason)
        time.sleep(AGAIN)
    Members(database).beat(member)
    return member


def obstacle(member: Member, others: list[Member]) -> str:
    """Why a process may not start beside others; empty if it may."""
    for other in others:
        api, worker = (member, other) if member.role == "api" else (other, member)
        if (api.role == "api") == (worker.role == "api"):
            continue  # two of a kind
        if _ordered(worker.version) < _ordered(api.version):
            return (
                f"the API {api.name} has version {api.version}, the {worker.role} {worker.name} "
                f"the older {worker.version}, which may not know what the API accepts: upgrade "
                "workers and dispatchers first, then the APIs"
            )
    return ""


def keep(database: Database, member: Member, stop: Event) -> None:
    """Give signs of life until told to stop, then leave."""
    while not stop.wait(INTERVAL):
        with ledger_may_be_away():
            Members(database).beat(member)
    with ledger_may_be_away():
        Members(database).leave(member.name)


def _ordered(stated: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", stated)[:3])
