"""From the ledger to the queue.

Harmless to run many times over: the claim decides who works, the queue only says there is work.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Event
from uuid import uuid4

import structlog
from redis import Redis
from redis.client import PubSub
from redis.exceptions import RedisError
from rq import Queue
from rq.serializers import JSONSerializer

from worker.contract import JOB_FUNCTION, PART_FUNCTION, QUEUE, WAKE_CHANNEL, WORKER_SILENCE
from worker.faultpoints import reached
from worker.ledger.backlog import Backlog, Waiting
from worker.ledger.database import Database, ledger_may_be_away
from worker.ledger.parts import Parts
from worker.ledger.workers import Workers
from worker.processes.heartbeat import beat
from worker.processes.live_dispatch import LiveDispatcher
from worker.settings import Settings
from worker.wake import wake

MOST_WAKES = 1000  # answered by one look
PER_WORKER = 1  # jobs in the queue beside the running one; the rest can still be overtaken
GRACE = 2.0  # s a dispatched job may be neither in the queue nor claimed
RESTS = 2  # times as long as it works, so that who wakes it on and on does not keep it busy
IDLE = 0.5  # s between looks at the ledger without being woken
FAILURE_TTL = 60  # s RQ keeps its own record of a failed job

log = structlog.get_logger()


class Clock:
    """Whether the database's clock goes as fast as time does.

    A machine that wakes up, or whose clock is set, finds all leases run out though every worker
    lives; they have the time of a lease then to renew them.
    """

    def __init__(self) -> None:
        self._ahead: float | None = None  # s of the monotonic clock, when it was last looked at
        self._suspect_until = 0.0

    @property
    def is_suspect(self) -> bool:
        """Whether it has jumped so short a time ago that leases mean nothing."""
        return time.monotonic() < self._suspect_until

    def has_jumped(self, now: float, lease_s: float) -> bool:
        """Look at the clock; whether it has jumped ahead since the last look."""
        ahead = now - time.monotonic()
        before, self._ahead = self._ahead, ahead
        jumped = before is not None and ahead - before > lease_s / 4
        if jumped:
            self._suspect_until = time.monotonic() + lease_s
        return jumped


@dataclass(frozen=True)
class Dispatcher:
    """Feeds the queue with as many jobs as the workers need."""

    database: Database
    redis: Redis
    settings: Settings
    clock: Clock = field(default_factory=Clock)

    @cached_property
    def _live(self) -> LiveDispatcher:
        return LiveDispatcher(self.database, self.redis, self.settings)

    def run(self, stop: Event) -> None:
        """Dispatch until told to stop, whatever happens to Redis."""
        while not stop.is_set():
            try:
                with self.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    pubsub.subscribe(WAKE_CHANNEL)
                    recovers_at = 0.0
                    while not stop.is_set():
                        beat(self.settings)
                        begun = time.monotonic()
                        with ledger_may_be_away():
                            if begun < recovers_at:  # woken: of a job, it need not wait for more
                                self.top_up()
                            else:
                                recovers_at = begun + IDLE
                                self.step()
                        stop.wait(min(IDLE, RESTS * (time.monotonic() - begun)))
                        if pubsub.get_message(timeout=IDLE):
                            _drain(pubsub)
            except (RedisError, OSError) as error:
                log.warning("redis_away", error=type(error).__name__)
                beat(self.settings)
                with ledger_may_be_away():
                    self._recover()  # leases run out while Redis is away, too
                stop.wait(IDLE)

    def step(self) -> None:
        """Recover lost jobs, then top up the queue."""
        self._recover()
        self.top_up()

    def top_up(self) -> None:
        """Put what the workers need into the queue."""
        queue = Queue(QUEUE, connection=self.redis, serializer=JSONSerializer)
        in_queue = set(queue.get_job_ids())
        backlog = Backlog(self.database)
        next_ones = backlog.waiting(self._wanted())
        missing = [job for job in next_ones if not self._is_on_its_way(job, in_queue)]
        if missing:
            counted = backlog.dispatch(missing)
            # A crash of PostgreSQL may have taken a count away: then it is there by the same id.
            self._enqueue(queue, [job for job in counted if job.queue_id not in in_queue])
        self._call_for_help(queue, in_queue)
        self._live.step()

    def _call_for_help(self, queue: Queue, in_queue: set[str]) -> None:
        """Tell as many workers as are idle of jobs that are spread.

        The ledger need not know: a call that is lost is made again, one too many finds no part.
        """
        parts = Parts(self.database)
        if not parts.any_open():
            return
        idle = self._alive() - parts.busy() - len(in_queue)
        for part in parts.open_to_help(max(0, idle)):
            queue.enqueue(
                PART_FUNCTION,
                args=(part.job_id, 0),  # as of an attempt: an older worker leaves it at that
                job_id=f"{part.job_id}-help-{uuid4().hex[:8]}",
                job_timeout=self.settings.job_timeout_s,
                result_ttl=0,
                failure_ttl=FAILURE_TTL,
            )
            log.info("called_for_help", job_id=part.job_id)

    def _wanted(self) -> int:
        """Jobs that the queue should hold: workers may be on other machines, and come and go."""
        return PER_WORKER * max(1, self._alive())

    def _alive(self) -> int:
        return Workers(self.database).alive(within_s=WORKER_SILENCE)

    def _recover(self) -> None:
        backlog, parts = Backlog(self.database), Parts(self.database)
        if backlog.shorten(self.settings.lease_s) + parts.shorten(self.settings.lease_s):
            log.warning("leases_shortened", reason="the clock was set back")
        if self.clock.has_jumped(self.database.now(), self.settings.lease_s):
            log.warning("clock_jumped", reason="leases are given time to be renewed")
        if self.clock.is_suspect:
            return
        for job_id in backlog.recover(self.settings.max_attempts):
            log.warning("lease_lost", job_id=job_id)
            wake(self.redis, job_id)
        if number := parts.recover():
            log.warning("part_leases_lost", parts=number)
        self._live.recover()

    def _is_on_its_way(self, job: Waiting, in_queue: set[str]) -> bool:
        if job.dispatched_ago is None:
            return False
        # Less than nothing: the clock was set back since, and says nothing of when that was.
        return job.queue_id in in_queue or 0 <= job.dispatched_ago < GRACE

    def _enqueue(self, queue: Queue, jobs: Sequence[Waiting]) -> None:
        """Put jobs into the queue, together: each would be several answers of Redis."""
        reached("dispatch.counted")
        queue.enqueue_many(
            Queue.prepare_data(
                JOB_FUNCTION,
                args=(job.job_id, job.attempt),
                job_id=job.queue_id,
                timeout=self.settings.job_timeout_s,
                result_ttl=0,
                failure_ttl=FAILURE_TTL,
            )
            for job in jobs
        )
        reached("dispatch.enqueued")
        for job in jobs:
            log.info(
                "dispatched",
                job_id=job.job_id,
                attempt=job.attempt,
                dispatch=job.dispatch,
                request_id=job.request_id,
            )


def _drain(pubsub: PubSub) -> None:
    """Take the other wakes that have come: one look answers them all."""
    for _ in range(MOST_WAKES):
        if not pubsub.get_message():
            return
