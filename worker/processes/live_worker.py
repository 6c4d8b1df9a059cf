"""RQ's worker, bound to one live session at a time for as long as that is open.

As `worker.processes.horse`, but that what is held is a session: the lease is short, and a process
that gives no sign of life is ended at once, since somebody waits for the next frame.
"""

import math
from typing import Any

import structlog
from redis import Redis
from rq import Queue, Worker
from rq.job import Job

from worker.contract import LIVE_QUEUE
from worker.kernel import die_with
from worker.ledger.database import Database, ledger_may_be_away
from worker.ledger.members import Member, Members
from worker.ledger.refusals import NotFoundError
from worker.ledger.sessions import Binding, Sessions
from worker.processes.heartbeat import beat
from worker.processes.horse import ReucidWorker, redis_may_be_away
from worker.processes.live_job import LEASE, pulse
from worker.settings import Settings
from worker.wake import wake

HANGS_AFTER = 2.5  # s without a sign of life, and
PER_PIXEL = 4e-6  # s for each pixel of a frame: a first look at a large one takes a while

log = structlog.get_logger()


class LiveWorker(ReucidWorker):
    """A worker of the queue of live sessions."""

    queue_name = LIVE_QUEUE
    keeps_spare = False

    def __init__(
        self, database: Database, connection: Redis, settings: Settings, member: Member
    ) -> None:
        super().__init__(database, connection, settings, member)
        self._binding: Binding | None = None
        self._patience = HANGS_AFTER

    def execute_job(self, job: Job, queue: Queue) -> None:
        session_id, number = job.args
        try:
            shape = Sessions(self._database).get(session_id).request.shape
        except NotFoundError:
            shape = (0, 0)  # deleted meanwhile: nobody will claim it
        self._patience = HANGS_AFTER + PER_PIXEL * math.prod(shape)
        self._binding = Binding(self._database, session_id, number, worker=self.name)
        pulse.reset()
        self._database.close()  # no connection may be open across the fork
        try:
            self.watch(job, queue)
        finally:
            with ledger_may_be_away():  # then it is given back when the lease has run out
                if self._binding.release(lost=not self._stop_requested):
                    log.warning("live_session_released", session_id=session_id, attempt=number)
            self._binding = None
            wake(self.connection, session_id)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        die_with(self._pid)
        Worker.main_work_horse(self, job, queue)  # without giving way to others

    def maintain_heartbeats(self, job: Job, execution: Any) -> None:
        beat(self._settings)
        if self._binding is not None and self._is_over(self._binding):
            self.kill_horse()
            return
        with redis_may_be_away():
            Worker.maintain_heartbeats(self, job, execution)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Not one of the workers that jobs wait for, but a process of some version."""
        self._heed_request_to_stop()
        if self.is_due():
            beat(self._settings)
            with ledger_may_be_away():
                Members(self._database).beat(self._member)
        with redis_may_be_away():
            Worker.heartbeat(self, timeout, pipeline)

    @property
    def _has_work(self) -> bool:
        return self._binding is not None

    def _is_over(self, binding: Binding) -> bool:
        if pulse.silent_for > self._patience:
            log.warning("live_worker_hangs", session_id=binding.session_id)
            return True
        with ledger_may_be_away():  # for as long as the lease lasts
            if not binding.renew(LEASE, touched_ago=pulse.touched_ago):
                return True
        return bool(self._stop_requested)
