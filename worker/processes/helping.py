"""The function that RQ calls where a job may be helped: do open parts of it.

What goes wrong here costs the job nothing: a part that is left is open again, for the job's own
worker if need be, which meets the same fault and says so in its own name.
"""

import os

import structlog
from rq.timeouts import JobTimeoutException
from sqlalchemy.exc import SQLAlchemyError

from worker.faultpoints import reached
from worker.ledger.jobs import Jobs
from worker.ledger.parts import Doing, Parts
from worker.processes.job import ledger_at, store_at
from worker.processes.material import Material
from worker.processes.part import Maker, Overtaken
from worker.redis_client import open_redis
from worker.settings import Settings
from worker.wake import WAKE_TIMEOUT, wake

log = structlog.get_logger()


def run(job_id: str, _attempt: int = 0) -> None:
    """Do one part of a job after another, as long as nothing else is more urgent."""
    settings = Settings()
    database, worker = ledger_at(settings.ledger_url), os.environ["RQ_WORKER_ID"]
    parts = Parts(database)
    with (
        open_redis(settings.redis_url, WAKE_TIMEOUT) as redis,
        structlog.contextvars.bound_contextvars(job_id=job_id, helping=True),
    ):
        reached("help.forked")
        part = parts.help(job_id, worker, settings.lease_s)
        reached("help.claimed")
        if part is None:
            log.debug("no_help_needed")
            return
        doing = Doing(database, part)
        try:
            store = store_at(settings)
            job = Jobs(database).get(job_id)
            material = Material.of(job, database, settings, store)
            maker = Maker(material, store, lambda: wake(redis, job_id))
            while part is not None:
                doing = Doing(database, part)
                maker.make(doing)
                part = parts.help(job_id, worker, settings.lease_s, again=True)
        except Overtaken:
            log.info("overtaken")
        except JobTimeoutException:
            doing.leave()
            raise  # RQ's own book-keeping
        except SQLAlchemyError:
            log.exception("ledger_away")  # the worker opens the part again
            raise
        except Exception:
            log.exception("part_left")
            doing.leave(to_job=True)
        wake(redis, job_id)
    database.close()
