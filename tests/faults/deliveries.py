"""A program that wants to be told of every job's end, and fails half of the time."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from reucid_client.webhooks import SignatureError, verify
from tests.faults.rig import Rig
from tests.support.receivers import Received, receiver
from tests.support.waiting import until
from worker.contract import JobRecord

LONGEST_WAIT = 600.0  # s: a dispatcher that was killed within a delivery makes it again later
ENDS = {f"job.{state}" for state in ("succeeded", "failed", "canceled")}


@dataclass
class Told:
    """What was delivered, and what is wrong with it.

    The first attempt at every message is refused; so half of all are, where nothing else fails.
    """

    secret: str = ""
    attempts: Counter[str] = field(default_factory=Counter)  # by message
    taken: dict[str, list[tuple[str, str]]] = field(  # by job: messages and their types
        default_factory=lambda: defaultdict(list)
    )
    refused: int = 0
    complaints: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, received: Received) -> tuple[int, dict[str, str]]:
        """Refuse, or take and note."""
        with self.lock:
            try:
                message = verify(self.secret, received.headers, received.body)
            except SignatureError as error:
                self.complaints.append(f"delivery: {error}")
                return 400, {}
            message_id = received.headers["webhook-id"]
            self.attempts[message_id] += 1
            if self.attempts[message_id] == 1:
                self.refused += 1
                return 500, {}
            self._note(message_id, message)
            return 204, {}

    def _note(self, message_id: str, message: dict[str, Any]) -> None:
        data = message["data"]
        if message["type"] not in ENDS or message["type"] != f"job.{data['state']}":
            self.complaints.append(f"delivery: got {message['type']} of a job that {data['state']}")
        self.taken[data["job_id"]].append((message_id, message["type"]))

    @property
    def figures(self) -> dict[str, int]:
        """How many there were."""
        with self.lock:
            took = [each for some in self.taken.values() for each in some]
            return {
                "jobs": len(self.taken),
                "attempts": sum(self.attempts.values()),
                "refused": self.refused,
                "taken": len(took),
                "taken again": len(took) - len(set(took)),
            }


@contextmanager
def told_by(rig: Rig) -> Iterator[Told]:
    """Have a server deliver the ends of all jobs from now on."""
    with receiver() as here:
        told = Told()
        here.answer = told.answer
        answer = httpx.post(
            f"{rig.url}/v1/webhooks", json={"url": here.url}, trust_env=False, timeout=60
        )
        assert answer.status_code == 201, answer.text
        told.secret = answer.json()["secret"]
        yield told


def check_told(told: Told, jobs: Sequence[JobRecord]) -> list[str]:
    """All broken promises: each of these jobs has ended, and that was told, at least once.

    It is told by one message, however often that comes, and nothing else is told of a job.
    """
    ended = [job.id for job in jobs]
    until(lambda: all(map(told.taken.get, ended)), "every end is told", LONGEST_WAIT)
    found = list(told.complaints)
    for job in jobs:
        messages = set(told.taken[job.id])
        if len(messages) != 1:
            found.append(f"job {job.id}: its end was told by {len(messages)} messages")
        if {type_ for _, type_ in messages} != {f"job.{job.state}"}:
            found.append(f"job {job.id}: was told {sorted(messages)}, the ledger says {job.state}")
    return found
