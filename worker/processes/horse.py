"""RQ's worker, made to keep our promises.

RQ forks a work horse for each job and its worker watches the horse. Ours also

- has a work horse forked ahead of time, which waits for the next job;
- renews the job's lease while it watches, in the parent, so that no native code can block it, and
  kills the horse when the ledger says that the attempt is over;
- takes the horse with it when it dies, by the parent-death signal;
- survives Redis being away for any time: what RQ would tell Redis is of no importance to us;
- gives the job back at once when the horse died or the worker was told to stop;
- ends a horse that is too deep in native code to notice the time limit.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer

from worker.contract import PART_FUNCTION, QUEUE, Failure
from worker.faultpoints import reached
from worker.kernel import die_with, give_way
from worker.ledger.attempt import Attempt
from worker.ledger.backlog import Backlog
from worker.ledger.database import Database, ledger_may_be_away
from worker.ledger.members import Member, Members
from worker.ledger.parts import Help
from worker.ledger.workers import Workers
from worker.processes.heartbeat import beat
from worker.processes.spare import Order, Spare
from worker.settings import Settings
from worker.wake import wake

MONITORING_INTERVAL = 1  # s
BEAT_INTERVAL = 3.0  # s
NICENESS = 5  # of a work horse: whoever only asks is answered first
HANG_GRACE = 5.0  # s after the time limit

log = structlog.get_logger()


class ReucidWorker(Worker):
    """A worker of one queue, on one ledger."""

    queue_name = QUEUE
    max_connection_wait_time = 2.0  # s between attempts to reach Redis
    keeps_spare = True  # a horse forked ahead of time

    def __init__(
        self, database: Database, connection: Redis, settings: Settings, member: Member
    ) -> None:
        super().__init__(
            [Queue(self.queue_name, connection=connection, serializer=JSONSerializer)],
            connection=connection,
            serializer=JSONSerializer,
            job_monitoring_interval=MONITORING_INTERVAL,
            log_job_description=False,
        )
        self._database = database
        self._settings = settings
        self._member = member
        self._pid = os.getpid()
        self._attempt: Attempt | Help | None = None
        self._spare: Spare | None = None
        self._late_at = 0.0
        self._next_beat = 0.0
        self._stop_at_once = False
        self._stopping_since: float | None = None  # by a clock that nobody sets

    def execute_job(self, job: Job, queue: Queue) -> None:
        reached("worker.popped")
        self._attempt = self._asked_for(job)
        self._late_at = time.monotonic() + self._settings.job_timeout_s + HANG_GRACE
        if isinstance(self._attempt, Help):
            with ledger_may_be_away():  # as it was when a part was left that nobody does any more
                self._attempt.release(lost=True)
        try:
            self.watch(job, queue)
        finally:
            self._settle(self._attempt)
            self._attempt = None

    def _asked_for(self, job: Job) -> Attempt | Help:
        if job.func_name == PART_FUNCTION:
            return Help(self._database, job.args[0], worker=self.name)
        job_id, number = job.args
        return Attempt(self._database, job_id, number, worker=self.name)

    def watch(self, job: Job, queue: Queue) -> None:
        """Have a work horse do a job, until it ends."""
        with redis_may_be_away():
            super().execute_job(job, queue)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Give the job to the horse that waits for one, or else to a new one."""
        if self._give_to_spare(job):
            return
        self._database.close()  # no connection may be open across the fork
        super().fork_work_horse(job, queue)
        with contextlib.suppress(OSError):  # the horse does so too, but maybe not soon enough:
            os.setpgid(self.horse_pid, self.horse_pid)  # killing its group must not kill ours

    def _give_to_spare(self, job: Job) -> bool:
        spare, self._spare = self._spare, None
        execution = self.execution
        if spare is None or execution is None:
            return False
        if not spare.give({"job": job.id, "execution": execution.id}):
            log.warning("spare_lost", pid=spare.pid)
            return False
        self._horse_pid = spare.pid
        return True

    def _keep_spare(self) -> None:
        """Have a horse ready for the next job; one that was killed is replaced."""
        if self._spare is not None and not self._spare.lives:
            self._spare.dismiss()
            self._spare = None
        if self._spare is None:
            self._database.close()  # no connection may be open across the fork
            self._spare = Spare.fork(self._get_ready, self._work_as_ordered)
            with contextlib.suppress(OSError):  # as in `fork_work_horse`
                os.setpgid(self._spare.pid, self._spare.pid)

    def _get_ready(self) -> None:
        """In the spare horse, before it knows its job."""
        from worker.processes.job import get_ready  # loaded by then where jobs are worked on

        os.environ["RQ_WORKER_ID"] = self.name
        self._stop_requested = False
        give_way(NICENESS)
        get_ready()
        with redis_may_be_away():
            self.connection.ping()

    def _work_as_ordered(self, order: Order) -> None:
        """In the spare horse, which RQ takes for one that it has just forked."""
        os.environ["RQ_JOB_ID"] = order["job"]
        job = Job.fetch(order["job"], connection=self.connection, serializer=self.serializer)
        execution = Execution(order["execution"], job.id, self.connection, self.name)
        execution._job = job
        self.execution = execution
        super().main_work_horse(job, self.queues[0])

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        die_with(self._pid)
        give_way(NICENESS)  # the horse alone: who renews its lease must not be late
        super().main_work_horse(job, queue)

    def maintain_heartbeats(self, job: Job, execution: Any) -> None:
        beat(self._settings)
        if self._attempt is not None and self._must_end(self._attempt):
            self.kill_horse()
            return
        with redis_may_be_away():
            super().maintain_heartbeats(job, execution)

    def request_stop(self, _signum: int, _frame: FrameType | None) -> None:
        """Asked to stop: noted, and heeded by `heartbeat` between two jobs.

        RQ raises an exception wherever an idle worker happens to be, and SQLAlchemy swallows it
        when it gives a connection back: the worker would go on.
        """
        self._stopping_since = time.monotonic()
        self._stop_requested = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.request_force_stop)

    def request_force_stop(self, _signum: int, _frame: FrameType | None) -> None:
        """Asked again to stop: noted, because a handler may interrupt a write to the ledger."""
        self._stop_at_once |= self._stopping_for() > 1.0  # sooner, it is the same request twice

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        self._heed_request_to_stop()
        if self.is_due():
            beat(self._settings)
            with ledger_may_be_away():
                Workers(self._database).beat(self.name)
                Members(self._database).beat(self._member)
        if self.keeps_spare and not self._has_work and not self.is_horse:
            self._keep_spare()
        with redis_may_be_away():
            super().heartbeat(timeout, pipeline)

    @property
    def _has_work(self) -> bool:
        return self._attempt is not None

    def _heed_request_to_stop(self) -> None:
        if self._stop_requested and not self._has_work:
            raise StopRequested

    def is_due(self) -> bool:
        """Whether this process has said nothing of itself for a while; it does now."""
        if self.is_horse or time.monotonic() < self._next_beat:
            return False
        self._next_beat = time.monotonic() + BEAT_INTERVAL
        return True

    def set_state(self, state: str, pipeline: Any = None) -> None:
        with redis_may_be_away():
            super().set_state(state, pipeline)

    def run_maintenance_tasks(self) -> None:
        with redis_may_be_away():
            super().run_maintenance_tasks()  # type: ignore[no-untyped-call]

    def set_shutdown_requested_date(self) -> None:
        with redis_may_be_away():
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]

    def check_for_suspension(self, burst: bool) -> None:
        """Suspension is not used, and asking Redis for it would end the worker when it is away."""

    def teardown(self) -> None:
        if self._spare is not None:
            self._spare.dismiss()
            self._spare = None
        with redis_may_be_away():
            super().teardown()  # type: ignore[no-untyped-call]
        with ledger_may_be_away():
            Workers(self._database).leave(self.name)
            Members(self._database).leave(self._member.name)

    @property
    def dequeue_timeout(self) -> int:
        """Wake up often enough to be seen alive in the ledger."""
        return 2

    @property
    def connection_timeout(self) -> int:
        """A Redis that hangs may not keep us from renewing the lease."""
        return self.dequeue_timeout + 2

    def _must_end(self, attempt: Attempt | Help) -> bool:
        """Renew the lease; whether the horse has to be killed instead."""
        if self._is_late:  # asked first: a hung horse may hold the ledger's lock
            return True
        with ledger_may_be_away():  # for as long as the lease lasts
            if not attempt.renew(self._settings.lease_s):
                log.info("attempt_over", job_id=attempt.job_id)
                return True
        return self._stop_at_once or self._stopping_for() > self._settings.stop_grace_s

    def _settle(self, attempt: Attempt | Help) -> None:
        """The horse has ended: what it has not goes back to the queue."""
        reached("worker.settling")
        with ledger_may_be_away():  # then it goes back when the lease has run out
            if isinstance(attempt, Help):
                if attempt.release(lost=not self._stop_requested):
                    log.warning("helper_lost", job_id=attempt.job_id)
            elif self._give_up(attempt):
                log.warning("horse_lost", job_id=attempt.job_id, attempt=attempt.number)
        wake(self.connection, attempt.job_id)

    def _give_up(self, attempt: Attempt) -> bool:
        """Whether the job had not ended."""
        if self._is_late:
            limit = self._settings.job_timeout_s
            return attempt.fail(Failure("timeout", f"the job took more than {limit} s"))
        if self._stop_requested:
            return attempt.hand_back()
        most = self._settings.max_attempts
        return Backlog(self._database).lose(attempt.job_id, self.name, most)

    @property
    def _is_late(self) -> bool:
        return time.monotonic() > self._late_at

    def _stopping_for(self) -> float:
        """Seconds since the worker was told to stop."""
        return 0.0 if self._stopping_since is None else time.monotonic() - self._stopping_since


@contextlib.contextmanager
def redis_may_be_away() -> Iterator[None]:
    """Go on when Redis does not answer: nothing that the worker tells it is of importance to us."""
    try:
        yield
    except (RedisError, OSError) as error:
        log.warning("redis_away", error=type(error).__name__)
