"""The function that RQ calls for a live session: denoise what comes until the session ends."""

import os

import structlog

from worker.ledger.database import Database
from worker.ledger.sessions import Binding
from worker.live.loop import Loop
from worker.live.pulse import Pulse
from worker.redis_client import open_redis
from worker.settings import Settings

LEASE = 2.5  # s; shorter than a job's: somebody is looking
REDIS_TIMEOUT = 2.0  # s; longer than the loop waits for rows

pulse = Pulse()  # of this worker and the process that it forks

log = structlog.get_logger()


def run(session_id: str, attempt: int) -> None:
    """Bind a session to this process, if it still waits for a worker, and serve it."""
    settings = Settings()
    database = Database(settings.ledger_url)
    binding = Binding(database, session_id, attempt, os.environ["RQ_WORKER_ID"])
    with structlog.contextvars.bound_contextvars(session_id=session_id, attempt=attempt):
        session = binding.claim(LEASE)
        database.close()
        if session is None:
            log.info("not_claimed")
            return
        with open_redis(settings.redis_url, REDIS_TIMEOUT) as redis:
            Loop(redis, session, settings.threads, pulse).run()
