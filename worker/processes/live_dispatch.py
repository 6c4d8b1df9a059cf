"""Open live sessions, from the ledger to their queue; those that nobody uses are closed."""

import contextlib
from dataclasses import dataclass, field

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

from worker.contract import LIVE_FUNCTION, LIVE_QUEUE, SessionState
from worker.ledger.database import Database
from worker.ledger.refusals import NotFoundError
from worker.ledger.sessions import Sessions, Unbound
from worker.live.transport import end, places
from worker.settings import Settings
from worker.wake import wake

GRACE = 2.0  # s a dispatched session may be neither in the queue nor claimed
FAILURE_TTL = 60  # s RQ keeps its own record
NO_LIMIT = -1  # a session lasts as long as it is used
TIDY_EVERY = 60  # looks, of about half a second

log = structlog.get_logger()


@dataclass
class LiveDispatcher:
    """Gives each open session a worker."""

    database: Database
    redis: Redis
    settings: Settings
    _looks: int = field(default=0, init=False)

    def recover(self) -> None:
        """Take sessions from workers that are gone, and close those without frames for long."""
        sessions = Sessions(self.database)
        for session_id in sessions.recover():
            log.warning("live_lease_lost", session_id=session_id)
            wake(self.redis, session_id)
        for session_id in sessions.idle(self.settings.live_idle_s):
            if sessions.end(session_id, SessionState.CLOSED, "idle", {}):
                log.info("live_session_idle", session_id=session_id)
                with contextlib.suppress(RedisError, OSError):  # else it is found later
                    end(self.redis, session_id)

    def step(self) -> None:
        """Queue what waits for a worker; now and then remove what ended sessions left behind."""
        queue = Queue(LIVE_QUEUE, connection=self.redis, serializer=JSONSerializer)
        waiting = Sessions(self.database).unbound(self.settings.most_live_sessions)
        in_queue = set(queue.get_job_ids()) if waiting else set()
        for session in waiting:
            ago = session.dispatched_ago
            if ago is None or not (session.queue_id in in_queue or 0 <= ago < GRACE):
                self._enqueue(queue, session)
        if self._looks % TIDY_EVERY == 0:
            self._tidy()
        self._looks += 1

    def _enqueue(self, queue: Queue, waiting: Unbound) -> None:
        session = Sessions(self.database).dispatch(waiting)
        if session is None:
            return
        with contextlib.suppress(DuplicateJobError):  # another dispatcher was faster
            queue.enqueue(
                LIVE_FUNCTION,
                args=(session.session_id, session.attempt),
                job_id=session.queue_id,
                unique=True,
                job_timeout=NO_LIMIT,
                result_ttl=0,
                failure_ttl=FAILURE_TTL,
            )
        log.info("live_dispatched", session_id=session.session_id, attempt=session.attempt)

    def _tidy(self) -> None:
        """End in Valkey what has ended in the ledger; whoever ended it may have died in between."""
        sessions = Sessions(self.database)
        for session_id in places(self.redis):
            try:
                ended = sessions.get(session_id).state is not SessionState.OPEN
            except NotFoundError:
                ended = True
            if ended:
                end(self.redis, session_id)
