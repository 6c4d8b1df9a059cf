"""RQ's worker, made to keep our promises.

RQ forks a work horse for each job and its worker watches the horse. Ours also

- renews the job's lease while it watches, in the parent, so that no native code can block it, and
  kills the horse when the ledger says that the attempt is over;
- takes the horse with it when it dies, by the parent-death signal;
- survives Redis being away for any time: what RQ would tell Redis is of no importance to us;
- gives the job back at once when the horse died or the worker was told to stop.
"""

import contextlib
import os
from collections.abc import Iterator
from types import FrameType
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from worker.attempt import Attempt
from worker.backlog import Backlog
from worker.contract import QUEUE
from worker.ledger import Ledger
from worker.process import die_with
from worker.settings import Settings
from worker.wake import wake

MONITORING_INTERVAL = 1  # s

log = structlog.get_logger()


class ReucidWorker(Worker):
    """A worker of the one queue, on one ledger."""

    max_connection_wait_time = 2.0  # s between attempts to reach Redis

    def __init__(self, ledger: Ledger, connection: Redis, settings: Settings) -> None:
        super().__init__(
            [Queue(QUEUE, connection=connection, serializer=JSONSerializer)],
            connection=connection,
            serializer=JSONSerializer,
            job_monitoring_interval=MONITORING_INTERVAL,
            log_job_description=False,
        )
        self._ledger = ledger
        self._settings = settings
        self._pid = os.getpid()
        self._attempt: Attempt | None = None

    def execute_job(self, job: Job, queue: Queue) -> None:
        job_id, number = job.args
        self._attempt = Attempt(self._ledger, job_id, number, worker=self.name)
        self._ledger.close()  # no connection may be open across the fork
        try:
            with _redis_may_be_away():
                super().execute_job(job, queue)
        finally:
            # The horse has ended. If the job has not, the horse was killed or crashed.
            if Backlog(self._ledger).lose(job_id, self.name, self._settings.max_attempts):
                log.warning("horse_lost", job_id=job_id, attempt=number)
                wake(self.connection, job_id)
            self._attempt = None

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        die_with(self._pid)
        super().main_work_horse(job, queue)

    def maintain_heartbeats(self, job: Job, execution: Any) -> None:
        if self._attempt is not None and not self._attempt.renew(self._settings.lease_s):
            log.info("attempt_over", job_id=self._attempt.job_id)
            self.kill_horse()
            return
        self._ledger.beat(self.name)
        with _redis_may_be_away():
            super().maintain_heartbeats(job, execution)

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        try:
            super().request_force_stop(signum, frame)
        except SystemExit:
            if self._attempt is not None:
                self._attempt.hand_back()
            raise

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        self._ledger.beat(self.name)
        with _redis_may_be_away():
            super().heartbeat(timeout, pipeline)

    def set_state(self, state: str, pipeline: Any = None) -> None:
        with _redis_may_be_away():
            super().set_state(state, pipeline)

    def run_maintenance_tasks(self) -> None:
        with _redis_may_be_away():
            super().run_maintenance_tasks()  # type: ignore[no-untyped-call]

    def check_for_suspension(self, burst: bool) -> None:
        """Suspension is not used, and asking Redis for it would end the worker when it is away."""

    def teardown(self) -> None:
        with _redis_may_be_away():
            super().teardown()  # type: ignore[no-untyped-call]
        self._ledger.leave(self.name)

    @property
    def dequeue_timeout(self) -> int:
        """Wake up often enough to be seen alive in the ledger."""
        return 5


@contextlib.contextmanager
def _redis_may_be_away() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        log.warning("redis_away", error=type(error).__name__)
